"""The sweep: carry on every order that nobody is carrying on, the same after a crash as on any other day."""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from brokers.errors import BrokerError, Rejected
from console.errors import Code, Refusal, refusal_of
from console.orders import states
from console.orders.checks import check_rows, check_subject, pipeline
from console.orders.checks.pipeline import About, Stage
from console.orders.execution import cancel as cancelling
from console.orders.execution import release, submit, sync
from console.orders.execution.external_orders import AtBroker
from console.orders.models import Action, Modification, Order, Question
from console.orders.states import AmendmentStatus, Status
from console.orders.transitions import amendment_state, confirmations, order_state
from console.orders.transitions.order_state import ConcurrentUpdate

log = logging.getLogger(__name__)

_AT_MOST = 200
_UNANSWERED = f"Nobody answered the broker's question within {settings.CONFIRMATION_SECONDS} s"
_STALE_AFTER = timedelta(seconds=settings.CONFIRMATION_SECONDS)
_LOOK_AGAIN_FOR = timedelta(days=1)
_LOOK_AGAIN_EVERY = timedelta(minutes=1)


def sweep(now: datetime | None = None) -> None:
    """Carry on every order that nobody is carrying on: the same after a crash as on any other day."""
    now = now or timezone.now()
    over, left = confirmations.is_over(now, "confirmation__"), _left_alone(now)
    for_each(_with(Status.AWAITING).filter(over, parent=None), _lapse)
    _sweep_changes(now)
    for_each(_with(Status.INTENT).filter(left, parent=None), _resume)
    for_each(_with(Status.SENDING).filter(left), _mark_lost)
    answerable = Question.objects.filter(answer="", expires_at__gt=now).values("order")
    for_each(_with(Status.ASKED).filter(parent=None).exclude(pk__in=answerable), _unanswered)
    at_broker = _with(Status.UNKNOWN, Status.WORKING, Status.PARTIALLY_FILLED)
    for_each(at_broker.filter(cancel_requested_at=None), sync.refresh)
    for_each(at_broker.filter(cancel_requested_at__isnull=False), cancelling.cancel_at_broker)
    changing = Order.objects.filter(modifications__status=AmendmentStatus.UNKNOWN, status__in=states.ENDED)
    changing = changing.filter(connection__closed_at=None)
    for_each(changing.select_related("app", "connection", "confirmation").distinct(), sync.refresh)
    # "No such order" can be overtaken by a sender that was only slow: look again for a day, now and then.
    missing = _with(Status.NOT_FOUND).filter(moved_at__gte=now - _LOOK_AGAIN_FOR)
    for_each(missing.filter(looked_up_at__lte=now - _LOOK_AGAIN_EVERY), sync.refresh)


def has_work(now: datetime | None = None) -> bool:
    """Whether anything stands that a sweep may have to carry on: one short look, for the scheduler."""
    now = now or timezone.now()
    if Order.objects.filter(status__in=states.OPEN | {Status.AWAITING}).exists():
        return True
    if Modification.objects.filter(status__in=states.UNSETTLED | {AmendmentStatus.AWAITING}).exists():
        return True
    return Order.objects.filter(status=Status.NOT_FOUND, moved_at__gte=now - _LOOK_AGAIN_FOR).exists()


def _left_alone(now: datetime) -> Q:
    """Whose process must have died: moved longer ago than a lease, or later than now, before the clock was set back."""
    lease = timedelta(seconds=settings.SENDING_LEASE_SECONDS)
    return Q(moved_at__lte=now - lease) | Q(moved_at__gt=now + lease)


def _sweep_changes(now: datetime) -> None:
    """Modifications that nobody is carrying on. None is sent here: its order may be another one by now."""
    over, left = confirmations.is_over(now, "confirmation__"), _left_alone(now)
    found = Modification.objects.select_related("order", "confirmation")
    for change in found.filter(over, status=AmendmentStatus.AWAITING)[:_AT_MOST]:
        what = f"Nobody confirmed the change within {change.confirmation.lifetime_text}. Nothing was sent."
        amendment_state.try_move(change, AmendmentStatus.LAPSED, what, "Tradelatch", "", code=Code.CONFIRMATION_EXPIRED)
    for change in found.filter(left, status=AmendmentStatus.INTENT)[:_AT_MOST]:
        stopped = "Confirmed, but Tradelatch stopped before sending it. Nothing was sent."
        amendment_state.deny(change, Refusal(Code.CONFIRMATION_EXPIRED, stopped), "Tradelatch", "")
    answerable = Question.objects.filter(answer="", expires_at__gt=now).exclude(modification=None)
    for change in found.filter(status=AmendmentStatus.ASKED).exclude(pk__in=answerable.values("modification"))[
        :_AT_MOST
    ]:
        said = f"{_UNANSWERED}, so the order was not changed."
        told = {"code": Code.QUESTION_UNANSWERED, "reason": said}
        amendment_state.try_move(change, AmendmentStatus.UNANSWERED, f"The change: {said}", "Tradelatch", "", **told)
    for change in found.filter(left, status=AmendmentStatus.SENDING)[:_AT_MOST]:
        lost = "Tradelatch stopped while sending it. The order is being looked up."
        amendment_state.record_outcome(change, AmendmentStatus.UNKNOWN, Code.OUTCOME_UNKNOWN, lost)


_OURS = (Status.AWAITING, Status.INTENT, Status.ASKED)
"""Not at any broker: they are carried on even when their connection was unlinked, which is asked nothing more."""


def _with(*statuses: Status) -> QuerySet[Order]:
    return (
        Order.objects.filter(status__in=statuses)
        .exclude(Q(connection__closed_at__isnull=False) & ~Q(status__in=_OURS))
        .select_related("app", "connection", "confirmation")
        .order_by(F("looked_up_at").asc(nulls_first=True), "pk")
    )


def refresh_all(orders: QuerySet[Order], at_broker: AtBroker) -> None:
    """Bring orders of one account up to date: by one list, and one by one what that does not settle."""
    found = list(orders[:_AT_MOST])
    if not found:
        return
    try:
        found = submit.not_as_told(found, at_broker.orders())
    except BrokerError as error:
        log.warning("The broker did not list its open orders, so each is looked up: %s", error)
    for_each(found, sync.refresh)


def for_each(orders: QuerySet[Order] | Sequence[Order], step: Callable[[Order], None]) -> None:
    for order in orders[:_AT_MOST]:
        try:
            step(order)
        except BrokerError as error:
            order_state.mark_looked_up(order, timezone.now())
            log.warning("Order %s could not be looked up: %s", order.public_id, error)
        except ConcurrentUpdate:
            continue
        except Exception:  # one broken order must not stop the others, nor stand before them the next time
            order_state.mark_looked_up(order, timezone.now())
            log.exception("Sweeping order %s failed", order.public_id)


def _lapse(order: Order) -> None:
    order_state.move(
        order,
        Status.LAPSED,
        f"Nobody confirmed within {order.confirmation.lifetime_text}. Nothing was sent.",
        "Tradelatch",
        "",
        code=Code.CONFIRMATION_EXPIRED,
    )


def _unanswered(order: Order) -> None:
    """The broker takes no order without a yes. It is told nothing: an answer is a person's alone."""
    words = f"{_UNANSWERED}, so the order was not placed."
    order_state.move(order, Status.UNANSWERED, words, "Tradelatch", "", code=Code.QUESTION_UNANSWERED, reason=words)


def _resume(order: Order) -> None:
    """An intent whose process died before it sent. Sent now if the person's yes is still fresh, else refused."""
    redeemed_at = order.confirmation.redeemed_at
    try:
        if redeemed_at is None or abs(timezone.now() - redeemed_at) > _STALE_AFTER:
            raise Refusal(
                Code.CONFIRMATION_EXPIRED,
                "Confirmed, but Tradelatch stopped before sending it, and the confirmation has expired. Nothing was "
                "sent.",
            )
        if order.confirmation.action == Action.FLATTEN:
            with suppress(Refusal):  # its rows say so
                release.resume_flatten(order.confirmation)
            return
        try:
            asking = check_rows.app_rows(order.app_id)
            resumed = check_subject.of_order(order, asking, order.confirmation, {})
            pipeline.require(resumed, Stage.CONFIRMED, about=pipeline.EVERYTHING - {About.CONFIRMATION})
        except Rejected as error:
            raise refusal_of(error) from error
    except Refusal as refusal:
        order_state.deny(order, refusal, "Tradelatch", "")
        return
    with suppress(Refusal):  # permission taken back: the order says so
        submit.send(order, by="Tradelatch")


def _mark_lost(order: Order) -> None:
    order_state.record_outcome(
        order,
        Status.UNKNOWN,
        Code.OUTCOME_UNKNOWN,
        "Tradelatch stopped while sending it. It is being looked up.",
    )
    sync.refresh(order)
