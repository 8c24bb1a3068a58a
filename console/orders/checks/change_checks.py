"""What must hold for a change of an order that rests: by its status, its terms and the steps of its instrument."""

from dataclasses import replace

from brokers.base import Broker
from brokers.decimals import is_multiple, plain
from brokers.types import Capabilities, Instrument, OrderChanges, OrderClass, OrderRequest, Unchangeable
from console.errors import Code, Refusal
from console.orders import states
from console.orders.models import Modification, Order
from console.orders.terms import Terms
from console.orders.transitions import amendment_state


def amended_request(request: OrderRequest, asked: OrderChanges) -> OrderRequest:
    """The order as it would be. What is asked for as None stays."""
    new = {name: getattr(asked, name) for name in amendment_state.PRICED if getattr(asked, name) is not None}
    if asked.trail_amount is not None:
        new["trail_percent"] = None
    elif asked.trail_percent is not None:
        new["trail_amount"] = None
    return replace(request, tif=asked.tif or request.tif, **new)


def moves_prices(asked: OrderChanges) -> bool:
    """Whether it changes a price or a distance, and not only the quantity or the time in force."""
    return any(getattr(asked, name) is not None for name in amendment_state.PRICED if name != "quantity")


def with_leg(whole: OrderRequest, leg: OrderRequest) -> OrderRequest:
    """The order with one of its legs as that would be."""
    legs = tuple(
        replace(
            each,
            limit_price=leg.limit_price,
            stop_price=leg.stop_price,
            trail_amount=leg.trail_amount,
            trail_percent=leg.trail_percent,
        )
        if each.client_order_id == leg.client_order_id
        else each
        for each in whole.legs
    )
    return replace(whole, legs=legs)


def check_at_broker(order: Order, change: Modification | None) -> None:
    """It rests at the broker, and no other change of it is on its way. Raises Refusal.

    ``change``: the one that is checked, where it is on record.
    """
    if order.state not in states.AT_BROKER:
        raise Refusal(
            Code.NOT_MODIFIABLE,
            f"Order {order.public_id} is {order.status_words.lower()}; only an order that is open at the broker can "
            "be changed.",
            field="order_id",
            order_id=order.public_id,
        )
    if amendment_state.in_progress(order) not in (None, change):
        raise is_busy(order)


def is_busy(order: Order) -> Refusal:
    return Refusal(
        Code.NOT_MODIFIABLE,
        "Another change of this order is in progress. Ask get_order_status before you change it again.",
        field="order_id",
        order_id=order.public_id,
    )


def check_terms(order: Order, request: OrderRequest, asked: OrderChanges, broker: Broker) -> None:
    """The broker changes orders, and takes this one as it would be. Raises Refusal."""
    if not broker.capabilities.replace:
        raise Refusal(
            Code.NOT_OFFERED_BY_BROKER,
            "This broker does not change an order. Cancel it with cancel_order and place another.",
            field="order_id",
            order_id=order.public_id,
        )
    _check_offered(order, asked, broker.capabilities)
    if request == order.request:
        raise Refusal(
            Code.INVALID_ARGUMENT, "Nothing would change. Give a new quantity, price or tif.", field="quantity"
        )
    terms = Terms(
        symbol=request.symbol,
        side=request.side,
        quantity=request.quantity,
        notional=request.notional,
        order_type=request.order_type,
        tif=request.tif,
        limit_price=request.limit_price,
        stop_price=request.stop_price,
        trail_amount=request.trail_amount,
        trail_percent=request.trail_percent,
        outside_rth=request.outside_rth,
        reduce_only=request.reduce_only,
        post_only=request.post_only,
    )
    if order.spread is not None and replace(asked, limit_price=None) != OrderChanges():
        raise Refusal(
            Code.NOT_OFFERED_BY_BROKER,
            "Of an order of several options only the price can be changed. Cancel it with cancel_order and place "
            "another.",
            field="order_id",
            order_id=order.public_id,
        )
    if order.notional is not None and asked.quantity is not None:
        raise Refusal(Code.INVALID_ARGUMENT, "An order by notional has no quantity to change.", field="quantity")
    terms.check()
    if not broker.capabilities.takes(request.order_type, request.tif):
        raise Refusal(
            Code.NOT_OFFERED_BY_BROKER,
            f"This broker does not accept {request.order_type} orders with {request.tif}.",
            field="tif",
        )
    if asked.quantity is not None and asked.quantity <= order.filled_quantity:
        raise Refusal(
            Code.INVALID_ARGUMENT,
            f"{plain(order.filled_quantity)} have filled already, and quantity is the new total. Give more than that, "
            "or cancel the rest with cancel_order.",
            field="quantity",
        )
    if asked.quantity is not None and order.parent_id is not None:
        raise Refusal(
            Code.INVALID_ARGUMENT,
            "An exit has the quantity of the order it belongs to; change that order.",
            field="quantity",
        )


def _check_offered(order: Order, asked: OrderChanges, can: Capabilities) -> None:
    """By what the broker says of all its orders, before it is asked about this one."""
    never, has_exits = can.never_changes, order.order_class != OrderClass.SIMPLE
    lacks = field = ""
    if asked.tif not in (None, order.tif) and Unchangeable.TIME_IN_FORCE in never:
        lacks, field = "does not change the time in force of an order", "tif"
    elif has_exits and Unchangeable.WITH_EXITS in never:
        lacks, field = "changes neither an order with exits nor an exit", "order_id"
    elif has_exits and asked.quantity is not None and Unchangeable.SIZE_WITH_EXITS in never:
        lacks, field = "holds an order and its exits each at its own quantity, and changes none alone", "quantity"
    elif asked.quantity is not None and order.filled_quantity and Unchangeable.SIZE_PARTLY_FILLED in never:
        lacks, field = "does not change the quantity of an order that has begun to fill", "quantity"
    if lacks:
        raise Refusal(
            Code.NOT_OFFERED_BY_BROKER,
            f"This broker {lacks}. Cancel it with cancel_order and place another.",
            field=field,
            order_id=order.public_id,
        )


def check_steps(request: OrderRequest, instrument: Instrument) -> None:
    """We refuse what is off the steps and never round. Raises Refusal."""
    for field, value, step, what in (
        ("quantity", request.quantity, instrument.lot, "quantities"),
        ("limit_price", request.limit_price, instrument.tick, "prices"),
        ("stop_price", request.stop_price, instrument.tick, "prices"),
    ):
        if value is not None and not is_multiple(value, step):
            raise Refusal(
                Code.INVALID_ORDER,
                f"{instrument.symbol} accepts {what} in steps of {plain(step)}; {plain(value)} is not a multiple of "
                "that.",
                field=field,
            )
    if request.quantity is not None and request.quantity < instrument.minimum:
        raise Refusal(
            Code.INVALID_ORDER,
            f"The smallest order in {instrument.symbol} is {plain(instrument.minimum)}.",
            field="quantity",
        )
