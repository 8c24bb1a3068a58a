"""Orders whose quantity comes from a position: how much it is, and whether it still is when the order goes."""

from decimal import ROUND_DOWN, Decimal

from brokers.base import Broker
from brokers.decimals import plain
from brokers.types import Instrument, Position, Side
from console.errors import Code, Refusal
from console.orders import states
from console.orders.models import Action, Order


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


def check_still(order: Order, broker: Broker) -> None:
    """The position must still bear the order: a closing one never turns it. Raises Refusal, BrokerError."""
    shown, now = order.position_shown, Decimal(0)
    assert shown is not None and order.quantity is not None
    for each in broker.positions(order.account_id):
        if each.symbol == order.symbol:
            now = each.quantity
    if order.confirmation.action == Action.CLOSE:
        fits = now * shown > 0 and abs(now) >= order.quantity + _on_its_way(order)
    else:
        fits = now == shown
    if not fits:
        raise Refusal(
            Code.POSITION_CHANGED,
            f"The position in {order.symbol} was {plain(shown)} when the order was sized and is {plain(now)} now, with "
            f"{plain(_on_its_way(order))} of it offered by other orders. Nothing was sent; prepare it again.",
        )


def _on_its_way(order: Order) -> Decimal:
    """Units that other orders of ours on the same side can still fill. Exits of one bracket count once."""
    rows = Order.objects.filter(
        connection_id=order.connection_id,
        account_id=order.account_id,
        symbol=order.symbol,
        side=order.side,
        parent=None,
        status__in=states.OPEN,
        quantity__isnull=False,
    ).exclude(pk=order.pk)
    return sum((each.quantity - each.filled_quantity for each in rows), Decimal(0))
