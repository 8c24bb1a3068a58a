"""What Alpaca takes, by asset class, checked here before anything is sent. An order is refused, never altered.

Source: Alpaca Trading API 2.0.1 (OpenAPI), schemas OrderType, TimeInForce and OrderClass.
"""

from decimal import Decimal

from brokers.decimals import is_multiple, nearest_steps, plain
from brokers.errors import InvalidOrder, NotSupported
from brokers.spread_prices import check_bounded
from brokers.spreads import Spread
from brokers.types import (
    USUAL,
    Ability,
    AssetClass,
    Capabilities,
    FeeRule,
    Instrument,
    InstrumentEvent,
    LegRequest,
    OrderClass,
    OrderRequest,
    OrderType,
    TimeInForce,
    Unchangeable,
)

_RESTING = frozenset({TimeInForce.DAY, TimeInForce.GTC})
_COINS = frozenset({TimeInForce.GTC, TimeInForce.IOC})

CAPABILITIES = Capabilities(
    abilities=USUAL - {Ability.SCREENING} | {Ability.OPTION_CHAINS, Ability.TRANSFERS},
    asset_classes=frozenset({AssetClass.STOCK, AssetClass.CRYPTO, AssetClass.OPTION}),
    order_types=frozenset(OrderType),
    time_in_force=frozenset(TimeInForce),
    not_found_after=120.0,
    order_classes=frozenset(OrderClass),
    pairs={OrderType.STOP: _RESTING, OrderType.STOP_LIMIT: _RESTING | {TimeInForce.IOC}, OrderType.TRAIL: _RESTING},
    coins=_COINS,
    replace=True,
    never_changes=frozenset({Unchangeable.WITH_EXITS, Unchangeable.SIZE_PARTLY_FILLED}),
    notional=True,
    fractional=True,
    short=True,
    extended_hours=True,
    spreads=True,
    events=frozenset({InstrumentEvent.DIVIDEND}),
    order_stream=True,
)

_TYPES = {
    AssetClass.CRYPTO: frozenset({OrderType.MARKET, OrderType.LIMIT, OrderType.STOP_LIMIT}),
    AssetClass.OPTION: frozenset({OrderType.MARKET, OrderType.LIMIT}),
}
_TIMES = {
    AssetClass.CRYPTO: _COINS,
    AssetClass.OPTION: frozenset({TimeInForce.DAY}),
}
_EXITS = (OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT)
_CRYPTO_FEE = Decimal("0.0025")
_PENNY, _SUB_PENNY = Decimal("0.01"), Decimal("0.0001")


def check(request: OrderRequest, instrument: Instrument) -> None:
    """Raises InvalidOrder, naming the field, or NotSupported."""
    kind = instrument.asset_class
    if request.order_class is not OrderClass.SIMPLE:
        _check_exits(request, instrument)
    if request.reduce_only or request.post_only:
        raise NotSupported("Alpaca has neither reduce-only nor post-only orders.")
    if request.order_type not in _TYPES.get(kind, frozenset(OrderType)):
        raise InvalidOrder(f"Alpaca does not accept {request.order_type} orders for {kind}.", "order_type")
    if request.tif not in _TIMES.get(kind, frozenset(TimeInForce)):
        taken = ", ".join(sorted(_TIMES[kind]))
        raise InvalidOrder(f"For {kind}, Alpaca accepts {taken}, not {request.tif}.", "tif")
    if not CAPABILITIES.takes(request.order_type, request.tif):
        raise InvalidOrder(f"Alpaca does not accept {request.order_type} orders with {request.tif}.", "tif")
    if request.outside_rth and (request.order_type is not OrderType.LIMIT or request.tif not in _RESTING):
        raise InvalidOrder("Outside regular hours, Alpaca accepts only LMT orders, DAY or GTC.", "outside_rth")
    if instrument.spread is not None:
        _check_spread(request, instrument.spread)
    _check_size(request, instrument)
    check_prices(request, instrument)


def _check_spread(request: OrderRequest, spread: Spread) -> None:
    if request.outside_rth:
        raise InvalidOrder("Alpaca takes no options outside the regular session.", "outside_rth")
    check_bounded(spread, request.side)


def _check_exits(request: OrderRequest, instrument: Instrument) -> None:
    """Source: Alpaca's order guide, "Bracket Orders", "OCO Orders" and "OTO Orders"."""
    kinds = sorted(leg.order_type.needs_stop for leg in request.legs)
    if instrument.asset_class is not AssetClass.STOCK:
        raise NotSupported(f"Alpaca takes orders with exits for stocks alone, not for {instrument.asset_class}.")
    if any(leg.order_type not in _EXITS for leg in request.legs):
        raise NotSupported("At Alpaca an exit is a LMT, STP or STP_LIMIT order: it takes no trailing stop as one.")
    if kinds != ([False, True] if request.order_class is OrderClass.BRACKET else kinds[:1]):
        raise NotSupported("Alpaca takes one profit target and one stop beside an order, or one of the two.")
    if request.order_class is OrderClass.OCO and (request.order_type is not OrderType.LIMIT or kinds != [True]):
        raise NotSupported("Alpaca takes a pair of a LMT order and a stop that end each other, and no other.")
    if request.order_type not in (OrderType.MARKET, OrderType.LIMIT):
        raise NotSupported("Alpaca takes exits beside MKT and LMT orders alone.")
    if request.outside_rth:
        raise InvalidOrder("Alpaca takes no order with exits outside the regular session.", "outside_rth")
    if request.quantity is None or request.quantity % 1:
        raise InvalidOrder("Alpaca takes an order with exits in whole shares.", "quantity")
    if any(leg.quantity not in (None, request.quantity) for leg in request.legs):
        raise NotSupported("At Alpaca an exit has the quantity of its order.")
    if request.tif not in _RESTING or any(leg.tif is not request.tif for leg in request.legs):
        asked = ", ".join(sorted({leg.tif for leg in request.legs}))
        raise InvalidOrder(f"At Alpaca exits stand as long as their order, and these are {asked}. Use that.", "tif")
    for leg in request.legs:
        check_prices(leg, instrument)


def _check_size(request: OrderRequest, instrument: Instrument) -> None:
    stock = instrument.asset_class is AssetClass.STOCK
    if request.notional is not None:
        if request.order_type is not OrderType.MARKET or instrument.asset_class is AssetClass.OPTION:
            raise InvalidOrder(
                "Alpaca accepts a notional amount only with MKT orders for stocks and coins.", "notional"
            )
        if stock and request.tif is not TimeInForce.DAY:
            raise InvalidOrder("Alpaca accepts a notional amount only with DAY.", "tif")
        if not is_multiple(request.notional, _PENNY):
            raise InvalidOrder(
                f"Alpaca accepts a notional amount in whole cents. {nearest_steps(request.notional, _PENNY)}",
                "notional",
            )
        return
    check_quantity(request.units, instrument)
    if request.units < instrument.minimum:
        raise InvalidOrder(f"The smallest order is {plain(instrument.minimum)}.", "quantity")
    if stock and request.units % 1 and request.tif is not TimeInForce.DAY:
        raise InvalidOrder("Fractional shares are accepted only with DAY.", "tif")


def check_prices(request: OrderRequest | LegRequest, instrument: Instrument) -> None:
    """Whether prices lie on the instrument's steps. Raises InvalidOrder."""
    for field, price in (
        ("limit_price", request.limit_price),
        ("stop_price", request.stop_price),
        ("trail_amount", request.trail_amount),
    ):
        if price is not None:
            check_price(field, price, instrument)


def check_price(field: str, price: Decimal, instrument: Instrument) -> None:
    tick = step(price, instrument)
    if not is_multiple(price, tick):
        raise InvalidOrder(f"The {field} must be a multiple of {plain(tick)}. {nearest_steps(price, tick)}", field)


def check_quantity(quantity: Decimal, instrument: Instrument) -> None:
    lot = instrument.lot
    if not is_multiple(quantity, lot):
        raise InvalidOrder(
            f"The quantity must be a multiple of {plain(lot)}. {nearest_steps(quantity, lot)}", "quantity"
        )


def step(price: Decimal, instrument: Instrument) -> Decimal:
    """Smallest price step at a price: below one dollar a stock moves in hundredths of a cent."""
    return _SUB_PENNY if instrument.asset_class is AssetClass.STOCK and price < 1 else instrument.tick


def fee(kind: AssetClass, notional: Decimal) -> Decimal:
    """An estimate, in dollars."""
    return notional * _CRYPTO_FEE if kind is AssetClass.CRYPTO else Decimal(0)


FEES = [
    FeeRule(
        asset_class=AssetClass.STOCK,
        basis="notional",
        rate=Decimal(0),
        minimum=Decimal(0),
        words="No commission. Regulatory fees on sales are charged at the end of the day and not estimated here.",
    ),
    FeeRule(
        asset_class=AssetClass.CRYPTO,
        basis="notional",
        rate=_CRYPTO_FEE,
        minimum=Decimal(0),
        words="0.25%, Alpaca's taker fee in its first tier; makers and larger volumes pay less. On buys it is charged "
        "in the coin.",
    ),
    FeeRule(
        asset_class=AssetClass.OPTION,
        basis="unit",
        rate=Decimal(0),
        minimum=Decimal(0),
        words="No commission. Regulatory and clearing fees are charged at the end of the day and not estimated here.",
    ),
]
