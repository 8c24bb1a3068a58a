"""What is known of the exchanges whose hours the paper market can keep: facts only, ``market_hours`` computes with
them.

Holidays and early closes are known for an exchange's ``years``; in others only weekends are closed. Times are local.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time
from pathlib import Path
from typing import Any
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

    @property
    def known_until(self) -> date:
        """The last day whose holidays are known."""
        return date(self.years[-1], 12, 31)


_DATA = json.loads(Path(__file__).with_suffix(".json").read_text())
"""Written by ``make calendars``; what differed between its sources is in docs/reference/calendars.md."""


def _published(code: str, **facts: Any) -> Exchange:
    """With the days that ``make calendars`` found for it."""
    days = _DATA[code]
    return Exchange(
        closed=frozenset(map(date.fromisoformat, days["closed"])),
        early={date.fromisoformat(day): time.fromisoformat(closes) for day, closes in days["early"].items()},
        years=range(days["first_year"], days["last_year"] + 1),
        **facts,
    )


EXCHANGES = {
    "XNYS": _published(
        "XNYS",
        name="New York Stock Exchange and Nasdaq",
        zone=_NEW_YORK,
        place="New York",
        spans=((time(9, 30), time(16)),),
    ),
    "XLON": _published(
        "XLON",
        name="London Stock Exchange",
        zone=ZoneInfo("Europe/London"),
        place="London",
        spans=((time(8), time(16, 30)),),
    ),
    "XETR": _published(
        "XETR",
        name="Xetra, Frankfurt",
        zone=ZoneInfo("Europe/Berlin"),
        place="Frankfurt",
        spans=((time(9), time(17, 30)),),
    ),
    "XTKS": _published(
        "XTKS",
        name="Tokyo Stock Exchange",
        zone=ZoneInfo("Asia/Tokyo"),
        place="Tokyo",
        spans=((time(9), time(11, 30)), (time(12, 30), time(15, 30))),
    ),
    "CME": _published(
        "CME",
        name="CME Globex (equity index futures)",
        zone=_NEW_YORK,
        place="New York",
        spans=((time(18), time(17)),),
        auctions=False,
    ),
    # No package has the week of spot foreign exchange: its two holidays are those of QuantConnect/Lean,
    # Data/market-hours, Forex-oanda, commit 2486390.
    "FX": Exchange(
        name="Foreign exchange, Sunday to Friday",
        zone=_NEW_YORK,
        place="New York",
        spans=((time(17), time(17)),),
        closed=frozenset({date(2026, 1, 1), date(2026, 12, 25), date(2027, 1, 1)}),
        early={},
        years=range(2026, 2028),
        auctions=False,
    ),
}
