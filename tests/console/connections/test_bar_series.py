"""Bars of every size from brokers that have a few, in pages: whole, aligned in UTC, none of a time that is not over."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any, cast

import pytest
from django.utils import timezone

from brokers.base import Broker
from brokers.types import Bar, BarSize
from console.connections import bar_series
from console.connections.bar_series import BarSpan

NOW = datetime(2026, 11, 30, 12, 7, tzinfo=UTC)  # a Monday
BEGAN = datetime(2024, 1, 3, tzinfo=UTC)


class Paged:
    """A broker around the clock that tells at most ``page`` bars at a time, as venues do."""

    def __init__(self, page: int = 300, began: datetime = BEGAN, until: datetime = NOW) -> None:
        self.page, self.began, self.until, self.asked = page, began, until, 0

    def bars(
        self,
        symbol: str,
        size: BarSize,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        limit: int = 100,
    ) -> list[Bar]:
        self.asked += 1
        step = timedelta(seconds=size.seconds)
        last = min(end or self.until, self.until)
        count = min(limit, self.page)
        found: list[Bar] = []
        at = datetime.fromtimestamp(last.timestamp() // size.seconds * size.seconds, UTC) - step
        while len(found) < count and at >= max(start or self.began, self.began):
            number = Decimal(int(at.timestamp()) // 60)
            found.append(
                Bar(start=at, open=number, high=number + 3, low=number - 3, close=number + 1, volume=Decimal(2))
            )
            at -= step
        return found[::-1]


@pytest.fixture(autouse=True)
def _at_noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timezone, "now", lambda: NOW)


def read(broker: Paged, span: BarSpan, **asked: Any) -> list[Bar]:
    return bar_series.read(cast(Broker, broker), "BTC/USD", span, **asked)


ALIGNED: dict[BarSpan, Callable[[datetime], bool]] = {
    BarSpan.THIRTY_MINUTES: lambda at: at.minute in (0, 30),
    BarSpan.FOUR_HOURS: lambda at: at.hour % 4 == 0 and at.minute == 0,
    BarSpan.WEEK: lambda at: at.weekday() == 0 and at.hour == 0,
    BarSpan.MONTH: lambda at: at.day == 1 and at.hour == 0,
}


@pytest.mark.parametrize("span", ALIGNED)
@pytest.mark.parametrize("page", [300, 5000])
def test_a_larger_bar_is_made_of_all_its_parts(span: BarSpan, page: int) -> None:
    found = read(Paged(page), span, limit=12)
    assert len(found) == 12
    for bar, following in pairwise(found):
        assert ALIGNED[span](bar.start)
        assert span.end_of(bar) == following.start
        minutes = (following.start - bar.start) // timedelta(minutes=1)
        part = {BarSpan.THIRTY_MINUTES: 15, BarSpan.FOUR_HOURS: 60}.get(span, 1440)
        first = Decimal(int(bar.start.timestamp()) // 60)
        last = first + minutes - part
        assert (bar.open, bar.close, bar.low, bar.high) == (first, last + 1, first - 3, last + 3)
        assert bar.volume == 2 * (minutes // part)
    assert span.end_of(found[-1]) <= NOW < span.end_of(found[-1]) + (span.end_of(found[-1]) - found[-1].start)


def test_a_bar_waits_a_little_for_its_last_part_and_not_for_ever() -> None:
    late = Paged(until=NOW - timedelta(minutes=20))
    at = datetime(2026, 11, 30, 12, 2, tzinfo=UTC)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timezone, "now", lambda: at)
        assert read(late, BarSpan.THIRTY_MINUTES, limit=1)[0].start.isoformat() == "2026-11-30T11:00:00+00:00"
    assert read(late, BarSpan.THIRTY_MINUTES, limit=1)[0].start.isoformat() == "2026-11-30T11:30:00+00:00"


@pytest.mark.parametrize("span", list(BarSpan))
def test_bars_begin_within_the_time_asked_for(span: BarSpan) -> None:
    start, end = datetime(2026, 9, 10, 5, 3, tzinfo=UTC), datetime(2026, 11, 12, 17, 44, tzinfo=UTC)
    found = read(Paged(), span, start=start, end=end, limit=40)
    assert found
    assert all(start <= bar.start < end for bar in found)
    assert read(Paged(), span, start=end - timedelta(seconds=30), end=end, limit=40) == []


@pytest.mark.parametrize("limit", [1, 299, 300, 301, 850])
def test_pages_are_read_until_there_are_enough(limit: int) -> None:
    broker = Paged()
    found = read(broker, BarSpan.DAY, limit=limit)
    assert len(found) == limit
    assert all(later.start - earlier.start == timedelta(days=1) for earlier, later in pairwise(found))
    assert broker.asked == -(-limit // 300)


def test_a_broker_that_has_shown_all_is_not_asked_again() -> None:
    short = Paged(began=NOW - timedelta(days=40))
    assert len(read(short, BarSpan.DAY, limit=500)) == 39
    assert short.asked == 1
    whole = Paged()
    assert len(read(whole, BarSpan.DAY, start=NOW - timedelta(days=200), limit=500)) == 199
    assert whole.asked == 1


def test_a_first_bar_whose_parts_may_be_missing_is_left_out() -> None:
    found = read(Paged(), BarSpan.MONTH, limit=500)
    assert found[0].start.day == 1
    assert found[0].start >= BEGAN.replace(day=1)
