"""Dividends and splits of the simulated stocks, computed from the seed like their prices and so known ahead.

A stock that pays has four dividends a year, a quarter of what ``simulated_market`` says each, on a trading day of its
own choice. In the first quarter of every year one stock that has not split yet, and costs more than 100 USD, splits
two, three or four for one; its later dividends are as much smaller. They begin on 1 December 2026 and end with 2040.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache

from brokers import market_hours
from brokers.paper import simulated_market

BEGIN = datetime(2026, 12, 1, tzinfo=UTC)
YEARS = range(2026, 2041)
_DEAREST = 10_000
"""Cents that a stock costs at least, before it splits."""
_FRACTION = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class SimulatedAction:
    """As ``models.CorporateAction`` has it."""

    at: datetime
    symbol: str
    kind: str
    value: Decimal
    pk: int = 0


@lru_cache(maxsize=64)
def schedule(seed: int) -> tuple[SimulatedAction, ...]:
    """All of a market, in order of time."""
    splits = list(_splits(seed))
    ratios = {split.symbol: split for split in splits}
    found = [
        *splits,
        *(each for security in simulated_market.dividend_payers() for each in _dividends(seed, *security, ratios)),
    ]
    return tuple(sorted((each for each in found if each.at >= BEGIN), key=lambda each: (each.at, each.symbol)))


def between(seed: int, after: datetime, until: datetime) -> tuple[SimulatedAction, ...]:
    """Those that took effect after the one time and not after the other."""
    known = schedule(seed)
    first, last = (bisect_right(known, when, key=lambda each: each.at) for when in (after, until))
    return known[first:last]


def _dividends(seed: int, symbol: str, cents: int, splits: dict[str, SimulatedAction]) -> Iterator[SimulatedAction]:
    month = 1 + simulated_market.random_bits(seed, f"{symbol}/month") % 3
    split = splits.get(symbol)
    for year in YEARS:
        for quarter in range(4):
            day = 1 + simulated_market.random_bits(seed, f"{symbol}/{year}/{quarter}") % 24
            at = _trading_day(date(year, month + 3 * quarter, day))
            shares = split.value if split and split.at <= at else Decimal(1)
            yield SimulatedAction(at, symbol, "dividend", (Decimal(cents) / 400 / shares).quantize(_FRACTION))


def _splits(seed: int) -> Iterator[SimulatedAction]:
    left = simulated_market.expensive_symbols(_DEAREST)
    for year in YEARS[1:]:
        draw = simulated_market.random_bits(seed, f"split/{year}")
        if left:
            symbol = left.pop(draw % len(left))
            at = _trading_day(date(year, 1 + draw // 64 % 3, 4 + draw // 256 % 24))
            yield SimulatedAction(at, symbol, "split", Decimal(2 + draw // 8192 % 3))


def _trading_day(on: date) -> datetime:
    """00:00 UTC of the first day from ``on`` that New York trades."""
    day = (on - date(1970, 1, 1)).days
    while not market_hours.trading_day(market_hours.VENUE, day):
        day += 1
    return market_hours.at_minute(day * market_hours.DAY_MINUTES)
