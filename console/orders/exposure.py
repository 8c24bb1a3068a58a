"""What an order is measured against: read from the broker outside any transaction, and from the orders inside one."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from django.db.models import Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from brokers import market_hours
from brokers.base import Broker
from brokers.errors import BrokerError
from brokers.types import (
    Ability,
    AssetClass,
    Instrument,
    OrderClass,
    OrderRequest,
    OrderType,
    Preview,
    Quote,
    SessionState,
    Side,
    coin_of,
)
from console.connected_apps.models import ConnectedApp
from console.connections import broker_access
from console.connections.models import Connection
from console.limits import Limits, combine, names_of
from console.orders import risk, states
from console.orders.models import Modification, Order
from console.orders.risk import Bound, Facts, Pending, Use
from console.orders.states import Change, Status

_MINUTE = timedelta(minutes=1)
_LATE_FOR = timedelta(days=1)
"""How long an order that its broker did not know is looked for, by ``sweeps``."""
_UNCOUNTED = Use(today=Decimal(0), last_minute=0, room_in=0)
# What may still stand or fill at the broker. A lookup that found nothing can be overtaken, so it counts, too.
LIVE = states.OPEN | {Status.NOT_FOUND}
_PLAIN = frozenset({AssetClass.STOCK, AssetClass.ETF, AssetClass.CRYPTO})
"""Worth price times quantity: a contract's multiplier is known only while it is weighed, and is in its worst."""


def look(
    broker: Broker,
    connection: Connection,
    app: ConnectedApp,
    instrument: Instrument,
    quote: Quote,
    whose: ConnectedApp | None = None,
    *,
    request: OrderRequest | None = None,
) -> Facts:
    """Ask the broker for what the limits need, and for nothing else. What it does not tell stays ``None``.

    ``whose``: the app that placed the order, where another changes it. ``request``: the order, where it is known.
    """
    limits = combine(connection.limited, app.limited)
    if whose is not None:
        limits = combine(limits, whose.limited)
    wants_equity = limits.equity_share is not None or limits.daily_loss is not None
    wants_held = wants_equity or limits.position_value is not None or _wants_held(request, limits)
    now = timezone.now()
    filled_before = None
    if wants_held:  # before the broker is asked for positions
        mine = Order.objects.filter(_in(instrument.symbol, instrument.asset_class), connection=connection)
        filled_before = dict(mine.filter(status__in=LIVE).values_list("pk", "filled_quantity"))
    held = equity = rate = None
    if instrument.currency == connection.currency:
        rate = Decimal(1)
    elif connection.currency:
        with suppress(BrokerError):
            rate = _rate(broker, instrument.currency, connection.currency)
    with suppress(BrokerError):
        if wants_held:
            accounts = [account.account_id for account in broker.accounts()]
            held = held_of(broker, accounts, instrument)
            if wants_equity:
                equity = equity_of(broker, accounts, connection.currency)
    return Facts(
        at=now,
        currency=connection.currency,
        asset_class=instrument.asset_class,
        identity=instrument.identity,
        told_names=names_of(instrument),
        price_currency=instrument.currency,
        rate=rate,
        multiplier=instrument.multiplier,
        quote=quote,
        held=held,
        equity=equity,
        equity_at_start=connection.equity_at_start_of(now.astimezone(UTC).date()),
        market_is_open=market_is_open(broker, instrument, now) if limits.trading_hours_only else None,
        filled_before=filled_before,
    )


def _wants_held(request: OrderRequest | None, limits: Limits) -> bool:
    """A stop-limit order's distance is told by whether it guards a position."""
    is_stop_limit = request is not None and request.order_type is OrderType.STOP_LIMIT
    return is_stop_limit and limits.price_collar is not None


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
                rate = _rate(broker_access.broker_of(self._connection), *pair)
                if rate is not None:
                    self._rates[pair] = rate
        risk.check_together([*self._previews, preview], self._rates)
        self._previews.append(preview)


def held_of(broker: Broker, accounts: Sequence[str], instrument: Instrument) -> Decimal:
    """Signed quantity over all accounts, of a coin by all of its pairs. Raises BrokerError."""
    symbol, kind = instrument.symbol, instrument.asset_class
    return sum(
        (each.quantity for account in accounts for each in broker.positions(account) if each.is_in(symbol, kind)),
        Decimal(0),
    )


def _in(symbol: str, asset_class: str, of: str = "") -> Q:
    """Orders that move one position: those in a coin by all of its pairs. ``of`` is the path to the order."""
    if coin := coin_of(symbol, asset_class):
        return Q(**{f"{of}symbol__startswith": f"{coin}/", f"{of}asset_class": AssetClass.CRYPTO})
    return Q(**{f"{of}symbol": symbol})


def equity_of(broker: Broker, accounts: Sequence[str], currency: str) -> Decimal | None:
    """Over all accounts; None when one is kept in another currency. Raises BrokerError."""
    found = [broker.account_state(account) for account in accounts]
    if any(state.currency != currency for state in found):
        return None
    return sum((state.equity for state in found), Decimal(0))


def market_is_open(broker: Broker, instrument: Instrument, now: datetime) -> bool | None:
    """Whether its market is in its regular session, by the broker's own word where it tells; None: not known.

    Coins trade at all hours. Of a broker that tells no hours, stocks and funds priced in US dollars keep those of New
    York, in the years whose holidays are known.
    """
    kind = instrument.asset_class
    if kind is AssetClass.CRYPTO:
        return True
    if Ability.MARKET_HOURS in broker.capabilities.abilities:
        try:
            trading = [each for each in broker.market_hours() if kind in each.asset_classes]
        except BrokerError:
            return None
        its_own = [each for each in trading if each.market == instrument.venue]
        told = {each.state for each in its_own or trading}
        return SessionState.OPEN in told if len(told) == 1 else None
    if kind in (AssetClass.STOCK, AssetClass.ETF) and instrument.currency == "USD":
        return market_hours.is_open(market_hours.VENUE, now) if market_hours.knows(market_hours.VENUE, now) else None
    return None


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
    """Its own orders, and those of other apps that it has changed: a change is no way round its limits.

    What it used before its client signed in again is still used. Of an app that a management key made, those of the
    whole connection: one more app is no more room.
    """
    if app.made_by_key:
        return use_of_connection(connection, now, besides=besides)
    takes = Q(order__parent=None) | Q(order__order_class=OrderClass.OCO)  # moving an exit takes nothing
    same = ConnectedApp.objects.filter(app.same)
    made = Modification.objects.filter(takes, confirmation__app__in=same, status__in=(*states.UNSETTLED, Change.DONE))
    changed = made.exclude(order__app__in=same).values_list(Coalesce("order__parent", "order"), flat=True)
    mine = Order.objects.filter(Q(app__in=same) | Q(pk__in=list(changed)), connection=connection)
    return _use(_besides(mine, besides), connection, now)


def _besides(orders: QuerySet[Order], one: int | None) -> QuerySet[Order]:
    return orders if one is None else orders.exclude(pk=one)


def _use(orders: QuerySet[Order], connection: Connection, now: datetime) -> Use:
    midnight = _midnight(now)
    # Both ways: the minute reaches back over midnight.
    released = orders.filter(released_at__gte=min(midnight, now - _MINUTE))
    recent = released.filter(released_at__gt=now - _MINUTE).order_by("released_at")
    oldest = recent.first()
    of_today = released.filter(released_at__gte=midnight).prefetch_related("legs")
    each = [counted(order, connection.currency) for order in of_today]
    today = None if None in each else sum((some for some in each if some is not None), Decimal(0))
    room_in = 0
    if oldest is not None and oldest.released_at is not None:
        room_in = int((oldest.released_at + _MINUTE - now).total_seconds()) + 1
    return Use(today=today, last_minute=recent.count(), room_in=room_in)


def counted(order: Order, currency: str) -> Decimal | None:
    """What one released order takes of a day: all it can come to while it may fill, then what it came to.

    In ``currency``, the connection's own; None where nobody could tell it in that when it was released. The halves of
    a pair count as one: either may fill, and the room is the first one's. An order that waits for it and goes beyond
    what it fills counts with it.
    """
    parts = [order]
    if order.parent_id is None and order.order_class in (OrderClass.OCO, OrderClass.OTO):
        parts += [leg for leg in order.legs.all() if order.order_class == OrderClass.OCO or _goes_beyond(leg, order)]
    told = [part.worst_notional for part in parts if part.worst_notional is not None]
    worst: Decimal | None = max(told, default=None)
    may_fill = any(part.state in LIVE and not _is_not_there(part) for part in parts)
    if worst is None and not _is_plain(order, currency):
        return None if may_fill or any(_filled(part) for part in parts) else Decimal(0)
    if may_fill:
        return _units(order) * Decimal(order.limit_price or order.shown_price) if worst is None else worst
    return sum((_came_to(part, currency, worst) for part in parts), Decimal(0))


def _already(order: Order, currency: str, now: datetime) -> Decimal:
    """What the day's use has of this very order when it is left out of it: a leg is counted with its order, an exit
    never, as it only gives back what that took."""
    if order.parent_id is None:
        return Decimal(0)
    order = Order.objects.select_related("parent").get(pk=order.pk)
    whole = order.parent
    if whole is None or is_exit(order):
        return Decimal("Infinity")
    is_of_today = whole.released_at is not None and whole.released_at >= _midnight(now)
    return (counted(whole, currency) or Decimal(0)) if is_of_today else Decimal(0)


def _midnight(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _is_plain(order: Order, currency: str) -> bool:
    return order.asset_class in _PLAIN and order.currency == currency


def _filled(order: Order) -> Decimal:
    """In units; whole where no more than that it filled is known."""
    filled = Decimal(order.filled_quantity)
    return _units(order) if not filled and order.state is Status.FILLED else filled


def is_exit(order: Order) -> bool:
    """It waits for another order and gives back no more than that takes, so it takes nothing of the day itself."""
    whole = order.parent
    return whole is not None and order.order_class != OrderClass.OCO and not _goes_beyond(order, whole)


def _goes_beyond(leg: Order, order: Order) -> bool:
    return leg.side == order.side or _units(leg) > _units(order)


def _is_not_there(order: Order) -> bool:
    return order.state is Status.NOT_FOUND and order.settled_by_hand_at is not None


def _came_to(order: Order, currency: str, worst: Decimal | None) -> Decimal:
    """What an ended order filled for. Where price times quantity does not tell, the share of ``worst`` that filled."""
    whole, filled = _units(order), _filled(order)
    if not filled:
        return Decimal(0)
    if worst is None or (_is_plain(order, currency) and order.average_price is not None):
        return filled * Decimal(order.average_price or order.limit_price or order.shown_price)
    # How many units an amount of money buys was only ever an estimate.
    return worst if order.quantity is None else worst * filled / whole


def _units(order: Order) -> Decimal:
    """Its quantity; of an order by money, what that came to at the price it was shown with."""
    if order.quantity is not None:
        return Decimal(order.quantity)
    return Decimal(order.notional or 0) / Decimal(order.shown_price)


def pending(symbol: str, side: Side, connection: Connection, facts: Facts, *, besides: int | None = None) -> Pending:
    """What other released orders of one side of a symbol, or of its coin, can add to ``facts.held``, their legs too.

    An order that ended since the positions were read may be in them or not, so it counts in full. Of a pair, and of
    the two exits of a bracket, one fills: they count once.
    """
    late = Q(status=Status.NOT_FOUND, moved_at__gte=facts.at - _LATE_FOR, settled_by_hand_at=None)
    rows = Order.objects.filter(
        Q(status__in=states.OPEN) | late | Q(moved_at__gte=facts.at),
        Q(released_at__isnull=False) | Q(parent__released_at__isnull=False),
        _in(symbol, facts.asset_class),
        connection=connection,
        side=side,
    ).select_related("parent")
    groups: dict[tuple[str, int], list[Order]] = {}
    for row in rows if besides is None else rows.exclude(pk__in=_together_with(besides)):
        groups.setdefault(_group(row), []).append(row)
    # A change on its way may have made an order larger already, and its legs with it.
    growing = {
        change.order_id: change.quantity or Decimal(0)
        for change in Modification.objects.filter(
            _in(symbol, facts.asset_class, "order__"), order__connection=connection, status__in=states.UNSETTLED
        )
    }
    adds = exits = Decimal(0)
    for (kind, root), some in groups.items():
        can = max(
            max(_units(row), growing.get(row.pk, Decimal(0)), growing.get(row.parent_id or row.pk, Decimal(0)))
            for row in some
        )
        paired = Order.objects.filter(_of(kind, root)) if kind else some
        can = max(can - sum((_filled_before(row, facts) for row in paired), Decimal(0)), Decimal(0))
        adds += can
        parent = some[0].parent
        if parent is not None and parent.side != side:
            exits += min(can, _units(parent))
    sign = 1 if side is Side.BUY else -1
    return Pending(adds=sign * adds, exits=sign * exits)


def _group(order: Order) -> tuple[str, int]:
    """Orders of one group end each other: one of them fills. Those of no kind stand by themselves."""
    if order.order_class == OrderClass.OCO:
        return "pair", order.parent_id or order.pk
    if order.order_class == OrderClass.BRACKET and order.parent_id is not None:
        return "exits", order.parent_id
    return "", order.pk


def _of(kind: str, root: int) -> Q:
    legs = Q(parent=root)
    return legs | Q(pk=root) if kind == "pair" else legs


def _together_with(pk: int) -> list[int]:
    """The order itself, what is weighed as a part of it, and what it ends when it fills."""
    order = Order.objects.get(pk=pk)
    kind, root = _group(order)
    return list(
        Order.objects.filter(Q(pk=pk) | Q(parent=pk) | (_of(kind, root) if kind else Q())).values_list("pk", flat=True)
    )


def _filled_before(order: Order, facts: Facts) -> Decimal:
    """What of its fills is in ``facts.held`` for certain."""
    known = (facts.filled_before or {}).get(order.pk)
    if known is not None:
        return known
    return order.filled_quantity if order.state not in LIVE and order.moved_at < facts.at else Decimal(0)


def check(
    request: OrderRequest,
    facts: Facts,
    connection: Connection,
    app: ConnectedApp,
    *,
    besides: Order | None = None,
    closes: bool = False,
) -> Decimal | None:
    """``risk.check_limits`` with what the orders say now. Returns the most the order can come to.

    ``besides``: the order itself, which is not held against itself. ``closes``: it is sized by a position of its
    account, and is held against it by itself.
    """
    now = timezone.now()
    itself = None if besides is None else besides.pk
    sides = {request.side, *(leg.side for leg in request.legs)} if facts.held is not None and not closes else set()
    return risk.check_limits(
        request,
        facts,
        bounds(connection, app, now, besides=itself),
        is_live=connection.is_live,
        pending={side: pending(request.symbol, side, connection, facts, besides=itself) for side in sides},
        closes=closes,
        already=Decimal(0) if besides is None else _already(besides, connection.currency, now),
        now=now,
    )
