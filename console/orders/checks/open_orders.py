"""What other released orders can still fill: the one answer, for limits on positions and for what a position bears."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import Q

from brokers import symbol_lookup
from brokers.types import AssetClass, OrderClass, Side
from console.connections.models import Connection
from console.orders import states
from console.orders.checks import daily_usage
from console.orders.checks import facts as check_facts
from console.orders.checks.facts import LIVE
from console.orders.checks.limit_rules import PendingQuantity, RiskInputs
from console.orders.models import Modification, Order
from console.orders.states import Status

_LATE_FOR = timedelta(days=1)
_UNSENT = (Status.DENIED, Status.REJECTED_BY_OWNER, Status.UNANSWERED, Status.NOT_SENT, Status.REJECTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fillable:
    """Units, unsigned."""

    adds: Decimal
    exits: Decimal
    """The part of ``adds`` that hangs on orders of the other side, and so guards what they fill."""


def fillable(
    connection_id: int,
    side: Side,
    symbols: Q,
    *,
    at: datetime,
    filled: Mapping[int, Decimal],
    symbol: str,
    account_id: str | None = None,
    exclude: Order | None = None,
    exits: bool = True,
    late: bool = True,
) -> Fillable:
    """What other released orders of one side can fill that is not in a position read at ``at``.

    ``filled``: what had filled of each live order then, by its row; those fills are in the position. An order that
    ended since may be in it or not, so it counts, but for what was never sent and filled nothing. Of a pair, and of the
    two exits of a bracket, one fills: they count once. A change on its way counts where it makes an order larger.
    ``symbols`` picks the orders, ``account_id`` those of one account; orders of several options count with what they
    have of ``symbol``. ``exits``: with what hangs on another order, which its broker ends with the position. ``late``:
    with what its broker did not find for a day, as it can be merely late. ``exclude``: left out, with what hangs on it
    and what it ends when it fills.
    """
    since = Q(moved_at__gte=at)
    if late:
        since |= Q(status=Status.NOT_FOUND, moved_at__gte=at - _LATE_FOR, settled_by_hand_at=None)
    released = Q(released_at__isnull=False) | Q(parent__released_at__isnull=False)
    can_fill = Q(status__in=states.OPEN) | (since & released)
    rows = Order.objects.filter(can_fill, symbols, connection=connection_id, side=side).select_related("parent")
    if account_id is not None:
        rows = rows.filter(account_id=account_id)
    if not exits:
        rows = rows.filter(Q(parent=None) | Q(order_class=OrderClass.OCO))
    if exclude is not None:
        kind, root = _group(exclude)
        rows = rows.exclude(Q(pk=exclude.pk) | Q(parent=exclude.pk) | (_group_filter(kind, root) if kind else Q()))
    groups: dict[tuple[str, int], list[Order]] = {}
    for row in rows:
        if row.state not in _UNSENT or row.filled_quantity:
            groups.setdefault(_group(row), []).append(row)
    beside = _in_spreads(can_fill, connection_id, side, symbol, account_id, exclude)
    if not groups:
        return Fillable(adds=beside, exits=Decimal(0))
    growing = _growing({pk for some in groups.values() for row in some for pk in (row.pk, row.parent_id) if pk})
    adds = guards = Decimal(0)
    for (kind, root), some in groups.items():
        can = max(
            max(daily_usage.units_of(row), *(growing.get(pk, Decimal(0)) for pk in (row.pk, row.parent_id or row.pk)))
            for row in some
        )
        paired = Order.objects.filter(_group_filter(kind, root)) if kind else some
        can = max(can - sum((_filled_by_then(row, at, filled) for row in paired), Decimal(0)), Decimal(0))
        adds += can
        parent = some[0].parent
        if parent is not None and parent.side != side:
            guards += min(can, daily_usage.units_of(parent))
    return Fillable(adds=adds + beside, exits=guards)


def _in_spreads(
    can_fill: Q, connection_id: int, side: Side, symbol: str, account_id: str | None, exclude: Order | None
) -> Decimal:
    """Contracts of one option that orders of several can add to a side. Which of their fills a position has already is
    not told by option, so an order that can still fill counts whole."""
    if (option := symbol_lookup.parse_occ(symbol.partition("@")[0])) is None:
        return Decimal(0)
    named = Q(symbol__startswith=f"{option.root}+") | Q(symbol__startswith=f"{option.root}-")
    rows = Order.objects.filter(can_fill, named, connection=connection_id, asset_class=AssetClass.OPTION)
    if account_id is not None:
        rows = rows.filter(account_id=account_id)
    adds = Decimal(0)
    for row in rows if exclude is None else rows.exclude(pk=exclude.pk):
        if row.spread is None or (row.state in _UNSENT and not row.filled_quantity):
            continue
        way = 1 if row.side == side else -1
        ratios = [leg.ratio for leg in row.spread.legs if leg.is_called(symbol) and leg.sign == way]
        adds += sum(ratios) * daily_usage.units_of(row)
    return adds


def pending_quantity(
    symbol: str, side: Side, connection: Connection, facts: RiskInputs, *, exclude: Order | None = None
) -> PendingQuantity:
    """What other released orders of one side of a symbol, or of its coin, can add to ``facts.held``, their legs too."""
    found = fillable(
        connection.pk,
        side,
        check_facts.in_position(symbol, facts.asset_class),
        at=facts.at,
        filled=facts.filled_before or {},
        symbol=symbol,
        exclude=exclude,
    )
    sign = 1 if side is Side.BUY else -1
    return PendingQuantity(adds=sign * found.adds, exits=sign * found.exits)


def _growing(orders: set[int]) -> dict[int, Decimal]:
    """The quantities that changes on their way may have given these orders already, and their legs with them."""
    changes = Modification.objects.filter(order__in=orders, status__in=states.UNSETTLED, quantity__isnull=False)
    return {change.order_id: Decimal(change.quantity or 0) for change in changes}


def _group(order: Order) -> tuple[str, int]:
    """Orders of one group end each other: one of them fills. Those of no kind stand by themselves."""
    if order.order_class == OrderClass.OCO:
        return "pair", order.parent_id or order.pk
    if order.order_class == OrderClass.BRACKET and order.parent_id is not None:
        return "exits", order.parent_id
    return "", order.pk


def _group_filter(kind: str, root: int) -> Q:
    legs = Q(parent=root)
    return legs | Q(pk=root) if kind == "pair" else legs


def _filled_by_then(order: Order, at: datetime, filled: Mapping[int, Decimal]) -> Decimal:
    """What of its fills is in the position for certain."""
    known = filled.get(order.pk)
    if known is not None:
        return known
    return order.filled_quantity if order.state not in LIVE and order.moved_at < at else Decimal(0)
