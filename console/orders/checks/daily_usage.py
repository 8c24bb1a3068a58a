"""What released orders take of the limits of a day and of a minute, read from the orders."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from django.db.models import Q, QuerySet, prefetch_related_objects
from django.db.models.functions import Coalesce

from brokers.types import AssetClass, OrderClass
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.limits import Limits
from console.orders import states
from console.orders.checks.facts import LIVE
from console.orders.checks.limit_rules import LimitUsage, ScopedLimits
from console.orders.models import Modification, Order
from console.orders.states import AmendmentStatus, Status

_MINUTE = timedelta(minutes=1)
_UNCOUNTED = LimitUsage(today=Decimal(0), last_minute=0, room_in=0)
_LINEAR_CLASSES = frozenset({AssetClass.STOCK, AssetClass.ETF, AssetClass.CRYPTO})


def scoped_limits(
    connection: Connection, app: ConnectedApp, now: datetime, *, exclude: int | None = None
) -> tuple[ScopedLimits, ScopedLimits]:
    """The connection's limits and the app's own, each with what other orders used of it. At release, under locks."""
    mine, own = connection.limited, app.limited
    return (
        ScopedLimits(
            of=f"the connection {connection.name}",
            limits=mine,
            use=connection_usage(connection, now, exclude=exclude) if _is_counted(mine) else _UNCOUNTED,
        ),
        ScopedLimits(
            of=f"the app {app.name}",
            limits=own,
            use=app_usage(app, connection, now, exclude=exclude) if _is_counted(own) else _UNCOUNTED,
        ),
    )


def _is_counted(limits: Limits) -> bool:
    return limits.daily_notional is not None or limits.orders_per_minute is not None


def connection_usage(connection: Connection, now: datetime, *, exclude: int | None = None) -> LimitUsage:
    return _usage(_without(Order.objects.filter(connection=connection), exclude), connection, now)


def app_usage(app: ConnectedApp, connection: Connection, now: datetime, *, exclude: int | None = None) -> LimitUsage:
    """Its own orders, and those of other apps that it has changed: a change is no way round its limits.

    What it used before its client signed in again is still used. Of an app that a management key made, those of the
    whole connection: one more app is no more room.
    """
    if app.made_by_key:
        return connection_usage(connection, now, exclude=exclude)
    takes = Q(order__parent=None) | Q(order__order_class=OrderClass.OCO)  # moving an exit takes nothing
    same = ConnectedApp.objects.filter(app.same)
    made = Modification.objects.filter(
        takes, confirmation__app__in=same, status__in=(*states.UNSETTLED, AmendmentStatus.DONE)
    )
    changed = made.exclude(order__app__in=same).values_list(Coalesce("order__parent", "order"), flat=True)
    mine = Order.objects.filter(Q(app__in=same) | Q(pk__in=list(changed)), connection=connection)
    return _usage(_without(mine, exclude), connection, now)


def _without(orders: QuerySet[Order], one: int | None) -> QuerySet[Order]:
    return orders if one is None else orders.exclude(pk=one)


def _usage(orders: QuerySet[Order], connection: Connection, now: datetime) -> LimitUsage:
    midnight = _midnight(now)
    # Both ways: the minute reaches back over midnight.
    released = orders.exclude(released_at=None).filter(released_at__gte=min(midnight, now - _MINUTE))
    released = released.order_by("released_at")  # by id, SQLite would read every order there is, newest first
    recent = released.filter(released_at__gt=now - _MINUTE)
    oldest = recent.first()
    of_today = list(released.filter(released_at__gte=midnight))
    prefetch_related_objects([order for order in of_today if _counts_with_legs(order)], "legs")
    each = [day_use(order, connection.currency) for order in of_today]
    today = None if None in each else sum((some for some in each if some is not None), Decimal(0))
    room_in = 0
    if oldest is not None and oldest.released_at is not None:
        room_in = int((oldest.released_at + _MINUTE - now).total_seconds()) + 1
    return LimitUsage(today=today, last_minute=recent.count(), room_in=room_in)


def day_use(order: Order, currency: str) -> Decimal | None:
    """What one released order takes of a day: all it can come to while it may fill, then what it came to.

    In ``currency``, the connection's own; None where nobody could tell it in that when it was released. The halves of
    a pair count as one: either may fill, and the room is the first one's. An order that waits for it and goes beyond
    what it fills counts with it.
    """
    parts = [order]
    if _counts_with_legs(order):
        parts += [leg for leg in order.legs.all() if order.order_class == OrderClass.OCO or _goes_beyond(leg, order)]
    told = [part.worst_notional for part in parts if part.worst_notional is not None]
    worst: Decimal | None = max(told, default=None)
    may_fill = any(part.state in LIVE and not _is_settled_as_absent(part) for part in parts)
    if worst is None and not _has_linear_value(order, currency):
        return None if may_fill or any(_filled(part) for part in parts) else Decimal(0)
    if may_fill:
        return units_of(order) * Decimal(order.limit_price or order.shown_price) if worst is None else worst
    return sum((_executed_value(part, currency, worst) for part in parts), Decimal(0))


def _counts_with_legs(order: Order) -> bool:
    return order.parent_id is None and order.order_class in (OrderClass.OCO, OrderClass.OTO)


def own_day_use(order: Order, currency: str, now: datetime) -> Decimal:
    """What the day's use has of this very order when it is left out of it: a leg is counted with its order, an exit
    never, as it only gives back what that took."""
    if order.parent_id is None:
        return Decimal(0)
    order = Order.objects.select_related("parent").get(pk=order.pk)
    whole = order.parent
    if whole is None or is_exit(order):
        return Decimal("Infinity")
    is_of_today = whole.released_at is not None and whole.released_at >= _midnight(now)
    return (day_use(whole, currency) or Decimal(0)) if is_of_today else Decimal(0)


def _midnight(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _has_linear_value(order: Order, currency: str) -> bool:
    return order.asset_class in _LINEAR_CLASSES and order.currency == currency


def _filled(order: Order) -> Decimal:
    """In units; whole where no more than that it filled is known."""
    filled = Decimal(order.filled_quantity)
    return units_of(order) if not filled and order.state is Status.FILLED else filled


def is_exit(order: Order) -> bool:
    """It waits for another order and gives back no more than that takes, so it takes nothing of the day itself."""
    whole = order.parent
    return whole is not None and order.order_class != OrderClass.OCO and not _goes_beyond(order, whole)


def _goes_beyond(leg: Order, order: Order) -> bool:
    return leg.side == order.side or units_of(leg) > units_of(order)


def _is_settled_as_absent(order: Order) -> bool:
    return order.state is Status.NOT_FOUND and order.settled_by_hand_at is not None


def _executed_value(order: Order, currency: str, worst: Decimal | None) -> Decimal:
    """What an ended order filled for. Where price times quantity does not tell, the share of ``worst`` that filled."""
    whole, filled = units_of(order), _filled(order)
    if not filled:
        return Decimal(0)
    if worst is None or (_has_linear_value(order, currency) and order.average_price is not None):
        return filled * Decimal(order.average_price or order.limit_price or order.shown_price)
    # How many units an amount of money buys was only ever an estimate.
    return worst if order.quantity is None else worst * filled / whole


def units_of(order: Order) -> Decimal:
    """Its quantity; of an order by money, what that came to at the price it was shown with."""
    if order.quantity is not None:
        return Decimal(order.quantity)
    return Decimal(order.notional or 0) / Decimal(order.shown_price)
