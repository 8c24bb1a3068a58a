"""Which calendars are compared, and what is decided where they differ."""

from dataclasses import dataclass
from datetime import date

FIRST_YEAR = 2025


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    exchange_calendars: str
    pandas_market_calendars: str
    zone: str
    close: str
    """The usual close, local."""
    last_year: int
    """The last year that the exchange, or the rule it publishes, covers."""
    exchange_calendars_close: str = ""
    """Where that package has another usual close."""


@dataclass(frozen=True, slots=True)
class Decision:
    told: str
    """``closed``, ``usual``, or the local time of an early close."""
    why: str


_NEW_YORK = "America/New_York"

SOURCES = {
    "XNYS": Source(
        exchange_calendars="XNYS", pandas_market_calendars="NYSE", zone=_NEW_YORK, close="16:00", last_year=2028
    ),
    "XLON": Source(
        exchange_calendars="XLON", pandas_market_calendars="LSE", zone="Europe/London", close="16:30", last_year=2027
    ),
    "XETR": Source(
        exchange_calendars="XETR", pandas_market_calendars="XETR", zone="Europe/Berlin", close="17:30", last_year=2027
    ),
    "XTKS": Source(
        exchange_calendars="XTKS", pandas_market_calendars="JPX", zone="Asia/Tokyo", close="15:30", last_year=2027
    ),
    "CME": Source(
        exchange_calendars="CMES",
        pandas_market_calendars="CME Globex Equity",
        zone=_NEW_YORK,
        close="17:00",
        exchange_calendars_close="18:00",
        last_year=2027,
    ),
}

_JUNETEENTH = Decision("13:00", "CME announces an early close for its US equity products on Juneteenth.")
_HALF_DAY = Decision(
    "13:15", "A half day of the stock exchange, no holiday: equity index futures close at 12:15 Chicago, not 12:00."
)
_GOOD_FRIDAY = Decision("closed", "Good Friday without a report on jobs; read again in CME's schedule of that year.")

DECISIONS = {
    ("CME", date(2025, 1, 9)): Decision(
        "closed", "Day of mourning: CME halted equity index futures before the stock exchange would have opened."
    ),
    ("CME", date(2025, 4, 18)): _GOOD_FRIDAY,
    ("CME", date(2025, 6, 19)): _JUNETEENTH,
    ("CME", date(2025, 7, 3)): _HALF_DAY,
    ("CME", date(2025, 11, 28)): _HALF_DAY,
    ("CME", date(2025, 12, 24)): _HALF_DAY,
    ("CME", date(2026, 4, 3)): Decision(
        "09:15", "Good Friday with a report on jobs: CME keeps a morning session, as in 2021 and 2023."
    ),
    ("CME", date(2026, 6, 19)): _JUNETEENTH,
    ("CME", date(2026, 11, 27)): _HALF_DAY,
    ("CME", date(2026, 12, 24)): _HALF_DAY,
    ("CME", date(2027, 3, 26)): _GOOD_FRIDAY,
    ("CME", date(2027, 6, 18)): _JUNETEENTH,
    ("CME", date(2027, 11, 26)): _HALF_DAY,
}
"""By exchange and day. ``make calendars`` ends with an error at a difference that is not here."""
