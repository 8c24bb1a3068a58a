"""One allowed move of a modification, with its event on the order. Nothing else writes a modification."""

import uuid
from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from brokers.types import BrokerOrder
from console import ids
from console.errors import Code, Refusal
from console.orders.models import Confirmation, Modification, Order
from console.orders.states import AMENDMENT_MOVES, UNSETTLED, AmendmentStatus
from console.orders.transitions import order_state
from console.orders.transitions.order_state import ConcurrentUpdate

PRICED = ("quantity", "limit_price", "stop_price", "trail_amount", "trail_percent")
"""What can be changed beside the time in force."""


def create(
    order: Order, confirmation: Confirmation, what: str, by: str, request_id: str, **fields: Any
) -> Modification:
    """A modification that waits for its release, with its event on the order."""
    change = Modification.objects.create(
        public_id=ids.new("mod"),
        order=order,
        confirmation=confirmation,
        wire_id=uuid.uuid4().hex,
        status=AmendmentStatus.AWAITING,
        created_at=confirmation.created_at,
        moved_at=confirmation.created_at,
        **fields,
    )
    order_state.add_event(order, order.status, what, by, request_id, {"modification": change.public_id})
    return change


def move(change: Modification, after: AmendmentStatus, what: str, by: str, request_id: str, **fields: Any) -> None:
    """Raises ConcurrentUpdate when the change was in another state."""
    before = change.state
    if after not in AMENDMENT_MOVES.get(before, frozenset()):
        raise ConcurrentUpdate(f"{change.public_id}: {before} → {after}")
    now = timezone.now()
    try:
        with transaction.atomic():
            # Before its change's, as whoever releases one does: the other way round the two could wait for each other.
            order = Order.objects.select_for_update().get(pk=change.order_id)
            mine = Modification.objects.filter(pk=change.pk, status=before)
            if not mine.update(status=after, moved_at=now, **fields):
                raise ConcurrentUpdate(f"{change.public_id} is no longer {before}")
            change.status, change.moved_at = after, now
            for name, value in fields.items():
                setattr(change, name, value)
            order_state.add_event(order, order.status, what, by, request_id, {"modification": change.public_id})
    except IntegrityError as error:
        raise ConcurrentUpdate(f"Another modification of {change.order.public_id} is under way") from error


def try_move(change: Modification, after: AmendmentStatus, what: str, by: str, request_id: str, **fields: Any) -> bool:
    """The move, or False when somebody else moved it first; ``change`` then says where it stands."""
    try:
        move(change, after, what, by, request_id, **fields)
    except ConcurrentUpdate:
        change.refresh_from_db()
        return False
    return True


def deny(change: Modification, refusal: Refusal, by: str, request_id: str) -> bool:
    refusal.order_id = change.order.public_id
    what = f"The change was refused at release: {refusal}"
    return try_move(change, AmendmentStatus.DENIED, what, by, request_id, code=refusal.code, reason=str(refusal)[:500])


def record_outcome(change: Modification, after: AmendmentStatus, code: Code, reason: str) -> bool:
    """Record what became of a send that brought no order back."""
    words = f"The change: {reason}"
    return try_move(change, after, words, "broker", "", code=code, reason=reason[:500])


@transaction.atomic
def mark_done(change: Modification, answer: BrokerOrder) -> bool:
    """The broker has the order as it was asked for: our row says so from now on."""
    if not try_move(change, AmendmentStatus.DONE, "The broker changed the order.", "broker", "", code="", reason=""):
        return False
    fields = terms_of(change)
    if answer.client_order_id:
        fields["wire_id"] = answer.client_order_id
    Order.objects.filter(pk=change.order_id).update(**fields)
    if change.quantity is not None:
        Order.objects.filter(parent_id=change.order_id).update(quantity=change.quantity)
    change.order.refresh_from_db()
    return True


def terms_of(change: Modification) -> dict[str, Any]:
    """The terms that are to be new."""
    asked = {name: getattr(change, name) for name in (*PRICED, "tif")}
    return {name: value for name, value in asked.items() if value not in (None, "")}


def has_taken_effect(change: Modification, answer: BrokerOrder) -> bool | None:
    """Whether the broker's order has the terms asked for; None if the broker does not report it."""
    told: Mapping[str, Any] = {name: getattr(answer, name) for name in terms_of(change)}
    if any(value is None for value in told.values()):
        return None
    return all(told[name] == value for name, value in terms_of(change).items())


def in_progress(order: Order) -> Modification | None:
    """The one modification of the order that may reach, or may have reached, its broker."""
    return order.modifications.filter(status__in=UNSETTLED).first()
