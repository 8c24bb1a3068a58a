"""When the simulated market trades. Time is counted in whole minutes since 1970, UTC; a session lies within one UTC day.

``always`` is open at all hours and its session is the UTC day. ``venue`` keeps New York stock hours. Holidays are
known for 2026 to 2028; in other years only weekends are closed.
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

_HOLIDAYS = frozenset(
    date.fromisoformat(text)
    for text in """
    2026-01-01 2026-01-19 2026-02-16 2026-04-03 2026-05-25 2026-06-19 2026-07-03 2026-09-07 2026-11-26 2026-12-25
    2027-01-01 2027-01-18 2027-02-15 2027-03-26 2027-05-31 2027-06-18 2027-07-05 2027-09-06 2027-11-25 2027-12-24
    2028-01-17 2028-02-21 2028-04-14 2028-05-29 2028-06-19 2028-07-04 2028-09-04 2028-11-23 2028-12-25
    """.split()
)
_EARLY_CLOSES = frozenset(
    date.fromisoformat(text) for text in "2026-11-27 2026-12-24 2027-11-26 2028-07-03 2028-11-24".split()
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


def is_open(hours: str, now: datetime) -> bool:
    minute = minute_of(now)
    today = session(hours, minute // DAY_MINUTES)
    return today is not None and today[0] <= minute < today[1]


def session_end(hours: str, now: datetime) -> datetime:
    """End of the session that runs at ``now``, else of the next one: when a DAY order of that moment expires."""
    return at_minute(_coming_session(hours, minute_of(now))[1])


def next_open(hours: str, now: datetime) -> datetime:
    """Start of the running or the next session, in New York time."""
    return at_minute(_coming_session(hours, minute_of(now))[0]).astimezone(_NEW_YORK)


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
