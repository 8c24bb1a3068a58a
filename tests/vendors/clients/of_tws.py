"""ib_async over the wire of TWS, used as its manual has it: the adapter reads the same messages in its own way."""

import asyncio
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from tests.patience import at_most
from tests.vendors import probe

_STATES = {"Submitted": "open", "PreSubmitted": "open", "Filled": "filled", "Cancelled": "cancelled"}
_TYPES = {"LMT": "LMT", "MKT": "MKT", "STP": "STP", "STP LMT": "STP_LIMIT", "TRAIL": "TRAIL"}
_UNSET = 1e300


def _told(value: float) -> Any:
    return "" if value > _UNSET else value


def main() -> None:
    given = probe.settings()
    library = import_module("ib_async")
    fetch = import_module("ib_async.ib").StartupFetchNONE
    where = urlsplit(given.url)
    ids, trades = given.ids, dict[str, Any]()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    errors: list[int] = []

    def opened() -> Any:
        made = library.IB()
        made.RequestTimeout = at_most(5)
        made.errorEvent += lambda request, code, words, contract: errors.append(code)
        made.connect(where.hostname, where.port, clientId=7, timeout=at_most(5), fetchFields=fetch)
        return made

    client = opened()
    apple = library.Stock("AAPL", "SMART", "USD")
    client.qualifyContracts(apple)

    def until(found: Any) -> None:
        for _ in range(200):
            if found():
                return
            client.sleep(0.02)
        raise RuntimeError("no answer in time")

    def place(name: str, made: Any) -> str:
        made.orderRef, made.account, made.tif = ids[name], given.key, made.tif or "GTC"
        trades[name] = client.placeOrder(apple, made)
        until(lambda: trades[name].orderStatus.status in _STATES)
        return "taken"

    def read(trade: Any) -> dict[str, str]:
        order, status = trade.order, trade.orderStatus
        return probe.order(
            side=order.action,
            status=_STATES[status.status],
            quantity=order.totalQuantity,
            filled=status.filled,
            limit=_told(order.lmtPrice),
            average=status.avgFillPrice,
            type=_TYPES[order.orderType],
            tif=order.tif,
            stop=probe.price(_told(order.auxPrice)),
        )

    def anew(name: str) -> dict[str, str]:
        """As TWS lists it, to a program that did not send it."""
        (found,) = (each for each in client.reqAllOpenOrders() if each.order.orderRef == ids[name])
        return read(found)

    def cancelled() -> str:
        place("ended", library.LimitOrder("BUY", 2, 90))
        client.cancelOrder(trades["ended"].order)
        until(lambda: trades["ended"].orderStatus.status == "Cancelled")
        return "cancelled"

    def not_found() -> Any:
        errors.clear()
        trade = trades["ended"]
        trade.order.orderId, trade.orderStatus.status = 999_999, "Submitted"
        client.cancelOrder(trade.order)
        until(lambda: errors)
        raise RuntimeError(str(errors))

    def bracket() -> str:
        legs = client.bracketOrder("BUY", 2, 90, 200, 80)
        names = ("bracket", "target", "exit")
        for name, leg in zip(names, legs, strict=True):
            leg.orderRef, leg.account, leg.tif = ids[name], given.key, "GTC"
            trades[name] = client.placeOrder(apple, leg)
        until(lambda: all(trades[name].orderStatus.status in _STATES for name in names))
        return "taken"

    def listed(rows: Any) -> list[str]:
        return sorted(each.order.orderRef for each in rows)

    def fills() -> list[Any]:
        return [
            probe.fill(
                quantity=each.execution.shares,
                price=each.execution.price,
                fee=each.commissionReport.commission,
                coin=each.commissionReport.currency,
            )
            for each in client.reqExecutions()
            if each.execution.orderRef == ids["market"]
        ]

    def values() -> dict[str, str]:
        return {each.tag: each.value for each in client.accountValues(given.key) if each.currency in ("USD", "")}

    def updated() -> None:
        client.reqAccountUpdates(given.key)

    def balances() -> dict[str, Any]:
        updated()
        return {"USD": [probe.plain(values()["TotalCashBalance"]), "0"]}

    def money() -> dict[str, str]:
        told = values()
        return {"equity": probe.plain(told["NetLiquidation"]), "buying_power": probe.plain(told["BuyingPower"])}

    def held(rows: Any, cost: str) -> list[Any]:
        return [
            {
                "quantity": probe.plain(abs(each.position)),
                "side": "long" if each.position > 0 else "short",
                "average": probe.plain(getattr(each, cost)),
            }
            for each in rows
        ]

    def instrument() -> dict[str, str]:
        (row,) = client.reqContractDetails(apple)
        return {"symbol": f"AAPL@{row.contract.conId}", "tick": probe.plain(row.minTick)}

    def quote() -> dict[str, str]:
        (row,) = client.reqTickers(apple)
        return {name: probe.plain(getattr(row, name)) for name in ("bid", "ask", "last")}

    def again() -> dict[str, str]:
        """A new connection of the same program."""
        nonlocal client
        client.disconnect()
        client = opened()
        return anew("rests")

    def words() -> dict[str, list[str]]:
        status = library.OrderStatus
        named = {value for name, value in vars(status).items() if isinstance(value, str) and name == value}
        return {"order_status": sorted(named | status.DoneStates | status.ActiveStates)}

    limit, market = library.LimitOrder, library.MarketOrder
    probe.run(
        (
            *((f"words_{kind}", lambda told=told: told) for kind, told in words().items()),
            ("place_limit", lambda: place("rests", limit("BUY", 2, 90))),
            ("place_market", lambda: place("market", market("BUY", 2))),
            ("place_stop", lambda: place("stop", library.StopOrder("BUY", 2, 220))),
            ("place_stop_limit", lambda: place("stop_limit", library.StopLimitOrder("BUY", 2, 221, 220))),
            ("place_ioc", lambda: place("ioc", limit("BUY", 2, 90, tif="IOC"))),
            ("place_bracket", bracket),
            ("cancel_by_their_id", cancelled),
            ("cancel_again", lambda: probe.refused(not_found)),
            ("get_by_our_id", lambda: anew("rests")),
            ("get_market", lambda: read(trades["market"])),
            ("get_stop", lambda: anew("stop")),
            ("get_stop_limit", lambda: anew("stop_limit")),
            ("get_target", lambda: anew("target")),
            ("get_exit", lambda: anew("exit")),
            ("list_open", lambda: listed(client.reqAllOpenOrders())),
            ("list_own", lambda: listed(client.reqOpenOrders())),
            ("fills", fills),
            ("balances", balances),
            ("money", money),
            ("positions", lambda: held(client.portfolio(given.key), "averageCost")),
            ("positions_asked_for", lambda: held(client.reqPositions(), "avgCost")),
            ("instrument", instrument),
            ("quote", quote),
            ("time", lambda: "taken" if client.reqCurrentTime() else ""),
            ("after_reconnecting", again),
        )
    )
    client.disconnect()


if __name__ == "__main__":
    main()
