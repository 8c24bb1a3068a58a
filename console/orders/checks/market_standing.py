"""Where each price of an order stands against the market: which triggers are met already, and which exits would fill at
once. Decided from values, no database, no broker.

A stop that is met already fills as soon as it is sent, which is seldom what somebody means who writes a price for
later. An exit that the market has passed ends the position in the moment it is opened.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal

from brokers import spreads
from brokers.decimals import money, plain
from brokers.types import LegRequest, OrderClass, OrderRequest, OrderType, Quote, Side, TimeInForce
from console.errors import Code, Refusal
from console.orders.checks.limit_rules import QUOTE_FRESH_FOR, is_through

_RESTS = frozenset({TimeInForce.DAY, TimeInForce.GTC})
_TRIGGERED = frozenset({OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAIL})


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceStanding:
    """One price of an order, and what comes of it as the market stands."""

    name: str
    """``Stop``, ``Limit``, ``Take profit``, ``Stop loss``, ``Trailing stop``."""
    price: Decimal
    away: Decimal
    """Signed distance from the last price, in percent of it."""
    effect: str = ""
    """``already met: buys at once, at about 232.38 USD``."""
    at_once: bool = False

    @property
    def distance(self) -> str:
        """``5.3% below``; ``at`` where it is the last price."""
        if not self.away:
            return "at"
        size = abs(self.away)
        return f"{size:.{1 if size >= Decimal('0.1') else 3}f}% {'above' if self.away > 0 else 'below'}"


def usable(quote: Quote) -> Quote | None:
    """The quote with its last price where a side of the book is missing; None without a last price.

    Of a spread no side is missing: a net of its legs below zero says that nobody pays for it.
    """
    if not _is_price(quote.last):
        return None
    is_net = quote.bid.is_finite() and spreads.parse(quote.symbol) is not None
    return replace(
        quote,
        bid=quote.bid if is_net or _is_price(quote.bid) else quote.last,
        ask=quote.ask if _is_price(quote.ask) else quote.last,
    )


def _is_price(value: Decimal) -> bool:
    return value.is_finite() and value > 0


def concerns(request: OrderRequest) -> bool:
    """Whether the order has a trigger or exits, so that where the market stands decides what it does."""
    return request.order_type in _TRIGGERED or request.order_class is not OrderClass.SIMPLE


def is_met(request: OrderRequest, quote: Quote) -> bool:
    """Whether its trigger is met already; False for an order without one, and where the market is not known."""
    market = usable(quote)
    return market is not None and _is_met(request, market)


# -- refusals ------------------------------------------------------------------------------------------------


def check_entry(request: OrderRequest, quote: Quote, *, at_once: bool) -> None:
    """A trigger that is met already has to be meant. Raises Refusal."""
    market = usable(quote)
    if market is None or at_once or not _is_met(request, market):
        return
    field = "stop_price" if request.order_type.needs_stop else _trail_field(request)
    acts, side = ("buys", "above") if request.side is Side.BUY else ("sells", "below")
    what = f"The stop of {plain(_trigger(request, market))} is already met"
    if request.limit_price is not None and not _is_marketable(request, market):
        effect = f"it would stand as a plain limit order at {plain(request.limit_price)} from the start"
    else:
        effect = f"it {acts} at once, at about {plain(_touch(request.side, market))}"
    raise Refusal(
        Code.TRIGGER_ALREADY_MET,
        f"{what}: the market is at {plain(market.last)}, so {effect}. Nothing was sent. If that is meant, ask again "
        f"with at_once true; to wait, give a stop {side} the market, or a limit order.",
        field=field,
    )


def check_exits(request: OrderRequest, quote: Quote) -> None:
    """Every exit lies where it can wait once it is live: a target on the winning side, a stop on the losing one.

    An entry that fills now is held against the market, one that waits against the price it waits for. Raises Refusal.
    """
    market = usable(quote)
    if market is None or request.order_class is OrderClass.SIMPLE:
        return
    if request.order_class is OrderClass.OCO:
        for half in _halves(request):
            check_live_exit(half, quote)
        return
    low, high = _entry_prices(request, market)
    for leg in request.legs:
        if leg.side is request.side:
            continue
        now = _fills_now(request, market)
        if now and _would_fill(leg, market):
            raise _wrong_side(leg, market, f"the market is at {plain(market.last)}")
        is_stop = leg.stop_price is not None
        price = leg.stop_price if is_stop else leg.limit_price
        if price is None:
            continue
        must_be_above = (request.side is Side.BUY) is not is_stop
        if price <= high if must_be_above else price >= low:
            entry = high if must_be_above else low
            where = "would be entered now at about" if now else "is entered at"
            raise _wrong_side(leg, market, f"the position {where} {plain(entry)}")


def check_live_exit(exit_: OrderRequest | LegRequest, quote: Quote) -> None:
    """An exit that is live as soon as it is sent must not be met already. Raises Refusal."""
    market = usable(quote)
    if market is not None and _would_fill(exit_, market):
        raise _wrong_side(exit_, market, f"the market is at {plain(market.last)}")


def _wrong_side(exit_: OrderRequest | LegRequest, market: Quote, why: str) -> Refusal:
    is_target = exit_.order_type is OrderType.LIMIT
    field, name = ("take_profit", "take profit") if is_target else ("stop_loss", "stop loss")
    sells = exit_.side is Side.SELL
    side = "above" if sells is is_target else "below"
    price = exit_.limit_price if is_target else _trigger(exit_, market)
    assert price is not None
    return Refusal(
        Code.EXIT_ON_WRONG_SIDE,
        f"The {name} of {plain(price)} would {'sell' if sells else 'buy'} at once: {why}. Nothing was sent; give a "
        f"{name} {side} that.",
        field=field,
    )


# -- words ---------------------------------------------------------------------------------------------------


def standings(request: OrderRequest, quote: Quote, currency: str) -> list[PriceStanding]:
    """Each price of the order and of its exits; none where the market is not known."""
    market = usable(quote)
    if market is None:
        return []
    if request.order_class is OrderClass.OCO:
        return [found for half in _halves(request) for found in _of_exit(half, market)]
    exits = [found for leg in request.legs for found in _of_exit(leg, market)]
    return [*_of_entry(request, market, currency), *exits]


def describe(request: OrderRequest, quote: Quote, currency: str, now: datetime) -> str:
    """Where its prices stand, as sentences; empty for an order without any.

    ``Market: 232.37 USD. Limit 180.00: 22.5% below, waits.``
    """
    found = standings(request, quote, currency)
    if not found:
        return ""
    old = "" if now - quote.as_of <= QUOTE_FRESH_FOR else f" as of {quote.as_of.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return f"Market: {money(quote.last)} {currency}{old}. {' '.join(_sentence(each) for each in found)}"


def _sentence(each: PriceStanding) -> str:
    effect = f", {each.effect}" if each.effect else ""
    distance = "at the market" if not each.away else each.distance
    return f"{each.name} {money(each.price)}: {distance}{effect}."


def _of_entry(request: OrderRequest, market: Quote, currency: str) -> list[PriceStanding]:
    found = []
    acts = "buys" if request.side is Side.BUY else "sells"
    about = f"at about {money(_touch(request.side, market))} {currency}"
    is_met = _is_met(request, market)
    if request.order_type in _TRIGGERED:
        if not is_met:
            effect = "waits" if request.order_type.needs_stop else "where it starts"
        elif request.limit_price is None:
            effect = f"already met: {acts} at once, {about}"
        else:
            effect = "already met: a limit order at once"
        name = "Stop" if request.order_type.needs_stop else "Trailing stop"
        found.append(_standing(name, _trigger(request, market), market, effect, at_once=is_met))
    if request.limit_price is not None:
        effect, at_once = "", False
        if request.order_type is OrderType.LIMIT or is_met:
            at_once = _is_marketable(request, market)
            if at_once:
                bound = "at most" if request.side is Side.BUY else "at least"
                effect = f"{acts} at once, {about}, {bound} its limit"
            else:
                effect = "waits" if request.tif in _RESTS else "not reached now"
        found.append(_standing("Limit", request.limit_price, market, effect, at_once=at_once))
    return found


def _of_exit(exit_: OrderRequest | LegRequest, market: Quote) -> list[PriceStanding]:
    if exit_.order_type is OrderType.LIMIT and exit_.limit_price is not None:
        return [_standing("Take profit", exit_.limit_price, market)]
    if exit_.stop_price is not None:
        return [_standing("Stop loss", exit_.stop_price, market)]
    return []


def _standing(name: str, price: Decimal, market: Quote, effect: str = "", *, at_once: bool = False) -> PriceStanding:
    away = (price / market.last - 1) * 100
    return PriceStanding(name=name, price=price, away=away, effect=effect, at_once=at_once)


# -- the market ----------------------------------------------------------------------------------------------


def _halves(pair: OrderRequest) -> list[OrderRequest | LegRequest]:
    return [pair, *pair.legs]


def _is_met(order: OrderRequest | LegRequest, market: Quote) -> bool:
    return order.order_type in _TRIGGERED and is_through(order, market)


def _is_marketable(order: OrderRequest | LegRequest, market: Quote) -> bool:
    """Its limit allows the other side of the book."""
    if order.limit_price is None:
        return True
    return order.limit_price >= market.ask if order.side is Side.BUY else order.limit_price <= market.bid


def _would_fill(order: OrderRequest | LegRequest, market: Quote) -> bool:
    if order.order_type in _TRIGGERED:
        return is_through(order, market)
    return _is_marketable(order, market)


def _fills_now(request: OrderRequest, market: Quote) -> bool:
    triggered = request.order_type not in _TRIGGERED or _is_met(request, market)
    return triggered and _is_marketable(request, market)


def _touch(side: Side, market: Quote) -> Decimal:
    return market.ask if side is Side.BUY else market.bid


def _trigger(order: OrderRequest | LegRequest, market: Quote) -> Decimal:
    """Its stop; of a trailing one where it starts."""
    if order.stop_price is not None:
        return order.stop_price
    trail = order.trail_amount or market.last * (order.trail_percent or Decimal(0)) / 100
    start = market.last + trail if order.side is Side.BUY else market.last - trail
    return start.quantize(Decimal("0.00000001")).normalize()


def _trail_field(order: OrderRequest) -> str:
    return "trail_percent" if order.trail_amount is None else "trail_amount"


def _entry_prices(request: OrderRequest, market: Quote) -> tuple[Decimal, Decimal]:
    """The lowest and the highest price at which it opens a position, as far as that is known."""
    if _fills_now(request, market):
        here = _touch(request.side, market)
        return min(here, market.last), max(here, market.last)
    prices = [each for each in (request.limit_price,) if each is not None]
    if request.order_type in _TRIGGERED and not _is_met(request, market):
        prices.append(_trigger(request, market))
    return min(prices), max(prices)
