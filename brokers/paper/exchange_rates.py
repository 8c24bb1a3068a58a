"""Exchange rates the paper market can tell: a currency in itself, and pairs of currencies the operator imported."""

from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal

from brokers.errors import NoRate
from brokers.paper import prices
from brokers.types import Quote, Rate

# Money of account. A coin's price in dollars is a quote, not an exchange rate.
_CURRENCIES = frozenset(("AUD", "CAD", "CHF", "CNY", "EUR", "GBP", "HKD", "JPY", "NOK", "NZD", "SEK", "SGD", "USD"))
_STEP = Decimal("0.0000000001")


def rate(market: prices.Market, base: str, quote: str, now: datetime) -> Rate:
    """Raises NoRate."""
    if base == quote and base in _CURRENCIES:
        return Rate(base=base, quote=quote, rate=Decimal(1), as_of=now, source="the same currency")
    if {base, quote} <= _CURRENCIES:
        if found := _quote(market, f"{base}/{quote}", now):
            return Rate(base=base, quote=quote, rate=found.last, as_of=found.as_of, source=found.source)
        if found := _quote(market, f"{quote}/{base}", now):
            turned = (1 / found.last).quantize(_STEP, ROUND_HALF_EVEN)
            return Rate(
                base=base,
                quote=quote,
                rate=turned,
                as_of=found.as_of,
                source=f"1 divided by {found.symbol} ({found.source})",
            )
    raise NoRate(
        f"The paper market has no exchange rate from {base} to {quote}. It only has rates for currency pairs that its "
        "operator imported."
    )


def _quote(market: prices.Market, pair: str, now: datetime) -> Quote | None:
    return prices.newest(market.tape(pair), now) if market.lists(pair) else None
