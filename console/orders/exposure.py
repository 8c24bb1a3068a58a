"""What an order is measured against: read from the broker outside any transaction, and from the orders inside one."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from django.db.models import Q, QuerySet
from django.utils import timezone

from brokers.base import Broker
from brokers.errors import BrokerError
from brokers.paper import hours
from brokers.types import AssetClass, Instrument, OrderClass, OrderRequest, Preview, Quote, Side
from console.connected_apps.models import ConnectedApp
from console.connections import reads
from console.connections.models import Connection
from console.limits import Limits, combine
from console.orders import risk, states
from console.orders.models import Modification, Order
from console.orders.risk import Bound, Facts, Use
from console.orders.states import Status

_MINUTE = timedelta(minutes=1)
_LATE_FOR = timedelta(days=1)
"""How long an order that its broker did not know is looked for, by ``sweeps``."""
_UNCOUNTED = Use(today=Decimal(0), last_minute=0, room_in=0)
# What may still stand or fill at the broker. A lookup that found nothing can be overtaken, so it counts, too.
LIVE = states.OPEN | {Status.NOT_FOUND}
_PLAIN = frozenset({AssetClass.STOCK, AssetClass.ETF, AssetClass.CRYPTO})
"""Worth price times quantity: a contract's multiplier is known only while it is weighed, and is in its worst."""


def look(broker: Broker, connection: Connection, app: ConnectedApp, instrument: Instrument, quote: Quote) -> Facts:
    """Ask the broker for what the limits need, and for nothing else. What it does not tell stays ``None``."""
    limits = combine(connection.limited, app.limited)
    now = timezone.now()
    filled_before = dict(
        Order.objects.filter(connection=connection, symbol=instrument.symbol, status__in=LIVE).values_list(
            "pk", "filled_quantity"
        )
    )
    held = equity = rate = None
    if instrument.currency == connection.currency:
        rate = Decimal(1)
    elif connection.currency:
        with suppress(BrokerError):
            rate = _rate(broker, instrument.currency, connection.currency)
    wants_equity = limits.equity_share is not None or limits.daily_loss is not None
    with suppress(BrokerError):
        if wants_equity or limits.position_value is not None:
            accounts = [account.account_id for account in broker.accounts()]
            held = held_of(broker, accounts, instrument.symbol)
            if wants_equity:
                equity = equity_of(broker, accounts, connection.currency)
    return Facts(
        at=now,
        currency=connection.currency,
        asset_class=instrument.asset_class,
        price_currency=instrument.currency,
        rate=rate,
        multiplier=instrument.multiplier,
        quote=quote,
        held=held,
        equity=equity,
        equity_at_start=connection.equity_at_start_of(now.astimezone(UTC).date()),
        market_is_open=market_is_open(instrument.asset_class, now) if limits.trading_hours_only else None,
        filled_before=filled_before,
    )


def _rate(broker: Broker, base: str, quote: str) -> Decimal | None:
    """None for what is no rate, which a broker may tell when it has none. Raises BrokerError."""
    rate = broker.exchange_rate(base, quote).rate
    return rate if rate.is_finite() and rate > 0 else None


class Together:
    """What the orders of one plan cost at once, against what is there for them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._previews: list[Preview] = []
        self._rates: dict[tuple[str, str], Decimal] = {}

    def add(self, preview: Preview) -> None:
        """One more of them. Raises Refusal, as ``risk.check_together`` does; it is then not one of them."""
        pair = (preview.quote.currency, preview.buying_power_currency)
        if pair[0] != pair[1] and pair not in self._rates:
            with suppress(BrokerError):
                rate = _rate(reads.broker_of(self._connection), *pair)
                if rate is not None:
                    self._rates[pair] = rate
        risk.check_together([*self._previews, preview], self._rates)
        self._previews.append(preview)


def held_of(broker: Broker, accounts: Sequence[str], symbol: str) -> Decimal:
    """Signed quantity over all accounts. Raises BrokerError."""
    return sum(
        (each.quantity for account in accounts for each in broker.positions(account) if each.symbol == symbol),
        Decimal(0),
    )


def equity_of(broker: Broker, accounts: Sequence[str], currency: str) -> Decimal | None:
    """Over all accounts; None when one is kept in another currency. Raises BrokerError."""
    found = [broker.account_state(account) for account in accounts]
    if any(state.currency != currency for state in found):
        return None
    return sum((state.equity for state in found), Decimal(0))


def market_is_open(asset_class: AssetClass, now: datetime) -> bool:
    """Whether its usual market is in session: stocks and funds keep New York hours, crypto trades at all hours."""
    return asset_class is AssetClass.CRYPTO or hours.is_open(hours.VENUE, now)


def bounds(
    connection: Connection, app: ConnectedApp, now: datetime, *, besides: int | None = None
) -> tuple[Bound, Bound]:
    """The connection's limits and the app's own, each with what other orders used of it. At release, under locks."""
    mine, own = connection.limited, app.limited
    return (
        Bound(
            of=f"the connection {connection.name}",
            limits=mine,
            use=use_of_connection(connection, now, besides=besides) if _counts(mine) else _UNCOUNTED,
        ),
        Bound(
            of=f"the app {app.name}",
            limits=own,
            use=use_of_app(app, connection, now, besides=besides) if _counts(own) else _UNCOUNTED,
        ),
    )


def _counts(limits: Limits) -> bool:
    return limits.daily_notional is not None or limits.orders_per_minute is not None


def use_of_connection(connection: Connection, now: datetime, *, besides: int | None = None) -> Use:
    return _use(_besides(Order.objects.filter(connection=connection), besides), connection, now)


def use_of_app(app: ConnectedApp, connection: Connection, now: datetime, *, besides: int | None = None) -> Use:
    return _use(_besides(Order.objects.filter(connection=connection, app=app), besides), connection, now)


def _besides(orders: QuerySet[Order], one: int | None) -> QuerySet[Order]:
    return orders if one is None else orders.exclude(pk=one)


def _use(orders: QuerySet[Order], connection: Connection, now: datetime) -> Use:
    now = now.astimezone(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    # Both ways: the minute reaches back over midnight.
    released = orders.filter(released_at__gte=min(midnight, now - _MINUTE))
    recent = released.filter(released_at__gt=now - _MINUTE).order_by("released_at")
    oldest = recent.first()
    of_today = released.filter(released_at__gte=midnight).prefetch_related("legs")
    today = sum((counted(order, connection.currency) for order in of_today), Decimal(0))
    room_in = 0
    if oldest is not None and oldest.released_at is not None:
        room_in = int((oldest.released_at + _MINUTE - now).total_seconds()) + 1
    return Use(today=today, last_minute=recent.count(), room_in=room_in)


def counted(order: Order, currency: str) -> Decimal:
    """What one released order takes of a day: all it can come to while it may fill, then what it came to.

    In ``currency``, the connection's own. The halves of a pair count as one: either may fill, and the room is the
    first one's.
    """
    halves = [order]
    if order.order_class == OrderClass.OCO and order.parent_id is None:
        halves += order.legs.all()
    told = [half.worst_notional for half in halves if half.worst_notional is not None]
    worst: Decimal | None = max(told, default=None)
    if any(half.state in LIVE and not _is_not_there(half) for half in halves):
        return _units(order) * Decimal(order.limit_price or order.shown_price) if worst is None else worst
    return sum((_came_to(half, currency, worst) for half in halves), Decimal(0))


def _is_not_there(order: Order) -> bool:
    return order.state is Status.NOT_FOUND and order.settled_by_hand_at is not None


def _came_to(order: Order, currency: str, worst: Decimal | None) -> Decimal:
    """What an ended order filled for. Where price times quantity does not tell, the share of ``worst`` that filled."""
    whole, filled = _units(order), Decimal(order.filled_quantity)
    if not filled and order.state is Status.FILLED:
        filled = whole
    if not filled:
        return Decimal(0)
    is_plain = order.asset_class in _PLAIN and order.currency == currency
    if worst is None or (is_plain and order.average_price is not None):
        return filled * Decimal(order.average_price or order.limit_price or order.shown_price)
    # How many units an amount of money buys was only ever an estimate.
    return worst if order.quantity is None else worst * filled / whole


def _units(order: Order) -> Decimal:
    """Its quantity; of an order by money, what that came to at the price it was shown with."""
    if order.quantity is not None:
        return Decimal(order.quantity)
    return Decimal(order.notional or 0) / Decimal(order.shown_price)


def outstanding(request: OrderRequest, connection: Connection, facts: Facts, *, besides: int | None = None) -> Decimal:
    """Signed quantity that other released orders of the same side and symbol can add to ``facts.held``.

    An order that ended since the positions were read may be in them or not, so it counts in full.
    """
    late = Q(status=Status.NOT_FOUND, moved_at__gte=facts.at - _LATE_FOR, settled_by_hand_at=None)
    rows = Order.objects.filter(
        Q(status__in=states.OPEN) | late | Q(moved_at__gte=facts.at),
        connection=connection,
        symbol=request.symbol,
        side=request.side,
        released_at__isnull=False,
    )
    rows = _besides(rows, besides)
    filled = facts.filled_before or {}
    # A change on its way may have made an order larger already.
    growing = {
        change.order_id: change.quantity or Decimal(0)
        for change in Modification.objects.filter(order__in=rows, status__in=states.UNSETTLED)
    }
    total = sum(
        (max(_units(order), growing.get(order.pk, Decimal(0))) - filled.get(order.pk, Decimal(0)) for order in rows),
        Decimal(0),
    )
    return total if request.side is Side.BUY else -total


def check(
    request: OrderRequest,
    facts: Facts,
    connection: Connection,
    app: ConnectedApp,
    *,
    besides: int | None = None,
) -> Decimal | None:
    """``risk.check_limits`` with what the orders say now. Returns the most the order can come to."""
    now = timezone.now()
    return risk.check_limits(
        request,
        facts,
        bounds(connection, app, now, besides=besides),
        is_live=connection.is_live,
        outstanding=Decimal(0) if facts.held is None else outstanding(request, connection, facts, besides=besides),
        now=now,
    )
