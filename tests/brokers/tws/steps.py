"""What the tests of the TWS adapter share."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from brokers.types import LegRequest, OrderClass, OrderRequest, OrderType, Side
from tests.brokers.paper.support import new_id, order

SYMBOL = "AAPL@265598"


def leg(kind: OrderType, **prices: str) -> LegRequest:
    given: dict[str, Any] = {name: Decimal(value) for name, value in prices.items()}
    return LegRequest(client_order_id=new_id(), side=Side.SELL, order_type=kind, **given)


def bracket(*legs: LegRequest, kind: OrderClass = OrderClass.BRACKET) -> OrderRequest:
    mine = legs or (leg(OrderType.LIMIT, limit_price="300"), leg(OrderType.STOP, stop_price="90"))
    return replace(order("BUY", "2", SYMBOL, limit="100"), order_class=kind, legs=mine)
