"""Whether an order was confirmed a moment ago already: a model that lost its thread asks for it twice."""

from collections.abc import Sequence
from datetime import timedelta

from django.utils import timezone

from brokers.types import OrderRequest
from console.connections.models import Connection
from console.orders.models import Order

LATELY = timedelta(minutes=5)
_SAME = ("symbol", "side", "order_type", "quantity", "notional", "limit_price", "stop_price")


def confirmed_lately(
    connection: Connection, account_id: str, requests: Sequence[OrderRequest]
) -> list[timedelta | None]:
    """For each, how long ago the newest order of the same symbol, side, type, size and prices was confirmed there."""
    now = timezone.now()
    released = Order.objects.filter(
        connection=connection, account_id=account_id, parent=None, released_at__gt=now - LATELY
    )
    newest = {tuple(row): at for *row, at in released.order_by("released_at").values_list(*_SAME, "released_at")}
    found = [newest.get(tuple(getattr(request, name) for name in _SAME)) for request in requests]
    return [None if at is None else now - at for at in found]
