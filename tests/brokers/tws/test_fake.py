"""The fake answers what other clients of TWS ask for, which our adapter does not."""

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


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
