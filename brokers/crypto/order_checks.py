"""What we refuse before anything is sent: the venues' libraries would round such an order without a word."""

from dataclasses import replace
from decimal import Decimal

from brokers import leg_ids
from brokers.decimals import is_multiple, nearest_steps, plain
from brokers.errors import InvalidOrder, NotSupported
from brokers.types import AssetClass, Capabilities, Instrument, OrderClass, OrderRequest, OrderType, Side


def check(request: OrderRequest, found: Instrument, can: Capabilities, price: Decimal | None = None) -> None:
    """By the instrument's own rules; never altered to fit. ``price`` is the market's, where it is known.

    Raises InvalidOrder, NotSupported.
    """
    _offered(request, found, can)
    _trail(request, found)
    for leg in exits(request):
        check(leg, found, can, price)
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


def exits(request: OrderRequest) -> list[OrderRequest]:
    """Each of its legs as an order. Raises NotSupported for a leg that the order itself does not settle."""
    if any(leg.quantity not in (None, request.quantity) for leg in request.legs):
        raise NotSupported("An exit has the quantity of its order here.")
    return [
        replace(
            request,
            client_order_id=leg.client_order_id,
            side=leg.side,
            order_type=leg.order_type,
            tif=leg.tif,
            limit_price=leg.limit_price,
            stop_price=leg.stop_price,
            trail_amount=leg.trail_amount,
            trail_percent=leg.trail_percent,
            reduce_only=False,
            post_only=False,
            order_class=OrderClass.SIMPLE,
            legs=(),
        )
        for leg in request.legs
    ]


def check_ids(request: OrderRequest) -> None:
    """Where a venue gives an exit no id of ours: whether each is named after the order. Raises InvalidOrder."""
    ours = request.client_order_id
    for place, leg in enumerate(request.legs):
        if not leg_ids.is_ours(ours) or leg.client_order_id != leg_ids.of_exit(ours, place):
            raise InvalidOrder("The id of this exit does not tell which order it belongs to.", "client_order_id")


def _trail(request: OrderRequest, found: Instrument) -> None:
    given = [each for each in (request.trail_amount, request.trail_percent) if each is not None]
    if len(given) != request.order_type.needs_trail:
        needs = "one distance: an amount or a percentage" if request.order_type.needs_trail else "no distance to trail"
        raise InvalidOrder(f"{request.order_type} orders need {needs}.", "trail_percent")
    _price("trail_amount", request.trail_amount, found)
    if request.trail_percent is not None and not 0 < request.trail_percent < 100:
        raise InvalidOrder("The distance must be above 0 and below 100 percent.", "trail_percent")


def _has(needed: bool) -> str:
    return "need" if needed else "take no"


def _offered(request: OrderRequest, found: Instrument, can: Capabilities) -> None:
    if not can.takes(request.order_type, request.tif):
        raise NotSupported(f"{found.exchange} does not accept {request.order_type} orders with {request.tif} here.")
    if request.order_class not in can.order_classes:
        raise NotSupported(f"{found.exchange} does not accept {request.order_class} orders here.")
    if (request.order_class is OrderClass.SIMPLE) is bool(request.legs):
        raise InvalidOrder(f"This {request.order_class} order has {len(request.legs)} exits.", "order_class")
    if request.outside_rth:
        raise NotSupported(f"{found.exchange} has no regular hours.")
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
