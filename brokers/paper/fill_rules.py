"""How an order meets a price. Pure: no database, no clock, no Django, no money.

A bar is four prices in an unknown order, except that its open comes first and its close last, and that the
price moves through every value between them. Where the order of events inside a bar is not known, the rule
taken is the one that cannot flatter the trader.

==============  ======================================  ===============================================
resting         fills in a bar when                     at
==============  ======================================  ===============================================
market          it trades                               open
limit buy       low <= limit                            min(open, limit): a gap in its favour is its own
limit sell      high >= limit                           max(open, limit)
stop buy        high >= stop                            max(open, stop): a gap against it is its loss
stop sell       low <= stop                             min(open, stop)
trailing stop   the stop it has come to is touched      as a stop, see ``_trail_in_bar``
stop-limit      the stop is touched, then as a limit    see ``in_bar``
OPG, CLS        open, close is within its limit if any  open of a session's first, close of its last bar
==============  ======================================  ===============================================

How much of it fills, and what slippage and fees then do to it, is the business of ``costs``. A stop that filled
in part is a market order from then on.
"""

from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal

from brokers.types import Bar, OrderType, Quote, Side, TimeInForce

CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True, kw_only=True)
class RestingOrder:
    """What of an order matters to matching."""

    side: Side
    order_type: OrderType
    quantity: Decimal
    tif: TimeInForce = TimeInForce.GTC
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_amount: Decimal | None = None
    trail_percent: Decimal | None = None
    best: Decimal | None = None
    """TRAIL only: the highest price since it was placed for a sell, the lowest for a buy."""
    tick: Decimal = CENT
    triggered: bool = False

    @property
    def limit(self) -> Decimal:
        if self.limit_price is None:
            raise ValueError(f"A {self.order_type} order has no limit price.")
        return self.limit_price

    @property
    def stop(self) -> Decimal:
        """Where it stands now: that of a trailing stop moves with ``best``. On a tick, rounded away from the trader."""
        if self.order_type is OrderType.TRAIL:
            if self.best is None:
                raise ValueError("A trailing stop follows no price yet.")
            if self.side is Side.SELL:
                return -_mirror(self).stop
            return _to_tick(self.best + self._distance(self.best), self.tick)
        if self.stop_price is None:
            raise ValueError(f"A {self.order_type} order has no stop price.")
        return self.stop_price

    @property
    def at_market(self) -> bool:
        """Nothing but a trade stands between it and its fill."""
        if self.order_type.needs_limit:
            return False
        return self.order_type is OrderType.MARKET or self.triggered

    def _distance(self, best: Decimal) -> Decimal:
        if self.trail_amount is not None:
            return self.trail_amount
        if self.trail_percent is None:
            raise ValueError("A trailing stop needs its distance.")
        return abs(best) * self.trail_percent / 100


@dataclass(frozen=True, slots=True)
class FillResult:
    """``price`` is that of the fill, None when there is none. The rest is the order's new state."""

    price: Decimal | None = None
    triggered: bool = False
    best: Decimal | None = None


def on_arrival(terms: RestingOrder, quote: Quote) -> FillResult:
    """A new order against the quote: it buys at the ask and sells at the bid, marketable limits too.

    A stop whose price the last trade has reached already triggers at once. A trailing stop starts at the last trade.
    """
    buying = terms.side is Side.BUY
    here = quote.ask if buying else quote.bid
    if terms.order_type is OrderType.MARKET:
        return FillResult(here)
    if terms.order_type is OrderType.TRAIL:
        return FillResult(here, triggered=True) if terms.triggered else FillResult(best=terms.best or quote.last)
    if terms.order_type.needs_stop and not terms.triggered:
        reached = quote.last >= terms.stop if buying else quote.last <= terms.stop
        if not reached:
            return FillResult()
    if terms.order_type is OrderType.STOP:
        return FillResult(here, triggered=True)
    marketable = here <= terms.limit if buying else here >= terms.limit
    return FillResult(here if marketable else None, triggered=terms.order_type.needs_stop)


def in_bar(terms: RestingOrder, bar: Bar) -> FillResult:
    """A resting order against one complete bar. No price and its old state mean nothing happened.

    A stop-limit whose stop the open has reached already triggers at the open and is a limit order for the
    whole bar. One that triggers later in the bar fills there only if that is certain: at the stop when its
    limit allows that price, else at its limit when the close, which comes last, is through the limit.
    Otherwise it rests as a limit order from the next bar on.
    """
    if terms.side is Side.SELL:
        match = in_bar(_mirror(terms), _mirror_bar(bar))
        return FillResult(_negative(match.price), match.triggered, _negative(match.best))
    if terms.tif in (TimeInForce.OPG, TimeInForce.CLS):
        price = bar.open if terms.tif is TimeInForce.OPG else bar.close
        return FillResult(price if terms.at_market or price <= terms.limit else None)
    if terms.at_market:
        return FillResult(bar.open, terms.triggered, terms.best)
    if terms.order_type is OrderType.TRAIL:
        return _trail_in_bar(terms, bar)
    if terms.order_type is OrderType.STOP:
        return FillResult(max(bar.open, terms.stop), triggered=True) if bar.high >= terms.stop else FillResult()
    if terms.order_type is OrderType.LIMIT or terms.triggered:
        return FillResult(_limit_price(terms, bar), terms.triggered)
    if bar.high < terms.stop:
        return FillResult()
    if bar.open >= terms.stop:
        return FillResult(_limit_price(terms, bar), triggered=True)
    if terms.limit >= terms.stop:
        return FillResult(terms.stop, triggered=True)
    return FillResult(terms.limit if bar.close <= terms.limit else None, triggered=True)


def touches(terms: RestingOrder) -> tuple[Decimal | None, Decimal | None]:
    """(below, above): no bar does anything to this order unless its low is <= below or its high >= above.

    (None, None) stands for an order at market, which every bar reaches.
    """
    if terms.at_market or terms.tif in (TimeInForce.OPG, TimeInForce.CLS):
        return None, None
    buying = terms.side is Side.BUY
    if terms.order_type is OrderType.TRAIL:
        if terms.best is None:
            return None, None
        # Beyond its best price it fills nothing, but its stop moves.
        return (terms.best, terms.stop) if buying else (terms.stop, terms.best)
    if terms.order_type.needs_stop and not terms.triggered:
        return (None, terms.stop) if buying else (terms.stop, None)
    return (terms.limit, None) if buying else (None, terms.limit)


def _trail_in_bar(terms: RestingOrder, bar: Bar) -> FillResult:
    """A buy, whose stop lies above the lowest price. The open comes first, so it may move the stop and then be met.

    The low may come before or after the high: the stop it would draw counts within the bar only against the close.
    """
    if terms.best is None:
        terms = replace(terms, best=bar.open)
    if bar.open >= terms.stop:
        return FillResult(bar.open, triggered=True, best=terms.best)
    for turn, price in ((bar.open, bar.high), (bar.low, bar.close)):
        if terms.best is None or turn < terms.best:
            terms = replace(terms, best=turn)
        if price >= terms.stop:
            return FillResult(terms.stop, triggered=True, best=terms.best)
    return FillResult(best=terms.best)


def _limit_price(terms: RestingOrder, bar: Bar) -> Decimal | None:
    return min(bar.open, terms.limit) if bar.low <= terms.limit else None


def _mirror(terms: RestingOrder) -> RestingOrder:
    """A sell is a buy with every price negated: one set of rules, so the two sides cannot drift apart."""
    return replace(
        terms,
        side=Side.BUY,
        limit_price=_negative(terms.limit_price),
        stop_price=_negative(terms.stop_price),
        best=_negative(terms.best),
    )


def _mirror_bar(bar: Bar) -> Bar:
    return Bar(start=bar.start, open=-bar.open, high=-bar.low, low=-bar.high, close=-bar.close, volume=bar.volume)


def _negative(price: Decimal | None) -> Decimal | None:
    return None if price is None else -price


def _to_tick(price: Decimal, tick: Decimal) -> Decimal:
    return (price / tick).to_integral_value(ROUND_CEILING) * tick
