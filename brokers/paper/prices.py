"""Prices as pure functions of time: the same question at the same ``now`` always has the same answer.

A ``Tape`` knows the bars of one instrument; quotes and bars of every kind are derived from it here, and
only ever from bars that are complete at ``now``. Orders are matched against the very same bars.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from difflib import get_close_matches
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from brokers import market_hours, symbol_lookup
from brokers.errors import InvalidRequest, InvalidSymbol
from brokers.instrument_id import InstrumentId
from brokers.types import AssetClass, Bar, BarSize, Instrument, Quote

if TYPE_CHECKING:
    from brokers.paper.simulated_corporate_actions import SimulatedAction

Number = TypeVar("Number", int, Decimal)


class Ohlcv(NamedTuple):
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


class Tape(Protocol):
    """The bars of one instrument. Minutes are counted as in ``hours``."""

    @property
    def instrument(self) -> Instrument: ...

    @property
    def key(self) -> str:
        """Two tapes with the same key have the same bars."""
        ...

    @property
    def hours(self) -> str: ...

    @property
    def step(self) -> int:
        """Minutes in its smallest bar: 1, or 1440 for a daily series."""
        ...

    def aggregate(self, first: int, end: int) -> Ohlcv | None:
        """One bar over the minutes [first, end), multiples of ``step``; None when none of them trades."""
        ...

    def spread(self, minute: int, last: Decimal) -> tuple[Decimal, Decimal]:
        """Bid and ask after the bar that holds ``minute`` closed at ``last``."""
        ...

    def recorded_at(self, minute: int) -> datetime | None:
        """Start of the recorded bar that plays at ``minute``; None when the prices are computed."""
        ...


class StoredTape(ABC):
    """A tape of real prices, of which only those can be told that were brought here."""

    @abstractmethod
    def reached(self, minute: int) -> int:
        """``minute``, or the earlier one up to which all its bars are known."""

    @abstractmethod
    def quote(self, at: datetime) -> Quote:
        """By its bars. Raises BrokerUnavailable when there are none."""

    @abstractmethod
    def newest(self) -> Quote:
        """What a new order meets. Raises BrokerUnavailable when there is none."""

    @abstractmethod
    def is_stale(self, quote: Quote, now: datetime) -> bool: ...


class SplitTape:
    """A tape whose stock is split: from each split on its prices are divided by the ratio, to the nearest tick."""

    def __init__(self, tape: Tape, splits: Sequence[tuple[int, Decimal]]) -> None:
        self._tape = tape
        self._splits = tuple(splits)
        self.instrument = tape.instrument
        self.key = tape.key
        self.hours = tape.hours
        self.step = tape.step

    def aggregate(self, first: int, end: int) -> Ohlcv | None:
        if end <= self._splits[0][0]:
            return self._tape.aggregate(first, end)
        cuts = [first, *(minute for minute, _ in self._splits if first < minute < end), end]
        parts = [self._divided(start, stop) for start, stop in pairwise(cuts)]
        traded = [part for part in parts if part is not None]
        return Ohlcv(*fold(traded)) if traded else None

    def spread(self, minute: int, last: Decimal) -> tuple[Decimal, Decimal]:
        return self._tape.spread(minute, last)

    def recorded_at(self, minute: int) -> datetime | None:
        return self._tape.recorded_at(minute)

    def _divided(self, first: int, end: int) -> Ohlcv | None:
        bar = self._tape.aggregate(first, end)
        ratio = prod((value for minute, value in self._splits if minute <= first), start=Decimal(1))
        if bar is None or ratio == 1:
            return bar
        tick = self.instrument.tick

        def cut(price: Decimal) -> Decimal:
            return max(tick, (price / ratio / tick).to_integral_value(ROUND_HALF_UP) * tick)

        return Ohlcv(cut(bar.open), cut(bar.high), cut(bar.low), cut(bar.close), bar.volume * ratio)


def quote(tape: Tape, now: datetime) -> Quote:
    """Last is the close of the last complete bar, and ``as_of`` the moment that bar ended."""
    if isinstance(tape, StoredTape):
        return tape.quote(now)
    instrument = tape.instrument
    minute = market_hours.last_minute(tape.hours, completed(tape, now))
    end = minute + 1 + -(minute + 1) % tape.step
    bar = _traded(tape, end - tape.step, end)
    day = _traded(tape, end - market_hours.DAY_MINUTES, end)
    bid, ask = tape.spread(minute, bar.close)
    change = (bar.close - day.open) / day.open * 100
    return Quote(
        symbol=instrument.symbol,
        currency=instrument.currency,
        last=bar.close,
        bid=bid,
        ask=ask,
        open=day.open,
        high=day.high,
        low=day.low,
        change_percent=change.quantize(Decimal("0.01"), ROUND_HALF_UP),
        as_of=market_hours.at_minute(end),
        source=instrument.price_source,
        instrument_id=instrument.instrument_id,
        recorded_at=tape.recorded_at(minute),
        change=bar.close - day.open,
        volume=day.volume,
    )


def newest(tape: Tape, now: datetime) -> Quote:
    """What a new order meets: of live prices the quote that was brought last, else that of the last bar."""
    return tape.newest() if isinstance(tape, StoredTape) else quote(tape, now)


def is_stale(tape: Tape, quote: Quote, now: datetime) -> bool:
    """Too old to fill anything. Computed and recorded prices never are."""
    return isinstance(tape, StoredTape) and tape.is_stale(quote, now)


def knows(tape: Tape, at: datetime) -> bool:
    """Whether every bar that ended by then can be told."""
    minute = market_hours.minute_of(at)
    return not isinstance(tape, StoredTape) or tape.reached(minute) >= minute


def bars(
    tape: Tape, size: BarSize, *, start: datetime | None, end: datetime | None, limit: int, now: datetime
) -> list[Bar]:
    """The newest ``limit`` complete bars that start in [start, end), oldest first, aligned to the UTC day."""
    minutes = size.seconds // 60
    if minutes < tape.step:
        raise InvalidRequest(f"{tape.instrument.symbol} has daily bars only.", "bar")
    first = 0 if start is None else max(0, market_hours.minute_from(start))
    done = completed(tape, now)
    stop = done if end is None else min(done, market_hours.minute_from(end))
    found: list[Bar] = []
    for bucket, opened, closed in _buckets_backwards(tape.hours, minutes, first, stop):
        if len(found) >= limit:
            break
        if closed <= done:
            bar = tape.aggregate(opened, closed)
            if bar is not None:
                found.append(Bar(start=market_hours.at_minute(bucket), **bar._asdict()))
    found.reverse()
    return found


def completed(tape: Tape, now: datetime) -> int:
    """Every bar that ends by this minute is complete at ``now``."""
    minute = market_hours.minute_of(now)
    if isinstance(tape, StoredTape):
        minute = tape.reached(minute)
    return minute - minute % tape.step


def fold(parts: Iterable[tuple[Number, Number, Number, Number, Number]]) -> tuple[Number, ...]:
    """Consecutive bars, at least one, as one bar: open, high, low, close, volume."""
    opens, highs, lows, closes, volumes = zip(*parts, strict=True)
    return opens[0], max(highs), min(lows), closes[-1], sum(volumes[1:], volumes[0])


class Market:
    """Every instrument one account can trade. ``venue`` is whose live prices they have, empty for none."""

    def __init__(
        self,
        listing: Iterable["Listing"],
        venue: str = "",
        where: str = "in the paper market",
        actions: Sequence["SimulatedAction"] = (),
    ) -> None:
        """``actions``: the corporate actions that were imported, in order of time."""
        self.venue, self.actions = venue, actions
        self._where = where
        self._listing = {entry.symbol: entry for entry in listing}
        self._by_alias: dict[str, Listing] = {}
        self._by_base: dict[str, list[Listing]] = {}
        for entry in self._listing.values():
            if "/" in entry.symbol:
                self._by_base.setdefault(_alphanumerics(entry.symbol.split("/")[0]), []).append(entry)
        self._by_alias |= {base: entries[0] for base, entries in self._by_base.items() if len(entries) == 1}
        self._by_alias |= {_alphanumerics(entry.symbol): entry for entry in self._listing.values()}

    def instruments(self) -> list[Instrument]:
        return [entry.tape().instrument for entry in self._listing.values()]

    def tape(self, symbol: str) -> Tape:
        """By instrument_id, symbol or alias: ``CRY:BTC/USD``, ``BTC/USD``, ``btcusd``, ``BTC-USD``, ``btc``.

        Raises InvalidSymbol, AmbiguousSymbol for a coin that is traded against several others.
        """
        meant = symbol_lookup.parse_instrument_id(symbol)
        entry = self._by_alias.get(_alphanumerics(symbol)) if meant is None else self._named(meant)
        if entry is None:
            if meant is None and (several := self._by_base.get(_alphanumerics(symbol))):
                raise symbol_lookup.ambiguous(symbol, [each.tape().instrument for each in several], "this market")
            raise InvalidSymbol(self._unknown(symbol))
        found = entry.tape()
        symbol_lookup.check_match(meant, found.instrument)
        return found

    def _named(self, meant: InstrumentId) -> "Listing | None":
        return self._listing.get(meant.name) if meant.is_share else self._listing.get(meant.pair)

    def lists(self, symbol: str) -> bool:
        """By its own symbol; an alias such as ``BTC`` does not count."""
        return _alphanumerics(symbol) in {_alphanumerics(own) for own in self._listing}

    def quote(self, symbol: str, now: datetime) -> Quote:
        return quote(self.tape(symbol), now)

    def bars(
        self,
        symbol: str,
        size: BarSize,
        start: datetime | None,
        end: datetime | None,
        limit: int,
        now: datetime,
    ) -> list[Bar]:
        return bars(self.tape(symbol), size, start=start, end=end, limit=limit, now=now)

    def find(
        self, query: str, asset_class: AssetClass | None, limit: int, *, by_name: bool = False
    ) -> list[Instrument]:
        """Exact symbols first, then symbols that start with the query, then names that hold it.

        ``by_name`` leaves the symbols out of it.
        """
        letters, words = "" if by_name else _alphanumerics(query), query.strip().lower()
        ranked = []
        for position, entry in enumerate(self._listing.values()):
            if asset_class is not None and entry.asset_class is not asset_class:
                continue
            rank = _rank(entry, letters, words, exact=self._by_alias.get(letters))
            if rank is not None:
                ranked.append((rank, position, entry))
        ranked.sort(key=lambda item: item[:2])
        return [entry.tape().instrument for _, _, entry in ranked[: max(limit, 0)]]

    def _unknown(self, symbol: str) -> str:
        shown = symbol.strip()[:24]
        letters = _alphanumerics(symbol)
        near = [self._by_alias[alias].symbol for alias in get_close_matches(letters, self._by_alias, n=6, cutoff=0.5)]
        if len(letters) > 2:
            near += [instrument.symbol for instrument in self.find(symbol, None, 3)]
        names = list(dict.fromkeys(near))[:3]
        hint = f" Did you mean {' or '.join(names)}?" if names else ""
        return f"There is no instrument {shown!r} {self._where}.{hint}"


@dataclass(frozen=True, slots=True)
class Listing:
    """One line of a market's list. The tape is built when somebody asks for it."""

    symbol: str
    name: str
    asset_class: AssetClass
    tape: Callable[[], Tape]


def _alphanumerics(symbol: str) -> str:
    return "".join(character for character in symbol.upper() if character.isalnum())


def _rank(entry: Listing, letters: str, words: str, exact: Listing | None) -> int | None:
    if entry is exact:
        return 0
    if letters and _alphanumerics(entry.symbol).startswith(letters):
        return 1
    if words in entry.name.lower() or (letters and letters in _alphanumerics(entry.symbol)):
        return 2
    return None


def _traded(tape: Tape, first: int, end: int) -> Ohlcv:
    bar = tape.aggregate(first, end)
    if bar is None:
        raise ValueError(f"{tape.instrument.symbol} did not trade in minutes {first} to {end}.")
    return bar


def _buckets_backwards(kind: str, minutes: int, first: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """Aligned start, first traded minute and end of each bar that starts in [first, stop), newest first."""
    for day in range((stop - 1) // market_hours.DAY_MINUTES, first // market_hours.DAY_MINUTES - 1, -1):
        session = market_hours.session(kind, day)
        if session is None:
            continue
        opened, closed = session
        newest = min(closed, stop) - 1
        for bucket in range(newest - newest % minutes, opened - opened % minutes - 1, -minutes):
            if bucket < first:
                return
            yield bucket, max(bucket, opened), min(bucket + minutes, closed)
