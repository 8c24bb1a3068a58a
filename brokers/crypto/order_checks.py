"""What we refuse before anything is sent: the venues' libraries would round such an order without a word."""

from decimal import Decimal

from brokers import leg_ids
from brokers.decimals import is_multiple, nearest_steps, plain
from brokers.errors import InvalidOrder, NotSupported
from brokers.types import (
    AssetClass,
    Capabilities,
    Instrument,
    LegRequest,
    OrderClass,
    OrderRequest,
    OrderType,
    Side,
    TimeInForce,
)


def check(request: OrderRequest, found: Instrument, can: Capabilities, price: Decimal | None = None) -> None:
    """By the instrument's own rules; never altered to fit. ``price`` is the market's, where it is known.

    Raises InvalidOrder, NotSupported.
    """
    _offered(request, found, can)
    _prices(request, found)
    for leg in request.legs:
        _prices(leg, found)
    worth: Decimal | None
    if request.quantity is None:
        worth = _notional(request, found, can)
    elif request.notional is not None:
        raise InvalidOrder("Give either a quantity or a notional amount, not both.", "notional")
    else:
        _quantity(request.quantity, found)
        at = request.limit_price or request.stop_price or price
        worth = None if at is None else at * request.quantity * found.multiplier
    least = found.minimum_notional
    if least is not None and worth is not None and worth < least:
        raise InvalidOrder(
            f"{found.symbol} has a minimum order value of {plain(least)} {found.currency}; this one is worth "
            f"{plain(worth)}.",
            "notional" if request.quantity is None else "quantity",
        )


def _prices(order: OrderRequest | LegRequest, found: Instrument) -> None:
    """Which it has, and that they lie on the instrument's steps."""
    kind = order.order_type
    for field, value, needed in (
        ("limit_price", order.limit_price, kind.needs_limit),
        ("stop_price", order.stop_price, kind.needs_stop),
    ):
        _price(field, value, found)
        if needed != (value is not None):
            raise InvalidOrder(f"{kind} orders {'need a' if needed else 'have no'} {field.replace('_', ' ')}.", field)
    trails = [each for each in (order.trail_amount, order.trail_percent) if each is not None]
    if len(trails) != kind.needs_trail:
        wants = "need either" if kind.needs_trail else "have no"
        raise InvalidOrder(f"{kind} orders {wants} trail_percent or trail_amount.", "trail_percent")
    _price("trail_amount", order.trail_amount, found)
    if order.trail_percent is not None and not 0 < order.trail_percent < 100:
        raise InvalidOrder("trail_percent is above 0 and below 100.", "trail_percent")


def _offered(request: OrderRequest, found: Instrument, can: Capabilities) -> None:
    if not can.takes(request.order_type, request.tif):
        raise NotSupported(f"{found.exchange} does not accept {request.order_type} orders with {request.tif} here.")
    if request.order_class not in can.order_classes:
        raise NotSupported(f"{found.exchange} does not accept {request.order_class} orders here.")
    if request.legs or request.order_class is not OrderClass.SIMPLE:
        _exits(request, found)
    if request.outside_rth:
        raise NotSupported(f"{found.exchange} has no regular hours.")
    if request.reduce_only and not can.takes_reduce_only(found.asset_class):
        raise NotSupported(f"{found.symbol} at {found.exchange} does not accept reduce-only orders.")
    if request.post_only and (not can.post_only or request.order_type is not OrderType.LIMIT):
        raise NotSupported("Only limit orders can be post-only.")


def _exits(request: OrderRequest, found: Instrument) -> None:
    """What every venue here needs of an order with exits, and of a pair."""
    stops = sorted(leg.order_type is not OrderType.LIMIT for leg in request.legs)
    wanted = {OrderClass.BRACKET: [[False, True]], OrderClass.OCO: [[True]], OrderClass.OTO: [[False], [True]]}
    if stops not in wanted.get(request.order_class, []) or OrderType.MARKET in {leg.order_type for leg in request.legs}:
        raise NotSupported(
            f"{found.exchange} accepts one profit target and one stop beside an order, one of the two, or a LMT order "
            "paired with a stop."
        )
    if request.order_class is OrderClass.OCO and request.order_type is not OrderType.LIMIT:
        raise NotSupported(f"{found.exchange} accepts only a LMT order paired with a stop.")
    if request.quantity is None or any(leg.quantity not in (None, request.quantity) for leg in request.legs):
        raise NotSupported(f"At {found.exchange} an exit has the quantity of its order.")
    if {request.tif, *(leg.tif for leg in request.legs)} != {TimeInForce.GTC}:
        raise NotSupported(f"{found.exchange} accepts an order with exits only as GTC, the exits too.")
    side = request.side if request.order_class is OrderClass.OCO else request.side.opposite
    if any(leg.side is not side for leg in request.legs):
        raise InvalidOrder("An exit is on the other side of its order, both orders of a pair on the same.", "side")


def _notional(request: OrderRequest, found: Instrument, can: Capabilities) -> Decimal:
    if request.notional is None or request.notional <= 0:
        raise InvalidOrder("An order needs a quantity or a notional amount above 0.", "quantity")
    offered = can.notional and found.asset_class is AssetClass.CRYPTO
    if not offered or request.order_type is not OrderType.MARKET or request.side is not Side.BUY:
        raise NotSupported(f"{found.exchange} does not accept this order by notional. Give a quantity.")
    return request.notional


def _quantity(quantity: Decimal, found: Instrument) -> None:
    if quantity <= 0:
        raise InvalidOrder("The quantity must be above 0.", "quantity")
    if not is_multiple(quantity, found.lot):
        raise InvalidOrder(
            f"{found.symbol} trades in steps of {plain(found.lot)}; {plain(quantity)} is not one. "
            f"{nearest_steps(quantity, found.lot)}",
            "quantity",
        )
    if quantity < found.minimum:
        raise InvalidOrder(f"The smallest order in {found.symbol} is {plain(found.minimum)}.", "quantity")


def _price(field: str, price: Decimal | None, found: Instrument) -> None:
    if price is None:
        return
    if price <= 0:
        raise InvalidOrder("A price must be above 0.", field)
    if not is_multiple(price, found.tick):
        raise InvalidOrder(
            f"{found.symbol} has prices in steps of {plain(found.tick)} {found.currency}; {plain(price)} is not one. "
            f"{nearest_steps(price, found.tick)}",
            field,
        )


def check_ids(request: OrderRequest) -> None:
    """Where a venue gives an exit no id of ours: whether each is named after the order. Raises InvalidOrder."""
    ours = request.client_order_id
    for place, leg in enumerate(request.legs):
        if not leg_ids.is_ours(ours) or leg.client_order_id != leg_ids.of_exit(ours, place):
            raise InvalidOrder("The id of this exit does not tell which order it belongs to.", "client_order_id")
