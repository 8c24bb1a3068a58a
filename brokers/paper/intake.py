"""A new order: its checks, which ``preview`` and ``submit`` share, and its acceptance."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import IntegrityError, transaction

from brokers.decimals import is_multiple, plain
from brokers.errors import (
    DuplicateClientId,
    InsufficientFunds,
    InsufficientPosition,
    InvalidOrder,
    MarketClosed,
    NotSupported,
)
from brokers.paper import exchange, hours, ledger, prices
from brokers.paper.books import first_match, match_locked
from brokers.paper.listings import market_of
from brokers.paper.models import PaperAccount, PaperOrder
from brokers.types import (
    Ability,
    AssetClass,
    BrokerStatus,
    Capabilities,
    Instrument,
    OrderRequest,
    OrderType,
    Preview,
    Quote,
    Side,
    TimeInForce,
)

CAPABILITIES = Capabilities(
    abilities=frozenset(Ability),
    asset_classes=frozenset({AssetClass.STOCK, AssetClass.ETF, AssetClass.CRYPTO}),
    order_types=frozenset(OrderType) - {OrderType.TRAIL},
    time_in_force=frozenset({TimeInForce.DAY, TimeInForce.GTC, TimeInForce.IOC}),
    not_found_after=10.0,
)

_NOT_AT_ONCE = "An IOC order fills at once or not at all, and the price was not there."


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """An order that passed every check, and what it would do now."""

    tape: prices.Tape
    quote: Quote
    terms: exchange.Terms
    fill_price: Decimal | None
    """None: it rests, or ends unfilled when it is IOC."""
    triggered: bool
    reserve: Decimal
    """Cash to hold while it rests."""

    @property
    def instrument(self) -> Instrument:
        return self.tape.instrument


def assess(account: PaperAccount, request: OrderRequest, now: datetime) -> Assessment:
    """Raises what is wrong with the order; checks only, changes nothing."""
    if account.orders.filter(client_order_id=request.client_order_id).exists():
        raise DuplicateClientId("An order with this client order id exists already.")
    tape = market_of(account).tape(request.symbol)
    quantity = _check_form(request, tape.instrument)
    if tape.instrument.currency != account.currency:
        raise InvalidOrder(
            f"{tape.instrument.symbol} trades in {tape.instrument.currency}, "
            f"and this account holds {account.currency}.",
            "symbol",
        )
    trading = hours.is_open(tape.hours, now)
    if not trading and (request.order_type is OrderType.MARKET or request.tif is TimeInForce.IOC):
        opens = hours.next_open(tape.hours, now)
        raise MarketClosed(
            f"The market for {tape.instrument.symbol} is closed until "
            f"{opens:%A} {opens.day} {opens:%B %Y, %H:%M} New York time. "
            "Until then it takes limit and stop orders that wait (DAY or GTC)."
        )
    terms = exchange.Terms(
        side=request.side,
        order_type=request.order_type,
        quantity=quantity,
        limit_price=request.limit_price,
        stop_price=request.stop_price,
    )
    quote = prices.quote(tape, now)
    arrival = exchange.on_arrival(terms, quote) if trading else exchange.Match()
    reserve = Decimal(0)
    if arrival.price is None and request.tif is not TimeInForce.IOC:
        reserve = exchange.reservation(terms, tape.instrument.asset_class, quote)
    assessment = Assessment(
        tape=tape,
        quote=quote,
        terms=terms,
        fill_price=arrival.price,
        triggered=arrival.triggered,
        reserve=reserve,
    )
    _check_means(account, assessment)
    return assessment


def preview(account: PaperAccount, request: OrderRequest, now: datetime) -> Preview:
    """What ``submit`` would do now, by the same checks and the same fee function."""
    found = assess(account, request, now)
    asset_class, quantity = found.instrument.asset_class, found.terms.quantity
    price = _expected_price(found)
    return Preview(
        price=price,
        notional=exchange.gross(price, quantity),
        fee=exchange.fee(asset_class, price, quantity),
        cash_effect=exchange.cash_effect(request.side, asset_class, price, quantity),
        buying_power=ledger.cash_in(account, account.currency).available,
        quote=found.quote,
    )


def submit(account: PaperAccount, request: OrderRequest, now: datetime) -> PaperOrder:
    """Accept the order, and fill it if it can fill at once: one transaction, all of it or nothing."""
    with ledger.locked(account) as mine:
        match_locked(mine, now)
        found = assess(mine, request, now)
        rests = found.fill_price is None
        order = PaperOrder(
            account=mine,
            client_order_id=request.client_order_id,
            broker_order_id=ledger.new_order_id(),
            symbol=found.instrument.symbol,
            currency=found.instrument.currency,
            side=request.side.value,
            order_type=request.order_type.value,
            tif=request.tif.value,
            quantity=found.terms.quantity,
            limit_price=request.limit_price,
            stop_price=request.stop_price,
            triggered=found.triggered,
            status=BrokerStatus.WORKING.value,
            filled_quantity=Decimal(0),
            fees=Decimal(0),
            reserved_cash=found.reserve,
            reserved_quantity=found.terms.quantity if rests and request.side is Side.SELL else Decimal(0),
            created=now,
            updated=now,
            expires_at=hours.session_end(found.tape.hours, now) if request.tif is TimeInForce.DAY else None,
            matched_until=first_match(found.tape, now),
        )
        try:
            with transaction.atomic():
                order.save(force_insert=True)
        except IntegrityError:
            raise DuplicateClientId("An order with this client order id exists already.") from None
        if found.fill_price is not None:
            _fill_on_arrival(mine, order, found, now)
        elif request.tif is TimeInForce.IOC:
            ledger.end(order, BrokerStatus.CANCELLED, at=now, reason=_NOT_AT_ONCE)
    return order


def _fill_on_arrival(account: PaperAccount, order: PaperOrder, found: Assessment, now: datetime) -> None:
    price = found.quote.last if found.fill_price is None else found.fill_price
    if not ledger.fill(account, order, found.instrument, price=price, at=now, recorded_at=found.quote.recorded_at):
        raise InsufficientFunds("There is not enough cash for this order.")


def _expected_price(found: Assessment) -> Decimal:
    if found.fill_price is not None:
        return found.fill_price
    return found.terms.limit if found.terms.order_type.needs_limit else found.terms.stop


def _check_offered(request: OrderRequest) -> None:
    """Refuse what the exchange does not do, whatever its terms."""
    kind, tif = request.order_type, request.tif
    if kind not in CAPABILITIES.order_types:
        raise NotSupported(f"The paper broker takes no {kind} orders.")
    if not CAPABILITIES.takes(kind, tif):
        raise NotSupported(f"The paper broker takes no {kind} orders with the time in force {tif}.")
    if request.legs or request.order_class not in CAPABILITIES.order_classes:
        raise NotSupported("The paper broker takes single orders only, none with legs.")
    for asked, offered, words in (
        (request.notional is not None, CAPABILITIES.notional, "orders by notional; give a quantity"),
        (request.outside_rth, CAPABILITIES.extended_hours, "orders outside the regular session"),
        (request.reduce_only, CAPABILITIES.reduce_only, "reduce-only orders"),
        (request.post_only, CAPABILITIES.post_only, "post-only orders"),
    ):
        if asked and not offered:
            raise NotSupported(f"The paper broker takes no {words}.")


def _check_form(request: OrderRequest, instrument: Instrument) -> Decimal:
    """The quantity, in units."""
    _check_offered(request)
    quantity = request.quantity
    if quantity is None:
        raise InvalidOrder("An order needs a quantity.", "quantity")
    if not 1 <= len(request.client_order_id) <= 64:
        raise InvalidOrder("A client order id has 1 to 64 characters.", "client_order_id")
    _check_amount(quantity, "quantity", "A quantity")
    if not is_multiple(quantity, instrument.lot):
        raise InvalidOrder(_off_step(instrument, "trades", instrument.lot, quantity), "quantity")
    if quantity < instrument.minimum:
        raise InvalidOrder(
            f"The smallest order in {instrument.symbol} is {plain(instrument.minimum)}; "
            f"{plain(quantity)} is less than that.",
            "quantity",
        )
    kind = request.order_type
    _check_price(request.limit_price, "limit_price", "limit price", kind, kind.needs_limit, instrument)
    _check_price(request.stop_price, "stop_price", "stop price", kind, kind.needs_stop, instrument)
    if kind.needs_stop and request.tif is TimeInForce.IOC:
        raise InvalidOrder("A stop order waits for its price, so it cannot be IOC. Use DAY or GTC.", "tif")
    return quantity


def _check_price(
    price: Decimal | None, field: str, words: str, kind: OrderType, needed: bool, instrument: Instrument
) -> None:
    if price is None:
        if needed:
            raise InvalidOrder(f"A {kind} order needs a {words}.", field)
        return
    if not needed:
        raise InvalidOrder(f"A {kind} order takes no {words}.", field)
    _check_amount(price, field, f"A {words}")
    if not is_multiple(price, instrument.tick):
        raise InvalidOrder(_off_step(instrument, "is priced", instrument.tick, price), field)


def _check_amount(value: Decimal, field: str, words: str) -> None:
    if not value.is_finite() or value <= 0:
        raise InvalidOrder(f"{words} must be a number greater than 0.", field)
    if value > ledger.LARGEST:
        raise InvalidOrder(f"{words} can be at most {ledger.LARGEST:,f}.", field)


def _off_step(instrument: Instrument, verb: str, step: Decimal, value: Decimal) -> str:
    said = f"{instrument.symbol} {verb} in steps of {plain(step)}; {plain(value)}"
    if step == 1:
        return f"{instrument.symbol} {verb} in whole units; {plain(value)} is not a whole number."
    if _places(value) > _places(step):
        return f"{said} has more decimals than that."
    return f"{said} is not a multiple of that."


def _places(value: Decimal) -> int:
    return len(plain(value).partition(".")[2])


def _check_means(account: PaperAccount, found: Assessment) -> None:
    """Cash for a buy, units for a sell. A resting sell holds no cash: its proceeds pay its fee."""
    terms, instrument = found.terms, found.instrument
    if exchange.gross(_expected_price(found), terms.quantity) == 0:
        raise InvalidOrder("This order is worth less than one cent.", "quantity")
    if terms.side is Side.SELL:
        units = ledger.held(account, instrument.symbol)
        if terms.quantity > units.available:
            raise InsufficientPosition(_short_of_units(instrument.symbol, terms.quantity, units))
    needed = found.reserve
    if found.fill_price is not None:
        needed = -exchange.cash_effect(terms.side, instrument.asset_class, found.fill_price, terms.quantity)
    available = ledger.cash_in(account, instrument.currency).available
    if needed > max(available, Decimal(0)):
        raise InsufficientFunds(
            f"This order needs {needed:,.2f} {instrument.currency} "
            f"and {available:,.2f} {instrument.currency} is available."
        )


def _short_of_units(symbol: str, wanted: Decimal, units: ledger.Held) -> str:
    held = f"This order sells {plain(wanted)} {symbol}, and {plain(units.available)} is available"
    if units.reserved:
        return f"{held}: {plain(units.total)} held, {plain(units.reserved)} set aside for open sell orders."
    return f"{held}. Selling what is not held is not offered."
