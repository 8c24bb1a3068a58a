"""An order book that is computed, because nothing in the paper market rests anywhere but the accounts' own orders.

The best prices are the quote's own. Behind them a level lies every hundredth of a percent of the last price, and
holds a share of the last bar's volume that is fixed by symbol, minute, side and level. Orders are not matched
against it: see ``fill_rules``.
"""

from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from hashlib import blake2b

from brokers import market_hours
from brokers.paper import prices
from brokers.types import Level, OrderBook, Quote

_STEP = Decimal("0.0001")
"""Between two levels, as a share of the last price; never less than a tick."""
_SHARE = 20
"""An ordinary level holds the last bar's volume divided by this."""


def book(tape: prices.Tape, now: datetime, depth: int) -> OrderBook:
    quote = prices.quote(tape, now)
    return OrderBook(
        symbol=quote.symbol,
        currency=quote.currency,
        bids=_levels(tape, quote, "bid", depth),
        asks=_levels(tape, quote, "ask", depth),
        as_of=quote.as_of,
        source=f"simulated depth around the quote from: {quote.source}",
        simulated=True,
    )


def top(tape: prices.Tape, quote: Quote) -> tuple[Decimal, Decimal]:
    """Sizes at the bid and at the ask of ``quote``."""
    return _levels(tape, quote, "bid", 1)[0].size, _levels(tape, quote, "ask", 1)[0].size


def _levels(tape: prices.Tape, quote: Quote, side: str, depth: int) -> tuple[Level, ...]:
    tick, lot = tape.instrument.tick, tape.instrument.lot
    end = market_hours.minute_of(quote.as_of)
    bar = tape.aggregate(end - tape.step, end)
    ordinary = (bar.volume if bar else Decimal(0)) / _SHARE
    step = max(tick, _whole(quote.last * _STEP, tick))
    best, away = (quote.bid, -step) if side == "bid" else (quote.ask, step)
    levels = []
    for place in range(depth):
        price = best + away * place
        if price <= 0:
            break
        digest = blake2b(f"{quote.symbol}:{end}:{side}:{place}".encode(), digest_size=8).digest()
        percent = 50 + int.from_bytes(digest, "big") % 101 + 10 * place
        levels.append(Level(price, max(lot, _whole(ordinary * percent / 100, lot))))
    return tuple(levels)


def _whole(value: Decimal, step: Decimal) -> Decimal:
    """The largest multiple of ``step`` that is not above ``value``."""
    return (value / step).to_integral_value(ROUND_DOWN) * step
