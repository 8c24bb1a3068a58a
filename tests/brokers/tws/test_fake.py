"""The fake answers what other clients of TWS ask for, which our adapter does not."""

from dataclasses import replace
from typing import Any

import ib_async
import pytest
from ib_async.ib import StartupFetchNONE

from brokers.tws.adapter import TwsBroker
from tests.brokers.paper.support import order
from tests.brokers.tws.fake import ACCOUNT, FakeTws
from tests.patience import at_most


@pytest.mark.anyio
async def test_positions_and_the_open_orders_of_this_client_are_told(fake: FakeTws, tws: TwsBroker) -> None:
    tws.submit(ACCOUNT, order("BUY", "2", "AAPL@265598", limit="100"))
    ib = ib_async.IB()
    ib.RequestTimeout = 2.0
    await ib.connectAsync("127.0.0.1", fake.port, 8, timeout=at_most(2), fetchFields=StartupFetchNONE)
    try:
        held = await ib.reqPositionsAsync()
        assert [(each.contract.symbol, each.position, each.avgCost) for each in held] == [("AAPL", 100.0, 150.125)]
        assert [each.order.totalQuantity for each in await ib.reqOpenOrdersAsync()] == [2.0]
    finally:
        ib.disconnect()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("orderType", "MKT", 329),
        ("ocaGroup", "another", 10326),
        ("ocaType", 1, 10326),
        ("tif", "DAY", 105),
        ("action", "SELL", 105),
        ("account", "DU7654321", 105),
        ("orderRef", "another", 105),
        ("parentId", 5, 105),
        ("outsideRth", True, 105),
        ("transmit", False, 106),
        ("filled", None, 104),
        ("cancelled", None, 103),
    ],
)
async def test_a_change_of_anything_but_numbers_is_refused(fake: FakeTws, field: str, value: Any, code: int) -> None:
    ib: Any = ib_async.IB()
    heard = list[int]()
    ib.errorEvent += lambda request, number, words, contract: heard.append(number)
    await ib.connectAsync("127.0.0.1", fake.port, 7, timeout=at_most(2), fetchFields=StartupFetchNONE)
    try:
        contract = ib_async.Stock("AAPL", "SMART", "USD", conId=265598)
        terms: dict[str, Any] = {
            "orderType": "LMT",
            "totalQuantity": 2,
            "lmtPrice": 100,
            "tif": "GTC",
            "account": ACCOUNT,
        }
        trade = ib.placeOrder(contract, ib_async.Order(action="BUY", orderRef="ours", **terms))
        await ib.reqOpenOrdersAsync()
        if field == "filled":
            fake.fill("ours")
        elif field == "cancelled":
            fake.orders["ours"]["status"] = "Cancelled"
        changed = replace(trade.order, lmtPrice=99, **({} if value is None else {field: value}))
        ib.client.placeOrder(trade.order.orderId, contract, changed)
        await ib.reqOpenOrdersAsync()
        assert code in heard
        assert fake.orders["ours"]["limit"] == "100"
    finally:
        ib.disconnect()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
