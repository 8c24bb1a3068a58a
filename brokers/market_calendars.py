"""What is known of the exchanges whose hours the paper market can keep: facts only, ``market_hours`` computes with
them.

Holidays and early closes are known for an exchange's ``years``; in others only weekends are closed. Times are local.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time
from zoneinfo import ZoneInfo

_NEW_YORK = ZoneInfo("America/New_York")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    name: str
    zone: ZoneInfo
    place: str
    """Whose time it is, for a reader: "New York"."""
    spans: tuple[tuple[time, time], ...]
    """Of one trading day, in order. A first one that opens later than it closes opens on the evening before."""
    closed: frozenset[date]
    early: Mapping[date, time]
    """Days that end sooner than others, and when."""
    years: range
    auctions: bool = True
    """It opens and closes with an auction, for which orders can be."""


def _days(table: Mapping[int, str]) -> frozenset[date]:
    return frozenset(date.fromisoformat(f"{year}-{day}") for year, days in table.items() for day in days.split())


def _early(close: time, table: Mapping[int, str]) -> dict[date, time]:
    return dict.fromkeys(sorted(_days(table)), close)


EXCHANGES = {
    "XNYS": Exchange(
        name="New York Stock Exchange and Nasdaq",
        zone=_NEW_YORK,
        place="New York",
        spans=((time(9, 30), time(16)),),
        closed=_days(
            {
                2026: "01-01 01-19 02-16 04-03 05-25 06-19 07-03 09-07 11-26 12-25",
                2027: "01-01 01-18 02-15 03-26 05-31 06-18 07-05 09-06 11-25 12-24",
                2028: "01-17 02-21 04-14 05-29 06-19 07-04 09-04 11-23 12-25",
            }
        ),
        early=_early(time(13), {2026: "11-27 12-24", 2027: "11-26", 2028: "07-03 11-24"}),
        years=range(2026, 2029),
    ),
    "XLON": Exchange(
        name="London Stock Exchange",
        zone=ZoneInfo("Europe/London"),
        place="London",
        spans=((time(8), time(16, 30)),),
        closed=_days(
            {
                2026: "01-01 04-03 04-06 05-04 05-25 08-31 12-25 12-28",
                2027: "01-01 03-26 03-29 05-03 05-31 08-30 12-27 12-28",
            }
        ),
        early=_early(time(12, 30), {2026: "12-24 12-31", 2027: "12-24 12-31"}),
        years=range(2026, 2028),
    ),
    "XETR": Exchange(
        name="Xetra, Frankfurt",
        zone=ZoneInfo("Europe/Berlin"),
        place="Frankfurt",
        spans=((time(9), time(17, 30)),),
        closed=_days(
            {
                2026: "01-01 04-03 04-06 05-01 12-24 12-25 12-31",
                2027: "01-01 03-26 03-29 12-24 12-31",
            }
        ),
        early=_early(time(14), {2026: "12-30", 2027: "12-30"}),
        years=range(2026, 2028),
    ),
    "XTKS": Exchange(
        name="Tokyo Stock Exchange",
        zone=ZoneInfo("Asia/Tokyo"),
        place="Tokyo",
        spans=((time(9), time(11, 30)), (time(12, 30), time(15, 30))),
        closed=_days(
            {
                2026: "01-01 01-02 01-12 02-11 02-23 03-20 04-29 05-04 05-05 05-06 07-20 08-11 09-21 09-22 09-23 10-12 "
                "11-03 11-23 12-31",
                2027: "01-01 01-11 02-11 02-23 03-22 04-29 05-03 05-04 05-05 07-19 08-11 09-20 09-23 10-11 11-03 11-23 "
                "12-31",
            }
        ),
        early={},
        years=range(2026, 2028),
    ),
    "CME": Exchange(
        name="CME Globex (equity index futures)",
        zone=_NEW_YORK,
        place="New York",
        spans=((time(18), time(17)),),
        closed=_days({2026: "01-01 04-03 12-25", 2027: "01-01 03-26 12-24"}),
        early=_early(
            time(13),
            {
                2026: "01-19 02-16 05-25 06-19 07-03 09-07 11-26 11-27 12-24",
                2027: "01-18 02-15 05-31 06-18 07-05 09-06 11-25 11-26",
            },
        ),
        years=range(2026, 2028),
        auctions=False,
    ),
    "FX": Exchange(
        name="Foreign exchange, Sunday to Friday",
        zone=_NEW_YORK,
        place="New York",
        spans=((time(17), time(17)),),
        closed=_days({2026: "01-01 12-25", 2027: "01-01"}),
        early={},
        years=range(2026, 2028),
        auctions=False,
    ),
}
