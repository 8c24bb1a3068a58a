"""A spread of options as one instrument, and what it is bought and sold for, for brokers that quote its legs alone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from brokers import spreads
from brokers.errors import InvalidOrder, InvalidRequest
from brokers.spreads import Spread
from brokers.types import Instrument, OrderRequest, Quote, Side


def as_one(spread: Spread, leg: Instrument) -> Instrument:
    """The spread by the rules of one of its legs."""
    name = ", ".join(each.words for each in spread.legs)
    return replace(leg, symbol=spread.symbol, name=name, spread=spread, expiry="", right="", strike=None)


def check_alone(symbol: str, broker: str) -> None:
    """Of what is told of single instruments. Raises InvalidRequest for a spread."""
    if spreads.parse(symbol) is not None:
        raise InvalidRequest(f"{broker} tells this of each leg alone: ask for the symbol of one.", "symbol")


def net_quote(spread: Spread, legs: Mapping[str, Quote]) -> Quote:
    """What one spread is bought and sold for, by the quotes of its legs under their OCC symbols. Raises InvalidRequest
    where it is worth less than nothing: turned around, it is worth that.
    """
    bid = ask = Decimal(0)
    for leg in spread.legs:
        quote, signed = legs[leg.symbol], leg.sign * leg.ratio
        bid += signed * (quote.bid if signed > 0 else quote.ask)
        ask += signed * (quote.ask if signed > 0 else quote.bid)
    middle = (bid + ask) / 2
    if middle <= 0:
        raise InvalidRequest(
            f"Buying {spread.symbol} would bring money in as the market stands: ask for {spread.turned.symbol}.",
            "symbol",
        )
    told = [legs[leg.symbol] for leg in spread.legs]
    return Quote(
        symbol=spread.symbol,
        currency=told[0].currency,
        last=middle,
        bid=bid,
        ask=ask,
        open=None,
        high=None,
        low=None,
        change_percent=None,
        as_of=min(each.as_of for each in told),
        source=f"{' and '.join(dict.fromkeys(each.source for each in told))}, net of the legs; last is the middle",
    )


def fill_at(
    request: OrderRequest, instrument: Instrument, quotes: Callable[[Sequence[str]], list[Quote]]
) -> tuple[Quote, Decimal]:
    """The quote by which an order is previewed, and the price, of a spread or anything else. Raises InvalidOrder."""
    try:
        (quote,) = quotes([instrument.symbol])
    except InvalidRequest as error:
        if instrument.spread is None:
            raise
        raise _other_way(request.side) from error
    price = request.limit_price or request.stop_price or (quote.ask if request.side is Side.BUY else quote.bid)
    if instrument.spread is not None and price <= 0:
        raise InvalidOrder("These legs are quoted too far apart for a price now. Give a LMT order.", "order_type")
    return quote, price


def _other_way(side: Side) -> InvalidOrder:
    """The side says that who should receive money pays it, or the reverse."""
    if side is Side.BUY:
        words = "side BUY pays a net debit, and as the market stands these legs bring in a net credit: give side SELL"
    else:
        words = "side SELL receives a net credit, and as the market stands these legs cost a net debit: give side BUY"
    return InvalidOrder(f"The {words}, or turn each leg around.", "side")


def check_bounded(spread: Spread, side: Side) -> None:
    """What can be lost must be known: the rest is no order to confirm by a price. Raises InvalidOrder."""
    if spread.owed(buys=side is Side.BUY) is None:
        raise InvalidOrder(
            "Nothing bounds what these legs can lose: what is sold must be covered by what is bought, in no smaller "
            "number and with no earlier expiry. Trade them one by one where a position covers them.",
            "legs",
        )


def largest(instrument: Instrument, request: OrderRequest, price: Decimal, free: Decimal) -> Decimal | None:
    """How many spreads ``free`` covers, by the most that each can lose; None where it can lose nothing."""
    assert instrument.spread is not None
    lost = instrument.spread.lost(price, buys=request.side is Side.BUY) or Decimal(0)
    each = lost * instrument.multiplier
    return max(free // each, Decimal(0)) if each else None
