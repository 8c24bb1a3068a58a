"""Cancelling orders. Passes every limit, halt and policy: nobody is kept from getting out."""

import logging
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from django.db import DatabaseError
from django.db.models import Q, QuerySet
from django.utils import timezone

from brokers.errors import BrokerError, NotSupported, Rejected, WriteOutcome
from brokers.types import OrderClass
from console.connected_apps.models import ConnectedApp
from console.connections import broker_access
from console.connections.models import Connection
from console.errors import Code, Refusal, refusal_of
from console.orders import states
from console.orders.checks import facts as check_facts
from console.orders.execution import sync
from console.orders.models import Confirmation, Order
from console.orders.states import Status
from console.orders.transitions import order_state

log = logging.getLogger(__name__)

_PATIENCE_SECONDS = 3.0
_PAUSE_SECONDS = 0.2

# Where the broker has no order yet. Its question stays unanswered there: a cancel may come from an app, an answer not.
_UNSENT_REASONS = {
    Status.AWAITING: "Cancelled before it was sent.",
    Status.INTENT: "Cancelled before it was sent.",
    Status.ASKED: "Cancelled before the broker's question was answered. Nothing was placed.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelResult:
    """What became of one cancel."""

    order: Order
    refusal: Refusal | None = None
    """Why it could not be cancelled, or that its broker did not answer; None: it is."""


def open_root_orders(connection: Connection, app: ConnectedApp | None = None) -> QuerySet[Order]:
    """Open orders that no other open order takes along: exits whose entry has filled are among them.

    ``app``: only those that it made.
    """
    rows = Order.objects.filter(connection=connection, status__in=states.OPEN)
    if app is not None:
        rows = rows.filter(app__in=ConnectedApp.objects.filter(app.same))
    return rows.exclude(parent__status__in=states.OPEN)


def going_with(
    orders: Iterable[Order], *, closing: Collection[str], stays: Collection[str], only_closed: bool
) -> list[Order]:
    """What is cancelled before these positions are closed: their own orders, and all that belong to no position that
    stays. ``only_closed``: their own alone."""
    return [
        order
        for order in orders
        if any(order.trades(symbol) for symbol in closing)
        or not (only_closed or any(order.trades(symbol) for symbol in stays))
    ]


def cancel_all(
    connection: Connection,
    account_id: str,
    *,
    symbol: str | None = None,
    app: ConnectedApp | None = None,
    may: Callable[[Order], None] = lambda order: None,
    exclude: Confirmation | None = None,
    should_continue: Callable[[], bool] = lambda: True,
    by: str,
    request_id: str = "",
) -> list[CancelResult]:
    """Take every open order of an account back, one after another, newest first, and say what became of each.

    ``symbol``: only those in it; an order of several options is in each of them. Orders that hang on another end with
    it. What still waits for a confirmation is not open and stays, and so does what was released by the confirmation
    ``exclude``. ``app``: only those that it made. ``may`` is asked about each, and raises Refusal for one that stays.
    ``should_continue`` is asked before each; False ends it.
    """
    rows = Order.objects.select_related("app", "connection", "confirmation").filter(
        connection=connection, account_id=account_id, status__in=states.OPEN
    )
    if symbol is not None:
        rows = check_facts.trading(rows, symbol)
    if app is not None:
        rows = rows.filter(app__in=ConnectedApp.objects.filter(app.same))
    if exclude is not None:
        rows = rows.exclude(confirmation=exclude)
    done: list[CancelResult] = []
    for order in sorted(rows, key=lambda each: (each.parent_id is not None, -each.pk)):
        if order.parent_id is not None:
            order.refresh_from_db()
            if order.state not in states.OPEN:
                continue  # its order took it along
        if not should_continue():
            return done
        try:
            may(order)
            cancel_order(order, by=by, request_id=request_id)
        except Refusal as refusal:
            done.append(CancelResult(order=order, refusal=refusal))
        except Exception:  # one broken order must not keep the others from being cancelled
            log.exception("Order %s could not be cancelled", order.public_id)
            lost = "Something went wrong in Tradelatch during the cancel. Call get_order_status."
            done.append(CancelResult(order=order, refusal=Refusal(Code.INTERNAL_ERROR, lost, order_id=order.public_id)))
        else:
            done.append(CancelResult(order=order))
    return done


def wait_until_closed(results: Sequence[CancelResult]) -> None:
    """Wait a moment until what was cancelled has ended at its broker, too: until then it holds what it would sell."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while going := [each.order for each in results if each.refusal is None and each.order.state in states.AT_BROKER]:
        if time.monotonic() > deadline:
            return
        time.sleep(_PAUSE_SECONDS)
        for order in going:
            with suppress(BrokerError):
                sync.refresh(order)


def cancel_order(order: Order, *, by: str, request_id: str = "") -> Order:
    """Take an order back. Passes every limit and pause but the app's own; raises Refusal when it has ended.

    Both halves of an oco end. An order that is just being sent is cancelled as soon as its broker knows it.
    """
    if order.parent_id is not None and order.state in _UNSENT_REASONS:
        # It is sent within its parent's request: struck out here it would still be placed, and nobody would watch it.
        assert order.parent is not None
        raise Refusal(
            Code.NOT_CANCELLABLE,
            f"Order {order.public_id} has not been sent and belongs to {order.parent.public_id}. Cancel that one.",
            order_id=order.public_id,
        )
    if order.state in _UNSENT_REASONS and order_state.try_move(
        order,
        Status.CANCELLED,
        _UNSENT_REASONS[order.state],
        by,
        request_id,
        reason=_UNSENT_REASONS[order.state],
        code="",
    ):
        return order
    if order.state not in states.OPEN and order.state is not Status.NOT_FOUND:
        raise _has_ended(order)
    # The other half of an oco stands by itself at the broker; exits that wait for a fill are the broker's to end,
    # and those that guard what has filled stay.
    halves = order.legs.filter(status__in=states.OPEN) if order.order_class == OrderClass.OCO else order.legs.none()
    try:
        order_state.request_cancel(order, *halves, at=timezone.now())
    except DatabaseError:  # a full disk must not keep anyone from getting out
        log.exception("The cancel of order %s could not be put on record", order.public_id)
    try:
        cancel_at_broker(order)
    except BrokerError as error:
        if error.outcome is not WriteOutcome.REJECTED:
            raise Refusal(
                Code.OUTCOME_UNKNOWN,
                "The broker did not answer. The cancel is recorded and is sent again until the broker answers; call "
                "get_order_status.",
                order_id=order.public_id,
            ) from error
        refusal = refusal_of(error)
        refusal.order_id = order.public_id
        raise refusal from error
    for half in halves:
        with suppress(BrokerError):  # its cancel is on record: the sweep asks again
            cancel_at_broker(half)
    if order.state in states.ENDED - {Status.CANCELLED}:
        raise _has_ended(order)
    return order


def ended_along(order: Order, since: datetime) -> list[Order]:
    """Orders that ended with one that was just cancelled: its exits, its order, the other of a pair. Some brokers end
    all of them by one cancel, so those that stood are looked at first; one that cannot be read stays as it was."""
    root = order.parent_id or order.pk
    family = Order.objects.filter(Q(pk=root) | Q(parent=root)).exclude(pk=order.pk)
    for each in family.filter(status__in=states.AT_BROKER).select_related("connection"):
        with suppress(BrokerError, DatabaseError):
            sync.refresh(each)
    return list(family.filter(status__in=states.ENDED, moved_at__gte=since).select_related("parent").order_by("pk"))


def _has_ended(order: Order) -> Refusal:
    return Refusal(
        Code.NOT_CANCELLABLE,
        f"Order {order.public_id} has ended: {order.status_words.lower()}.",
        order_id=order.public_id,
    )


log = logging.getLogger(__name__)


def cancel_at_broker(order: Order) -> None:
    """Ask the broker to cancel; for an order still on its way, only once the broker knows it. Raises BrokerError.

    What is known to be at the broker is cancelled there even when it cannot be looked up, or nothing written here.
    """
    try:
        sync.refresh(order)
    except (BrokerError, DatabaseError) as error:
        if order.state not in states.AT_BROKER:
            raise
        # A broker that is away is no fault of ours, whose place somebody would look for.
        ours = None if isinstance(error, BrokerError) else error
        told = "Order %s could not be brought up to date before its cancel: %s"
        log.warning(told, order.public_id, error, exc_info=ours)
    if order.state in states.AT_BROKER:
        try:
            answer = broker_access.broker_of(order.connection).cancel(
                order.account_id, order.wire_id, symbol=order.symbol
            )
        except NotSupported:
            # Sent again later, it could end what the order has become since: an exit that guards a position by then.
            order_state.withdraw_cancel(order)
            raise
        except Rejected:
            asked = order.wire_id
            try:
                order.refresh_from_db()
                sync.refresh(order)
            except (BrokerError, DatabaseError):
                log.exception("What stands of order %s, whose cancel was rejected, is not known", order.public_id)
            if order.wire_id == asked or order.state not in states.AT_BROKER:
                raise
            cancel_at_broker(order)  # a change made another order of it meanwhile
            return
        try:
            sync.apply_answer(order, answer)
        except DatabaseError:
            log.exception("The broker's answer to the cancel of order %s is not on record", order.public_id)
            # For the caller; the sweep puts it on record once it can.
            order.status, order.filled_quantity = states.FROM_BROKER[answer.status], answer.filled_quantity
