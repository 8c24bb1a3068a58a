"""python-kraken-sdk, futures: parameters of a POST in a form, and a nonce in a header."""

from importlib import import_module
from typing import Any

from tests.vendors import probe

CONTRACT = "PF_XBTUSD"


def main() -> None:
    given = probe.settings()
    futures = import_module("kraken.futures")
    trade, user = (kind(given.key, given.secret, url=given.url) for kind in (futures.Trade, futures.User))
    market = futures.Market(url=given.url)
    ids, theirs = given.ids, dict[str, str]()

    def place(name: str, **more: str) -> str:
        terms = {"orderType": "lmt", "size": "0.5", "symbol": CONTRACT, "side": "buy", **more}
        told = trade.create_order(cliOrdId=ids[name], **terms)["sendStatus"]
        if told["status"] != "placed":
            raise RuntimeError(told["status"])
        theirs[name] = told["order_id"]
        return "taken"

    def opened() -> dict[str, Any]:
        return {each["cliOrdId"].replace("-", ""): each for each in user.get_open_orders()["openOrders"]}

    def look(name: str) -> dict[str, str]:
        row = opened()[ids[name]]
        return probe.order(
            side=row["side"],
            status="open",
            quantity=probe.number(str(row["filledSize"])) + probe.number(str(row["unfilledSize"])),
            filled=row["filledSize"],
            limit=row.get("limitPrice"),
            average="",
        )

    def cancelled(**which: str) -> str:
        told = str(trade.cancel_order(**which)["cancelStatus"]["status"])
        if told != "cancelled":
            raise RuntimeError(told)
        return told

    def cancel_by_their_id() -> str:
        place("ended", limitPrice="15000")
        return cancelled(order_id=theirs["ended"])

    def cancel_by_our_id() -> str:
        place("ended_by_our_id", limitPrice="15000")
        return cancelled(cliOrdId=ids["ended_by_our_id"])

    def fills() -> list[Any]:
        elements = user.get_execution_events()["elements"]
        found = [each["event"]["execution"]["execution"] for each in elements]
        return [
            probe.fill(quantity=each["quantity"], price=each["price"], fee=each["orderData"]["fee"], coin="USD")
            for each in found
            if each["order"]["uid"] == theirs["market"]
        ]

    def balances() -> dict[str, Any]:
        rows = user.get_wallets()["accounts"]["flex"]["currencies"]
        return {"BTC" if coin == "XBT" else coin: [probe.plain(each["quantity"]), "0"] for coin, each in rows.items()}

    def quote() -> dict[str, str]:
        row = next(each for each in market.get_tickers()["tickers"] if each["symbol"] == CONTRACT)
        return {name: probe.plain(row[name]) for name in ("bid", "ask", "last")}

    def positions() -> list[Any]:
        return [
            {"quantity": probe.plain(each["size"]), "side": each["side"], "average": probe.plain(each["price"])}
            for each in user.get_open_positions()["openPositions"]
        ]

    probe.run(
        (
            ("place_limit", lambda: place("rests", limitPrice="15000")),
            ("place_market", lambda: place("market", orderType="mkt", size="0.1")),
            ("place_stop", lambda: place("stop", orderType="stp", stopPrice="31000", triggerSignal="last")),
            ("place_trail", lambda: place("exit_stop", orderType="trailing_stop", side="sell", triggerSignal="last",
                                          trailingStopMaxDeviation="5", trailingStopDeviationUnit="PERCENT")),
            ("trail_without_a_unit", lambda: probe.refused(lambda: place(
                "too_big", orderType="trailing_stop", triggerSignal="last", trailingStopMaxDeviation="5"))),
            ("cancel_by_their_id", cancel_by_their_id),
            ("cancel_by_our_id", cancel_by_our_id),
            ("cancel_again", lambda: probe.refused(lambda: cancelled(order_id=theirs["ended"]))),
            ("duplicate", lambda: probe.refused(lambda: place("rests", limitPrice="15000"))),
            ("no_such_order", lambda: probe.refused(lambda: look("never"))),
            ("get_by_our_id", lambda: look("rests")),
            ("get_stop", lambda: look("stop")),
            ("get_exit_stop", lambda: look("exit_stop")),
            ("list_open", lambda: sorted(opened())),
            ("fills", fills),
            ("balances", balances),
            ("positions", positions),
            ("quote", quote),
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
