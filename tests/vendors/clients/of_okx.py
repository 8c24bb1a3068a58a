"""python-okx: plain dictionaries, no exception for a refusal."""

import asyncio
from collections.abc import Callable
from importlib import import_module
from typing import Any

from tests.vendors import probe

_STATES = {"live": "open", "partially_filled": "open", "filled": "filled", "canceled": "cancelled"}
PAIR = "BTC-USDT"


def main() -> None:
    given = probe.settings()
    keys = (given.key, given.secret, given.passphrase)
    trade = import_module("okx.Trade").TradeAPI(*keys, flag="1", domain=given.url)
    account = import_module("okx.Account").AccountAPI(*keys, flag="1", domain=given.url)
    market = import_module("okx.MarketData").MarketAPI(flag="1", domain=given.url)
    public = import_module("okx.PublicData").PublicAPI(flag="1", domain=given.url)
    ids, theirs = given.ids, dict[str, str]()

    def rows(answer: Any) -> list[Any]:
        if answer["code"] != "0":
            raise RuntimeError(str(answer))
        found: list[Any] = answer["data"]
        return found

    def done(answer: Any) -> Any:
        row = answer["data"][0]
        if row["sCode"] != "0":
            raise RuntimeError(str(answer))
        return row

    def place(name: str, **more: Any) -> str:
        terms = {"instId": PAIR, "tdMode": "cash", "side": "buy", "ordType": "limit", "sz": "0.5", **more}
        theirs[name] = done(trade.place_order(clOrdId=ids[name], **terms))["ordId"]
        return "taken"

    def read(row: Any) -> dict[str, str]:
        return probe.order(
            side=row["side"],
            status=_STATES[row["state"]],
            quantity=row["sz"],
            filled=row["accFillSz"],
            limit=row["px"],
            average=row["avgPx"],
        )

    def look(name: str) -> dict[str, str]:
        return read(rows(trade.get_order(PAIR, clOrdId=ids[name]))[0])

    def cancel_by_their_id() -> dict[str, str]:
        place("ended", px="15000")
        done(trade.cancel_order(PAIR, ordId=theirs["ended"]))
        return look("ended")

    def cancel_by_our_id() -> dict[str, str]:
        place("ended_by_our_id", px="15000")
        done(trade.cancel_order(PAIR, clOrdId=ids["ended_by_our_id"]))
        return look("ended_by_our_id")

    def replace() -> dict[str, str]:
        place("moved", px="15000")
        done(trade.amend_order(PAIR, clOrdId=ids["moved"], newSz="0.25", newPx="15001"))
        return look("moved")

    def place_algo(name: str, **terms: str) -> str:
        about = {"instId": PAIR, "tdMode": "cash", "side": "sell", "sz": "0.5", "algoClOrdId": ids[name]}
        theirs[name] = done(trade.place_algo_order(**about, **terms))["algoId"]
        return "taken"

    def algo(name: str, limit: str) -> dict[str, str]:
        row = rows(trade.get_algo_order_details(algoClOrdId=ids[name]))[0]
        told = {name: row[name] for name in ("side", "sz", "actualSz")}
        return probe.order(
            side=told["side"],
            status={"live": "open", "canceled": "cancelled"}[row["state"]],
            quantity=told["sz"],
            filled=told["actualSz"],
            limit=row[limit] if row[limit] != "-1" else "",
            average="",
        )

    def change_stop() -> dict[str, str]:
        place_algo("exit_stop", ordType="conditional", slTriggerPx="29000", slOrdPx="28900")
        done(trade.amend_algo_order(PAIR, algoClOrdId=ids["exit_stop"], newSlTriggerPx="28000", newSlOrdPx="27800"))
        return algo("exit_stop", "slOrdPx")

    def cancel_pair() -> str:
        done(trade.cancel_algo_order([{"instId": PAIR, "algoId": theirs["pair"]}]))
        return "cancelled"

    def place_entry() -> str:
        exits = {"attachAlgoClOrdId": ids["target"], "tpTriggerPx": "33000", "tpOrdPx": "33000"}
        return place("entry", px="15000", attachAlgoOrds=[exits])

    def open_orders() -> list[str]:
        algos = rows(trade.order_algos_list(ordType="conditional,oco"))
        orders = rows(trade.get_order_list(instType="SPOT"))
        waiting = [each["attachAlgoClOrdId"] for order in orders for each in order["attachAlgoOrds"]]
        return sorted([*(each["clOrdId"] for each in orders), *(each["algoClOrdId"] for each in algos), *waiting])

    def fills() -> list[Any]:
        return [
            probe.fill(quantity=each["fillSz"], price=each["fillPx"], fee=each["fee"].lstrip("-"), coin=each["feeCcy"])
            for each in rows(trade.get_fills_history("SPOT", ordId=theirs["market"]))
            if each["ordId"] == theirs["market"]
        ]

    def balances() -> dict[str, Any]:
        details = rows(account.get_account_balance())[0]["details"]
        return {each["ccy"]: [probe.plain(each["cashBal"]), probe.plain(each["frozenBal"])] for each in details}

    def instrument() -> dict[str, str]:
        row = rows(public.get_instruments("SPOT", instId=PAIR))[0]
        return {"tick": probe.plain(row["tickSz"]), "lot": probe.plain(row["lotSz"])}

    def quote() -> dict[str, str]:
        row = rows(market.get_ticker(PAIR))[0]
        return {"bid": probe.plain(row["bidPx"]), "ask": probe.plain(row["askPx"]), "last": probe.plain(row["last"])}

    def fees() -> dict[str, str]:
        spot, swap = (rows(account.get_fee_rates(kind))[0] for kind in ("SPOT", "SWAP"))
        return {"spot": spot["taker"].lstrip("-"), "contract": swap["takerU"].lstrip("-")}

    def stream() -> dict[str, str]:
        """The client opens no address without TLS, so the connection is made for it; the rest is its own."""

        def begin(tell: Callable[[Any], None]) -> None:
            async def listen() -> None:
                url = given.url.replace("http", "ws") + "/ws/v5/private"
                updates = import_module("okx.websocket.WsPrivateAsync").WsPrivateAsync(
                    given.key, given.passphrase, given.secret, url
                )
                updates.websocket = await import_module("websockets").connect(url)
                await updates.subscribe([{"channel": "orders", "instType": "ANY"}], tell)
                await updates.consume()

            asyncio.run(listen())

        return probe.streamed(
            begin,
            lambda frame: frame.get("event") == "subscribe",
            lambda frame: "data" in frame and frame["data"][0]["clOrdId"],
            lambda: place("streamed", px="15000"),
            lambda: done(trade.cancel_order(PAIR, ordId=theirs["streamed"])),
            ids["streamed"],
        )

    probe.run(
        (
            ("place_limit", lambda: place("rests", px="15000")),
            ("place_market", lambda: place("market", ordType="market", sz="0.1", tgtCcy="base_ccy")),
            ("place_ioc", lambda: place("ioc", ordType="ioc", px="15000")),
            ("replace", replace),
            ("cancel_by_their_id", cancel_by_their_id),
            ("cancel_by_our_id", cancel_by_our_id),
            ("duplicate", lambda: probe.refused(lambda: place("rests", px="15000"))),
            ("no_funds", lambda: probe.refused(lambda: place("too_big", sz="100", px="29000"))),
            ("no_such_order", lambda: probe.refused(lambda: look("never"))),
            ("get_by_our_id", lambda: look("rests")),
            ("get_by_their_id", lambda: read(rows(trade.get_order(PAIR, ordId=theirs["rests"]))[0])),
            ("get_market", lambda: look("market")),
            ("get_ioc", lambda: look("ioc")),
            (
                "place_stop",
                lambda: place_algo("stop", ordType="conditional", slTriggerPx="29000", slOrdPx="28900"),
            ),
            ("get_stop", lambda: algo("stop", "slOrdPx")),
            ("change_stop", change_stop),
            (
                "place_pair",
                lambda: place_algo(
                    "pair", ordType="oco", tpTriggerPx="33000", tpOrdPx="33000", slTriggerPx="27000", slOrdPx="-1"
                ),
            ),
            ("cancel_pair", cancel_pair),
            ("get_pair", lambda: algo("pair", "tpOrdPx")),
            ("place_entry", place_entry),
            ("get_entry", lambda: look("entry")),
            (
                "stop_that_is_through",
                lambda: probe.refused(
                    lambda: place_algo("too_big", ordType="conditional", slTriggerPx="31000", slOrdPx="-1")
                ),
            ),
            ("list_open", open_orders),
            ("fills", fills),
            ("balances", balances),
            ("instrument", instrument),
            ("quote", quote),
            ("fees", fees),
            ("order_stream", stream),
        )
    )


if __name__ == "__main__":
    main()
