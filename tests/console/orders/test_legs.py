"""Orders that hang on another: what becomes of each is its own story once the broker knows them."""

from decimal import Decimal

import pytest

from brokers.types import OrderClass, Side
from console import limits
from console.accounts.models import User
from console.connections import broker_access
from console.connections import services as connections
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.orders import actions as order_actions
from console.orders import prepare as preparing
from console.orders.checks import daily_usage, market_standing
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
    return broker_access.broker_of(paper).quotes(["BTC/USD"])[0].last


@pytest.fixture
def passed_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """The market passes an exit after the last check of it."""
    monkeypatch.setattr(market_standing, "check_exits", lambda request, quote: None)


def test_a_stop_that_fills_on_arrival_ends_its_pair_and_is_not_taken_for_cancelled_itself(
    trader: Principal, paper: Connection, price: Decimal, passed_meanwhile: None
) -> None:
    order_actions.confirm(trader, preparing.prepare(trader, bitcoin("0.5")).confirmation.public_id)
    prepared = preparing.prepare(trader, exits(price, OrderClass.OCO, Side.SELL, stop="1.05", target="2"))
    order = order_actions.confirm(trader, prepared.confirmation.public_id)
    leg = order.legs.get()
    assert (order.state, order.filled_quantity) == (Status.CANCELLED, 0)
    assert (leg.state, leg.filled_quantity) == (Status.FILLED, Decimal("0.5"))
    assert leg.broker_order_id not in ("", order.broker_order_id)
    assert broker_access.broker_of(paper).positions(paper.default_account) == []


def test_a_leg_that_was_not_sent_yet_is_not_taken_back_by_itself(trader: Principal, price: Decimal) -> None:
    prepared = preparing.prepare(trader, exits(price, OrderClass.BRACKET, Side.BUY, stop="0.5", target="2"))
    leg = prepared.order.legs.first()
    assert leg is not None
    with pytest.raises(Refusal) as caught:
        order_actions.cancel(trader, leg.public_id)
    assert caught.value.code is Code.NOT_CANCELLABLE
    assert prepared.order.public_id in str(caught.value)
    assert set(Order.objects.values_list("status", flat=True)) == {Status.AWAITING}
    order_actions.cancel(trader, prepared.order.public_id)
    assert set(Order.objects.values_list("status", flat=True)) == {Status.CANCELLED}


@pytest.mark.parametrize(
    ("order_class", "allowed"),
    [(OrderClass.OCO, ["LMT"]), (OrderClass.BRACKET, ["MKT", "LMT"])],
    ids=["oco", "bracket"],
)
def test_an_order_type_that_is_not_allowed_does_not_come_in_as_a_leg(
    trader: Principal, paper: Connection, owner: User, price: Decimal, order_class: OrderClass, allowed: list[str]
) -> None:
    order_actions.confirm(trader, preparing.prepare(trader, bitcoin("0.5")).confirmation.public_id)
    side = Side.SELL if order_class is OrderClass.OCO else Side.BUY
    terms = exits(price, order_class, side, stop="0.5", target="2")
    connections.set_limits(paper, limits.parse({"order_types": allowed}), by=owner, may_widen=True)
    with pytest.raises(Refusal) as caught:
        preparing.prepare(trader, terms)
    assert caught.value.code is Code.OUTSIDE_LIMITS
    assert "not STP" in str(caught.value)
    connections.set_limits(paper, limits.parse({"order_types": [*allowed, "STP"]}), by=owner, may_widen=True)
    assert preparing.prepare(trader, terms).order.state is Status.AWAITING


def test_a_pair_is_weighed_at_the_worse_of_its_halves(
    trader: Principal, paper: Connection, owner: User, price: Decimal
) -> None:
    terms = exits(price, OrderClass.OCO, Side.BUY, stop="1.5", target="0.5")
    room = str(round(price / 2, 2))  # enough for 0.5 units at the target, not at the stop
    connections.set_limits(paper, limits.parse({"order_notional": room}), by=owner, may_widen=True)
    with pytest.raises(Refusal) as caught:
        preparing.prepare(trader, terms)
    assert caught.value.code is Code.LIMIT_EXCEEDED
    connections.set_limits(paper, limits.parse({}), by=owner, may_widen=True)
    order = order_actions.confirm(trader, preparing.prepare(trader, terms).confirmation.public_id)
    stop = order.legs.get().stop_price
    assert stop is not None
    assert order.worst_notional == Decimal("0.5") * stop * Decimal("1.02")


def test_what_fills_of_the_other_half_takes_of_the_day(
    trader: Principal, paper: Connection, price: Decimal, passed_meanwhile: None
) -> None:
    bought = order_actions.confirm(trader, preparing.prepare(trader, bitcoin("0.5")).confirmation.public_id)
    before = daily_usage.connection_usage(paper, bought.moved_at).today
    prepared = preparing.prepare(trader, exits(price, OrderClass.OCO, Side.SELL, stop="1.05", target="2"))
    order = order_actions.confirm(trader, prepared.confirmation.public_id)
    leg = order.legs.get()
    assert leg.average_price is not None
    assert before is not None
    assert daily_usage.connection_usage(paper, order.moved_at).today == before + leg.average_price * Decimal("0.5")
