"""Many resting orders by one list of what is open at their broker.

Of a list only one thing is believed: an order that stands in it exactly as it stands here has not changed. Whatever
differs or is missing proves nothing, for a list can be cut, late or less than the whole: such an order is asked for by
itself, and its own answer decides.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.utils import timezone

from brokers.types import BrokerOrder
from console.orders import states
from console.orders.execution.sync import IN_PROGRESS
from console.orders.models import Modification, Order, OrderEvent
from console.orders.states import AmendmentStatus
from console.orders.transitions import order_state

COMPARED = ("connection_id", "parent_id", "wire_id", "broker_order_id", "status", "filled_quantity", "quantity")
"""What of an order is compared with a list."""
_FEES_FOLLOW = timedelta(minutes=1)
"""A broker may tell how much of an order has filled before it tells each fill and its fee."""


def not_as_listed(orders: Sequence[Order], told: Sequence[BrokerOrder]) -> list[Order]:
    """Those of ``orders`` that have to be asked for one by one. The others are noted as looked up, by one statement."""
    listed = {each.client_order_id: each for each in told}
    now = timezone.now()
    others = _may_change(orders) | _filled_lately(orders, now)
    same = {order.pk for order in orders if order.pk not in others and _stands_as(order, listed.get(order.wire_id))}
    order_state.mark_as_listed(same, now)
    return [order for order in orders if order.pk not in same]


def _may_change(orders: Sequence[Order]) -> set[int]:
    """A change that was given up may still come."""
    under_way = Modification.objects.filter(status__in=(*IN_PROGRESS, AmendmentStatus.NOT_DONE))
    of = {order.connection_id for order in orders}
    return set(
        under_way.filter(order__status__in=states.OPEN, order__connection__in=of).values_list("order", flat=True)
    )


def _filled_lately(orders: Sequence[Order], now: datetime) -> set[int]:
    some = [order.pk for order in orders if order.filled_quantity]
    if not some:
        return set()
    lately = OrderEvent.objects.filter(order__in=some, at__gte=now - _FEES_FOLLOW)
    return set(lately.values_list("order", flat=True))


def _stands_as(order: Order, answer: BrokerOrder | None) -> bool:
    if answer is None or answer.broker_order_id != order.broker_order_id:
        return False
    if order.state not in states.AT_BROKER or states.FROM_BROKER[answer.status] is not order.state:
        return False
    if answer.filled_quantity != order.filled_quantity:
        return False
    placed = None if answer.held else answer.quantity
    # Of an exit the broker decides how many, as its order fills.
    return order.parent_id is None or not placed or order.quantity in (None, placed)
