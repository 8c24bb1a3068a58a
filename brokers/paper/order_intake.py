"""A new order: its checks, which ``preview`` and ``submit`` share, and its acceptance."""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_DOWN, Decimal

from django.db import IntegrityError

from brokers import market_hours
from brokers.decimals import is_multiple, nearest_steps, plain
from brokers.errors import (
    DuplicateClientId,
    InsufficientFunds,
    InsufficientPosition,
    InvalidOrder,
    MarketClosed,
    NotSupported,
    StaleQuote,
)
from brokers.paper import account_rows, buying_power, costs, ledger, prices, trading_sessions
from brokers.paper.accounts import CurrentAccount, match_locked, watch
from brokers.paper.engine import Arrival, Matcher, cannot_wait, latency, set_bounds, terms_of, window
from brokers.paper.listings import market_of
from brokers.paper.models import CLASSES, OPEN_STATUSES, PaperAccount, PaperFill, PaperOrder
from brokers.types import (
    USUAL,
    AssetClass,
    BrokerStatus,
    Capabilities,
    Instrument,
    InstrumentEvent,
    LegRequest,
    OrderChanges,
    OrderClass,
    OrderRequest,
    OrderType,
    Preview,
    Side,
    TimeInForce,
)

_AT_ONCE = frozenset({TimeInForce.IOC, TimeInForce.FOK})
_AUCTIONS = frozenset({TimeInForce.OPG, TimeInForce.CLS})
_WAITING = frozenset({TimeInForce.DAY, TimeInForce.GTC})
_SHARES = frozenset({AssetClass.STOCK, AssetClass.ETF})
_STOPS = (OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAIL)

CAPABILITIES = Capabilities(
    abilities=USUAL,
    asset_classes=frozenset(CLASSES),
    order_types=frozenset(OrderType),
    time_in_force=frozenset(TimeInForce),
    not_found_after=10.0,
    order_classes=frozenset(OrderClass),
    pairs=dict.fromkeys(_STOPS, _WAITING),
    replace=True,
    tells_changes=True,
    notional=True,
    short=True,
    crosses_zero=True,
    extended_hours=False,
    reduce_only=True,
    post_only=True,
    practice=True,
    margin_in_preview=True,
    events=frozenset({InstrumentEvent.DIVIDEND}),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """An order that passed every check, and what it would do now."""

    tape: prices.Tape
    order: PaperOrder
    """Not saved."""
    legs: tuple[PaperOrder, ...]
    arrival: Arrival
    price: Decimal
    """What one unit is expected to cost or bring."""

    @property
    def instrument(self) -> Instrument:
        return self.tape.instrument


def assess(it: CurrentAccount, request: OrderRequest) -> Assessment:
    """Raises what is wrong with the order; changes nothing. The snapshot has looked for its client order id."""
    account, market, now = it.account, it.market, it.now
    ids = [request.client_order_id, *(leg.client_order_id for leg in request.legs)]
    if it.state.knows_name or (request.legs and account.orders.filter(client_order_id__in=ids[1:]).exists()):
        raise DuplicateClientId("An order with this client order id already exists.")
    if len(set(ids)) < len(ids):
        raise InvalidOrder("Every leg needs its own client order id.", "legs")
    tape = market.tape(request.symbol)
    instrument = tape.instrument
    _check_offered(request, tape)
    if instrument.currency != account.currency:
        raise InvalidOrder(
            f"{instrument.symbol} trades in {instrument.currency}, but this account is in {account.currency}.", "symbol"
        )
    quantity = _quantity(request, tape, now)
    _check_form(request, quantity, instrument, _step(it.state, request, quantity, instrument))
    _check_legs(request, instrument)
    at_once = cannot_wait(request.order_type, request.tif)
    if at_once and not market_hours.is_open(tape.hours, now):
        opens = market_hours.next_open(tape.hours, now)
        raise MarketClosed(
            f"The market for {instrument.symbol} is closed until "
            f"{opens:%A} {opens.day} {opens:%B %Y, %H:%M} {market_hours.place(tape.hours)} time. "
            "Until then, only resting limit and stop orders (DAY or GTC) are accepted."
        )
    order = _row(account, request, tape, quantity, now)
    legs = tuple(_leg_row(order, request, leg, tape, now) for leg in request.legs)
    matcher = Matcher(account, market, now)
    arrival = matcher.arrival(order, tape)
    if at_once and prices.is_stale(tape, arrival.quote, now):
        raise StaleQuote(
            f"The newest price of {instrument.symbol} is from {arrival.quote.as_of:%H:%M:%S} UTC, too old to trade "
            "on. Until there is a newer one, only resting limit and stop orders (DAY or GTC) are accepted."
        )
    if request.post_only and arrival.match.price is not None:
        raise InvalidOrder(
            f"This post-only order would trade immediately, at {plain(arrival.match.price)}.", "limit_price"
        )
    if request.reduce_only:
        able = buying_power.closable(it.state, order.symbol, request.side)
        if quantity > able:
            raise InsufficientPosition(
                f"A reduce-only order can close {plain(able)} {order.symbol} here, but this one is for "
                f"{plain(quantity)}.",
                available=able,
            )
    reserve(it.state, market, order, tape, arrival)
    _check_short(it.state, request, quantity, instrument)
    price = _expected_price(order, tape, arrival)
    if costs.notional_of(price, quantity) == 0:
        raise InvalidOrder("This order is worth less than one cent.", "quantity")
    if request.order_class is OrderClass.OCO:
        for leg in legs:
            reserve(it.state, market, leg, tape, matcher.arrival(leg, tape))
    return Assessment(tape=tape, order=order, legs=legs, arrival=arrival, price=price)


def reserve(
    state: ledger.AccountSnapshot,
    market: prices.Market,
    order: PaperOrder,
    tape: prices.Tape,
    arrival: Arrival,
    *,
    but: PaperOrder | None = None,
) -> None:
    """Set what the order holds while it rests, and check that it can be paid. Saves nothing."""
    account = state.account
    preset, terms = costs.model_of(account.preset, account.overrides), terms_of(order, tape)
    if terms.order_type is OrderType.TRAIL:
        terms = replace(terms, best=arrival.match.best)
    able = buying_power.closable(state, order.symbol, terms.side, but=but)
    held = needed = buying_power.largest_requirement(
        account, preset, terms, tape.instrument, arrival.quote, able, filled=order.filled_quantity
    )
    fills = arrival.match.price is not None and (arrival.room is None or arrival.room >= terms.quantity)
    there = order.arrives_at is None  # else nobody knows yet what it will meet
    if there and arrival.match.price is not None and (fills or terms.tif in _AT_ONCE):
        # Nothing of it will rest, so it has to pay no more than what stands now.
        needed = buying_power.requirement(
            account, preset, terms, tape.instrument, able, arrival.match.price, filled=order.filled_quantity
        )
    elif there and terms.tif in _AT_ONCE:
        needed = buying_power.Requirement(Decimal(0), held.units)
    buying_power.check(state, market, terms, tape.instrument, needed, but=but)
    order.reserved_cash, order.reserved_quantity = held.cash, held.units


def preview(it: CurrentAccount, request: OrderRequest) -> Preview:
    """What ``submit`` would do now, by the same checks and the same fee function."""
    account = it.account
    found = assess(it, request)
    asset_class, quantity = found.instrument.asset_class, found.order.quantity
    preset = costs.model_of(account.preset, account.overrides)
    maker = found.arrival.match.price is None and request.order_type is OrderType.LIMIT
    return Preview(
        price=found.price,
        notional=costs.notional_of(found.price, quantity),
        fee=costs.fee(preset, asset_class, found.price, quantity, maker=maker),
        cash_effect=costs.cash_effect(preset, request.side, asset_class, found.price, quantity, maker=maker),
        buying_power=buying_power.available_funds(it.state, it.market),
        buying_power_currency=account.currency,
        quote=found.arrival.quote,
        instrument=described(found.tape),
        margin=buying_power.margin_effect(it.state, it.market, request.side, found.instrument, quantity, found.price),
    )


def described(tape: prices.Tape) -> Instrument:
    """What is traded, with its hours in words."""
    return replace(tape.instrument, hours=trading_sessions.hours_text(tape.hours))


def submit(key: str, request: OrderRequest, now: datetime) -> tuple[PaperOrder, list[PaperFill] | None]:
    """Accept the order with its legs, and fill what can fill at once: one transaction, all of it or nothing.

    With the order come its fills, where they are known without asking.
    """
    with account_rows.locked(key, now, named=request.client_order_id) as rows:
        mine, market = rows.account, rows.market
        state = match_locked(mine, now, market, rows.state)
        found = assess(CurrentAccount(mine, market, now, state), request)
        matcher = Matcher(mine, market, now, state)
        try:
            if not _fills_whole(found):  # else it is written as it ends
                ledger.save(found.order)
            for leg in found.legs:
                leg.parent = found.order
                ledger.save(leg)
            if found.order.arrives_at is None:
                _arrive(matcher, found.order, found.tape, found.arrival)
        except IntegrityError:  # it ends the transaction
            raise DuplicateClientId("An order with this client order id already exists.") from None
        if found.order.arrives_at is not None:
            watch(mine, found.tape, now)
            return found.order, []
        if request.legs or BrokerStatus(found.order.status).is_open:
            watch(mine, found.tape, now)
        if request.order_class is OrderClass.SIMPLE:
            return found.order, matcher.fills
        if request.order_class is OrderClass.OCO:
            for leg in mine.orders.filter(parent=found.order, status__in=OPEN_STATUSES):
                _arrive(matcher, leg, found.tape, matcher.arrival(leg, found.tape))
        found.order.refresh_from_db()
    return found.order, None


def _fills_whole(found: Assessment) -> bool:
    """Whether an order that stands by itself fills whole as it comes, if it can be paid."""
    order, arrival = found.order, found.arrival
    alone = order.order_class == OrderClass.SIMPLE and order.arrives_at is None and not order.reduce_only
    return alone and arrival.match.price is not None and (arrival.room is None or arrival.room >= order.quantity)


def _arrive(matcher: Matcher, order: PaperOrder, tape: prices.Tape, arrival: Arrival) -> None:
    if not matcher.arrive(order, tape, arrival):
        raise InsufficientFunds("There is not enough cash for this order.")


def change(account: PaperAccount, order: PaperOrder, changes: OrderChanges, now: datetime) -> PaperOrder:
    """Change a resting order in place. It then is on its way and meets the quote and later bars, as a new one would.

    The caller holds the lock, has matched up to ``now`` and knows that the order is open.
    """
    market = market_of(account)
    tape = market.tape(order.symbol)
    kind, tif = OrderType(order.order_type), changes.tif or TimeInForce(order.tif)
    if changes == OrderChanges():
        raise InvalidOrder("Nothing would change.", "quantity")
    if changes.tif is not None and (tif not in _WAITING or order.tif not in _WAITING):
        raise InvalidOrder("Time in force can only be changed between DAY and GTC.", "tif")
    for field in ("limit_price", "stop_price", "trail_amount", "trail_percent"):
        value = getattr(changes, field)
        if value is not None and getattr(order, field) is None:
            raise InvalidOrder(f"This {kind} order has no {field} to change.", field)
    if changes.quantity is not None:
        if order.pair or order.follows:
            raise InvalidOrder("The quantity of an exit cannot be changed.", "quantity")
        _check_units(changes.quantity, tape.instrument)
        if changes.quantity <= order.filled_quantity:
            raise InvalidOrder(
                f"{plain(order.filled_quantity)} has already filled; the new quantity must be greater.", "quantity"
            )
        order.quantity = changes.quantity
    for field in ("limit_price", "stop_price", "trail_amount", "trail_percent"):
        setattr(order, field, getattr(changes, field) or getattr(order, field))
    _check_prices(order, kind, tape.instrument)
    order.tif, order.updated = tif.value, now
    if order.held:
        ledger.save(order)
        return order
    delay = latency(account)
    order.arrives_at = now + delay if delay else None
    order.matched_until, order.expires_at = window(tape, tif, now + delay)
    set_bounds(order, tape)
    matcher = Matcher(account, market, now)
    arrival = matcher.arrival(order, tape)
    reserve(ledger.AccountSnapshot(account, now), market, order, tape, arrival, but=order)
    ledger.save(order)
    if not delay:
        _arrive(matcher, order, tape, arrival)
        order.refresh_from_db()
    return order


def _row(
    account: PaperAccount, request: OrderRequest, tape: prices.Tape, quantity: Decimal, now: datetime
) -> PaperOrder:
    delay = latency(account)
    start, expires_at = window(tape, request.tif, now + delay)
    order = PaperOrder(
        account=account,
        client_order_id=request.client_order_id,
        broker_order_id=ledger.new_order_id(),
        symbol=tape.instrument.symbol,
        currency=tape.instrument.currency,
        side=request.side.value,
        order_type=request.order_type.value,
        tif=request.tif.value,
        quantity=quantity,
        limit_price=request.limit_price,
        stop_price=request.stop_price,
        trail_amount=request.trail_amount,
        trail_percent=request.trail_percent,
        reduce_only=request.reduce_only,
        post_only=request.post_only,
        arrives_at=now + delay if delay else None,
        outside_rth=request.outside_rth,
        order_class=request.order_class.value,
        pair=ledger.new_order_id() if request.order_class is OrderClass.OCO else "",
        status=BrokerStatus.WORKING.value,
        filled_quantity=Decimal(0),
        fees=Decimal(0),
        reserved_cash=Decimal(0),
        reserved_quantity=Decimal(0),
        created=now,
        updated=now,
        expires_at=expires_at,
        matched_until=start,
        tape=tape.key,
    )
    set_bounds(order, tape)
    return order


def _leg_row(
    parent: PaperOrder, request: OrderRequest, leg: LegRequest, tape: prices.Tape, now: datetime
) -> PaperOrder:
    waits = request.order_class is not OrderClass.OCO
    alone = OrderRequest(
        client_order_id=leg.client_order_id,
        symbol=request.symbol,
        side=leg.side,
        order_type=leg.order_type,
        quantity=None,
        tif=leg.tif,
        limit_price=leg.limit_price,
        stop_price=leg.stop_price,
        trail_amount=leg.trail_amount,
        trail_percent=leg.trail_percent,
        order_class=request.order_class,
    )
    follows = waits and leg.quantity is None
    row = _row(parent.account, alone, tape, Decimal(0) if follows else leg.quantity or parent.quantity, now)
    row.held, row.follows = waits, follows
    if waits:
        row.arrives_at = None
    row.pair = parent.pair
    if request.order_class is OrderClass.BRACKET:
        row.pair = f"{parent.broker_order_id}-X"
    set_bounds(row, tape)
    return row


def _expected_price(order: PaperOrder, tape: prices.Tape, arrival: Arrival) -> Decimal:
    if arrival.match.price is not None:
        return arrival.match.price
    terms = terms_of(order, tape)
    if terms.order_type.needs_limit:
        return terms.limit
    if terms.order_type is OrderType.TRAIL:
        return replace(terms, best=arrival.match.best or arrival.quote.last).stop
    return terms.stop if terms.order_type.needs_stop else arrival.quote.last


def _quantity(request: OrderRequest, tape: prices.Tape, now: datetime) -> Decimal:
    if request.notional is None:
        if request.quantity is None:
            raise InvalidOrder("An order needs a quantity.", "quantity")
        return request.quantity
    if request.quantity is not None:
        raise InvalidOrder("Give either a quantity or a notional amount, not both.", "notional")
    if request.order_type is not OrderType.MARKET:
        raise InvalidOrder("Only market orders can have a notional amount.", "notional")
    _check_amount(request.notional, "notional", "A notional amount")
    quote, instrument = prices.newest(tape, now), tape.instrument
    in_parts = instrument.asset_class in _SHARES
    step = min(instrument.lot, costs.FRACTION) if in_parts else instrument.lot
    price = quote.ask if request.side is Side.BUY else quote.bid
    units = (request.notional / price / step).to_integral_value(ROUND_DOWN) * step
    if units < (step if in_parts else instrument.minimum):
        raise InvalidOrder(
            f"{plain(request.notional)} {instrument.currency} is less than the smallest order in "
            f"{instrument.symbol}, {plain(step if in_parts else instrument.minimum)} at {plain(price)}.",
            "notional",
        )
    return units


def _step(state: ledger.AccountSnapshot, request: OrderRequest, quantity: Decimal, instrument: Instrument) -> Decimal:
    """The steps that the quantity may have: parts of a share by value, or where it closes what is held."""
    if instrument.asset_class not in _SHARES or request.order_type is not OrderType.MARKET:
        return instrument.lot
    closes = quantity.is_finite() and quantity <= buying_power.closable(state, instrument.symbol, request.side)
    return min(instrument.lot, costs.FRACTION) if closes or request.notional is not None else instrument.lot


def _check_short(
    state: ledger.AccountSnapshot, request: OrderRequest, quantity: Decimal, instrument: Instrument
) -> None:
    if request.side is Side.BUY or is_multiple(quantity, instrument.lot):
        return
    if quantity > buying_power.closable(state, instrument.symbol, request.side):
        raise InvalidOrder(
            f"This order sells {plain(quantity)} {instrument.symbol}, more than there is, and only whole shares can be "
            "sold short. Give a quantity.",
            "quantity" if request.notional is None else "notional",
        )


def _check_offered(request: OrderRequest, tape: prices.Tape) -> None:
    """Refuse what the exchange does not do, whatever its terms."""
    if request.outside_rth and tape.hours != market_hours.ALWAYS:
        raise NotSupported("The simulated market does not trade outside regular hours.")
    venue = market_hours.exchange(tape.hours)
    if request.tif in _AUCTIONS and venue is not None and (tape.step > 1 or not venue.auctions):
        why = "has daily bars only" if venue.auctions else f"has no auctions at {venue.name}"
        raise InvalidOrder(f"{tape.instrument.symbol} {why}. Use DAY, GTC, IOC or FOK.", "tif")
    if request.tif in _AUCTIONS and venue is None:
        raise InvalidOrder(
            f"{tape.instrument.symbol} never closes here, so it has no open or close. Use DAY, GTC, IOC or FOK.",
            "tif",
        )


def _check_legs(request: OrderRequest, instrument: Instrument) -> None:
    kind, legs = request.order_class, request.legs
    if kind is OrderClass.SIMPLE:
        if legs:
            raise InvalidOrder("A simple order has no legs.", "legs")
        return
    if request.notional is not None or request.tif in _AT_ONCE | _AUCTIONS:
        raise InvalidOrder(f"A {kind} order needs a quantity, and DAY or GTC.", "order_class")
    for leg in legs:
        _check_id(leg.client_order_id)
        if leg.tif not in _WAITING:
            raise InvalidOrder("A leg has to rest, so it must be DAY or GTC.", "legs")
        if leg.quantity is not None:
            _check_units(leg.quantity, instrument)
        _check_prices(leg, leg.order_type, instrument)
    other_side = all(leg.side is not request.side for leg in legs)
    if kind is OrderClass.BRACKET:
        target, stop = request.take_profit, request.stop_loss
        if target is None or stop is None or len(legs) != 2 or not other_side or any(leg.quantity for leg in legs):
            raise InvalidOrder(
                "A bracket has two legs on the other side, without a quantity: a limit order and a stop.", "legs"
            )
    elif kind is OrderClass.OCO:
        if len(legs) != 1 or legs[0].side is not request.side or legs[0].quantity not in (None, request.quantity):
            raise InvalidOrder("An OCO order has one leg, of the same side and quantity.", "legs")
        if OrderType.MARKET in (request.order_type, legs[0].order_type):
            raise InvalidOrder("Both orders of an OCO wait for a price.", "order_type")
    elif not legs:
        raise InvalidOrder("An OTO order has at least one leg.", "legs")


def _check_id(client_order_id: str) -> None:
    if not 1 <= len(client_order_id) <= 64:
        raise InvalidOrder("A client order id has 1 to 64 characters.", "client_order_id")


def _check_form(request: OrderRequest, quantity: Decimal, instrument: Instrument, step: Decimal) -> None:
    _check_id(request.client_order_id)
    _check_units(quantity, instrument, step)
    kind = request.order_type
    _check_prices(request, kind, instrument)
    if kind in _STOPS and request.tif in _AT_ONCE | _AUCTIONS:
        raise InvalidOrder(f"A stop order has to rest, so it cannot be {request.tif}. Use DAY or GTC.", "tif")
    if request.post_only and (kind is not OrderType.LIMIT or request.tif not in _WAITING):
        raise InvalidOrder("Only a resting limit order (DAY or GTC) can be post-only.", "post_only")


def _check_units(quantity: Decimal, instrument: Instrument, step: Decimal | None = None) -> None:
    """``step``: smaller than the lot where parts of a share may trade."""
    step = instrument.lot if step is None else step
    _check_amount(quantity, "quantity", "A quantity")
    if not is_multiple(quantity, step):
        raise InvalidOrder(_off_step(instrument, "trades", step, quantity), "quantity")
    if step == instrument.lot and quantity < instrument.minimum:
        raise InvalidOrder(
            f"The smallest order in {instrument.symbol} is {plain(instrument.minimum)}; "
            f"{plain(quantity)} is less than that.",
            "quantity",
        )


def _check_prices(order: OrderRequest | LegRequest | PaperOrder, kind: OrderType, instrument: Instrument) -> None:
    _check_price(order.limit_price, "limit_price", "limit price", kind, kind.needs_limit, instrument)
    _check_price(order.stop_price, "stop_price", "stop price", kind, kind.needs_stop, instrument)
    if not kind.needs_trail:
        if order.trail_amount is not None or order.trail_percent is not None:
            raise InvalidOrder(f"A {kind} order has no trailing distance.", "trail_amount")
    elif (order.trail_amount is None) == (order.trail_percent is None):
        raise InvalidOrder("A TRAIL order needs either a trail amount or a trail percentage, not both.", "trail_amount")
    elif order.trail_amount is not None:
        _check_price(order.trail_amount, "trail_amount", "trail amount", kind, True, instrument)
    elif order.trail_percent is not None and not 0 < order.trail_percent < 100:
        raise InvalidOrder("A trail percentage must be between 0 and 100.", "trail_percent")


def _check_price(
    price: Decimal | None, field: str, words: str, kind: OrderType, needed: bool, instrument: Instrument
) -> None:
    if price is None:
        if needed:
            raise InvalidOrder(f"A {kind} order needs a {words}.", field)
        return
    if not needed:
        raise InvalidOrder(f"A {kind} order has no {words}.", field)
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
        said = f"{instrument.symbol} {verb} in whole units; {plain(value)} is not a whole number."
    elif _places(value) > _places(step):
        said += " has more decimals than that."
    else:
        said += " is not a multiple of that."
    return f"{said} {nearest_steps(value, step)}"


def _places(value: Decimal) -> int:
    return len(plain(value).partition(".")[2])
