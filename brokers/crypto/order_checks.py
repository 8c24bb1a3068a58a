"""What we refuse before anything is sent: the venues' libraries would round such an order without a word."""

from decimal import Decimal

from brokers.decimals import is_multiple, nearest_steps, plain
from brokers.errors import InvalidOrder, NotSupported
from brokers.types import AssetClass, Capabilities, Instrument, OrderClass, OrderRequest, OrderType, Side


def check(request: OrderRequest, found: Instrument, can: Capabilities, price: Decimal | None = None) -> None:
    """By the instrument's own rules; never altered to fit. ``price`` is the market's, where it is known.

    Raises InvalidOrder, NotSupported.
    """
    _offered(request, found, can)
    for field, value in (("limit_price", request.limit_price), ("stop_price", request.stop_price)):
        _price(field, value, found)
    if request.order_type.needs_limit != (request.limit_price is not None):
        raise InvalidOrder(
            f"{request.order_type} orders {_has(request.order_type.needs_limit)} a limit price.", "limit_price"
        )
    if request.order_type.needs_stop != (request.stop_price is not None):
        raise InvalidOrder(
            f"{request.order_type} orders {_has(request.order_type.needs_stop)} a stop price.", "stop_price"
        )
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


def _has(needed: bool) -> str:
    return "need" if needed else "take no"


def _offered(request: OrderRequest, found: Instrument, can: Capabilities) -> None:
    if not can.takes(request.order_type, request.tif):
        raise NotSupported(f"{found.exchange} does not accept {request.order_type} orders with {request.tif} here.")
    if request.order_class is not OrderClass.SIMPLE or request.legs:
        raise NotSupported(f"{found.exchange} accepts only single orders here.")
    if request.outside_rth or request.trail_amount is not None or request.trail_percent is not None:
        raise NotSupported(f"{found.exchange} has no regular hours and does not offer trailing stops here.")
    if request.reduce_only and (not can.reduce_only or found.asset_class is AssetClass.CRYPTO):
        raise NotSupported(f"{found.symbol} at {found.exchange} does not accept reduce-only orders.")
    if request.post_only and (not can.post_only or request.order_type is not OrderType.LIMIT):
        raise NotSupported("Only limit orders can be post-only.")


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
