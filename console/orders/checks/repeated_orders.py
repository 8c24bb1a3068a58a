"""Whether an order was confirmed a moment ago already: a model that lost its thread asks for it twice.

What was confirmed lately comes with the row of the app that asks, so that it costs no statement of its own.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import F, Func, OuterRef, Subquery, TextField, Value
from django.db.models.functions import Cast, Coalesce
from django.utils import timezone

from brokers.types import OrderRequest
from console.connected_apps.models import ConnectedApp
from console.orders.models import Order

LATELY = timedelta(minutes=5)
_BETWEEN, _AFTER = "\x1f", "\x1e"
"""Between the values of an order, and between orders: no name of a broker's holds them."""
_NAMES = ("symbol", "side", "order_type")
_AMOUNTS = ("quantity", "notional", "limit_price", "stop_price")
_FIELDS = ("account_id", *_NAMES, *_AMOUNTS, "released_at")


class _Beside(Func):
    """Texts one after the other, none of them null. Django's Concat nests, deeper than SQLite's parser goes."""

    template = "%(expressions)s"
    arg_joiner = " || "
    output_field = TextField()


class _Joined(Func):
    """The texts of all rows in one."""

    output_field = TextField()

    def as_sqlite(self, compiler: Any, connection: Any, **more: Any) -> Any:
        return self.as_sql(compiler, connection, function="GROUP_CONCAT", **more)

    def as_postgresql(self, compiler: Any, connection: Any, **more: Any) -> Any:
        return self.as_sql(compiler, connection, function="STRING_AGG", **more)


def confirmed_since(moment: datetime) -> Subquery:
    """For a query of apps: what was confirmed on the connection of each, as ``ago`` reads it."""
    pieces: list[Any] = []
    for name in _FIELDS:
        pieces += [Coalesce(Cast(F(name), TextField()), Value("")), Value(_BETWEEN)]
    released = Order.objects.exclude(released_at=None).filter(released_at__gt=moment)
    found = released.filter(connection=OuterRef("connection"), parent=None).order_by()
    return Subquery(found.values(told=_Joined(_Beside(*pieces[:-1]), Value(_AFTER))))


def ago(app: ConnectedApp, account_id: str, requests: Sequence[OrderRequest]) -> list[timedelta | None]:
    """For each, how long ago the newest order of the same symbol, side, type, size and prices was confirmed there.

    ``app``: as ``check_rows.app_rows`` gives it.
    """
    told: str = getattr(app, "confirmed_lately", None) or ""
    newest: dict[tuple[Any, ...], datetime] = {}
    for row in told.split(_AFTER) if told else ():
        account, *same, at = row.split(_BETWEEN)
        if account == account_id:
            amounts = [Decimal(each) if each else None for each in same[len(_NAMES) :]]
            key, moment = (*same[: len(_NAMES)], *amounts), _moment(at)
            newest[key] = max(moment, newest.get(key, moment))
    now = timezone.now()
    found = [newest.get(tuple(getattr(each, name) for name in (*_NAMES, *_AMOUNTS))) for each in requests]
    return [None if at is None else now - at for at in found]


def _moment(text: str) -> datetime:
    """As the database writes one: SQLite without a time zone, in UTC."""
    read = datetime.fromisoformat(text)
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read
