"""Cancels that wait for the owner: where the owner releases orders, no app takes away what guards a position by itself.

prepare   the cancel is held for the owner, like a change of the order; nothing is cancelled
release   the owner's yes, used once: the cancel is on record, and from then on asked for until the broker answers
"""

from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from console.connected_apps.models import ConnectedApp
from console.errors import Code, Refusal
from console.orders.checks import facts
from console.orders.checks.check_subject import Authorize
from console.orders.execution import amendments
from console.orders.execution import cancel as cancelling
from console.orders.execution.amendments import OnReleased
from console.orders.models import Action, Confirmation, Modification, Order
from console.orders.states import AmendmentStatus
from console.orders.terms import describe, shown_terms
from console.orders.transitions import amendment_state, confirmations, order_state
from console.orders.transitions.order_state import ConcurrentUpdate


def prepare(app: ConnectedApp, order: Order, *, by: str, request_id: str = "") -> Modification:
    """Hold the cancel for the order's owner, once: asked again while it waits, it is the same one."""
    waiting = order.modifications.filter(
        cancels=True, status=AmendmentStatus.AWAITING, confirmation__expires_at__gt=timezone.now()
    )
    with transaction.atomic():
        Order.objects.select_for_update().get(pk=order.pk)
        if (before := waiting.select_related("confirmation").first()) is not None:
            return before
        confirmation = confirmations.create(app, Action.CANCEL, _cancel_terms(order))
        what = (
            "A cancel was requested and waits for the owner, because the order protects a position. Nothing was "
            "cancelled."
        )
        return amendment_state.create(
            order,
            confirmation,
            what,
            by,
            request_id,
            cancels=True,
        )


def _cancel_terms(order: Order) -> dict[str, Any]:
    connection = order.connection
    return {
        "action": Action.CANCEL.value,
        "connection": connection.name,
        "connection_id": connection.pk,
        "environment": connection.environment,
        "account_id": order.account_id,
        "order_id": order.public_id,
        "before": shown_terms(order.request),
        "currency": order.currency,
        "summary": (
            f"Cancel an order on {connection.name} ({connection.environment}) that protects a position: "
            f"{describe(order.request, order.currency)}. The position is then unprotected."
        ),
    }


def release(
    confirmation: Confirmation,
    *,
    authorize: Authorize,
    by: str,
    request_id: str = "",
    on_released: OnReleased | None = None,
) -> Order:
    """Use the owner's yes up and cancel the order. Passes every limit, halt and pause. Raises Refusal."""
    change = Modification.objects.select_related("order__connection", "order__app", "order__confirmation").get(
        confirmation=confirmation
    )
    order = change.order
    amendments.check_redeemable(confirmation, change)
    authorize(order.connection)
    if confirmation.terms["before"] != shown_terms(order.request):
        raise Refusal(
            Code.CONFIRMATION_CHANGED,
            "The order has changed since it was shown. Nothing was cancelled; request the cancel again.",
            order_id=order.public_id,
        )
    _redeem(confirmation, change, timezone.now(), by, request_id, on_released)
    return cancelling.cancel_order(order, by=by, request_id=request_id)


@transaction.atomic
def _redeem(
    confirmation: Confirmation,
    change: Modification,
    now: datetime,
    by: str,
    request_id: str,
    on_released: OnReleased | None,
) -> None:
    order = Order.objects.select_for_update().get(pk=change.order_id)
    if order.state not in facts.LIVE:
        raise Refusal(
            Code.NOT_CANCELLABLE,
            f"Order {order.public_id} has ended: {order.status_words.lower()}.",
            order_id=order.public_id,
        )
    said = "Its owner approved the cancel."
    try:
        if not confirmations.use(confirmation, now):
            raise ConcurrentUpdate(confirmation.public_id)
        amendment_state.move(change, AmendmentStatus.DONE, said, by, request_id)
    except ConcurrentUpdate as error:
        confirmation.refresh_from_db()
        change.refresh_from_db()
        amendments.check_redeemable(confirmation, change)
        raise Refusal(
            Code.CONFIRMATION_EXPIRED, "It is too late. Nothing was cancelled.", order_id=order.public_id
        ) from error
    # From here on the sweep carries it on, whatever becomes of this process.
    order_state.request_cancel(order, at=now)
    if on_released is not None:
        on_released([order])
