"""What a broker's answer, refusal or silence makes of an order; and that nothing is ever sent twice."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import DatabaseError
from django.db.models import QuerySet

from brokers.compiled_queries import RowUpdate
from brokers.errors import BrokerUnavailable, MarketClosed, Rejected, UnknownOutcome
from brokers.types import OrderRequest
from console.accounts.models import User
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.errors import Code, Refusal
from console.orders import actions as order_actions
from console.orders import prepare as preparing
from console.orders.execution import reconcile, submit, sync
from console.orders.models import Order
from console.orders.states import Status
from console.principal import Principal
from tests.clock import Clock
from tests.console.orders.conftest import bitcoin
from tests.watched_broker import Watch

pytestmark = pytest.mark.django_db


def failing(error: Exception) -> Callable[[OrderRequest], None]:
    def fail(request: OrderRequest) -> None:
        raise error

    return fail


def placed(trader: Principal) -> Order:
    return order_actions.confirm(trader, preparing.prepare(trader, bitcoin()).confirmation.public_id)


def state(order: Order) -> Status:
    """Where the order stands in the database."""
    order.refresh_from_db()
    return order.state


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Rejected("201, insufficient margin"), Status.REJECTED, Code.BROKER_REJECTED),
        (MarketClosed("The market is closed."), Status.REJECTED, Code.MARKET_CLOSED),
        (BrokerUnavailable("Connection refused."), Status.NOT_SENT, Code.BROKER_UNAVAILABLE),
        (UnknownOutcome("No answer within 10 s."), Status.UNKNOWN, Code.OUTCOME_UNKNOWN),
        (RuntimeError("a bug in an adapter"), Status.UNKNOWN, Code.OUTCOME_UNKNOWN),
    ],
    ids=["rejected", "market closed", "not sent", "unknown", "crash"],
)
def test_each_failure_of_a_send_has_its_own_status(
    trader: Principal, watch: Watch, error: Exception, status: Status, code: Code
) -> None:
    watch.before_submit = failing(error)
    order = placed(trader)
    assert (order.state, order.code) == (status, code)
    assert (state(order), order.code) == (status, code)
    assert len(watch.submitted) == 1


def test_an_order_whose_answer_was_lost_is_found_by_its_id_and_adopted(trader: Principal, watch: Watch) -> None:
    watch.after_submit = failing(UnknownOutcome("The connection was cut."))
    order = placed(trader)
    assert order.state is Status.UNKNOWN
    reconcile.sweep()
    assert (state(order), order.filled_quantity, order.code) == (Status.FILLED, order.quantity, "")
    assert len(watch.submitted) == 1


def test_an_order_the_broker_never_got_is_not_found_only_after_the_horizon(
    trader: Principal, watch: Watch, clock: Clock
) -> None:
    watch.before_submit = failing(UnknownOutcome("The connection was cut."))
    order = placed(trader)
    reconcile.sweep()
    assert state(order) is Status.UNKNOWN
    clock.advance(seconds=31)
    reconcile.sweep()
    assert state(order) is Status.NOT_FOUND
    assert len(watch.submitted) == 1


def test_while_the_broker_cannot_be_asked_an_unknown_order_stays_unknown(
    trader: Principal, watch: Watch, clock: Clock
) -> None:
    watch.before_submit = failing(UnknownOutcome("The connection was cut."))
    order = placed(trader)

    def silent(client_order_id: str) -> None:
        raise BrokerUnavailable("Connection refused.")

    watch.on_lookup = silent
    clock.advance(days=2)
    reconcile.sweep()
    assert state(order) is Status.UNKNOWN


def test_an_order_that_died_before_it_was_sent_is_sent_once_by_the_sweep(
    trader: Principal, watch: Watch, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as crash:
        crash.setattr(submit, "send", lambda order, **rest: order)
        order = placed(trader)
    assert order.state is Status.INTENT
    reconcile.sweep()
    assert state(order) is Status.INTENT, "its sender may still be alive"
    clock.advance(seconds=31)
    reconcile.sweep()
    reconcile.sweep()
    assert state(order) is Status.FILLED
    assert len(watch.submitted) == 1


def test_an_intent_found_long_after_its_confirmation_is_refused_not_sent(
    trader: Principal, watch: Watch, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as crash:
        crash.setattr(submit, "send", lambda order, **rest: order)
        order = placed(trader)
    clock.advance(minutes=10)
    reconcile.sweep()
    assert (state(order), order.code) == (Status.DENIED, Code.CONFIRMATION_EXPIRED)
    assert watch.submitted == []


def test_an_order_that_died_while_being_sent_is_looked_up_and_never_sent_again(
    trader: Principal, watch: Watch, clock: Clock
) -> None:
    order = placed(trader)
    Order.objects.filter(pk=order.pk).update(status=Status.SENDING, filled_quantity=0, average_price=None)
    clock.advance(seconds=31)
    reconcile.sweep()
    assert (state(order), order.filled_quantity) == (Status.FILLED, order.quantity)
    assert len(watch.submitted) == 1


def test_an_order_nobody_confirmed_lapses(trader: Principal, watch: Watch, clock: Clock) -> None:
    prepared = preparing.prepare(trader, bitcoin())
    clock.advance(seconds=121)
    reconcile.sweep()
    assert state(prepared.order) is Status.LAPSED
    assert watch.submitted == []


def test_after_the_clock_was_set_back_no_confirmation_lives_longer(
    trader: Principal, watch: Watch, clock: Clock
) -> None:
    shown = preparing.prepare(trader, bitcoin())
    clock.advance(hours=-1)
    with pytest.raises(Refusal) as caught:
        order_actions.confirm(trader, shown.confirmation.public_id)
    assert caught.value.code is Code.CONFIRMATION_EXPIRED
    reconcile.sweep()
    assert state(shown.order) is Status.LAPSED
    clock.advance(seconds=-30)  # a step that clocks of several machines may be apart
    again = preparing.prepare(trader, bitcoin())
    clock.advance(seconds=-30)
    assert order_actions.confirm(trader, again.confirmation.public_id).state is Status.FILLED
    assert len(watch.submitted) == 1


@pytest.mark.parametrize("died_in", [Status.INTENT, Status.SENDING])
def test_after_the_clock_was_set_back_an_order_whose_process_died_is_not_left_alone(
    trader: Principal, watch: Watch, clock: Clock, died_in: Status
) -> None:
    order = placed(trader)
    Order.objects.filter(pk=order.pk).update(status=died_in, filled_quantity=0, average_price=None)
    clock.advance(hours=-1)
    reconcile.sweep()
    assert state(order) is (Status.DENIED if died_in is Status.INTENT else Status.FILLED)
    assert len(watch.submitted) == 1, "what was sent is looked up, what was not is refused"


def test_a_resting_order_is_cancelled_once_and_then_has_ended(trader: Principal, watch: Watch) -> None:
    prepared = preparing.prepare(trader, bitcoin(limit="1000"))
    order = order_actions.confirm(trader, prepared.confirmation.public_id)
    assert order_actions.cancel(trader, order.public_id).state is Status.CANCELLED
    with pytest.raises(Refusal) as caught:
        order_actions.cancel(trader, order.public_id)
    assert caught.value.code is Code.NOT_CANCELLABLE
    assert len(watch.cancelled) == 1


def test_an_order_still_waiting_for_its_confirmation_can_be_taken_back(trader: Principal, watch: Watch) -> None:
    prepared = preparing.prepare(trader, bitcoin())
    assert order_actions.cancel(trader, prepared.order.public_id).state is Status.CANCELLED
    with pytest.raises(Refusal):
        order_actions.confirm(trader, prepared.confirmation.public_id)
    assert (watch.submitted, watch.cancelled) == ([], [])


def test_a_cancel_the_broker_did_not_hear_is_sent_again_until_it_answers(trader: Principal, watch: Watch) -> None:
    order = order_actions.confirm(trader, preparing.prepare(trader, bitcoin(limit="1000")).confirmation.public_id)

    def deaf(client_order_id: str) -> None:
        raise UnknownOutcome("No answer within 10 s.")

    watch.before_cancel = deaf
    with pytest.raises(Refusal) as caught:
        order_actions.cancel(trader, order.public_id)
    assert caught.value.code is Code.OUTCOME_UNKNOWN
    assert state(order) is Status.WORKING
    watch.before_cancel = lambda client_order_id: None
    reconcile.sweep()
    assert state(order) is Status.CANCELLED
    assert len(watch.cancelled) == 2


def test_an_order_whose_answer_was_lost_is_cancelled_when_it_is_found(trader: Principal, watch: Watch) -> None:
    watch.after_submit = failing(UnknownOutcome("The connection was cut."))
    order = order_actions.confirm(trader, preparing.prepare(trader, bitcoin(limit="1000")).confirmation.public_id)
    assert order.state is Status.UNKNOWN
    assert order_actions.cancel(trader, order.public_id).state is Status.CANCELLED
    assert len(watch.submitted) == len(watch.cancelled) == 1


def test_a_confirmed_order_can_be_taken_back_before_it_is_sent(
    trader: Principal, watch: Watch, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as crash:
        crash.setattr(submit, "send", lambda order, **rest: order)
        order = placed(trader)
    assert order_actions.cancel(trader, order.public_id).state is Status.CANCELLED
    clock.advance(seconds=31)
    reconcile.sweep()
    assert state(order) is Status.CANCELLED
    assert watch.submitted == []


def test_a_sender_slower_than_its_lease_still_has_the_last_word(trader: Principal, watch: Watch, clock: Clock) -> None:
    def asleep(request: OrderRequest) -> None:
        clock.advance(seconds=31)
        reconcile.sweep()
        clock.advance(seconds=31)
        reconcile.sweep()
        assert Order.objects.get(wire_id=request.client_order_id).state is Status.NOT_FOUND

    watch.before_submit = asleep
    prepared = preparing.prepare(trader, bitcoin(limit="1000"))
    order = order_actions.confirm(trader, prepared.confirmation.public_id)
    assert order.state is Status.WORKING
    assert state(order) is Status.WORKING
    assert len(watch.submitted) == 1


def test_an_order_said_to_be_missing_is_looked_for_again(trader: Principal, watch: Watch, clock: Clock) -> None:
    watch.after_submit = failing(UnknownOutcome("The connection was cut."))
    order = order_actions.confirm(trader, preparing.prepare(trader, bitcoin(limit="1000")).confirmation.public_id)
    Order.objects.filter(pk=order.pk).update(status=Status.NOT_FOUND, looked_up_at=clock.now)
    reconcile.sweep()
    assert state(order) is Status.NOT_FOUND, "not more than once a minute"
    clock.advance(seconds=61)
    reconcile.sweep()
    assert state(order) is Status.WORKING


def test_an_order_said_to_be_missing_is_looked_for_again_where_the_clock_was_set_back(
    trader: Principal, watch: Watch, clock: Clock
) -> None:
    watch.after_submit = failing(UnknownOutcome("The connection was cut."))
    order = order_actions.confirm(trader, preparing.prepare(trader, bitcoin(limit="1000")).confirmation.public_id)
    before = clock.now + timedelta(hours=1)
    Order.objects.filter(pk=order.pk).update(status=Status.NOT_FOUND, moved_at=before, looked_up_at=before)
    reconcile.sweep()
    assert state(order) is Status.WORKING


def test_an_order_said_to_be_missing_can_still_be_cancelled(trader: Principal, watch: Watch) -> None:
    watch.after_submit = failing(UnknownOutcome("The connection was cut."))
    order = order_actions.confirm(trader, preparing.prepare(trader, bitcoin(limit="1000")).confirmation.public_id)
    Order.objects.filter(pk=order.pk).update(status=Status.NOT_FOUND)
    assert order_actions.cancel(trader, order.public_id).state is Status.CANCELLED


def test_when_the_outcome_cannot_be_recorded_the_caller_is_told_not_to_place_it_again(
    trader: Principal, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*values: object) -> None:
        raise DatabaseError("database or disk is full")

    prepared = preparing.prepare(trader, bitcoin())
    with monkeypatch.context() as broken:
        broken.setattr(sync, "apply_answer", full_disk)
        with pytest.raises(Refusal) as caught:
            order_actions.confirm(trader, prepared.confirmation.public_id)
    assert (caught.value.code, caught.value.order_id) == (Code.OUTCOME_UNKNOWN, prepared.order.public_id)


def test_a_cancel_reaches_the_broker_even_when_nothing_can_be_written(
    trader: Principal, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = order_actions.confirm(trader, preparing.prepare(trader, bitcoin(limit="1000")).confirmation.public_id)

    def full_disk(*values: object, **more: object) -> None:
        raise DatabaseError("database or disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(QuerySet, "update", full_disk)
        broken.setattr(RowUpdate, "make", full_disk)
        told = order_actions.cancel(trader, order.public_id)
    assert len(watch.cancelled) == 1
    assert told.state is Status.CANCELLED
    assert state(order) is Status.WORKING
    reconcile.sweep()
    assert state(order) is Status.CANCELLED


def test_a_cancel_reaches_the_broker_even_when_it_does_not_answer_what_it_has(trader: Principal, watch: Watch) -> None:
    order = order_actions.confirm(trader, preparing.prepare(trader, bitcoin(limit="1000")).confirmation.public_id)

    def silent(client_order_id: str) -> None:
        raise BrokerUnavailable("Connection refused.")

    watch.on_lookup = silent
    assert order_actions.cancel(trader, order.public_id).state is Status.CANCELLED
    assert len(watch.cancelled) == 1


def test_a_cancel_that_the_broker_rejects_is_told_as_such_even_when_nothing_can_be_written(
    trader: Principal, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = order_actions.confirm(trader, preparing.prepare(trader, bitcoin(limit="1000")).confirmation.public_id)

    def full_disk(*values: object, **more: object) -> None:
        raise DatabaseError("database or disk is full")

    def too_late(client_order_id: str) -> None:
        raise Rejected("Too late to cancel")

    watch.before_cancel = too_late
    with monkeypatch.context() as broken:
        broken.setattr(QuerySet, "update", full_disk)
        broken.setattr(RowUpdate, "make", full_disk)
        with pytest.raises(Refusal, match="Too late to cancel"):
            order_actions.cancel(trader, order.public_id)


@pytest.mark.parametrize("what", ["revoked", "price moved", "funds spent"])
def test_the_sweep_checks_what_a_release_checks_before_it_sends(
    trader: Principal, owner: User, watch: Watch, clock: Clock, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    with monkeypatch.context() as crash:
        crash.setattr(submit, "send", lambda order, **rest: order)
        order = order_actions.confirm(trader, preparing.prepare(trader, bitcoin("10")).confirmation.public_id)
    if what == "revoked":
        grants.revoke(ConnectedApp.objects.get(pk=trader.app_id), by=owner, reason="test")
    elif what == "price moved":
        Order.objects.filter(pk=order.pk).update(shown_price=1)
    else:
        order_actions.confirm(trader, preparing.prepare(trader, bitcoin("10")).confirmation.public_id)
    sent = len(watch.submitted)
    clock.advance(seconds=31)
    reconcile.sweep()
    assert state(order) is Status.DENIED
    assert len(watch.submitted) == sent
