"""What Interactive Brokers takes through its Web API, checked here before anything is sent.

An order is refused, never altered. Source: IBKR Web API 1.0, schemas order-request and contract rules.
"""

from decimal import Decimal

from brokers.decimals import is_multiple, nearest_steps, plain
from brokers.errors import InvalidOrder, NotSupported
from brokers.spread_prices import check_bounded
from brokers.spreads import Spread
from brokers.types import (
    Ability,
    AssetClass,
    Capabilities,
    Instrument,
    InstrumentEvent,
    OrderClass,
    OrderRequest,
    OrderType,
    TimeInForce,
)

_RESTING = frozenset({TimeInForce.DAY, TimeInForce.GTC})

CAPABILITIES = Capabilities(
    abilities=frozenset({Ability.BARS, Ability.FILLS, Ability.ORDERS, Ability.EXCHANGE_RATES})
    | {Ability.OPTION_CHAINS, Ability.FUTURES},
    asset_classes=frozenset({AssetClass.STOCK, AssetClass.OPTION, AssetClass.FUTURE, AssetClass.FOREX}),
    order_types=frozenset(OrderType),
    time_in_force=frozenset({TimeInForce.DAY, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.OPG}),
    not_found_after=300.0,
    order_classes=frozenset({OrderClass.SIMPLE, OrderClass.OCO}),
    pairs={OrderType.STOP: _RESTING, OrderType.STOP_LIMIT: _RESTING, OrderType.TRAIL: _RESTING},
    replace=True,
    short=True,
    extended_hours=True,
    bars_outside_hours=True,
    margin_in_preview=True,
    spreads=True,
    # Earnings as well, for who subscribes to them: what IBKR does not send is not known to be none.
    events=frozenset({InstrumentEvent.DIVIDEND, InstrumentEvent.HALT}),
    order_stream=True,
)


def check(request: OrderRequest, instrument: Instrument) -> None:
    """Raises InvalidOrder, naming the field, or NotSupported."""
    if request.order_class in (OrderClass.BRACKET, OrderClass.OTO):
        # IBKR forbids an id of their own to the legs, so after a lost answer ours could not be found.
        raise NotSupported(
            "Bracket and OTO orders are not offered at Interactive Brokers: it does not accept our ids for the exits. "
            "An OCO pair is."
        )
    if request.order_class is OrderClass.OCO and len(request.legs) != 1:
        raise NotSupported("At Interactive Brokers an OCO pair has exactly two orders here.")
    for leg in exits(request):
        check(leg, instrument)
    if request.reduce_only or request.post_only:
        raise NotSupported("Interactive Brokers has neither reduce-only nor post-only orders.")
    if request.notional is not None or request.quantity is None:
        raise NotSupported("Interactive Brokers orders are in units, not by notional.")
    if not CAPABILITIES.takes(request.order_type, request.tif):
        raise InvalidOrder(
            f"Interactive Brokers does not accept {request.order_type} orders with {request.tif} here.", "tif"
        )
    if request.outside_rth and (request.order_type is not OrderType.LIMIT or request.tif not in _RESTING):
        raise InvalidOrder("Outside regular hours, only LMT orders are accepted, DAY or GTC.", "outside_rth")
    if instrument.spread is not None:
        _check_spread(request, instrument.spread)
    check_quantity(request.quantity, instrument)
    for field, price in (
        ("limit_price", request.limit_price),
        ("stop_price", request.stop_price),
        ("trail_amount", request.trail_amount),
    ):
        check_price(field, price, instrument)


def _check_spread(request: OrderRequest, spread: Spread) -> None:
    if request.order_type not in (OrderType.MARKET, OrderType.LIMIT) or request.order_class is not OrderClass.SIMPLE:
        raise InvalidOrder("Several options in one order go as MKT or LMT here, with no other order.", "order_type")
    if request.tif not in _RESTING:
        raise InvalidOrder("Several options in one order go as DAY or GTC here.", "tif")
    if request.outside_rth:
        raise InvalidOrder("Several options in one order go to the regular session only.", "outside_rth")
    check_bounded(spread, request.side)


def exits(request: OrderRequest) -> list[OrderRequest]:
    """Its legs, each as an order; none of one that was given no quantity."""
    return [
        OrderRequest(
            client_order_id=leg.client_order_id,
            symbol=request.symbol,
            side=leg.side,
            order_type=leg.order_type,
            quantity=request.quantity if leg.quantity is None else leg.quantity,
            tif=leg.tif,
            limit_price=leg.limit_price,
            stop_price=leg.stop_price,
            trail_amount=leg.trail_amount,
            trail_percent=leg.trail_percent,
        )
        for leg in request.legs
    ]


def check_quantity(quantity: Decimal, instrument: Instrument) -> None:
    lot = instrument.lot
    if not is_multiple(quantity, lot):
        raise InvalidOrder(
            f"The quantity must be a multiple of {plain(lot)}. {nearest_steps(quantity, lot)}", "quantity"
        )
    if quantity < instrument.minimum:
        raise InvalidOrder(f"The smallest order is {plain(instrument.minimum)}.", "quantity")


def check_price(field: str, price: Decimal | None, instrument: Instrument) -> None:
    tick = instrument.tick
    if price is not None and not is_multiple(price, tick):
        raise InvalidOrder(f"The {field} must be a multiple of {plain(tick)}. {nearest_steps(price, tick)}", field)
