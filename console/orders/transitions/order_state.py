"""One allowed move of an order and its event, in one transaction. The desk, its sender and its sweep use it;
nobody else writes an order.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from brokers.compiled_queries import Insertion, RowUpdate
from console.errors import Code, Refusal
from console.orders import states
from console.orders.models import Order, OrderEvent
from console.orders.states import Status

_TOGETHER = frozenset(
    {
        *(Status.INTENT, Status.SENDING, Status.DENIED, Status.LAPSED, Status.REJECTED_BY_OWNER, Status.CANCELLED),
        *(Status.ASKED, Status.UNANSWERED, Status.UNKNOWN, Status.NOT_SENT, Status.REJECTED),
    }
)
_NOT_THERE = (Status.AWAITING, Status.INTENT, Status.ASKED)
"""The broker has no such order."""
_AT_ONCE = 5000
"""Rows of one statement."""


_EVENTS = Insertion(OrderEvent)
_MOVED = RowUpdate(Order, "id", "status")


class ConcurrentUpdate(Exception):
    """Somebody else moved the order first."""


def move(
    order: Order,
    after: Status,
    what: str,
    by: str,
    request_id: str,
    *,
    data: Mapping[str, Any] | None = None,
    **fields: Any,
) -> None:
    """One allowed move and its event, in one transaction. Raises ConcurrentUpdate when it was in another state."""
    before = order.state
    if not states.allowed(before, after):
        raise ConcurrentUpdate(f"{order.public_id}: {before} → {after}")
    now = timezone.now()
    # The conditional update comes first: in a caller's transaction a refused one leaves nothing behind. A leg's might.
    is_within = connection.in_atomic_block and not order.has_legs
    with nullcontext() if is_within else transaction.atomic():
        if not _MOVED.make(order.pk, before, status=after, moved_at=now, **fields):
            raise ConcurrentUpdate(f"{order.public_id} is no longer {before}")
        order.status, order.moved_at = after, now
        for name, value in fields.items():
            setattr(order, name, value)
        add_event(order, before, what, by, request_id, data or {})
        unsent = before in _NOT_THERE or (before is Status.SENDING and after is not Status.CANCELLED)
        if order.has_legs and after in _TOGETHER and unsent:
            # Until the broker knows them, the legs stand where the order stands that they are sent with. Of a cancel
            # at the broker each has its own story: what ended one order of a pair may be the fill of the other.
            # What a leg can come to is counted once, with its order.
            own = {name: value for name, value in fields.items() if name not in ("worst_notional", "released_at")}
            for leg in Order.objects.filter(parent=order, status=before):
                move(leg, after, what, by, request_id, **own)


def record_outcome(order: Order, after: Status, code: Code, reason: str) -> bool:
    """Record what became of a send, where the broker gave no order to apply."""
    return try_move(order, after, reason, "broker", "", code=code, reason=reason[:500])


def add_event(order: Order, before: str, what: str, by: str, request_id: str, data: Mapping[str, Any]) -> None:
    _EVENTS.create(
        order=order,
        at=timezone.now(),
        before=before,
        after=order.status,
        what=what[:500],
        data=dict(data),
        by=by,
        request_id=request_id,
        owner_id=order.connection.owner_id,
    )


def mark_looked_up(order: Order, at: datetime) -> None:
    """Its broker was asked about it, whatever came of that: who was asked longest ago is next."""
    Order.objects.filter(pk=order.pk).update(looked_up_at=at)


def mark_as_listed(orders: Collection[int], at: datetime) -> None:
    """Their broker lists them as they are here; one that has ended meanwhile stays as it is."""
    mine = list(orders)
    for start in range(0, len(mine), _AT_ONCE):
        listed = Order.objects.filter(pk__in=mine[start : start + _AT_ONCE], status__in=states.AT_BROKER)
        listed.update(looked_up_at=at)


def keep_quote(order: Order, quote_id: str) -> bool:
    """The broker's own id of what is about to be committed. False when the order is not being sent any more."""
    kept = Order.objects.filter(pk=order.pk, status=Status.SENDING).update(broker_order_id=quote_id)
    order.broker_order_id = quote_id
    return kept > 0


def apply_in_place(order: Order, fields: Mapping[str, Any]) -> None:
    """What the broker says of an order whose status stays as it is. Raises ConcurrentUpdate when somebody else has
    moved it, or taken over another fill of it, since it was read: that answer may be the newer one."""
    as_read = Order.objects.filter(pk=order.pk, status=order.status, filled_quantity=order.filled_quantity)
    if not as_read.update(**fields):
        raise ConcurrentUpdate(f"{order.public_id} is no longer {order.status} with {order.filled_quantity} filled")
    for name, value in fields.items():
        setattr(order, name, value)


def request_cancel(*orders: Order, at: datetime) -> None:
    """Put on record that they are to be cancelled: the sweep asks until the broker answers. The first time counts."""
    mine = Order.objects.filter(pk__in=[each.pk for each in orders], cancel_requested_at=None)
    mine.update(cancel_requested_at=at)


def withdraw_cancel(order: Order) -> None:
    """Its broker has no such cancel: nobody asks for it again."""
    Order.objects.filter(pk=order.pk).update(cancel_requested_at=None)


def renew_lease(orders: Sequence[Order]) -> bool:
    """This process still works on what is to be sent. False when none of it is to be sent any more."""
    mine = Order.objects.filter(pk__in=[each.pk for each in orders], status=Status.INTENT)
    return mine.update(moved_at=timezone.now()) > 0


def set_worst_notional(order: Order, worst: Decimal | None) -> None:
    """The most it can come to; limits count it so."""
    Order.objects.filter(pk=order.pk).update(worst_notional=worst)


def count_from(order: Order, at: datetime) -> None:
    """Limits of a day and of a minute count it, with the order it goes with, from then on."""
    Order.objects.filter(pk=order.parent_id or order.pk).update(released_at=at)


def settle_in_place(order: Order, what: str, by: str, request_id: str, *, at: datetime) -> None:
    """What its owner saw at the broker of an order whose status stays as it is."""
    Order.objects.filter(pk=order.pk).update(settled_by_hand_at=at, reason=what)
    add_event(order, order.status, what, by, request_id, {})


def try_move(order: Order, after: Status, what: str, by: str, request_id: str, **fields: Any) -> bool:
    """The move, or False when somebody else moved the order first; ``order`` then says where it stands."""
    try:
        move(order, after, what, by, request_id, **fields)
    except ConcurrentUpdate:
        order.refresh_from_db()
        return False
    return True


def deny(order: Order, refusal: Refusal, by: str, request_id: str) -> bool:
    """End an order that was not sent, by our own refusal."""
    refusal.order_id = order.public_id
    return try_move(
        order,
        Status.DENIED,
        f"Refused at release: {refusal}",
        by,
        request_id,
        code=refusal.code,
        reason=str(refusal)[:500],
    )
