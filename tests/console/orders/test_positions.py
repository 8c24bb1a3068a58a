"""Orders sized by a position: shown with it, and refused when it is another one by then."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from brokers.errors import UnknownOutcome
from brokers.paper.models import PaperAccount
from brokers.types import OrderChanges, OrderType, Side
from console import limits
from console.accounts.models import User
from console.connections import broker_access
from console.connections import services as connections
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.orders import actions as order_actions
from console.orders import prepare as preparing
from console.orders.checks import facts
from console.orders.models import Action, Order
from console.orders.states import Status
from console.orders.terms import Terms
from console.principal import Principal
from tests.console.orders.conftest import bitcoin
from tests.watched_broker import Watch

pytestmark = pytest.mark.django_db


def stock(quantity: str, side: Side = Side.BUY) -> Terms:
    return Terms(symbol="AAPL", side=side, quantity=Decimal(quantity))


def trade(trader: Principal, terms: Terms) -> Order:
    order = order_actions.confirm(trader, preparing.prepare(trader, terms).confirmation.public_id)
    assert order.state is Status.FILLED
    return order


def held(paper: Connection, order: Order) -> Decimal:
    found = broker_access.broker_of(paper).positions(order.account_id)
    return sum((each.quantity for each in found if each.symbol == order.symbol), Decimal(0))


def test_a_reversed_position_is_one_order_through_zero(trader: Principal, paper: Connection, watch: Watch) -> None:
    PaperAccount.objects.update(kind="margin")
    bought = trade(trader, stock("10"))
    prepared = preparing.prepare_reverse(trader, "AAPL")
    assert prepared.order.quantity == Decimal(20)
    assert "Position: 10 before, -10 after." in prepared.confirmation.terms["summary"]
    assert order_actions.confirm(trader, prepared.confirmation.public_id).state is Status.FILLED
    assert held(paper, bought) == Decimal(-10)
    assert len(watch.submitted) == 2


def test_a_reverse_of_a_position_that_grew_is_refused(trader: Principal, paper: Connection, watch: Watch) -> None:
    PaperAccount.objects.update(kind="margin")
    trade(trader, stock("10"))
    prepared = preparing.prepare_reverse(trader, "AAPL")
    bought = trade(trader, stock("1"))
    with pytest.raises(Refusal) as caught:
        order_actions.confirm(trader, prepared.confirmation.public_id)
    assert caught.value.code is Code.POSITION_CHANGED
    assert held(paper, bought) == Decimal(11)


def test_a_close_counts_what_other_orders_of_its_side_still_offer(
    trader: Principal, paper: Connection, watch: Watch
) -> None:
    bought = trade(trader, bitcoin())
    closing = preparing.prepare_close(trader, "BTC/USD")
    offered = preparing.prepare(trader, bitcoin("0.05", Side.SELL, limit="1000000"))
    assert order_actions.confirm(trader, offered.confirmation.public_id).state is Status.WORKING
    with pytest.raises(Refusal) as caught:
        order_actions.confirm(trader, closing.confirmation.public_id)
    assert caught.value.code is Code.POSITION_CHANGED
    assert held(paper, bought) == Decimal("0.1")


def test_two_confirmed_closes_of_one_position_never_turn_it(trader: Principal, paper: Connection, watch: Watch) -> None:
    PaperAccount.objects.update(kind="margin")
    bought = trade(trader, stock("10"))
    first, second = preparing.prepare_close(trader, "AAPL"), preparing.prepare_close(trader, "AAPL")
    order_actions.confirm(trader, first.confirmation.public_id)
    with pytest.raises(Refusal) as caught:
        order_actions.confirm(trader, second.confirmation.public_id)
    assert caught.value.code is Code.POSITION_CHANGED
    assert held(paper, bought) == Decimal(0)


def test_what_was_shown_of_the_position_is_bound_by_the_confirmation(
    trader: Principal, paper: Connection, watch: Watch
) -> None:
    trade(trader, bitcoin())
    prepared = preparing.prepare_close(trader, "BTC/USD")
    Order.objects.filter(pk=prepared.order.pk).update(position_shown=Decimal(5))
    with pytest.raises(Refusal) as caught:
        order_actions.confirm(trader, prepared.confirmation.public_id)
    assert caught.value.code is Code.CONFIRMATION_CHANGED


def test_a_plan_that_may_go_in_part_leaves_out_what_does_not_pass(
    trader: Principal, paper: Connection, watch: Watch
) -> None:
    sells = preparing.PlanItem(terms=bitcoin("0.1", Side.SELL))
    trade(trader, bitcoin())
    for all_or_none, statuses in ((True, [Status.DENIED, Status.DENIED]), (False, [Status.DENIED, Status.FILLED])):
        prepared = preparing.prepare_plan(
            trader, [sells, preparing.PlanItem(terms=bitcoin("0.01"))], action=Action.BATCH, all_or_none=all_or_none
        )
        if all_or_none:
            trade(trader, bitcoin("0.1", Side.SELL))
            with pytest.raises(Refusal) as caught:
                order_actions.confirm(trader, prepared.confirmation.public_id)
            assert caught.value.code is Code.INSUFFICIENT_POSITION
            trade(trader, bitcoin())
        else:
            trade(trader, bitcoin("0.1", Side.SELL))
            order_actions.confirm(trader, prepared.confirmation.public_id)
        assert [order.state for order in prepared.confirmation.orders.order_by("pk")] == statuses


def test_a_close_that_rests_is_never_changed_to_more_than_it_closes(
    trader: Principal, paper: Connection, watch: Watch
) -> None:
    PaperAccount.objects.update(kind="margin")
    trade(trader, stock("10"))
    prepared = preparing.prepare_close(
        trader, "AAPL", quantity=Decimal(4), order_type=OrderType.LIMIT, limit_price=Decimal(100_000)
    )
    closing = order_actions.confirm(trader, prepared.confirmation.public_id)
    too_much, all_of_it = OrderChanges(quantity=Decimal(11)), OrderChanges(quantity=Decimal(10))
    with pytest.raises(Refusal) as caught:
        preparing.prepare_change(trader, closing.public_id, too_much)
    assert (caught.value.code, caught.value.field) == (Code.INSUFFICIENT_POSITION, "quantity")
    change = preparing.prepare_change(trader, closing.public_id, all_of_it)
    trade(trader, stock("1", Side.SELL))
    with pytest.raises(Refusal) as caught:
        order_actions.confirm(trader, change.confirmation.public_id)
    assert caught.value.code is Code.INSUFFICIENT_POSITION
    trade(trader, stock("1"))
    change = preparing.prepare_change(trader, closing.public_id, all_of_it)
    order_actions.confirm(trader, change.confirmation.public_id)
    closing.refresh_from_db()
    assert (closing.quantity, closing.state) == (Decimal(10), Status.WORKING)


def guarded(trader: Principal) -> Order:
    """A position, and an order that rests to get out of it."""
    trade(trader, bitcoin("0.2"))
    guard = preparing.prepare(trader, bitcoin("0.1", Side.SELL, limit="1000000"))
    return order_actions.confirm(trader, guard.confirmation.public_id)


def refused_flatten(trader: Principal, prepared: preparing.Prepared) -> Refusal:
    with pytest.raises(Refusal) as caught:
        order_actions.confirm(trader, prepared.confirmation.public_id)
    assert [order.state for order in prepared.confirmation.orders.all()] == [Status.DENIED]
    return caught.value


@pytest.mark.parametrize("what", ["limit", "price", "position"])
def test_what_guards_a_position_is_not_cancelled_for_a_close_that_cannot_go(
    trader: Principal, owner: User, paper: Connection, watch: Watch, what: str
) -> None:
    guard = guarded(trader)
    prepared, _ = preparing.prepare_flatten(trader)
    if what == "limit":
        connections.set_limits(paper, limits.parse({"order_notional": "1"}), by=owner)
    elif what == "price":
        Order.objects.filter(pk=prepared.order.pk).update(shown_price=prepared.order.shown_price * 2)
    else:
        trade(trader, bitcoin("0.1"))
    code = {"limit": Code.LIMIT_EXCEEDED, "price": Code.PRICE_MOVED, "position": Code.POSITION_CHANGED}[what]
    assert refused_flatten(trader, prepared).code is code
    guard.refresh_from_db()
    assert (guard.state, watch.cancelled) == (Status.WORKING, [])


def test_nothing_is_closed_while_an_order_that_cannot_be_cancelled_may_still_stand(
    trader: Principal, watch: Watch
) -> None:
    guard = guarded(trader)
    prepared, _ = preparing.prepare_flatten(trader)

    def lose(_: object) -> None:
        raise UnknownOutcome("The answer was lost.")

    watch.before_submit = lose
    lost = order_actions.confirm(
        trader, preparing.prepare(trader, bitcoin("0.01", Side.SELL, limit="900000")).confirmation.public_id
    )
    assert lost.state is Status.UNKNOWN
    refusal = refused_flatten(trader, prepared)
    assert refusal.code is Code.OUTCOME_UNKNOWN
    assert f"{lost.public_id} could not be cancelled" in str(refusal)
    assert f"Working orders cancelled before: {guard.public_id}." in str(refusal)
    guard.refresh_from_db()
    assert guard.state is Status.CANCELLED
    assert len(watch.submitted) == 3


def test_a_fill_recorded_after_the_position_was_read_makes_no_room_for_an_order_released_beside(
    trader: Principal, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    PaperAccount.objects.update(kind="margin")
    trade(trader, stock("10"))

    def resting(quantity: str) -> Order:
        terms = replace(stock(quantity, Side.SELL), order_type=OrderType.LIMIT, limit_price=Decimal(100_000))
        return preparing.prepare(trader, terms).order

    first, beside = (resting(quantity) for quantity in ("4", "3"))
    order_actions.confirm(trader, first.confirmation.public_id)
    Order.objects.filter(pk=first.pk).update(status=Status.PARTIALLY_FILLED, filled_quantity=Decimal(1))
    close = preparing.prepare_close(trader, "AAPL", quantity=Decimal(5))
    real = facts.load
    happened: list[bool] = []

    def look(*args: Any, **more: Any) -> Any:
        loaded = real(*args, **more)
        if not happened:
            happened.append(True)
            Order.objects.filter(pk=first.pk).update(filled_quantity=Decimal(3))
            order_actions.confirm(trader, beside.confirmation.public_id)
        return loaded

    monkeypatch.setattr(facts, "load", look)
    with pytest.raises(Refusal) as caught:
        order_actions.confirm(trader, close.confirmation.public_id)
    assert caught.value.code is Code.POSITION_CHANGED
