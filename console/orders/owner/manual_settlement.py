"""What its owner saw at the broker, for an order that nothing else can say anything about. Console only."""

from datetime import timedelta
from enum import StrEnum

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from brokers.types import OrderClass
from console.accounts.models import User
from console.audit import log as audit_log
from console.errors import Code, Refusal
from console.orders.models import Order
from console.orders.states import Status
from console.orders.transitions import order_state

AFTER = timedelta(minutes=10)
"""How long an order may be looked up before its owner is asked to look."""


class Observation(StrEnum):
    """What the owner saw at the broker itself."""

    NOT_THERE = "not_there"
    WORKING = "working"
    FILLED = "filled"
    CANCELLED = "cancelled"


_AFTER = {
    Observation.WORKING: Status.WORKING,
    Observation.FILLED: Status.FILLED,
    Observation.CANCELLED: Status.CANCELLED,
}
LABELS = {
    Observation.NOT_THERE: "The broker has no such order",
    Observation.WORKING: "It is open",
    Observation.FILLED: "It has filled",
    Observation.CANCELLED: "It was cancelled",
}


def needs_owner(order: Order) -> bool:
    """Whether looking it up has led nowhere for so long that only a person can tell."""
    if order.state is Status.NOT_FOUND:
        return order.settled_by_hand_at is None
    return order.state is Status.UNKNOWN and timezone.now() - order.moved_at >= AFTER


@transaction.atomic
def settle(order: Order, seen: Observation, *, by: User, request_id: str = "") -> Order:
    """Record what the owner saw. The broker's own word still wins when it comes. Raises Refusal.

    An order that is not there no longer counts against a limit; one that filled is taken to have filled whole, at a
    price that is not known. What was sent with it and is not known either stands or ends with it.
    """
    order = Order.objects.select_for_update().get(pk=order.pk)
    if not needs_owner(order):
        raise Refusal(
            Code.NOT_PERMITTED,
            f"Order {order.public_id} is {order.status_words.lower()}: there is nothing to settle manually.",
            order_id=order.public_id,
        )
    before = order.status
    words = f"{by.email} checked at the broker: {LABELS[seen][0].lower()}{LABELS[seen][1:]}."
    now = timezone.now()
    if seen is Observation.NOT_THERE and order.state is Status.NOT_FOUND:
        order_state.settle_in_place(order, words, by.email, request_id, at=now)
    else:
        fields = (
            {"filled_quantity": order.quantity} if seen is Observation.FILLED and order.quantity is not None else {}
        )
        after = _AFTER.get(seen, Status.NOT_FOUND)
        order_state.move(
            order, after, words, by.email, request_id, settled_by_hand_at=now, reason=words, code="", **fields
        )
    if seen is Observation.NOT_THERE or (seen is not Observation.WORKING and order.order_class == OrderClass.OCO):
        _settle_with(order, words, by, request_id)
    audit_log.record_change(
        by,
        "settled by hand",
        "order",
        order.public_id,
        order.symbol,
        before={"status": before},
        after={"status": order.status, "seen": seen.value},
        connection_id=order.connection_id,
        seen=seen.value,
        connection=order.connection.name,
    )
    order.refresh_from_db()
    return order


def _settle_with(order: Order, said: str, by: User, request_id: str) -> None:
    """Orders of one request are taken together or not at all, and of a pair one ends the other."""
    whole = order.parent_id or order.pk
    together = Order.objects.select_for_update().filter(Q(pk=whole) | Q(parent=whole), settled_by_hand_at=None)
    for each in together.filter(status__in=(Status.UNKNOWN, Status.NOT_FOUND)).exclude(pk=order.pk):
        words = f"Settled with {order.public_id}: {said}"
        now = timezone.now()
        if each.state is Status.UNKNOWN:
            order_state.move(
                each, Status.NOT_FOUND, words, by.email, request_id, settled_by_hand_at=now, reason=words, code=""
            )
        else:
            order_state.settle_in_place(each, words, by.email, request_id, at=now)
