"""What those who follow orders read: the news since they last looked, and the ids they may mean. Writes nothing."""

from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import Max

from console.orders.models import Order, OrderEvent
from console.principal import Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    event_id: int
    order_id: str
    connection_id: int


def newest_event_id() -> int:
    """The id of the last event so far, 0 when there is none."""
    newest: int | None = OrderEvent.objects.aggregate(newest=Max("pk"))["newest"]
    return newest or 0


def events_after(after: int, connections: Collection[int]) -> list[News]:
    """Every event with an id above ``after`` of the orders of these connections, oldest first."""
    rows = OrderEvent.objects.filter(pk__gt=after, order__connection_id__in=connections).order_by("pk")
    return [
        News(event_id=event_id, order_id=order_id, connection_id=connection_id)
        for event_id, order_id, connection_id in rows.values_list("pk", "order__public_id", "order__connection_id")
    ]


def ids_starting_with(principal: Principal, typed: str, *, limit: int) -> list[str]:
    """Ids of orders of the principal's own connection that begin with what was typed, newest first."""
    mine = Order.objects.filter(connection_id=principal.connection_id, public_id__startswith=typed)
    return list(mine.order_by("-pk").values_list("public_id", flat=True)[:limit])
