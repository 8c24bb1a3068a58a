"""python-kraken-sdk, spot: an exception for each error it knows by name; other errors come back as the answer."""

import asyncio
from collections.abc import Callable
from importlib import import_module
from typing import Any

from tests.vendors import probe

_STATES = {"open": "open", "closed": "filled", "canceled": "cancelled", "expired": "expired"}
PAIR = "XBTUSD"
_COINS = {"XXBT": "BTC", "ZUSD": "USD"}


def main() -> None:
    given = probe.settings()
    spot = import_module("kraken.spot")
    trade, user = (kind(given.key, given.secret, url=given.url) for kind in (spot.Trade, spot.User))
    market = spot.Market(url=given.url)
    ids, theirs = given.ids, dict[str, str]()

    def told(answer: Any) -> Any:
        if isinstance(answer, dict) and answer.get("error"):
            raise RuntimeError(str(answer))
        return answer

    def place(name: str, **more: str) -> str:
        terms = {"ordertype": "limit", "side": "buy", "pair": PAIR, "volume": "0.5", **more}
        theirs[name] = told(trade.create_order(cl_ord_id=ids[name], oflags="fciq", **terms))["txid"][0]
        return "taken"

    def read(row: Any) -> dict[str, str]:
        stops = row["descr"]["ordertype"].startswith(("stop", "trailing"))
        return probe.order(
            side=row["descr"]["type"],
            status=_STATES[row["status"]],
            quantity=row["vol"],
            filled=row["vol_exec"],
            limit="" if stops else row["descr"]["price"],
            average=row["price"],
        )

    def look(name: str) -> dict[str, str]:
        for rows in (
            told(user.get_open_orders(cl_ord_id=ids[name]))["open"],
            told(user.get_closed_orders(cl_ord_id=ids[name]))["closed"],
        ):
            for row in rows.values():
                return read(row)
        raise RuntimeError("not there")

    def cancel_by_their_id() -> dict[str, str]:
        place("ended", price="15000")
        told(trade.cancel_order(txid=theirs["ended"]))
        return look("ended")

    def cancel_by_our_id() -> dict[str, str]:
        place("ended_by_our_id", price="15000")
        told(trade.cancel_order(cl_ord_id=ids["ended_by_our_id"]))
        return look("ended_by_our_id")

    def replace() -> dict[str, str]:
        place("moved", price="15000")
        told(trade.amend_order(cl_ord_id=ids["moved"], order_qty="0.25", limit_price="15001"))
        return look("moved")

    def fills() -> list[Any]:
        trades = told(user.get_trades_history())["trades"]
        return [
            probe.fill(quantity=each["vol"], price=each["price"], fee=each["fee"], coin="USD")
            for each in trades.values()
            if each["ordertxid"] == theirs["market"]
        ]

    def balances() -> dict[str, Any]:
        rows = told(user.get_balances())
        return {
            _COINS.get(coin, coin): [probe.plain(each["balance"]), probe.plain(each["hold_trade"])]
            for coin, each in rows.items()
        }

    def instrument() -> dict[str, str]:
        (row,) = market.get_asset_pairs(pair=PAIR).values()
        return {"tick": probe.plain(row["tick_size"]), "lot": probe.plain(f"1e-{row['lot_decimals']}")}

    def quote() -> dict[str, str]:
        (row,) = market.get_ticker(pair=PAIR).values()
        return {"bid": probe.plain(row["b"][0]), "ask": probe.plain(row["a"][0]), "last": probe.plain(row["c"][0])}

    def validate() -> list[str]:
        trade.create_order(ordertype="limit", side="buy", pair=PAIR, volume="0.5", price="15000", validate=True)
        return open_ids()

    def open_ids() -> list[str]:
        return sorted(each["cl_ord_id"] for each in told(user.get_open_orders())["open"].values())

    def stream() -> dict[str, str]:
        def begin(tell: Callable[[Any], None]) -> None:
            async def heard(frame: Any) -> None:
                tell(frame)

            async def listen() -> None:
                sockets = given.url.replace("http", "ws")
                updates = spot.SpotWSClient(
                    given.key, given.secret, heard, no_public=True, rest_url=given.url, auth_ws_url=sockets
                )
                await updates.start()
                await updates.subscribe(params={"channel": "executions"})
                await asyncio.Event().wait()

            asyncio.run(listen())

        return probe.streamed(
            begin,
            lambda frame: frame.get("method") == "subscribe" and frame["success"],
            lambda frame: frame.get("channel") == "executions" and frame["data"] and frame["data"][0]["cl_ord_id"],
            lambda: place("streamed", price="15000"),
            lambda: told(trade.cancel_order(txid=theirs["streamed"])),
            ids["streamed"],
        )

    probe.run(
        (
            ("place_limit", lambda: place("rests", price="15000")),
            ("place_market", lambda: place("market", ordertype="market", volume="0.1")),
            ("place_stop", lambda: place("stop", ordertype="stop-loss", price="31000")),
            ("place_trail", lambda: place("exit_stop", ordertype="trailing-stop", side="sell", price="+5%")),
            ("place_entry", lambda: place("entry", price="15000", close_ordertype="stop-loss", close_price="14000")),
            ("close_without_a_price", lambda: probe.refused(
                lambda: place("too_big", price="15000", close_ordertype="stop-loss"))),
            ("trail_without_a_sign", lambda: probe.refused(
                lambda: place("too_big", ordertype="trailing-stop", side="sell", price="5%"))),
            ("place_ioc", lambda: place("ioc", timeinforce="IOC", price="15000")),
            ("replace", replace),
            ("cancel_by_their_id", cancel_by_their_id),
            ("cancel_by_our_id", cancel_by_our_id),
            ("duplicate", lambda: probe.refused(lambda: place("rests", price="15000"))),
            ("no_funds", lambda: probe.refused(lambda: place("too_big", volume="100", price="29000"))),
            ("no_such_order", lambda: probe.refused(lambda: look("never"))),
            ("get_by_our_id", lambda: look("rests")),
            ("get_market", lambda: look("market")),
            ("get_stop", lambda: look("stop")),
            ("get_ioc", lambda: look("ioc")),
            ("get_entry", lambda: look("entry")),
            ("get_exit_stop", lambda: look("exit_stop")),
            ("list_open", open_ids),
            ("only_validated", validate),
            ("fills", fills),
            ("balances", balances),
            ("instrument", instrument),
            ("quote", quote),
            ("order_stream", stream),
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
