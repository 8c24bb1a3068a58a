"""What the tests of several options in one order share: a call bought and one above it sold, worth 1.30 a share."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from brokers.base import Broker
from brokers.errors import InvalidOrder, InvalidRequest
from brokers.types import BarSize, BrokerOrder, BrokerStatus, OrderRequest, OrderType, Side, TimeInForce
from tests.brokers.paper.support import order


def check_told_as_sent(told: BrokerOrder | None, asked: OrderRequest) -> None:
    """Of a limit order for the day that waits."""
    assert told is not None
    assert (told.client_order_id, told.symbol, told.side) == (asked.client_order_id, asked.symbol, asked.side)
    assert (told.quantity, told.limit_price, told.order_type) == (asked.quantity, asked.limit_price, OrderType.LIMIT)
    assert (told.status, told.tif) == (BrokerStatus.WORKING, TimeInForce.DAY)


def check_fills(
    broker: Broker, account_id: str, done: BrokerOrder, expected: set[tuple[str, Side, Decimal, Decimal]]
) -> None:
    """In the order itself, and by its id and without it: symbol, side, quantity and price of each leg."""
    for fills in (
        done.fills,
        broker.fills(account_id, client_order_id=done.client_order_id, symbol=done.symbol, limit=9),
        broker.fills(account_id, limit=9),
    ):
        assert {(each.symbol, each.side, each.quantity, each.price) for each in fills} == expected
        assert {each.client_order_id for each in fills} == {done.client_order_id}


def check_turned_is_refused(broker: Broker, account_id: str, turned: str, straight: str) -> None:
    """``turned`` names each leg as its opposite, so that buying it brings money; ``straight`` is the right name."""
    with pytest.raises(InvalidRequest) as unnamed:
        broker.quotes([turned])
    assert straight in str(unnamed.value)
    with pytest.raises(InvalidOrder, match="give side SELL") as refused:
        broker.preview(account_id, order("BUY", "2", turned, limit="1.2", tif="DAY"))
    assert refused.value.field == "side"
    with pytest.raises(InvalidOrder, match="give side BUY"):
        broker.preview(account_id, order("SELL", "2", turned, limit="1.2", tif="DAY"))


def check_asked_of_each_leg(broker: Broker, symbol: str, *others: Callable[[str], Any]) -> None:
    """Bars, and what ``others`` ask."""
    for ask in (lambda name: broker.bars(name, BarSize.DAY), *others):
        with pytest.raises(InvalidRequest, match="each leg alone"):
            ask(symbol)
