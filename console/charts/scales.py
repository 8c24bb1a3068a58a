"""Round numbers and moments for the axes of a chart."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

_STEPS = (Decimal(1), Decimal(2), Decimal("2.5"), Decimal(5), Decimal(10))
_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_SPANS = (
    *((_MINUTE, count) for count in (1, 2, 5, 10, 15, 30)),
    *((_HOUR, count) for count in (1, 2, 3, 6, 12)),
    *((_DAY, count) for count in (1, 2, 7, 14)),
)
_MONTHS = (1, 2, 3, 6, 12, 24, 60)


@dataclass(frozen=True, slots=True)
class AxisMark:
    """One label of the time axis. ``place`` is in percent of its width."""

    place: str
    label: str
    anchor: str


def values(low: Decimal, high: Decimal, most: int = 5) -> list[Decimal]:
    """At most ``most`` round numbers, evenly apart, from at or below ``low`` to at or above ``high``; at least two."""
    if low == high:
        room = abs(low) / 10 or Decimal(1)
        low, high = low - room, high + room
    exact = (high - low) / (most - 1)
    size = Decimal(1).scaleb(exact.adjusted())
    for step in (*_STEPS, Decimal(20), Decimal(25)):
        first = (low / (step * size)).to_integral_value(ROUND_FLOOR)
        last = (high / (step * size)).to_integral_value(ROUND_CEILING)
        if last - first < most:
            return [number * step * size for number in range(int(first), int(last) + 1)]
    raise AssertionError("A step of 25 times the size always fits.")


def moments(first: datetime, last: datetime, most: int = 5) -> list[AxisMark]:
    """At most ``most`` round UTC times between the two."""
    first, last = first.astimezone(UTC), last.astimezone(UTC)
    whole = last - first
    if not whole:
        return []
    for unit, count in _SPANS:
        if whole < unit * count * most:
            shape = "{0:%H:%M}" if unit < _DAY and whole <= _DAY else "{0.day} {0:%b}"
            if unit < _DAY < whole:
                shape = "{0.day} {0:%b} {0:%H:%M}"
            return [_mark(each, first, whole, shape) for each in _every(first, last, unit * count)]
    for months in _MONTHS:
        found = list(_months(first, last, months))
        if len(found) <= most:
            return [_mark(each, first, whole, "{0:%b %Y}") for each in found]
    return []


def _every(first: datetime, last: datetime, step: timedelta) -> Iterator[datetime]:
    # From a Monday, so that weeks begin where weeks do.
    epoch = datetime(1970, 1, 5, tzinfo=UTC)
    moment = first + (epoch - first) % step
    while moment <= last:
        yield moment
        moment += step


def _months(first: datetime, last: datetime, step: int) -> Iterator[datetime]:
    month = first.year * 12 + first.month - 1
    month += -month % step
    while (moment := datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)) <= last:
        if moment >= first:
            yield moment
        month += step


def _mark(moment: datetime, first: datetime, whole: timedelta, shape: str) -> AxisMark:
    share = (moment - first) / whole * 100
    anchor = "start" if share < 8 else "end" if share > 92 else "middle"
    return AxisMark(f"{share:.2f}%", shape.format(moment), anchor)
