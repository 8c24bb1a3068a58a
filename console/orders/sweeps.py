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
from console.orders import changes, moves, release, sending, states
from console.orders.models import Action, Modification, Order, Question
from console.orders.moves import Moved
from console.orders.outside import AtBroker
from console.orders.states import Change, Status

log = logging.getLogger(__name__)

_AT_MOST = 200
_UNANSWERED = f"Nobody answered the broker's question within {settings.CONFIRMATION_SECONDS} s"
_STALE_AFTER = timedelta(seconds=settings.CONFIRMATION_SECONDS)
_LOOK_AGAIN_FOR = timedelta(days=1)
_LOOK_AGAIN_EVERY = timedelta(minutes=1)


def sweep(now: datetime | None = None) -> None:
    """Carry on every order that nobody is carrying on: the same after a crash as on any other day."""
    now = now or timezone.now()
    lease = now - timedelta(seconds=settings.SENDING_LEASE_SECONDS)
    each(_with(Status.AWAITING).filter(parent=None, confirmation__expires_at__lte=now), _lapse)
    _sweep_changes(now, lease)
    each(_with(Status.INTENT).filter(parent=None, moved_at__lte=lease), _resume)
    each(_with(Status.SENDING).filter(moved_at__lte=lease), _lose)
    answerable = Question.objects.filter(answer="", expires_at__gt=now).values("order")
    each(_with(Status.ASKED).filter(parent=None).exclude(pk__in=answerable), _unanswered)
    at_broker = _with(Status.UNKNOWN, Status.WORKING, Status.PARTIALLY_FILLED)
    each(at_broker.filter(cancel_requested_at=None), sending.refresh)
    each(at_broker.filter(cancel_requested_at__isnull=False), sending.take_back)
    changing = Order.objects.filter(modifications__status=Change.UNKNOWN, status__in=states.ENDED)
    changing = changing.filter(connection__closed_at=None)
    each(changing.select_related("app", "connection", "confirmation").distinct(), sending.refresh)
    # "No such order" can be overtaken by a sender that was only slow: look again for a day, now and then.
    missing = _with(Status.NOT_FOUND).filter(moved_at__gte=now - _LOOK_AGAIN_FOR)
    each(missing.filter(looked_up_at__lte=now - _LOOK_AGAIN_EVERY), sending.refresh)


def _sweep_changes(now: datetime, lease: datetime) -> None:
    """Modifications that nobody is carrying on. None is sent here: its order may be another one by now."""
    found = Modification.objects.select_related("order")
    for change in found.filter(status=Change.AWAITING, confirmation__expires_at__lte=now)[:_AT_MOST]:
        what = f"Nobody confirmed the change within {settings.CONFIRMATION_SECONDS} s. Nothing was sent."
        changes.attempt(change, Change.LAPSED, what, "Tradelatch", "", code=Code.CONFIRMATION_EXPIRED)
    for change in found.filter(status=Change.INTENT, moved_at__lte=lease)[:_AT_MOST]:
        stopped = "It was confirmed, but Tradelatch stopped before it could be sent. Nothing was sent."
        changes.deny(change, Refusal(Code.CONFIRMATION_EXPIRED, stopped), "Tradelatch", "")
    answerable = Question.objects.filter(answer="", expires_at__gt=now).exclude(modification=None)
    for change in found.filter(status=Change.ASKED).exclude(pk__in=answerable.values("modification"))[:_AT_MOST]:
        changes.settle(change, Change.REJECTED, Code.BROKER_ASKS, f"{_UNANSWERED}, so it did not change the order.")
    for change in found.filter(status=Change.SENDING, moved_at__lte=lease)[:_AT_MOST]:
        lost = "Tradelatch stopped while it was being sent. The order is being looked up."
        changes.settle(change, Change.UNKNOWN, Code.OUTCOME_UNKNOWN, lost)


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
        found = sending.not_as_told(found, at_broker.orders())
    except BrokerError as error:
        log.warning("The broker did not list its open orders, so each is looked up: %s", error)
    each(found, sending.refresh)


def each(orders: QuerySet[Order] | Sequence[Order], step: Callable[[Order], None]) -> None:
    for order in orders[:_AT_MOST]:
        try:
            step(order)
        except BrokerError as error:
            Order.objects.filter(pk=order.pk).update(looked_up_at=timezone.now())
            log.warning("Order %s could not be looked up: %s", order.public_id, error)
        except Moved:
            continue
        except Exception:  # one broken order must not stop the others, nor stand before them the next time
            Order.objects.filter(pk=order.pk).update(looked_up_at=timezone.now())
            log.exception("Sweeping order %s failed", order.public_id)


def _lapse(order: Order) -> None:
    moves.move(
        order,
        Status.LAPSED,
        f"Nobody confirmed within {settings.CONFIRMATION_SECONDS} s. Nothing was sent.",
        "Tradelatch",
        "",
        code=Code.CONFIRMATION_EXPIRED,
    )


def _unanswered(order: Order) -> None:
    """The broker takes no order without a yes. It is told nothing: an answer is a person's alone."""
    words = f"{_UNANSWERED}, so it did not take the order."
    moves.move(order, Status.REJECTED, words, "Tradelatch", "", code=Code.BROKER_ASKS, reason=words)


def _resume(order: Order) -> None:
    """An intent whose process died before it sent. Sent now if the person's yes is still fresh, else refused."""
    redeemed_at = order.confirmation.redeemed_at
    try:
        if redeemed_at is None or timezone.now() - redeemed_at > _STALE_AFTER:
            raise Refusal(
                Code.CONFIRMATION_EXPIRED,
                "It was confirmed, but Tradelatch stopped before it could be sent, and the confirmation is too "
                "old now. Nothing was sent.",
            )
        if order.confirmation.action == Action.FLATTEN:
            with suppress(Refusal):  # its rows say so
                release.carry_on(order.confirmation)
            return
        try:
            sending.check_release(order)
        except Rejected as error:
            raise refusal_of(error) from error
    except Refusal as refusal:
        moves.deny(order, refusal, "Tradelatch", "")
        return
    with suppress(Refusal):  # permission taken back: the order says so
        sending.send(order, by="Tradelatch")


def _lose(order: Order) -> None:
    moves.settle(
        order,
        Status.UNKNOWN,
        Code.OUTCOME_UNKNOWN,
        "Tradelatch stopped while it was being sent. It is being looked up.",
    )
    sending.refresh(order)
