"""A simulated stock market: every price is computed from (seed, symbol, minute), none is recorded.

Integers only. Each UTC day's bar comes first: its open and close lie on slow value noise around a base
price. The day is then split into shorter bars, those into shorter ones, down to the minute. A split hands
the open to its first child, the close to its last, the high and the low to one child each and the volume to
all, so coarse bars are exactly what their minutes add up to, and a daily bar costs no walk over its minutes.
"""

from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache, partial
from hashlib import blake2b
from itertools import pairwise
from typing import NamedTuple

from brokers import market_hours
from brokers.paper.prices import Listing, Ohlcv, fold
from brokers.types import AssetClass, Instrument

SOURCE = "simulated market (seeded, not real prices)"


class _Security(NamedTuple):
    symbol: str
    name: str
    asset_class: AssetClass
    base: int
    """Price in cents that the noise moves around."""
    swing: int
    """Size of its moves, in percent of an ordinary stock's."""
    volume: int
    """Shares on an ordinary day."""
    dividend: int
    """Cents a share and year."""


_SECURITIES = (
    _Security("AAPL", "Apple Inc.", AssetClass.STOCK, 23150, 100, 55_000_000, 104),
    _Security("MSFT", "Microsoft Corporation", AssetClass.STOCK, 43400, 90, 21_000_000, 332),
    _Security("NVDA", "NVIDIA Corporation", AssetClass.STOCK, 14200, 160, 220_000_000, 4),
    _Security("AMZN", "Amazon.com, Inc.", AssetClass.STOCK, 20400, 110, 38_000_000, 0),
    _Security("GOOGL", "Alphabet Inc. Class A", AssetClass.STOCK, 17800, 105, 27_000_000, 84),
    _Security("META", "Meta Platforms, Inc.", AssetClass.STOCK, 58200, 120, 13_000_000, 212),
    _Security("TSLA", "Tesla, Inc.", AssetClass.STOCK, 29700, 180, 95_000_000, 0),
    _Security("BRK.B", "Berkshire Hathaway Inc. Class B", AssetClass.STOCK, 46300, 60, 3_800_000, 0),
    _Security("JPM", "JPMorgan Chase & Co.", AssetClass.STOCK, 23900, 80, 9_000_000, 560),
    _Security("V", "Visa Inc.", AssetClass.STOCK, 31100, 70, 6_200_000, 236),
    _Security("UNH", "UnitedHealth Group Incorporated", AssetClass.STOCK, 52300, 90, 4_100_000, 840),
    _Security("XOM", "Exxon Mobil Corporation", AssetClass.STOCK, 11300, 85, 15_000_000, 396),
    _Security("JNJ", "Johnson & Johnson", AssetClass.STOCK, 15400, 55, 7_500_000, 508),
    _Security("PG", "The Procter & Gamble Company", AssetClass.STOCK, 16900, 55, 6_800_000, 412),
    _Security("KO", "The Coca-Cola Company", AssetClass.STOCK, 6350, 55, 14_000_000, 204),
    _Security("DIS", "The Walt Disney Company", AssetClass.STOCK, 11200, 95, 9_500_000, 100),
    _Security("NFLX", "Netflix, Inc.", AssetClass.STOCK, 88600, 125, 3_300_000, 0),
    _Security("AMD", "Advanced Micro Devices, Inc.", AssetClass.STOCK, 13900, 155, 42_000_000, 0),
    _Security("INTC", "Intel Corporation", AssetClass.STOCK, 2420, 140, 60_000_000, 0),
    _Security("COST", "Costco Wholesale Corporation", AssetClass.STOCK, 92700, 75, 1_900_000, 520),
    _Security("SPY", "SPDR S&P 500 ETF Trust", AssetClass.ETF, 58900, 50, 45_000_000, 720),
    _Security("QQQ", "Invesco QQQ Trust", AssetClass.ETF, 50600, 65, 31_000_000, 292),
    _Security("VTI", "Vanguard Total Stock Market ETF", AssetClass.ETF, 29100, 50, 3_100_000, 380),
    _Security("TLT", "iShares 20+ Year Treasury Bond ETF", AssetClass.ETF, 9150, 40, 36_000_000, 400),
)

_MILLION = 1_000_000
_OCTAVES = ((256, 90_000), (64, 50_000), (16, 28_000), (4, 16_000), (1, 11_000))
"""Period in days, and amplitude in millionths of the price."""
_GAP = 6_000
"""Largest overnight gap of a venue-hours market, in millionths of the price."""
_WICK = 14_000
"""Furthest a day's high or low goes beyond its open and close, in millionths of the price."""
_SPLITS = {1440: (4, 6, 4, 3, 5), 390: (13, 2, 3, 5), 210: (7, 2, 3, 5)}
"""Session length in minutes → into how many children each level splits, down to the minute."""

_RESOLUTION = 1 << 20
_MASK = (1 << 64) - 1

_Raw = tuple[int, int, int, int, int]
"""Open, high, low, close in cents; volume in shares."""


class SimulatedTape:
    step = 1

    def __init__(self, security: _Security, seed: int, market_hours: str) -> None:
        self.instrument = Instrument(
            symbol=security.symbol,
            name=security.name,
            asset_class=security.asset_class,
            exchange="Tradelatch Paper",
            currency="USD",
            tick=Decimal("0.01"),
            lot=Decimal(1),
            minimum=Decimal(1),
            price_source=SOURCE,
        )
        self.hours = market_hours
        self.key = f"{security.symbol}@{seed}/{market_hours}"
        self._security = security
        self._key = random_bits(seed, security.symbol)
        self._day = lru_cache(maxsize=1024)(self._compute_day)
        self._children = lru_cache(maxsize=512)(self._split)

    def aggregate(self, first: int, end: int) -> Ohlcv | None:
        parts = [bar for day in _days(first, end) for bar in self._cover(day, first, end)]
        if not parts:
            return None
        *cents, shares = fold(parts) if len(parts) > 1 else parts[0]
        opened, high, low, close = (Decimal(price).scaleb(-2) for price in cents)
        return Ohlcv(opened, high, low, close, Decimal(shares))

    def spread(self, minute: int, last: Decimal) -> tuple[Decimal, Decimal]:
        below = _mix(self._key ^ _mix(minute)) & 1
        return last - below * self.instrument.tick, last + self.instrument.tick

    def recorded_at(self, minute: int) -> None:
        return None

    def _cover(self, day: int, first: int, end: int) -> Iterator[_Raw]:
        """The fewest bars of one day that make up its minutes in [first, end), in order of time."""
        session = market_hours.session(self.hours, day)
        if session is None:
            return
        opened, closed = session
        splits = _SPLITS[closed - opened]
        first, end = max(first, opened) - opened, min(end, closed) - opened
        while first < end:
            length, level = closed - opened, 0
            while first % length or first + length > end:
                length //= splits[level]
                level += 1
            yield self._bar(day, level, first // length, splits)
            first += length

    def _bar(self, day: int, level: int, index: int, splits: tuple[int, ...]) -> _Raw:
        if level == 0:
            return self._day(day)
        parent, child = divmod(index, splits[level - 1])
        return self._children(day, level - 1, parent, splits)[child]

    def _compute_day(self, day: int) -> _Raw:
        noise = _noise(self._key, day, 7)
        first, last = self._boundary(day), self._boundary(day + 1)
        if self.hours != market_hours.ALWAYS:
            first += first * (next(noise) % (2 * _GAP + 1) - _GAP) * self._security.swing // (100 * _MILLION)
        reach = max(first, last) * _WICK * self._security.swing // (100 * _MILLION) + 1
        high = max(first, last) + next(noise) % reach
        low = max(1, min(first, last) - next(noise) % reach)
        volume = self._security.volume * (60 + next(noise) % 81) // 100
        return first, high, low, last, volume

    def _boundary(self, day: int) -> int:
        """Price in cents at 00:00 UTC of ``day``: value noise, one octave per period, linear in between."""
        moved = 0
        for period, amplitude in _OCTAVES:
            knot, offset = divmod(day, period)
            left = _signed(self._key ^ _mix(period), knot)
            right = _signed(self._key ^ _mix(period), knot + 1)
            moved += (left * (period - offset) + right * offset) * amplitude // (period * _RESOLUTION)
        return self._security.base * (_MILLION + moved * self._security.swing // 100) // _MILLION

    def _split(self, day: int, level: int, index: int, splits: tuple[int, ...]) -> tuple[_Raw, ...]:
        count = splits[level]
        first, high, low, last, volume = self._bar(day, level, index, splits)
        noise = _noise(self._key ^ _mix(day), level, index)
        top, bottom = next(noise) % count, next(noise) % count
        turns = [(2 * top + 1, high), (2 * bottom + 1, low)]
        if next(noise) & 1:
            turns.reverse()
        knots = [(0, first), *sorted(turns, key=lambda turn: turn[0]), (2 * count, last)]
        path = [first]
        for place in range(1, count):
            jitter = (high - low) * (next(noise) % 41 - 20) // 120
            path.append(_reflect(_between(knots, 2 * place) + jitter, low, high))
        path.append(last)
        wick = (high - low) // (2 * count) + 1
        weights = [50 + next(noise) % 101 for _ in range(count)]
        shares = [volume * weight // sum(weights) for weight in weights]
        shares[-1] += volume - sum(shares)
        children = []
        for child, (a, b) in enumerate(pairwise(path)):
            risen = max(a, b, _reflect(max(a, b) + next(noise) % wick, low, high))
            peak = high if child == top else risen
            sunk = min(a, b, _reflect(min(a, b) - next(noise) % wick, low, high))
            trough = low if child == bottom else sunk
            children.append((a, peak, trough, b, shares[child]))
        return tuple(children)


def dividend_payers() -> list[tuple[str, int]]:
    """Symbols that pay dividends, each with its cents a share and year."""
    return [(each.symbol, each.dividend) for each in _SECURITIES if each.dividend]


def expensive_symbols(cents: int) -> list[str]:
    """Symbols of the stocks whose price moves around ``cents`` or more."""
    return [each.symbol for each in _SECURITIES if each.asset_class is AssetClass.STOCK and each.base >= cents]


def random_bits(seed: int, about: str) -> int:
    """A number of 64 bits that is always the same for the same market and matter."""
    return int.from_bytes(blake2b(f"{seed}:{about}".encode(), digest_size=8).digest(), "big")


def listing(seed: int, market_hours: str) -> list[Listing]:
    return [
        Listing(
            security.symbol,
            security.name,
            security.asset_class,
            partial(tape, place, seed, market_hours),
        )
        for place, security in enumerate(_SECURITIES)
    ]


@lru_cache(maxsize=2048)
def tape(place: int, seed: int, market_hours: str) -> SimulatedTape:
    """Kept, because its caches of computed bars are what makes a quote cheap."""
    return SimulatedTape(_SECURITIES[place], seed, market_hours)


def _days(first: int, end: int) -> range:
    return range(first // market_hours.DAY_MINUTES, (end - 1) // market_hours.DAY_MINUTES + 1)


def _mix(value: int) -> int:
    """The finalizer of SplitMix64: well spread 64 bits from any integer."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


def _noise(key: int, *place: int) -> Iterator[int]:
    for part in place:
        key = _mix(key ^ _mix(part))
    while True:
        key = _mix(key)
        yield key >> 11


def _signed(key: int, place: int) -> int:
    return _mix(key ^ _mix(place)) % (2 * _RESOLUTION + 1) - _RESOLUTION


def _reflect(value: int, low: int, high: int) -> int:
    """Turned back inside where it crosses a border; plain clamping would draw flat lines at the high."""
    if value > high:
        value = 2 * high - value
    elif value < low:
        value = 2 * low - value
    return min(high, max(low, value))


def _between(knots: list[tuple[int, int]], place: int) -> int:
    """The straight line through ``knots`` at ``place``, which is never itself a turning point."""
    for (x0, y0), (x1, y1) in pairwise(knots):
        if x0 <= place <= x1 and x0 < x1:
            return y0 + (y1 - y0) * (place - x0) // (x1 - x0)
    raise ValueError(f"{place} lies outside the line.")
