"""Whether a position still bears the order that was sized by it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import Q
from django.utils import timezone

from brokers.base import Broker
from brokers.decimals import plain
from brokers.types import Side
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.orders import states
from console.orders.checks import open_orders
from console.orders.checks.facts import LIVE
from console.orders.models import Action, Order, OutsideOrder
from console.orders.terms import describe


@dataclass(frozen=True, slots=True)
class PositionSnapshot:
    """A position as its broker told it, and what was known when it was asked."""

    at: datetime
    quantity: Decimal
    filled: Mapping[int, Decimal]
    """What had filled of each open order in the symbol, by its row: those fills are in ``quantity``."""


def snapshot(order: Order, broker: Broker) -> PositionSnapshot:
    """Raises BrokerError."""
    at, quantity = timezone.now(), Decimal(0)
    rows = Order.objects.filter(connection_id=order.connection_id, symbol=order.symbol, status__in=LIVE)
    filled = dict(rows.values_list("pk", "filled_quantity"))
    for each in broker.positions(order.account_id):
        if each.symbol == order.symbol:
            quantity = each.quantity
    return PositionSnapshot(at, quantity, filled)


def check_still_covers(order: Order, held: PositionSnapshot) -> None:
    """The position must still bear the order: a closing one never turns it. Raises Refusal.

    Under the connection's lock it sees every order that was released beside it.
    """
    shown, now = order.position_shown, held.quantity
    assert shown is not None and order.quantity is not None
    offered = _pending_units(order, held)
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


def check_as_shown(order: Order, held: PositionSnapshot) -> None:
    """As ``check_still_covers``, while the orders that stand against the position are still to be cancelled."""
    if held.quantity != order.position_shown:
        raise Refusal(
            Code.POSITION_CHANGED,
            f"The position in {order.symbol} is not what was shown. Nothing was cancelled or sent for it; prepare it "
            "again.",
        )


def check_covers_increase(order: Order, quantity: Decimal, held: PositionSnapshot) -> None:
    """A closing order is made larger only as far as what its position still bears. Raises Refusal."""
    assert order.position_shown is not None
    there = abs(held.quantity) if held.quantity * order.position_shown > 0 else Decimal(0)
    most = held.filled.get(order.pk, Decimal(0)) + max(there - _pending_units(order, held), Decimal(0))
    if quantity > most:
        raise Refusal(
            Code.INSUFFICIENT_POSITION,
            f"Order {order.public_id} closes a position in {order.symbol}, and at most {plain(most)} of it can close. "
            f"Give no more than that as quantity, the new whole of the order; {plain(quantity)} would turn it.",
            field="quantity",
            order_id=order.public_id,
        )


_ROW = "position "


def unreadable(broker: Broker) -> list[tuple[str, str]]:
    """Positions that the broker listed and its adapter had to leave out, once it has read them: name, and why."""
    rows = [each for each in broker.unknown_words if each.left_out and each.row.startswith(_ROW)]
    return [(each.row.removeprefix(_ROW), each.word) for each in rows]


_MOST_NAMED = 5


def held_by_orders(
    connection: Connection, account_id: str, symbol: str, side: Side, *, exclude: int | None = None
) -> str:
    """Names the open orders of one side that hold units of a position, as a sentence; empty where there are none.

    ``exclude``: the row of an order that is left out.
    """
    where = {"connection": connection, "account_id": account_id, "symbol": symbol, "side": side}
    rows = Order.objects.filter(**where, status__in=states.OPEN).order_by("pk")
    ours = [each for each in rows if each.pk != exclude]
    elsewhere = list(OutsideOrder.objects.filter(**where).order_by("pk"))
    named = [f"{each.public_id} ({describe(each.request, each.currency)})" for each in ours]
    named += [f"one made elsewhere, {each.broker_order_id} at the broker" for each in elsewhere]
    if not named:
        return ""
    more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
    return (
        f"Open orders hold the rest: {'; '.join(named[:_MOST_NAMED])}{more}. Cancel them first, or ask for no more "
        "than what is free."
    )


def _pending_units(order: Order, held: PositionSnapshot) -> Decimal:
    """Units that other orders of ours on the same side can still fill, or may have filled since ``held`` was read.

    Exits of a bracket are not counted: their broker ends them with the position. Neither is what its broker did not
    find: a lost order would keep its owner in the position for a day.
    """
    return open_orders.fillable(
        order.connection_id,
        Side(order.side),
        Q(symbol=order.symbol),
        at=held.at,
        filled=held.filled,
        symbol=order.symbol,
        account_id=order.account_id,
        exclude=order,
        exits=False,
        late=False,
    ).adds
