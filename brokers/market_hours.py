"""When a market trades. Time is counted in whole minutes since 1970, UTC.

``always`` is open at all hours, and its day is the UTC day. ``venue`` keeps New York stock hours. Any other kind is a
name in ``market_calendars.EXCHANGES``. A trading day has one or more spans of trade and ends on the UTC day of its
date, but may begin the evening before.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from threading import Lock

from brokers.market_calendars import EXCHANGES, Exchange

ALWAYS = "always"
VENUE = "venue"
DAY_MINUTES = 1440

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE = timedelta(minutes=1)
_FIRST = (date(2020, 1, 1) - _EPOCH.date()).days
"""Trading minutes are counted from this day on."""

Spans = tuple[tuple[int, int], ...]
"""First minute and end of each, in order."""


def minute_of(when: datetime) -> int:
    """The minute ``when`` lies in."""
    return (when - _EPOCH) // _MINUTE


def minute_from(when: datetime) -> int:
    """The first minute that starts at or after ``when``."""
    return -((_EPOCH - when) // _MINUTE)


def at_minute(minute: int) -> datetime:
    return _EPOCH + minute * _MINUTE


def exchange(kind: str) -> Exchange | None:
    """Whose hours these are; None for those that never close."""
    return None if kind == ALWAYS else EXCHANGES["XNYS" if kind == VENUE else kind]


def place(kind: str) -> str:
    """Whose time its hours are in: "New York"."""
    venue = exchange(kind)
    return venue.place if venue else "UTC"


@lru_cache(maxsize=16384)
def trading_day(kind: str, day: int) -> Spans:
    """When the day with this number trades, nothing when it does not."""
    venue = exchange(kind)
    if venue is None:
        return ((day * DAY_MINUTES, (day + 1) * DAY_MINUTES),)
    on = _EPOCH.date() + timedelta(days=day)
    if on.weekday() >= 5 or on in venue.closed:
        return ()
    last = venue.early.get(on, time.max)
    spans = []
    for opens, closes in venue.spans:
        began = on if opens < closes else on - timedelta(days=1)
        if began == on and opens >= last:
            continue
        spans.append((_at(venue, began, opens), _at(venue, on, min(closes, last))))
    return tuple(spans)


def _at(venue: Exchange, on: date, local: time) -> int:
    return minute_of(datetime.combine(on, local, venue.zone))


def _near(kind: str, day: int) -> Spans:
    """Every span that may lie in the UTC day: its own, and those of the next that begin the evening before."""
    return trading_day(kind, day) if kind in (ALWAYS, VENUE) else trading_day(kind, day) + trading_day(kind, day + 1)


@lru_cache(maxsize=16384)
def session(kind: str, day: int) -> tuple[int, int] | None:
    """First minute that trades on the UTC day, and the end of the last; None when there is none."""
    first, end = day * DAY_MINUTES, (day + 1) * DAY_MINUTES
    found = [(max(opened, first), min(closed, end)) for opened, closed in _near(kind, day)]
    found = [span for span in found if span[0] < span[1]]
    return (found[0][0], found[-1][1]) if found else None


def knows(kind: str, now: datetime) -> bool:
    """Whether its holidays of that year are known."""
    venue = exchange(kind)
    return venue is None or now.astimezone(venue.zone).year in venue.years


def is_open(kind: str, now: datetime) -> bool:
    minute = minute_of(now)
    return any(opened <= minute < closed for opened, closed in _near(kind, minute // DAY_MINUTES))


def session_end(kind: str, now: datetime) -> datetime:
    """End of the trading day that runs at ``now``, else of the next one: when a DAY order expires."""
    return at_minute(_coming_day(kind, minute_of(now))[-1][1])


def next_open(kind: str, now: datetime) -> datetime:
    """Start of the running or the next span of trade, in the exchange's time."""
    minute = minute_of(now)
    opened = next(opened for opened, closed in _coming_day(kind, minute) if minute < closed)
    venue = exchange(kind)
    return at_minute(opened).astimezone(venue.zone if venue else UTC)


def coming_session(kind: str, now: datetime) -> tuple[datetime, datetime]:
    """Start and end of the first trading day that begins after ``now``: where an order for the opening goes."""
    minute = minute_of(now) + 1
    spans = _coming_day(kind, minute)
    if spans[0][0] < minute:
        spans = _coming_day(kind, spans[-1][1])
    return at_minute(spans[0][0]), at_minute(spans[-1][1])


@lru_cache(maxsize=65536)
def traded(kind: str, minute: int) -> int:
    """How many minutes an exchange has traded between 2020 and ``minute``."""
    day = minute // DAY_MINUTES
    if day < _FIRST:
        return 0
    here = sum(min(closed, minute) - opened for opened, closed in _near(kind, day) if opened < minute)
    return _before(kind, day) + here


def days_traded(kind: str, minute: int) -> int:
    """How many trading days an exchange has had between 2020 and the UTC day of ``minute``."""
    return _counted(kind, max(_FIRST, minute // DAY_MINUTES))[1]


def _before(kind: str, day: int) -> int:
    return _counted(kind, day)[0]


def _counted(kind: str, day: int) -> tuple[int, int]:
    """(minutes, days) traded by the trading days between 2020 and ``day``, which is not counted."""
    with _COUNTING:
        known = _COUNTED.setdefault(kind, [(0, 0)])
        while len(known) <= day - _FIRST:
            spans = trading_day(kind, _FIRST + len(known) - 1)
            minutes, days = known[-1]
            known.append((minutes + sum(closed - opened for opened, closed in spans), days + bool(spans)))
        return known[day - _FIRST]


_COUNTED: dict[str, list[tuple[int, int]]] = {}
_COUNTING = Lock()


def settles(kind: str, at: datetime, days: int) -> datetime:
    """00:00 UTC of the business day ``days`` after the one ``at`` lies in."""
    day = minute_of(at) // DAY_MINUTES
    while days > 0:
        day += 1
        days -= bool(trading_day(kind, day))
    return at_minute(day * DAY_MINUTES)


def last_minute(kind: str, before: int) -> int:
    """The latest trading minute earlier than ``before``."""
    day = (before - 1) // DAY_MINUTES
    while True:
        ends = [min(closed, before) for opened, closed in _near(kind, day) if opened < before]
        if ends:
            return max(ends) - 1
        day -= 1


def _coming_day(kind: str, minute: int) -> Spans:
    """The first trading day that has not ended by ``minute``."""
    day = minute // DAY_MINUTES
    while True:
        found = trading_day(kind, day)
        if found and minute < found[-1][1]:
            return found
        day += 1
