"""Orders whose quantity comes from a position: how much it is, and whether it still is when the order goes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_DOWN, Decimal

from django.db.models import Q
from django.utils import timezone

from brokers.base import Broker
from brokers.decimals import plain
from brokers.types import Instrument, OrderClass, Position, Side
from console.errors import Code, Refusal
from console.orders import states
from console.orders.models import Action, Order
from console.orders.states import Status

_UNSENT = frozenset({Status.DENIED, Status.NOT_SENT, Status.REJECTED})


def position_of(broker: Broker, account_id: str, symbol: str) -> Position:
    """Raises Refusal when there is none, and BrokerError."""
    for each in broker.positions(account_id):
        if each.symbol == symbol and each.quantity:
            return each
    raise Refusal(Code.NO_POSITION, f"This account has no position in {symbol}. Nothing was prepared.", field="symbol")


def side_to_close(quantity: Decimal) -> Side:
    return Side.SELL if quantity > 0 else Side.BUY


def part_of(
    position: Position, instrument: Instrument, *, quantity: Decimal | None = None, percent: Decimal | None = None
) -> Decimal:
    """Units to close: as named, or a share rounded down to the lot, or all of it. Raises Refusal."""
    whole = abs(position.quantity)
    if quantity is not None and percent is not None:
        raise Refusal(Code.INVALID_ARGUMENT, "Give quantity or percent, not both.", field="percent")
    if percent is not None:
        if not 0 < percent <= 100:
            raise Refusal(Code.INVALID_ARGUMENT, "percent must be above 0 and at most 100.", field="percent")
        part = whole * percent / 100
        part = whole if percent == 100 else (part / instrument.lot).to_integral_value(ROUND_DOWN) * instrument.lot
        if not part:
            raise Refusal(
                Code.INVALID_ARGUMENT,
                f"{plain(percent)} % of {plain(whole)} {position.symbol} is less than its smallest step of "
                f"{plain(instrument.lot)}.",
                field="percent",
            )
        return part
    if quantity is not None and quantity > whole:
        raise Refusal(
            Code.INSUFFICIENT_POSITION,
            f"The position is {plain(position.quantity)} {position.symbol}, less than {plain(quantity)}. To turn it "
            "around use reverse_position.",
            field="quantity",
        )
    return whole if quantity is None else quantity


@dataclass(frozen=True, slots=True)
class Held:
    """A position as its broker told it, and what was known when it was asked."""

    at: datetime
    quantity: Decimal
    filled: Mapping[int, Decimal]
    """What had filled of each open order in the symbol, by its row: those fills are in ``quantity``."""


def look(order: Order, broker: Broker) -> Held:
    """Raises BrokerError."""
    at, quantity = timezone.now(), Decimal(0)
    rows = Order.objects.filter(connection_id=order.connection_id, symbol=order.symbol, status__in=states.OPEN)
    filled = dict(rows.values_list("pk", "filled_quantity"))
    for each in broker.positions(order.account_id):
        if each.symbol == order.symbol:
            quantity = each.quantity
    return Held(at, quantity, filled)


def check_still(order: Order, held: Held) -> None:
    """The position must still bear the order: a closing one never turns it. Raises Refusal.

    Under the connection's lock it sees every order that was released beside it.
    """
    shown, now = order.position_shown, held.quantity
    assert shown is not None and order.quantity is not None
    offered = _on_its_way(order, held)
    if order.confirmation.action == Action.CLOSE:
        fits = now * shown > 0 and abs(now) >= order.quantity + offered
    else:
        fits = now == shown and not offered
    if not fits:
        raise Refusal(
            Code.POSITION_CHANGED,
            f"The position in {order.symbol} was {plain(shown)} when the order was sized and is {plain(now)} now, with "
            f"{plain(offered)} of it offered by other orders. Nothing was sent; prepare it again.",
        )


def check_as_shown(order: Order, held: Held) -> None:
    """As ``check_still``, while the orders that stand against the position are still to be cancelled."""
    if held.quantity != order.position_shown:
        raise Refusal(
            Code.POSITION_CHANGED,
            f"The position in {order.symbol} is not what was shown. Nothing was cancelled or sent for it; prepare it "
            "again.",
        )


def check_bears(order: Order, quantity: Decimal, held: Held) -> None:
    """A closing order is made larger only as far as what its position still bears. Raises Refusal."""
    assert order.position_shown is not None
    there = abs(held.quantity) if held.quantity * order.position_shown > 0 else Decimal(0)
    most = held.filled.get(order.pk, Decimal(0)) + max(there - _on_its_way(order, held), Decimal(0))
    if quantity > most:
        raise Refusal(
            Code.INSUFFICIENT_POSITION,
            f"Order {order.public_id} closes a position in {order.symbol}, and at most {plain(most)} of it can close. "
            f"Give no more than that as quantity, the new whole of the order; {plain(quantity)} would turn it.",
            field="quantity",
            order_id=order.public_id,
        )


def _on_its_way(order: Order, held: Held) -> Decimal:
    """Units that other orders of ours on the same side can still fill, or may have filled since ``held`` was read.

    Exits of a bracket are not counted: their broker ends them with the position. Of a pair one half fills.
    """
    rows = Order.objects.filter(
        Q(parent=None) | Q(order_class=OrderClass.OCO),
        connection_id=order.connection_id,
        account_id=order.account_id,
        symbol=order.symbol,
        side=order.side,
        quantity__isnull=False,
    ).exclude(pk=order.pk)
    resting = rows.filter(status__in=states.OPEN, moved_at__lt=held.at)
    released = Q(released_at__isnull=False) | Q(parent__released_at__isnull=False)
    fresh = rows.filter(released, moved_at__gte=held.at).exclude(status__in=_UNSENT)
    most: dict[int, Decimal] = {}
    for each in resting:
        whole = each.parent_id or each.pk
        halves = Order.objects.filter(Q(pk=whole) | Q(parent=whole)) if each.order_class == OrderClass.OCO else [each]
        left = each.quantity - sum((_filled(half, held) for half in halves), Decimal(0))
        most[whole] = max(most.get(whole, left), left)
    for each in fresh:
        whole = each.parent_id or each.pk
        most[whole] = max(most.get(whole, each.quantity), each.quantity)
    return sum(most.values(), Decimal(0))


def _filled(order: Order, held: Held) -> Decimal:
    """What of its fills is in the position for certain."""
    ended = order.state in states.ENDED and order.moved_at < held.at
    return order.filled_quantity if ended else held.filled.get(order.pk, Decimal(0))
