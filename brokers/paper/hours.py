"""When the simulated market trades. Time is counted in whole minutes since 1970, UTC.

A session lies within one UTC day. ``always`` is open at all hours, and its session is the UTC day. ``venue``
keeps New York stock hours; its holidays are known for 2026 to 2028, in other years only weekends are closed.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

ALWAYS = "always"
VENUE = "venue"
DAY_MINUTES = 1440

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE = timedelta(minutes=1)
_NEW_YORK = ZoneInfo("America/New_York")
_OPEN, _CLOSE, _EARLY_CLOSE = time(9, 30), time(16, 0), time(13, 0)


def _days_of(table: dict[int, str]) -> frozenset[date]:
    return frozenset(date.fromisoformat(f"{year}-{day}") for year, days in table.items() for day in days.split())


_HOLIDAYS = _days_of(
    {
        2026: "01-01 01-19 02-16 04-03 05-25 06-19 07-03 09-07 11-26 12-25",
        2027: "01-01 01-18 02-15 03-26 05-31 06-18 07-05 09-06 11-25 12-24",
        2028: "01-17 02-21 04-14 05-29 06-19 07-04 09-04 11-23 12-25",
    }
)
KNOWN_YEARS = frozenset({2026, 2027, 2028})
_EARLY_CLOSES = _days_of(
    {
        2026: "11-27 12-24",
        2027: "11-26",
        2028: "07-03 11-24",
    }
)


def minute_of(when: datetime) -> int:
    """The minute ``when`` lies in."""
    return (when - _EPOCH) // _MINUTE


def minute_from(when: datetime) -> int:
    """The first minute that starts at or after ``when``."""
    return -((_EPOCH - when) // _MINUTE)


def at_minute(minute: int) -> datetime:
    return _EPOCH + minute * _MINUTE


@lru_cache(maxsize=4096)
def session(hours: str, day: int) -> tuple[int, int] | None:
    """First minute and end of the session on the UTC day number ``day``, or None when there is none."""
    if hours == ALWAYS:
        return day * DAY_MINUTES, (day + 1) * DAY_MINUTES
    on = _EPOCH.date() + timedelta(days=day)
    if on.weekday() >= 5 or on in _HOLIDAYS:
        return None
    close = _EARLY_CLOSE if on in _EARLY_CLOSES else _CLOSE
    return (
        minute_of(datetime.combine(on, _OPEN, _NEW_YORK)),
        minute_of(datetime.combine(on, close, _NEW_YORK)),
    )


def knows(now: datetime) -> bool:
    """Whether the holidays of that year are known."""
    return now.astimezone(_NEW_YORK).year in KNOWN_YEARS


def is_open(hours: str, now: datetime) -> bool:
    minute = minute_of(now)
    today = session(hours, minute // DAY_MINUTES)
    return today is not None and today[0] <= minute < today[1]


def session_end(hours: str, now: datetime) -> datetime:
    """End of the session that runs at ``now``, else of the next one: when a DAY order expires."""
    return at_minute(_coming_session(hours, minute_of(now))[1])


def next_open(hours: str, now: datetime) -> datetime:
    """Start of the running or the next session, in New York time."""
    return at_minute(_coming_session(hours, minute_of(now))[0]).astimezone(_NEW_YORK)


def coming_session(hours: str, now: datetime) -> tuple[datetime, datetime]:
    """Start and end of the first session that begins after ``now``: where an order for the opening goes."""
    minute = minute_of(now) + 1
    opened, closed = _coming_session(hours, minute)
    if opened < minute:
        opened, closed = _coming_session(hours, closed)
    return at_minute(opened), at_minute(closed)


def settles(hours: str, at: datetime, days: int) -> datetime:
    """00:00 UTC of the business day ``days`` after the one ``at`` lies in."""
    day = minute_of(at) // DAY_MINUTES
    while days > 0:
        day += 1
        days -= session(hours, day) is not None
    return at_minute(day * DAY_MINUTES)


def last_minute(hours: str, before: int) -> int:
    """The latest session minute earlier than ``before``."""
    day = (before - 1) // DAY_MINUTES
    while True:
        found = session(hours, day)
        if found is not None and found[0] < before:
            return min(found[1], before) - 1
        day -= 1


def _coming_session(hours: str, minute: int) -> tuple[int, int]:
    day = minute // DAY_MINUTES
    while True:
        found = session(hours, day)
        if found is not None and minute < found[1]:
            return found
        day += 1
