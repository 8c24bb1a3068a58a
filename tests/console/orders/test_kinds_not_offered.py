"""An order kind that brokers have a word for and the desk does not take."""

from decimal import Decimal

import pytest

from brokers.types import OrderType, Side, TimeInForce
from console.errors import Code, Refusal
from console.orders.terms import ORDER_TYPES, TIMES_IN_FORCE, Terms


@pytest.mark.parametrize("order_type", list(OrderType))
@pytest.mark.parametrize("tif", list(TimeInForce))
def test_every_kind_has_words_and_is_taken_or_refused_by_name(order_type: OrderType, tif: TimeInForce) -> None:
    price = Decimal(100)
    terms = Terms(
        symbol="AAPL",
        side=Side.BUY,
        quantity=Decimal(1),
        order_type=order_type,
        tif=tif,
        limit_price=price if order_type.needs_limit else None,
        stop_price=price if order_type.needs_stop else None,
    )
    assert "Buy 1 AAPL" in terms.words()
    if order_type in ORDER_TYPES and tif in TIMES_IN_FORCE:
        terms.check()
        return
    with pytest.raises(Refusal) as refused:
        terms.check()
    assert refused.value.code is Code.INVALID_ARGUMENT
    assert refused.value.field == ("tif" if order_type in ORDER_TYPES else "order_type")
