"""What the tests of the TWS adapter share."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from brokers.tws import api_connection
from brokers.tws.adapter import TwsBroker
from brokers.types import LegRequest, OrderClass, OrderRequest, OrderType, Side
from tests.brokers.paper.support import new_id, order
from tests.brokers.tws.conftest import opened
from tests.brokers.tws.fake import FakeTws

SYMBOL = "AAPL@265598"


def leg(kind: OrderType, **prices: str) -> LegRequest:
    given: dict[str, Any] = {name: Decimal(value) for name, value in prices.items()}
    return LegRequest(client_order_id=new_id(), side=Side.SELL, order_type=kind, **given)


def bracket(*legs: LegRequest, kind: OrderClass = OrderClass.BRACKET) -> OrderRequest:
    mine = legs or (leg(OrderType.LIMIT, limit_price="300"), leg(OrderType.STOP, stop_price="90"))
    return replace(order("BUY", "2", SYMBOL, limit="100"), order_class=kind, legs=mine)


def opened_anew(fake: FakeTws) -> TwsBroker:
    """Over a connection that has heard of no order yet; those from before it are closed."""
    api_connection.close_shared()
    return opened(fake)
