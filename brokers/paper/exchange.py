"""How an order meets a price. Pure: no database, no clock, no Django.

A bar is four prices in an unknown order, except that its open comes first and its close last, and that the
price moves through every value between them. Where the order of events inside a bar is not known, the rule
taken is the one that cannot flatter the trader.

==========  =====================================  ===============================================
resting     fills in a bar when                    at
==========  =====================================  ===============================================
limit buy   low <= limit                           min(open, limit): a gap in its favour is its own
limit sell  high >= limit                          max(open, limit)
stop buy    high >= stop                           max(open, stop): a gap against it is its loss
stop sell   low <= stop                            min(open, stop)
stop-limit  the stop is touched, then as a limit   see ``in_bar``
==========  =====================================  ===============================================
"""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal

from brokers.types import AssetClass, Bar, OrderType, Quote, Side

CENT = Decimal("0.01")
CRYPTO_FEE_RATE = Decimal("0.0025")
"""Share of the notional: 0.25 %."""
SHARE_FEE = Decimal("0.005")
"""Per share of a stock or ETF, in the instrument's currency."""
SHARE_FEE_MINIMUM = Decimal("1.00")
"""Per fill of a stock or ETF, in the instrument's currency."""
STOP_CUSHION = Decimal("1.02")
"""A stop may fill beyond its price: a resting stop buy reserves this multiple of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What of an order matters to matching."""

    side: Side
    order_type: OrderType
    quantity: Decimal
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    triggered: bool = False

    @property
    def limit(self) -> Decimal:
        if self.limit_price is None:
            raise ValueError(f"A {self.order_type} order has no limit price.")
        return self.limit_price

    @property
    def stop(self) -> Decimal:
        if self.stop_price is None:
            raise ValueError(f"A {self.order_type} order has no stop price.")
        return self.stop_price


@dataclass(frozen=True, slots=True)
class Match:
    """``price`` is that of the fill, None when there is none. ``triggered`` is a stop order's new state."""

    price: Decimal | None = None
    triggered: bool = False


def gross(price: Decimal, quantity: Decimal) -> Decimal:
    """Price times quantity, rounded half up to the cent."""
    return (price * quantity).quantize(CENT, ROUND_HALF_UP)


def fee(asset_class: AssetClass, price: Decimal, quantity: Decimal) -> Decimal:
    """The one fee function: reservations, previews and fills all use it."""
    if asset_class is AssetClass.CRYPTO:
        return (gross(price, quantity) * CRYPTO_FEE_RATE).quantize(CENT, ROUND_HALF_UP)
    return max(SHARE_FEE_MINIMUM, (SHARE_FEE * quantity).quantize(CENT, ROUND_HALF_UP))


def cash_effect(side: Side, asset_class: AssetClass, price: Decimal, quantity: Decimal) -> Decimal:
    """Signed change of cash by a fill, fee included."""
    amount = gross(price, quantity)
    return (-amount if side is Side.BUY else amount) - fee(asset_class, price, quantity)


def reservation(terms: Terms, asset_class: AssetClass, quote: Quote) -> Decimal:
    """Cash a resting order holds back: the worst price it may pay, and the fee on that. Sells hold none."""
    if terms.side is Side.SELL:
        return Decimal(0)
    if terms.order_type.needs_limit:
        worst = terms.limit
    else:
        worst = (max(quote.ask, terms.stop) * STOP_CUSHION).quantize(CENT, ROUND_CEILING)
    return -cash_effect(Side.BUY, asset_class, worst, terms.quantity)


def on_arrival(terms: Terms, quote: Quote) -> Match:
    """A new order against the quote: it buys at the ask and sells at the bid, marketable limits too.

    A stop whose price the last trade has reached already triggers at once.
    """
    buying = terms.side is Side.BUY
    here = quote.ask if buying else quote.bid
    if terms.order_type is OrderType.MARKET:
        return Match(here)
    if terms.order_type.needs_stop:
        reached = quote.last >= terms.stop if buying else quote.last <= terms.stop
        if not reached:
            return Match()
        if terms.order_type is OrderType.STOP:
            return Match(here, triggered=True)
    marketable = here <= terms.limit if buying else here >= terms.limit
    return Match(here if marketable else None, triggered=terms.order_type.needs_stop)


def in_bar(terms: Terms, bar: Bar) -> Match:
    """A resting order against one complete bar. No price and the old ``triggered`` mean nothing happened.

    A stop-limit whose stop the open has reached already triggers at the open and is a limit order for the
    whole bar. One that triggers later in the bar fills there only if that is certain: at the stop when its
    limit allows that price, else at its limit when the close, which comes last, is through the limit.
    Otherwise it rests as a limit order from the next bar on.
    """
    if terms.side is Side.SELL:
        mirrored = in_bar(_mirror(terms), _mirror_bar(bar))
        return Match(None if mirrored.price is None else -mirrored.price, mirrored.triggered)
    if terms.order_type is OrderType.STOP:
        return Match(max(bar.open, terms.stop), triggered=True) if bar.high >= terms.stop else Match()
    if terms.order_type is OrderType.LIMIT or terms.triggered:
        return Match(_limit_price(terms, bar), terms.triggered)
    if terms.order_type is not OrderType.STOP_LIMIT or bar.high < terms.stop:
        return Match()
    if bar.open >= terms.stop:
        return Match(_limit_price(terms, bar), triggered=True)
    if terms.limit >= terms.stop:
        return Match(terms.stop, triggered=True)
    return Match(terms.limit if bar.close <= terms.limit else None, triggered=True)


def _limit_price(terms: Terms, bar: Bar) -> Decimal | None:
    return min(bar.open, terms.limit) if bar.low <= terms.limit else None


def _mirror(terms: Terms) -> Terms:
    """A sell is a buy with every price negated: one set of rules, so the two sides cannot drift apart."""
    return Terms(
        side=Side.BUY,
        order_type=terms.order_type,
        quantity=terms.quantity,
        limit_price=None if terms.limit_price is None else -terms.limit_price,
        stop_price=None if terms.stop_price is None else -terms.stop_price,
        triggered=terms.triggered,
    )


def _mirror_bar(bar: Bar) -> Bar:
    return Bar(start=bar.start, open=-bar.open, high=-bar.low, low=-bar.high, close=-bar.close, volume=bar.volume)
