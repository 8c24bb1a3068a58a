"""Bars of an instrument, of more sizes than brokers have and as far back as they have them.

Bars of 30 minutes, 4 hours, a week and a month are made of the broker's smaller ones, so that they are the same at
every broker. In UTC, they begin on full half hours, at 0, 4, 8, 12, 16 and 20 o'clock, on Monday, and on the first of
the month. Brokers answer with a page of bars; earlier pages are read until there are enough.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import groupby

from django.utils import timezone

from brokers.base import Broker
from brokers.types import Bar, BarSize

_MOST_PAGES = 20
_SHORT_PAGE = 90
"""With fewer bars than this a broker has shown all it has: no page of theirs is shorter."""
_MOST_PARTS = 5_000
_CLOSED = timedelta(days=5)
"""How long a market may be closed between two bars."""
_LATE = timedelta(minutes=5)
"""How late a broker may be with the last part of a bar."""


class BarSpan(StrEnum):
    MINUTE = "1m"
    FIVE_MINUTES = "5m"
    FIFTEEN_MINUTES = "15m"
    THIRTY_MINUTES = "30m"
    HOUR = "1h"
    FOUR_HOURS = "4h"
    DAY = "1d"
    WEEK = "1w"
    MONTH = "1mo"

    @property
    def seconds(self) -> int:
        """Of a month, those of 30 days."""
        made = _MADE_OF.get(self)
        return made.base.seconds * made.parts if made else BarSize(self.value).seconds

    def end_of(self, bar: Bar) -> datetime:
        made = _MADE_OF.get(self)
        return made.following(bar.start) if made else bar.start + timedelta(seconds=self.seconds)


@dataclass(frozen=True, slots=True)
class _Made:
    """A span that no broker is asked for."""

    base: BarSize
    parts: int
    """How many bars of ``base`` are in it at most, about."""
    floor: Callable[[datetime], datetime]
    """The start of the one that a moment is in."""

    def following(self, start: datetime) -> datetime:
        """The start of the next one."""
        return self.floor(start + timedelta(seconds=self.base.seconds * self.parts) + _OVER[self.parts])


def _minutes(length: int) -> Callable[[datetime], datetime]:
    def floor(at: datetime) -> datetime:
        minute = at.hour * 60 + at.minute
        return at.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(minutes=minute - minute % length)

    return floor


def _monday(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=at.weekday())


def _first_of_month(at: datetime) -> datetime:
    return at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


_OVER = {2: timedelta(0), 4: timedelta(0), 7: timedelta(0), 30: timedelta(days=2)}
"""What has to be added to ``parts`` to be in the next one, however long this one is."""
_MADE_OF = {
    BarSpan.THIRTY_MINUTES: _Made(BarSize.FIFTEEN_MINUTES, 2, _minutes(30)),
    BarSpan.FOUR_HOURS: _Made(BarSize.HOUR, 4, _minutes(240)),
    BarSpan.WEEK: _Made(BarSize.DAY, 7, _monday),
    BarSpan.MONTH: _Made(BarSize.DAY, 30, _first_of_month),
}


def read(
    broker: Broker,
    symbol: str,
    span: BarSpan,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    limit: int = 100,
) -> list[Bar]:
    """The newest ``limit`` complete bars that begin in [start, end), oldest first. Raises BrokerError."""
    if limit <= 0:
        return []
    made = _MADE_OF.get(span)
    if made is None:
        return _pages(broker, symbol, BarSize(span.value), start, end, limit)
    now = timezone.now()
    if start is not None and start > made.floor(start.astimezone(UTC)):
        start = made.following(made.floor(start.astimezone(UTC)))
    if end is not None:
        end = min(now, made.following(made.floor((end - timedelta(microseconds=1)).astimezone(UTC))))
        if start is not None and end <= start:
            return []
    wanted = min((limit + 1) * (made.parts + 1), _MOST_PARTS)
    parts = _pages(broker, symbol, made.base, start, end, wanted)
    found = list(_merged(parts, made))
    if found and len(parts) >= wanted:
        del found[0]  # its first parts may be missing
    if found and not _is_complete(found[-1], parts[-1], made, now):
        del found[-1]
    return found[-limit:]


def _merged(parts: Sequence[Bar], made: _Made) -> Iterator[Bar]:
    for start, group in groupby(parts, key=lambda bar: made.floor(bar.start.astimezone(UTC))):
        inside = list(group)
        yield Bar(
            start=start,
            open=inside[0].open,
            high=max(bar.high for bar in inside),
            low=min(bar.low for bar in inside),
            close=inside[-1].close,
            volume=sum((bar.volume for bar in inside[1:]), inside[0].volume),
        )


def _is_complete(bar: Bar, last: Bar, made: _Made, now: datetime) -> bool:
    """Its time is over, and its last part has come or is no longer waited for."""
    end = made.following(bar.start)
    return now >= end and (now >= end + _LATE or last.start + timedelta(seconds=made.base.seconds) >= end)


def _pages(
    broker: Broker, symbol: str, size: BarSize, start: datetime | None, end: datetime | None, limit: int
) -> list[Bar]:
    step = timedelta(seconds=size.seconds)
    page = found = broker.bars(symbol, size, start=start, end=end, limit=limit)
    for _ in range(_MOST_PAGES):
        missing = limit - len(found)
        if missing <= 0 or len(page) < _SHORT_PAGE:
            break
        oldest = found[0].start
        if start is not None and oldest - start <= max(step, _CLOSED):
            break
        # As far back as so many bars can lie where a market is open a fifth of the week.
        since = oldest - max(step * missing * 6, timedelta(days=14))
        page = broker.bars(symbol, size, start=since if start is None else max(start, since), end=oldest, limit=missing)
        page = [bar for bar in page if bar.start < oldest]
        found = page + found
    return found[-limit:]
