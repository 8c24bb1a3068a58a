"""What other released orders can still add to a position."""

from datetime import timedelta
from decimal import Decimal

from django.db.models import Q

from brokers.types import OrderClass, Side
from console.connections.models import Connection
from console.orders import states
from console.orders.checks import daily_usage
from console.orders.checks import facts as check_facts
from console.orders.checks.facts import LIVE
from console.orders.checks.limit_rules import PendingQuantity, RiskInputs
from console.orders.models import Modification, Order
from console.orders.states import Status

_LATE_FOR = timedelta(days=1)


def pending_quantity(
    symbol: str, side: Side, connection: Connection, facts: RiskInputs, *, exclude: int | None = None
) -> PendingQuantity:
    """What other released orders of one side of a symbol, or of its coin, can add to ``facts.held``, their legs too.

    An order that ended since the positions were read may be in them or not, so it counts in full. Of a pair, and of
    the two exits of a bracket, one fills: they count once.
    """
    late = Q(status=Status.NOT_FOUND, moved_at__gte=facts.at - _LATE_FOR, settled_by_hand_at=None)
    rows = Order.objects.filter(
        Q(status__in=states.OPEN) | late | Q(moved_at__gte=facts.at),
        Q(released_at__isnull=False) | Q(parent__released_at__isnull=False),
        check_facts.in_position(symbol, facts.asset_class),
        connection=connection,
        side=side,
    ).select_related("parent")
    groups: dict[tuple[str, int], list[Order]] = {}
    for row in rows if exclude is None else rows.exclude(pk__in=_same_group(exclude)):
        groups.setdefault(_group(row), []).append(row)
    # A change on its way may have made an order larger already, and its legs with it.
    growing = {
        change.order_id: change.quantity or Decimal(0)
        for change in Modification.objects.filter(
            check_facts.in_position(symbol, facts.asset_class, "order__"),
            order__connection=connection,
            status__in=states.UNSETTLED,
        )
    }
    adds = exits = Decimal(0)
    for (kind, root), some in groups.items():
        can = max(
            max(
                daily_usage.units_of(row),
                growing.get(row.pk, Decimal(0)),
                growing.get(row.parent_id or row.pk, Decimal(0)),
            )
            for row in some
        )
        paired = Order.objects.filter(_group_filter(kind, root)) if kind else some
        can = max(can - sum((_filled_before(row, facts) for row in paired), Decimal(0)), Decimal(0))
        adds += can
        parent = some[0].parent
        if parent is not None and parent.side != side:
            exits += min(can, daily_usage.units_of(parent))
    sign = 1 if side is Side.BUY else -1
    return PendingQuantity(adds=sign * adds, exits=sign * exits)


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


def _same_group(pk: int) -> list[int]:
    """The order itself, what is weighed as a part of it, and what it ends when it fills."""
    order = Order.objects.get(pk=pk)
    kind, root = _group(order)
    return list(
        Order.objects.filter(Q(pk=pk) | Q(parent=pk) | (_group_filter(kind, root) if kind else Q())).values_list(
            "pk", flat=True
        )
    )


def _filled_before(order: Order, facts: RiskInputs) -> Decimal:
    """What of its fills is in ``facts.held`` for certain."""
    known = (facts.filled_before or {}).get(order.pk)
    if known is not None:
        return known
    return order.filled_quantity if order.state not in LIVE and order.moved_at < facts.at else Decimal(0)
