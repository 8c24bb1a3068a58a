"""What CrossTrade passes on to NinjaTrader, checked here before anything is sent. An order is refused, never altered.

Source: crosstrade.io/docs/api, "POST Place Order".
"""

from decimal import Decimal

from brokers.decimals import is_multiple, nearest_steps, plain
from brokers.errors import InvalidOrder, NotSupported
from brokers.types import (
    Ability,
    AssetClass,
    Capabilities,
    Instrument,
    OrderClass,
    OrderRequest,
    OrderType,
    TimeInForce,
)

CAPABILITIES = Capabilities(
    abilities=frozenset({Ability.BARS, Ability.ORDERS}),
    asset_classes=frozenset({AssetClass.FUTURE}),
    order_types=frozenset(OrderType) - {OrderType.TRAIL},
    time_in_force=frozenset({TimeInForce.DAY, TimeInForce.GTC}),
    not_found_after=86_400.0,  # never used: a missing order raises CannotTell
    order_classes=frozenset({OrderClass.SIMPLE}),
    short=True,
)


def check(request: OrderRequest, instrument: Instrument) -> None:
    """Raises InvalidOrder, naming the field, or NotSupported."""
    if request.order_class is not OrderClass.SIMPLE or request.reduce_only or request.post_only or request.outside_rth:
        raise NotSupported("CrossTrade accepts only simple orders: no exits, reduce-only, post-only or extended hours.")
    if request.notional is not None or request.quantity is None:
        raise NotSupported("NinjaTrader orders are in contracts, not by notional.")
    if request.order_type not in CAPABILITIES.order_types:
        raise NotSupported(f"CrossTrade does not accept {request.order_type} orders.")
    if request.tif not in CAPABILITIES.time_in_force:
        raise InvalidOrder(f"CrossTrade accepts DAY and GTC, not {request.tif}.", "tif")
    if request.quantity < 1 or not is_multiple(request.quantity, Decimal(1)):
        near = nearest_steps(request.quantity, Decimal(1))
        raise InvalidOrder(f"The quantity must be a whole number of contracts. {near}", "quantity")
    tick = instrument.tick
    for field, price in (("limit_price", request.limit_price), ("stop_price", request.stop_price)):
        if price is not None and not is_multiple(price, tick):
            raise InvalidOrder(f"The {field} must be a multiple of {plain(tick)}. {nearest_steps(price, tick)}", field)
