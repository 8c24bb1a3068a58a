"""What the tests of the Alpaca adapter share."""

from dataclasses import replace
from decimal import Decimal

from brokers.types import LegRequest, OrderClass, OrderRequest, OrderType, Side
from tests.brokers.paper.support import new_id, order


def with_exits(kind: OrderClass, legs: tuple[tuple[str, str | None, str | None], ...]) -> OrderRequest:
    """Each exit by its kind, its limit and its stop."""
    return replace(order("BUY", "2", limit="90"), order_class=kind, legs=tuple(one_exit(*each) for each in legs))


def one_exit(kind: str, limit: str | None, stop: str | None) -> LegRequest:
    prices = [None if price is None else Decimal(price) for price in (limit, stop)]
    return LegRequest(
        client_order_id=new_id(),
        side=Side.SELL,
        order_type=OrderType(kind),
        limit_price=prices[0],
        stop_price=prices[1],
    )
