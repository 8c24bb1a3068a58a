"""Whether an order may go under limits: decided from values, no database, no broker."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from brokers.decimals import DECIMAL_PLACES, MAX_DIGITS, plain
from brokers.instrument_id import InstrumentId, InstrumentKind
from brokers.spreads import Spread
from brokers.types import (
    AssetClass,
    LegRequest,
    MarginEffect,
    OrderClass,
    OrderRequest,
    OrderType,
    Preview,
    Quote,
    Side,
)
from console.errors import Code, Refusal
from console.limits import LIVE_NEEDS, TITLES, Limits

DEFAULT_COLLAR = Decimal(2)

QUOTE_FRESH_FOR = timedelta(minutes=15)

_MOST_WORTH = Decimal(10) ** (MAX_DIGITS - DECIMAL_PLACES)

MAX_DRIFT = Decimal("0.02")


# -- limits --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskInputs:
    """What was read for one order before it is decided. ``None``: could not be had, which is not zero."""

    at: datetime
    """Before the broker was asked: what the database says of later moments is not in here yet."""
    currency: str
    """The connection's own, in which its limits are."""
    asset_class: AssetClass
    identity: InstrumentId | None
    """Which instrument it is, at whatever broker."""
    price_currency: str
    rate: Decimal | None
    """What one unit of ``price_currency`` costs in ``currency``."""
    multiplier: Decimal
    quote: Quote
    held: Decimal | None = None
    """Signed quantity of the symbol over all accounts of the connection."""
    equity: Decimal | None = None
    """Over all accounts of the connection, in ``currency``."""
    equity_at_start: Decimal | None = None
    """The same when the UTC day began."""
    market_is_open: bool | None = None
    aliases: tuple[str, ...] = ()
    """What else the broker calls it, what it is built on, and both sides of a pair."""
    spread: Spread | None = None
    """Of several options in one order: what each is."""
    filled_before: Mapping[int, Decimal] | None = None
    """What had been filled of each open order at ``at``, by its row: those fills are in ``held``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitUsage:
    """What has been released under one set of limits. Amounts in the connection's currency."""

    today: Decimal | None
    """Since midnight UTC: open orders at the most they can come to, ended ones at what they came to. None: not known,
    because one was released in another currency while there was no exchange rate."""
    last_minute: int
    room_in: int
    """Seconds until one of those of the last minute no longer counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingQuantity:
    """Signed quantity that other orders of one side and symbol can still add to the position."""

    adds: Decimal = Decimal(0)
    exits: Decimal = Decimal(0)
    """The part of ``adds`` that hangs on orders of the other side, and so guards what they fill."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopedLimits:
    """One set of limits, whose it is, and what was used of it."""

    of: str
    limits: Limits
    use: LimitUsage


def worst_price(request: OrderRequest, quote: Quote, collar: Decimal | None) -> Decimal:
    """The highest price per unit that the order can come to, buying or selling, in the instrument's currency.

    A limit caps what a buyer pays, but not what a seller gets; an order without one may run as far as its collar.
    Of an OCO pair either half may fill.
    """
    halves: list[OrderRequest | LegRequest] = [request]
    if request.order_class is OrderClass.OCO:
        halves += request.legs
    return max(_worst_price(half, quote, collar) for half in halves)


def _worst_price(order: OrderRequest | LegRequest, quote: Quote, collar: Decimal | None) -> Decimal:
    best = max(quote.last, quote.ask if order.side is Side.BUY else quote.bid)
    if order.limit_price is not None:
        return order.limit_price if order.side is Side.BUY else max(order.limit_price, best)
    trail = order.trail_amount or best * (order.trail_percent or Decimal(0)) / 100
    reach = max(best, order.stop_price or best) + trail
    return reach * (1 + (DEFAULT_COLLAR if collar is None else collar) / 100)


def collar_of(bounds: tuple[ScopedLimits, ...], *, is_live: bool, takes_market: bool) -> Decimal | None:
    """Percent. The tightest that is set; on live an order that takes whatever price comes is never without one."""
    set_ = [bound.limits.price_collar for bound in bounds if bound.limits.price_collar is not None]
    if is_live and takes_market:
        set_.append(DEFAULT_COLLAR)
    return min(set_, default=None)


def takes_market(request: OrderRequest, quote: Quote) -> bool:
    """Whether the order, or an exit that would be live with it, fills at whatever price comes as the market stands."""
    return any(_takes_market(each, quote) for each in _live(request, quote))


def _live(request: OrderRequest, quote: Quote) -> list[OrderRequest | LegRequest]:
    """What stands in the market from the moment it is sent: the exits of an entry only if that fills at once."""
    at_once = request.order_class is OrderClass.OCO or _fills_at_once(request, quote)
    return [request, *request.legs] if at_once else [request]


def _fills_at_once(order: OrderRequest | LegRequest, quote: Quote) -> bool:
    if order.limit_price is None or not is_through(order, quote):
        return _takes_market(order, quote)
    return order.limit_price >= quote.ask if order.side is Side.BUY else order.limit_price <= quote.bid


def owed_beside(request: OrderRequest, spread: Spread | None) -> Decimal:
    """What an order of several options can come to owe, for one unit of the underlying; 0 for any other order.

    Raises Refusal where nothing bounds it.
    """
    if spread is None:
        return Decimal(0)
    owed = spread.owed(buys=request.side is Side.BUY)
    if owed is None:
        raise Refusal(
            Code.LIMIT_UNPROVABLE,
            f"Nothing bounds what {request.symbol} can lose: what is sold must be covered by what is bought. Nothing "
            "was sent.",
        )
    return owed


def at_most(side: Side, price: Decimal, owed: Decimal) -> Decimal:
    """What an order can come to at a price: a buyer pays it and may owe more; what a seller owes has it paid back."""
    return price + owed if side is Side.BUY else max(price, owed)


def _takes_market(order: OrderRequest | LegRequest, quote: Quote) -> bool:
    return order.limit_price is None and is_through(order, quote)


def is_through(order: OrderRequest | LegRequest, quote: Quote) -> bool:
    """Whether nothing holds the order back as the market stands: its trigger, if it has one, is met.

    Brokers trigger by the last price or by the other side of the book, so either is enough.
    """
    buys = order.side is Side.BUY
    reached = max(quote.last, quote.ask) if buys else min(quote.last, quote.bid)
    if order.stop_price is not None:
        return reached >= order.stop_price if buys else reached <= order.stop_price
    if order.order_type is OrderType.TRAIL:
        trail = order.trail_amount or quote.last * (order.trail_percent or Decimal(0)) / 100
        return reached >= quote.last + trail if buys else reached <= quote.last - trail
    return True


def check_limits(
    request: OrderRequest,
    facts: RiskInputs,
    bounds: tuple[ScopedLimits, ...],
    *,
    is_live: bool,
    pending: Mapping[Side, PendingQuantity],
    now: datetime,
    closes: bool = False,
    already: Decimal = Decimal(0),
) -> Decimal | None:
    """May an order go under every one of ``bounds``, the connection's first? Raises Refusal, naming what says no.

    ``pending`` is needed, for the sides of the order and its legs, where ``facts.held`` is known. What ``closes`` a
    position is never a matter of what is held: no limit may lock anybody in. ``already`` is what the day's use has of
    this very order, where it is to be changed. Returns the most that the order can come to with what waits for it and
    goes beyond it, in the connection's currency; None when no exchange rate is known and no limit needs one.
    """
    if is_live and any(getattr(bounds[0].limits, name) is None for name in LIVE_NEEDS):
        raise Refusal(
            Code.LIMITS_REQUIRED,
            "A live connection needs limits for the value of one order and of a day's orders, and this one has none. "
            "Its owner can set them under Limits of the connection. Nothing was sent.",
        )
    for bound in bounds:
        _check_kind(request, facts, bound)
    owed = owed_beside(request, facts.spread)
    quote = facts.quote
    if not is_priced(request, quote, facts.spread):
        raise Refusal(
            Code.LIMIT_UNPROVABLE,
            f"There is no usable price for {quote.symbol} now. Nothing was sent; try again later.",
        )
    collar = collar_of(bounds, is_live=is_live, takes_market=takes_market(request, quote))
    if collar is not None:
        for each in _live(request, quote):
            _check_collar(request.symbol, each, facts, collar, now, is_exit=_is_exit(request, facts))
    if is_live:
        for each in _live(request, quote):
            _check_through(each, quote)
    if not facts.multiplier.is_finite() or facts.multiplier <= 0:
        raise Refusal(
            Code.LIMIT_UNPROVABLE,
            f"How much one unit of {request.symbol} is worth is not known. Nothing was sent; try again later.",
        )
    units = request.quantity
    if units is None:
        # By money: as many as that buys or sells at the best price, at most.
        best = quote.ask if request.side is Side.BUY else quote.bid
        units = (request.notional or Decimal(0)) / (best * facts.multiplier)
    parts = [
        _Part(side, each, None if facts.rate is None else at_most(side, price, owed) * facts.multiplier * facts.rate)
        for side, each, price in _parts(request, units, quote, collar)
    ]
    worth = [part.worth for part in parts]
    known = [each for each in worth if each is not None]
    single, total = (max(known), sum(known, Decimal(0))) if len(known) == len(worth) else (None, None)
    if total is not None and total >= _MOST_WORTH:
        raise Refusal(
            Code.LIMIT_UNPROVABLE,
            f"It could come to {total:.0E} {facts.currency}, more than can be put on record. Nothing was sent.",
        )
    for bound in bounds:
        _check_amounts(facts, bound, single, None if total is None else max(total - already, Decimal(0)), now)
        for side in dict.fromkeys(part.side for part in parts if not closes):
            _check_position(facts, bound, side, [part for part in parts if part.side is side], pending, now)
    return total


@dataclass(frozen=True, slots=True)
class _Part:
    """What an order, or a leg that goes beyond it, adds to one side at most."""

    side: Side
    units: Decimal
    price: Decimal | None
    """The most per unit, in the connection's currency."""

    @property
    def worth(self) -> Decimal | None:
        return None if self.price is None else self.price * self.units


def _parts(
    request: OrderRequest, units: Decimal, quote: Quote, collar: Decimal | None
) -> list[tuple[Side, Decimal, Decimal]]:
    """Side, units and highest price of what the order adds: itself, and of what waits for it whatever goes beyond.

    Exits of no more than the order fills add nothing.
    """
    parts = [(request.side, units, worst_price(request, quote, collar))]
    if request.order_class is not OrderClass.OTO:
        return parts
    back = Decimal(0)
    for leg in request.legs:
        size, price = units if leg.quantity is None else leg.quantity, _worst_price(leg, quote, collar)
        if leg.side is request.side:
            parts.append((leg.side, size, price))
        else:
            beyond = min(size, max(back + size - units, Decimal(0)))
            back += size
            if beyond:
                parts.append((leg.side, beyond, price))
    return parts


def _check_kind(request: OrderRequest, facts: RiskInputs, bound: ScopedLimits) -> None:
    limits, symbol = bound.limits, request.symbol.upper()
    for name, identity in _traded(request, facts):
        if limits.symbols is not None and not any(
            limits.allows(each, identity) for each in _named(name, limits, facts)
        ):
            raise _outside(bound, "symbols", f"allow only {_some(limits.symbols)}, not {name}")
        denied = limits.denies(
            name, identity, asset_class=facts.asset_class, told=(*facts.aliases, *_named(name, limits, facts)[1:])
        )
        if denied is None:
            raise _unprovable(bound, "denied_symbols", f"the broker does not say enough about {name} to compare it")
        if denied:
            raise _outside(bound, "denied_symbols", f"do not allow {name}")
    if limits.asset_classes is not None and facts.asset_class not in limits.asset_classes:
        raise _outside(
            bound, "asset_classes", f"allow only {_some(limits.asset_classes)}, and {symbol} is {facts.asset_class}"
        )
    for kind in (request.order_type, *(leg.order_type for leg in request.legs)):
        if limits.order_types is not None and kind not in limits.order_types:
            raise _outside(bound, "order_types", f"allow only the order types {_some(limits.order_types)}, not {kind}")
    if limits.trading_hours_only and not facts.market_is_open:
        if facts.market_is_open is None:
            raise _unprovable(bound, "trading_hours_only", "whether the market is open is not known")
        raise _outside(bound, "trading_hours_only", "allow orders only while the market is open, and it is closed")


def _traded(request: OrderRequest, facts: RiskInputs) -> list[tuple[str, InstrumentId | None]]:
    """What the order trades: of a spread each leg, which no name of the whole stands for."""
    if facts.spread is None:
        return [(request.symbol.upper(), facts.identity)]
    return [
        (
            leg.symbol,
            InstrumentId(
                kind=InstrumentKind.OPTION,
                name=leg.root,
                currency=facts.price_currency,
                settle="",
                expiry=leg.expiry.isoformat(),
                right=leg.right,
                strike=leg.strike,
                venue="",
            ),
        )
        for leg in facts.spread.legs
    ]


def _named(symbol: str, limits: Limits, facts: RiskInputs) -> list[str]:
    """What it trades and, of an option in a spread, as the limits write it with a broker's number behind it."""
    leg = next((leg for leg in facts.spread.legs if leg.symbol == symbol), None) if facts.spread else None
    listed = (limits.symbols or frozenset()) | limits.denied_symbols
    return [symbol, *(each for each in listed if leg is not None and each != symbol and leg.is_called(each))]


def _is_exit(request: OrderRequest, facts: RiskInputs) -> bool:
    """Whether it can only make a position smaller, as far as that is known."""
    held = facts.held or Decimal(0)
    against = held < 0 if request.side is Side.BUY else held > 0
    return request.reduce_only or (against and request.quantity is not None and request.quantity <= abs(held))


def _check_collar(
    symbol: str, order: OrderRequest | LegRequest, facts: RiskInputs, collar: Decimal, now: datetime, *, is_exit: bool
) -> None:
    """A buyer must not pay, nor a seller take, much worse than the last price."""
    quote, base = facts.quote, facts.quote.last
    if order.limit_price is not None:
        price = order.limit_price
        if order.stop_price is not None and is_exit and not is_through(order, quote):
            base = order.stop_price  # a protective stop stands away from the market, and fills from there
    elif _takes_market(order, quote):
        if now - quote.as_of > QUOTE_FRESH_FOR:
            raise Refusal(
                Code.LIMIT_UNPROVABLE,
                f"The last price of {symbol} is from {quote.as_of.astimezone(UTC):%Y-%m-%d %H:%M} UTC, too old for an "
                "order that fills at any price now. Nothing was sent; use a limit order or wait for a newer price.",
            )
        price = quote.ask if order.side is Side.BUY else quote.bid
    else:
        return  # it waits for its trigger, at a price that nobody knows yet
    worse = (price - base) if order.side is Side.BUY else (base - price)
    share = worse / base * 100
    if share > collar:
        raise Refusal(
            Code.PRICE_OUTSIDE_COLLAR,
            f"{plain(price)} is {share:.2f} % worse than {plain(base)}, and the limits allow {plain(collar)} %. "
            "Nothing was sent. It can pass once the prices are closer together, or with a nearer limit price.",
            limit=_limit("price_collar", "connection or app", collar, "%", share, Decimal(0)),
        )


def _check_through(order: OrderRequest | LegRequest, quote: Quote) -> None:
    """A limit far through the book is a market order by another name, and real money has no such one without a collar.

    It counts from the best price there is, so that a limit at the other side of a wide spread passes.
    """
    if order.limit_price is None or not _fills_at_once(order, quote):
        return
    buys = order.side is Side.BUY
    best = max(quote.last, quote.ask) if buys else min(quote.last, quote.bid)
    share = ((order.limit_price - best) if buys else (best - order.limit_price)) / best * 100
    if share > DEFAULT_COLLAR:
        raise Refusal(
            Code.PRICE_OUTSIDE_COLLAR,
            f"It would fill at once, and its limit of {plain(order.limit_price)} is {share:.2f} % through the best "
            f"price of {plain(best)}. With real money that may be {plain(DEFAULT_COLLAR)} %. Nothing was sent; give a "
            "nearer limit price.",
            limit=_limit("price_collar", "connection or app", DEFAULT_COLLAR, "%", share, Decimal(0)),
        )


def _check_amounts(
    facts: RiskInputs, bound: ScopedLimits, single: Decimal | None, total: Decimal | None, now: datetime
) -> None:
    """``single`` is the worth of the largest order, ``total`` what is to be added to the day; None without a rate."""
    limits, use = bound.limits, bound.use
    if limits.orders_per_minute is not None and use.last_minute >= limits.orders_per_minute:
        raise _exceeded(
            bound, "orders_per_minute", Decimal(limits.orders_per_minute), "orders", Decimal(use.last_minute), None,
            f"Try again in {use.room_in} s.", retry_after=use.room_in,
        )  # fmt: skip
    if limits.order_notional is not None:
        asked = _in_currency(bound, "order_notional", single, facts)
        if asked > limits.order_notional:
            raise _exceeded(
                bound, "order_notional", limits.order_notional, facts.currency, Decimal(0), asked,
                "Trying again does not help; a smaller order may pass.",
            )  # fmt: skip
    if limits.daily_notional is not None:
        asked = _in_currency(bound, "daily_notional", total, facts)
        if asked and use.today is None:
            raise _unprovable(
                bound,
                "daily_notional",
                "the worth of another order of today is not known, because there was no exchange rate",
            )
        if asked and use.today is not None and use.today + asked > limits.daily_notional:
            raise _exceeded(
                bound, "daily_notional", limits.daily_notional, facts.currency, use.today, asked,
                "The day ends at midnight UTC; a smaller order may pass before.",
                retry_after=_until_midnight(now),
            )  # fmt: skip


def _check_position(
    facts: RiskInputs,
    bound: ScopedLimits,
    side: Side,
    parts: Sequence[_Part],
    pending: Mapping[Side, PendingQuantity],
    now: datetime,
) -> None:
    """``parts`` are those of one side."""
    limits = bound.limits
    if limits.position_value is None and limits.equity_share is None and limits.daily_loss is None:
        return
    if facts.spread is not None and (limits.position_value is not None or limits.equity_share is not None):
        name = "position_value" if limits.position_value is not None else "equity_share"
        raise _unprovable(bound, name, "of an order of several options it is not known which positions it makes larger")
    if facts.held is None:
        raise _unprovable(bound, "position_value", "the positions could not be read")
    units = sum((part.units for part in parts), Decimal(0))
    others = pending[side]
    after = facts.held + others.adds + (units if side is Side.BUY else -units)
    # What only makes a position smaller always passes, whatever guards it: no limit may lock anybody in.
    grows = after - others.exits > 0 if side is Side.BUY else after - others.exits < 0
    if not grows:
        return
    if limits.position_value is not None or limits.equity_share is not None:
        prices = [_in_currency(bound, "position_value", part.price, facts) for part in parts]
        value = abs(after) * max(prices)
        asked = sum((part.units * price for part, price in zip(parts, prices, strict=True)), Decimal(0))
        if limits.position_value is not None and value > limits.position_value:
            before = max(value - asked, Decimal(0))
            raise _exceeded(
                bound, "position_value", limits.position_value, facts.currency, before, asked,
                "A smaller order may pass.",
            )  # fmt: skip
        if limits.equity_share is not None:
            if facts.equity is None or facts.equity <= 0:
                raise _unprovable(bound, "equity_share", "the equity could not be read")
            share, before = value / facts.equity * 100, (value - asked) / facts.equity * 100
            if share > limits.equity_share:
                raise _exceeded(
                    bound, "equity_share", limits.equity_share, "%", max(before, Decimal(0)), share - before,
                    "A smaller order may pass.",
                )  # fmt: skip
    if limits.daily_loss is not None:
        if facts.equity is None or facts.equity_at_start is None:
            raise _unprovable(bound, "daily_loss", "the equity, now or when the day began, could not be read")
        loss = facts.equity_at_start - facts.equity
        if loss >= limits.daily_loss:
            raise _exceeded(
                bound, "daily_loss", limits.daily_loss, facts.currency, loss, None,
                "Orders that only make a position smaller still pass; others may after midnight UTC.",
                retry_after=_until_midnight(now),
            )  # fmt: skip


def is_priced(request: OrderRequest, quote: Quote, spread: Spread | None) -> bool:
    """Whether what the order comes to can be told. The legs of a spread may be quoted so far apart that nobody pays for
    it now: its limit bounds what is paid or received all the same."""
    told = [quote.last, quote.ask]
    if spread is None or request.limit_price is None:
        told.append(quote.bid)
    return quote.bid.is_finite() and all(price.is_finite() and price > 0 for price in told)


def _in_currency(bound: ScopedLimits, name: str, amount: Decimal | None, facts: RiskInputs) -> Decimal:
    if amount is None:
        raise _unprovable(
            bound,
            name,
            f"no exchange rate from {facts.price_currency or 'its currency'} to "
            f"{facts.currency or 'the currency of the connection'} is known",
        )
    return amount


def _until_midnight(now: datetime) -> int:
    tomorrow = (now.astimezone(UTC) + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return int((tomorrow - now).total_seconds()) + 1


def _some(names: frozenset[str]) -> str:
    named = sorted(str(each) for each in names)
    return ", ".join(named[:10]) + (f" and {len(named) - 10} more" if len(named) > 10 else "") if named else "nothing"


def _limit(name: str, of: str, value: Decimal, unit: str, used: Decimal, headroom: Decimal) -> dict[str, str]:
    return {
        "name": name,
        "of": of,
        "value": plain(value),
        "unit": unit,
        "used": _short(used),
        "headroom": _short(headroom),
    }


def _exceeded(
    bound: ScopedLimits,
    name: str,
    value: Decimal,
    unit: str,
    used: Decimal,
    asked: Decimal | None,
    advice: str,
    *,
    retry_after: int | None = None,
) -> Refusal:
    left = max(value - used, Decimal(0))
    wants = "" if asked is None else f" This order needs {_short(asked)} {unit}."
    return Refusal(
        Code.LIMIT_EXCEEDED,
        f"Over a limit of {bound.of}: {TITLES[name].lower()}, at most {plain(value)} {unit}. Used: {_short(used)} "
        f"{unit}, left: {_short(left)} {unit}.{wants} Nothing was sent. {advice}",
        limit=_limit(name, bound.of, value, unit, used, left),
        retry_after=retry_after,
    )


def _outside(bound: ScopedLimits, name: str, what: str) -> Refusal:
    return Refusal(
        Code.OUTSIDE_LIMITS,
        f"The limits of {bound.of} {what}. Nothing was sent"
        + ("; try again when it opens." if name == "trading_hours_only" else ", and trying again does not help."),
    )


def _unprovable(bound: ScopedLimits, name: str, why: str) -> Refusal:
    return Refusal(
        Code.LIMIT_UNPROVABLE,
        f"A limit of {bound.of} could not be checked ({TITLES[name].lower()}): {why}. Nothing was sent.",
    )


def _short(value: Decimal) -> str:
    """At most eight decimals: what a person and a model can use of a quotient."""
    return plain(round(value, 8))


# -- price ---------------------------------------------------------------------------------------------------


def check_drift(order_type: OrderType, shown: Decimal, price: Decimal) -> None:
    """A price limit bounds itself; an order without one must not be released far from where it was shown."""
    if order_type.needs_limit or shown == 0:
        return
    drift = abs(price - shown) / shown
    if drift > MAX_DRIFT:
        raise Refusal(
            Code.PRICE_MOVED,
            f"The price moved from {plain(shown)} to {plain(price)} since the order was shown, more than "
            f"{plain(MAX_DRIFT * 100)} %. Nothing was sent; prepare the order again.",
        )


def _check_margin_together(previews: Sequence[Preview]) -> None:
    """Each order was held against all that is free for margin. What one of them frees is not there for another: which
    fills first is not known."""
    needs: dict[str, list[MarginEffect]] = {}
    for preview in previews:
        if preview.margin is not None and preview.margin.initial_change > 0:
            needs.setdefault(preview.margin.currency, []).append(preview.margin)
    for currency, some in needs.items():
        need = sum((each.initial_change for each in some), Decimal(0))
        free = min(each.available for each in some)
        if len(some) > 1 and need > free:
            raise Refusal(
                Code.INSUFFICIENT_FUNDS,
                f"Together the orders need {need:,.2f} {currency} more of initial margin, and {free:,.2f} is free. "
                "Nothing was sent for this one.",
            )


def check_together(previews: Sequence[Preview], rates: Mapping[tuple[str, str], Decimal]) -> None:
    """What several orders cost at once must be there at once. Raises Refusal.

    Orders draw together on what is told in one currency; ``rates`` say what one unit of another costs in it. Of two
    sums told in one currency the smaller, such as cash without credit, is part of the larger.
    """
    if len(previews) < 2:
        return
    _check_margin_together(previews)
    drawn: dict[str, list[Preview]] = {}
    for preview in previews:
        if preview.drawn > 0:
            drawn.setdefault(preview.buying_power_currency, []).append(preview)
    for currency, some in drawn.items():
        costs: list[tuple[Decimal, Decimal]] = []
        for preview in some:
            own = preview.quote.currency
            rate = Decimal(1) if own == currency else rates.get((own, currency))
            if rate is not None:
                costs.append((preview.buying_power, preview.drawn * rate))
        if len(costs) < len(some):
            if len(some) == 1:
                continue  # its broker has held it against the same already
            names = _some(frozenset(preview.quote.currency for preview in some))
            raise Refusal(
                Code.LIMIT_UNPROVABLE,
                f"Whether there is enough for all orders together is not known: they cost {names}, the broker tells "
                f"one buying power in {currency or 'a currency of its own'} for them, and no exchange rate is known. "
                "Nothing was sent for this one; prepare the orders of each currency by themselves.",
            )
        for there in {told for told, _ in costs}:
            cost = sum((each for told, each in costs if told <= there), Decimal(0))
            if cost > there:
                raise Refusal(
                    Code.INSUFFICIENT_FUNDS,
                    f"Together the orders need {cost:,.2f} {currency}, and {there:,.2f} is available. Nothing "
                    "was sent for this one.",
                )
