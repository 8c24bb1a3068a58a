"""Orders that hang on another: what becomes of each is its own story once the broker knows them."""

from decimal import Decimal

import pytest

from brokers.types import OrderClass, Side
from console.connections import reads
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.orders import desk
from console.orders.models import Order
from console.orders.states import Status
from console.orders.terms import Terms
from console.principal import Principal
from tests.console.orders.conftest import bitcoin

pytestmark = pytest.mark.django_db


def exits(price: Decimal, order_class: OrderClass, side: Side, *, stop: str, target: str) -> Terms:
    return Terms(
        symbol="BTC/USD",
        side=side,
        quantity=Decimal("0.5"),
        order_class=order_class,
        take_profit=round(price * Decimal(target), 2),
        stop_loss=round(price * Decimal(stop), 2),
    )


@pytest.fixture
def price(paper: Connection) -> Decimal:
    return reads.broker_of(paper).quotes(["BTC/USD"])[0].last


def test_a_stop_that_fills_on_arrival_ends_its_pair_and_is_not_taken_for_cancelled_itself(
    trader: Principal, paper: Connection, price: Decimal
) -> None:
    desk.confirm(trader, desk.prepare(trader, bitcoin("0.5")).confirmation.public_id)
    prepared = desk.prepare(trader, exits(price, OrderClass.OCO, Side.SELL, stop="1.05", target="2"))
    order = desk.confirm(trader, prepared.confirmation.public_id)
    leg = order.legs.get()
    assert (order.state, order.filled_quantity) == (Status.CANCELLED, 0)
    assert (leg.state, leg.filled_quantity) == (Status.FILLED, Decimal("0.5"))
    assert leg.broker_order_id not in ("", order.broker_order_id)
    assert reads.broker_of(paper).positions(paper.default_account) == []


def test_a_leg_that_was_not_sent_yet_is_not_taken_back_by_itself(trader: Principal, price: Decimal) -> None:
    prepared = desk.prepare(trader, exits(price, OrderClass.BRACKET, Side.BUY, stop="0.5", target="2"))
    leg = prepared.order.legs.first()
    assert leg is not None
    with pytest.raises(Refusal) as caught:
        desk.cancel(trader, leg.public_id)
    assert caught.value.code is Code.NOT_CANCELLABLE
    assert prepared.order.public_id in str(caught.value)
    assert set(Order.objects.values_list("status", flat=True)) == {Status.AWAITING}
    desk.cancel(trader, prepared.order.public_id)
    assert set(Order.objects.values_list("status", flat=True)) == {Status.CANCELLED}
