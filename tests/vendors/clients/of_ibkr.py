"""ibind, through a gateway: it sends what its order names, and answers IBKR's questions by a table."""

import logging
import re
from importlib import import_module
from typing import Any

from tests.vendors import probe

_STATES = {"Submitted": "open", "PreSubmitted": "open", "Filled": "filled", "Cancelled": "cancelled"}
_TYPES = {"LIMIT": "LMT", "MARKET": "MKT", "STOP": "STP", "STOP_LIMIT": "STP_LIMIT", "TRAILING_STOP": "TRAIL"}
_BID, _ASK, _LAST = "84", "86", "31"
APPLE, LOW, HIGH = 265598, 700021180, 700021185
NAMES = {LOW: "AAPL291221C00180000", HIGH: "AAPL291221C00185000"}


def main() -> None:
    given = probe.settings()
    logging.disable(logging.CRITICAL)
    client = import_module("ibind").IbkrClient(
        account_id=given.key, url=f"{given.url}/v1/api/", cacert=False, max_retries=0, auto_register_shutdown=False
    )
    told = import_module("ibind.client.ibkr_utils")
    answers = dict.fromkeys(told.QuestionType, True) | {"exceeds": True}
    ids, theirs = given.ids, dict[str, str]()
    client.receive_brokerage_accounts()
    client.portfolio_accounts()
    client.live_orders()  # the first look is empty

    def place(name: str, answered: Any = answers, **more: Any) -> str:
        terms = {"conid": APPLE, "side": "BUY", "quantity": 2, "order_type": "LMT", "acct_id": given.key, **more}
        made = client.place_order(told.OrderRequest(coid=ids[name], **terms), answered)
        theirs[name] = made.data["order_id"]
        return "taken"

    def rows() -> list[Any]:
        found: list[Any] = client.live_orders(force=True).data["orders"]
        return found

    def read(row: Any) -> dict[str, str]:
        kind = _TYPES[row["origOrderType"]]
        return probe.order(
            side=row["side"],
            status=_STATES[row["status"]],
            quantity=row["totalSize"],
            filled=row["filledQuantity"],
            limit="" if kind == "STP" else row.get("price"),
            average=row.get("avgPrice"),
            type=kind,
            stop=probe.price(row.get("price") if kind == "STP" else row.get("auxPrice")),
        )

    def look(name: str) -> dict[str, str]:
        found = [each for each in rows() if each["order_ref"] == ids[name]]
        if not found:
            raise RuntimeError("not there")
        return read(found[0])

    def by_their_id() -> dict[str, str]:
        row = client.order_status(theirs["rests"]).data
        return {"status": _STATES[row["order_status"]], "filled": probe.plain(row["cum_fill"])}

    def cancel_by_their_id() -> dict[str, str]:
        place("ended", price=90)
        client.cancel_order(theirs["ended"])
        return look("ended")

    def replace() -> dict[str, str]:
        place("moved", price=90)
        asked = told.OrderRequest(
            conid=APPLE, side="BUY", quantity=1, order_type="LMT", acct_id=given.key, price=91, coid=ids["moved"]
        )
        client.modify_order(theirs["moved"], asked, answers)
        return look("moved")

    def spread() -> dict[str, Any]:
        legs = f"28812380;;;{LOW}/-1,{HIGH}/1"
        place("spread", conid=None, conidex=legs, price=-1.4, tif="DAY")
        row = next(each for each in rows() if each["order_ref"] == ids["spread"])
        parts = [each.split("/") for each in row["conidex"].partition(";;;")[2].split(",")]
        size = float(row["totalSize"])
        return {
            "net": probe.plain(row["price"]),
            "quantity": probe.plain(row["totalSize"]),
            "legs": sorted(
                [NAMES[int(conid)], "buy" if int(ratio) > 0 else "sell", probe.plain(abs(int(ratio)) * size)]
                for conid, ratio in parts
            ),
        }

    def cancel_spread() -> str:
        client.cancel_order(theirs["spread"])
        return _STATES[next(each for each in rows() if each["order_ref"] == ids["spread"])["status"]]

    def fills() -> list[Any]:
        found = client.trades(days="1").data
        return [
            probe.fill(quantity=each["size"], price=each["price"], fee=each["commission"], coin="USD")
            for each in found
            if each["order_ref"] == ids["market"]
        ]

    def balances() -> dict[str, Any]:
        ledger = client.get_ledger().data
        return {name: [probe.plain(each["cashbalance"]), "0"] for name, each in ledger.items() if name != "BASE"}

    def money() -> dict[str, str]:
        return {
            "equity": probe.plain(client.get_ledger().data["BASE"]["netliquidationvalue"]),
            "buying_power": probe.plain(client.portfolio_summary().data["buyingpower"]["amount"]),
        }

    def positions() -> list[Any]:
        return [
            {
                "quantity": probe.plain(abs(each["position"])),
                "side": "long" if each["position"] > 0 else "short",
                "average": probe.plain(each["avgPrice"]),
            }
            for each in client.positions().data
            if each["position"]
        ]

    def conids() -> dict[str, str]:
        found = client.stock_conid_by_symbol(["AAPL", "ES"]).data
        return {"symbol": f"AAPL@{found['AAPL']}"}

    def rules() -> dict[str, str]:
        row = client.info_and_rules_by_conid(str(APPLE), True).data
        return {"tick": probe.plain(row["rules"]["increment"])}

    def quote() -> dict[str, str]:
        for _ in range(2):  # the first look is empty
            row = client.live_marketdata_snapshot([str(APPLE)], [_BID, _ASK, _LAST]).data[0]
        names = {"bid": _BID, "ask": _ASK, "last": _LAST}
        return {name: probe.plain(re.sub("[^0-9.]", "", row[field])) for name, field in names.items()}

    def bars() -> list[Any]:
        asked = client.marketdata_history_by_conid(str(APPLE), bar="1min", period="10min")
        whole = asked.data["data"][:-1]  # the last one is under way
        return [[probe.plain(each[name]) for name in "ohlc"] for each in whole]

    def rate() -> dict[str, str]:
        return {"rate": probe.plain(client.currency_exchange_rate("USD", "EUR").data["rate"])}

    def whatif() -> str:
        asked = told.OrderRequest(conid=APPLE, side="BUY", quantity=2, order_type="LMT", acct_id=given.key, price=90)
        if client.whatif_order(asked).data["error"]:
            raise RuntimeError("refused")
        return "taken"

    def words() -> dict[str, list[str]]:
        return {"question": sorted(each.value for each in told.QuestionType), "order_status": ["warn_state"]}

    probe.run(
        (
            *((f"words_{kind}", lambda told=told: told) for kind, told in words().items()),
            ("place_limit", lambda: place("rests", price=90)),
            ("place_market", lambda: place("market", order_type="MKT", tif="DAY")),
            ("place_stop", lambda: place("stop", order_type="STP", price=220)),
            ("place_stop_limit", lambda: place("stop_limit", order_type="STOP_LIMIT", price=221, aux_price=220)),
            (
                "place_trail",
                lambda: place("trail", order_type="TRAIL", side="SELL", trailing_amt=5, trailing_type="%", price=185),
            ),
            ("place_outside_hours", lambda: place("spend", price=90, outside_rth=True)),
            ("answers_a_question", lambda: place("asked", price=90)),
            ("what_if", whatif),
            ("option_spread", spread),
            ("cancel_spread", cancel_spread),
            ("replace", replace),
            ("cancel_by_their_id", cancel_by_their_id),
            ("duplicate", lambda: probe.refused(lambda: place("rests", price=90))),
            ("no_funds", lambda: probe.refused(lambda: place("too_big", quantity=10_000_000, price=180))),
            ("no_such_order", lambda: probe.refused(lambda: look("never"))),
            ("get_by_our_id", lambda: look("rests")),
            ("get_by_their_id", by_their_id),
            ("get_market", lambda: look("market")),
            ("get_stop", lambda: look("stop")),
            ("get_stop_limit", lambda: look("stop_limit")),
            ("get_asked", lambda: look("asked")),
            ("list_open", lambda: sorted(each["order_ref"] for each in rows() if _STATES[each["status"]] == "open")),
            ("fills", fills),
            ("balances", balances),
            ("money", money),
            ("positions", positions),
            ("instrument", conids),
            ("instrument_rules", rules),
            ("quote", quote),
            ("bars", bars),
            ("exchange_rate", rate),
        )
    )


if __name__ == "__main__":
    main()
