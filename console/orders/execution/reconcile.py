"""The sweep: carry on every order that nobody is carrying on, the same after a crash as on any other day."""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import cast

from django.conf import settings
from django.db.models import Exists, F, Min, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from brokers import registry
from brokers.base import Broker, TellingBroker
from brokers.errors import BrokerError, Rejected
from console.connections import broker_access, order_streams
from console.connections.models import Connection
from console.errors import Code, Refusal, refusal_of
from console.orders import states
from console.orders.checks import check_rows, check_subject, pipeline
from console.orders.checks.pipeline import About, Stage
from console.orders.execution import cancel as cancelling
from console.orders.execution import listed, release, submit, sync
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
_STREAMED_EVERY = timedelta(seconds=30)
_EVER = datetime(1970, 1, 1, tzinfo=UTC)
_CHANGES_AT_ONCE = 1000
_BESIDE_OURS = 500
"""Open orders made elsewhere that a list may hold beside ours, before it ends."""
MOST_ALONE = 50
"""Of one account in one look: what its list does not settle, asked for by itself."""
_WITHOUT_LIST = 10
"""The same where it gives none: it may answer nothing at all, and each question waits for its timeout."""
_LONGEST_UNSEEN = F("looked_up_at").asc(nulls_first=True)


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
    for_each(_with(Status.UNKNOWN).filter(cancel_requested_at=None), sync.refresh)
    _follow_changes()
    _compare_with_lists(now)
    cancelled = _with(Status.UNKNOWN, *states.AT_BROKER).filter(cancel_requested_at__gte=_EVER)
    for_each(cancelled, cancelling.cancel_at_broker)
    for_each(_with_change_under_way(), sync.refresh)
    # "No such order" can be overtaken by a sender that was only slow: look again for a day, now and then.
    missing = _with(Status.NOT_FOUND).filter(moved_at__gte=now - _LOOK_AGAIN_FOR)
    long_ago = Q(looked_up_at__lte=now - _LOOK_AGAIN_EVERY) | Q(looked_up_at__gt=now)  # or the clock was set back
    for_each(missing.filter(long_ago), sync.refresh)


def has_work(now: datetime | None = None) -> bool:
    """Whether anything stands that a sweep may have to carry on: one short look, for the scheduler."""
    now = now or timezone.now()
    if Order.objects.filter(status__in=(states.OPEN - states.AT_BROKER) | {Status.AWAITING}).exists():
        return True
    if Modification.objects.filter(status__in=states.UNSETTLED | {AmendmentStatus.AWAITING}).exists():
        return True
    at_broker = Order.objects.filter(status__in=states.AT_BROKER)
    if at_broker.filter(cancel_requested_at__gte=_EVER).exists() or registry.has_changed_orders():
        return True
    silent = Connection.objects.filter(closed_at=None).exclude(broker__in=registry.TELLING)
    if silent.filter(Exists(at_broker.filter(connection=OuterRef("pk")))).exists():
        return True
    return Order.objects.filter(status=Status.NOT_FOUND, moved_at__gte=now - _LOOK_AGAIN_FOR).exists()


def _follow_changes(account_id: str = "") -> None:
    """Orders at brokers that tell of each change: those that changed, by one question for each account. ``account_id``:
    of that account alone.

    A row is forgotten once its order stands here as it stands there, and not before: an order that is still being sent
    is followed when its sender has recorded what it was answered.
    """
    rows: dict[str, list[int]] = {}
    for row, wire_id in registry.read_changed_orders(_CHANGES_AT_ONCE, account_id):
        rows.setdefault(wire_id, []).append(row)
    if not rows:
        return
    ours = Order.objects.filter(wire_id__in=rows, connection__broker__in=registry.TELLING, connection__closed_at=None)
    found = list(ours.select_related("app", "connection", "confirmation").order_by("pk"))
    being_sent = {order.wire_id for order in found if order.state in (Status.INTENT, Status.SENDING)}
    accounts: dict[tuple[int, str], list[Order]] = {}
    for order in found:
        if order.state in _TOLD_OF:
            accounts.setdefault((order.connection_id, order.account_id), []).append(order)
    failed: set[str] = set()
    for (_, account_id), orders in accounts.items():
        failed |= _follow_in_account(account_id, orders)
    registry.postpone_changed_orders([row for name in failed for row in rows[name]])
    registry.forget_changed_orders(
        [row for name, mine in rows.items() if name not in failed | being_sent for row in mine]
    )


_TOLD_OF = states.AT_BROKER | {Status.UNKNOWN, Status.NOT_FOUND}
"""What a change at the broker can be news to."""


def _follow_in_account(account_id: str, orders: Sequence[Order]) -> set[str]:
    """Returns the names of those that could not be followed."""
    names = [order.wire_id for order in orders]
    try:
        broker = cast(TellingBroker, broker_access.broker_of(orders[0].connection))
        told = {each.client_order_id: each for each in broker.named_orders(account_id, names)}
    except Exception:  # one broken account must not stop the others
        log.exception("Orders of account %s that changed could not be looked up", account_id)
        return set(names)
    return {order.wire_id for order in for_each(orders, lambda order: sync.refresh(order, told.get(order.wire_id)))}


def _compare_with_lists(now: datetime) -> None:
    """Orders at all other brokers: by one list for each account, those accounts first that have waited longest."""
    standing = Order.objects.filter(status__in=states.AT_BROKER, cancel_requested_at=None, connection__closed_at=None)
    standing = standing.exclude(connection__broker__in=registry.TELLING)
    accounts = _not_streamed(standing, now).values_list("connection", "account_id").order_by()
    longest = accounts.annotate(seen=Min(Coalesce("looked_up_at", "created_at"))).order_by("seen")
    for connection_id, account_id, _ in longest[:_AT_MOST]:
        # All of them, for they stand in the same list: each would else be due for a list of its own.
        mine = standing.filter(connection=connection_id, account_id=account_id)
        try:
            compare_with_list(mine, broker_access.broker_of(Connection.objects.get(pk=connection_id)), account_id)
        except Exception:  # one broken account must not stop the others, nor stand before them the next time
            order_state.mark_as_listed(mine.values_list("pk", flat=True), timezone.now())
            log.exception("The orders of connection %s could not be looked up", connection_id)


def compare_with_list(orders: QuerySet[Order], broker: Broker, account_id: str) -> bool:
    """All orders of one account, however many rest there. False: some of them could not be looked at."""
    at_broker = AtBroker(broker, account_id, most=orders.count() + _BESIDE_OURS)
    return refresh_all(
        orders.order_by(_LONGEST_UNSEEN, "pk"),
        at_broker,
        most=None,
        most_alone=MOST_ALONE,
        most_without_list=_WITHOUT_LIST,
    )


def _with_change_under_way() -> QuerySet[Order]:
    """Orders that have ended with a change whose outcome is not known, and those whose broker tells no news of it."""
    unknown = Modification.objects.filter(status=AmendmentStatus.UNKNOWN, order__status__in=states.ENDED)
    sent = Modification.objects.filter(status__in=sync.IN_PROGRESS, order__status__in=states.AT_BROKER)
    sent = sent.filter(order__connection__broker__in=registry.TELLING, order__cancel_requested_at=None)
    orders = [*unknown.values_list("order", flat=True)[:_AT_MOST], *sent.values_list("order", flat=True)[:_AT_MOST]]
    found = Order.objects.filter(pk__in=orders, connection__closed_at=None)
    return found.select_related("app", "connection", "confirmation").order_by(_LONGEST_UNSEEN, "pk")


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
        .order_by(_LONGEST_UNSEEN, "pk")
    )


def _not_streamed(orders: QuerySet[Order], now: datetime) -> QuerySet[Order]:
    """Without those whose broker says by itself when they move, but for a look now and then all the same."""
    rests = Q(status__in=states.AT_BROKER, looked_up_at__gte=now - _STREAMED_EVERY, looked_up_at__lte=now)
    return orders.exclude(rests & Q(connection__in=order_streams.up(now).values("connection")))


def refresh_all(
    orders: QuerySet[Order],
    at_broker: AtBroker,
    *,
    most: int | None = _AT_MOST,
    most_alone: int = _AT_MOST,
    most_without_list: int = _AT_MOST,
) -> bool:
    """Bring orders of one account up to date: by one list, and one by one what that does not settle, at most
    ``most_alone`` of them, in the order given; at most ``most_without_list`` where the broker gives no list.

    False: some could not be looked at. Those beyond the bounds do not count: they are first in the next look.
    """
    if at_broker.tells_changes:
        return _bring_told_up_to_date(orders, at_broker)
    found = list(orders.only(*listed.COMPARED)[:most])
    if not found:
        return True
    try:
        found = listed.not_as_listed(found, at_broker.orders())
    except BrokerError as error:
        log.warning("The broker did not list its open orders, so each is looked up: %s", error)
        most_alone = min(most_alone, most_without_list)
    except Exception:  # a list that cannot be read must not keep orders from being looked up
        log.exception("The open orders of account %s could not be listed, so each is looked up", at_broker.account_id)
        most_alone = min(most_alone, most_without_list)
    alone = {order.pk: place for place, order in enumerate(found[:most_alone])}
    if not alone:
        return True
    whole = Order.objects.filter(pk__in=alone).select_related("app", "connection", "confirmation")
    return not for_each(sorted(whole, key=lambda order: alone[order.pk]), sync.refresh)


def _bring_told_up_to_date(orders: QuerySet[Order], at_broker: AtBroker) -> bool:
    try:
        _ = at_broker.names  # which brings the account up to now
    except BrokerError as error:
        log.warning("The open orders of account %s were not brought up to now: %s", at_broker.account_id, error)
    _follow_changes(at_broker.account_id)
    changing = Modification.objects.filter(status__in=sync.IN_PROGRESS).values("order")
    return not for_each(orders.filter(Q(status=Status.UNKNOWN) | Q(pk__in=changing)), sync.refresh)


def for_each(orders: QuerySet[Order] | Sequence[Order], step: Callable[[Order], None]) -> list[Order]:
    """Returns those that the step failed for."""
    failed = []
    for order in orders[:_AT_MOST] if isinstance(orders, QuerySet) else orders:
        try:
            step(order)
        except BrokerError as error:
            order_state.mark_looked_up(order, timezone.now())
            log.warning("Order %s could not be looked up: %s", order.public_id, error)
            failed.append(order)
        except ConcurrentUpdate:
            failed.append(order)
        except Exception:  # one broken order must not stop the others, nor stand before them the next time
            order_state.mark_looked_up(order, timezone.now())
            log.exception("Sweeping order %s failed", order.public_id)
            failed.append(order)
    return failed


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
