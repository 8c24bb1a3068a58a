"""``make calendars``: the days of the exchanges, from two packages that were made apart, compared day by day.

Writes ``brokers/market_calendars.json``, which the product reads, and ``docs/reference/calendars.md``, which lists each
day on which the packages differ and what was decided. Ends with an error where they differ and nothing is decided, or
where a decision has lost its difference.
"""

import json
import warnings
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import exchange_calendars
import pandas_market_calendars

from tests.calendars.decisions import DECISIONS, FIRST_YEAR, SOURCES, Source

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "brokers" / "market_calendars.json"
PAGE = ROOT / "docs" / "reference" / "calendars.md"
CLOSED, USUAL = "closed", "usual"

Days = dict[date, str]
"""What a package says of a weekday: ``closed``, ``usual``, or the local time of an early close."""


def _weekdays(last: int) -> Iterator[date]:
    day = date(FIRST_YEAR, 1, 1)
    while day.year <= last:
        if day.weekday() < 5:
            yield day
        day += timedelta(days=1)


def _told(rows: dict[date, datetime], source: Source, usual: time) -> Days:
    zone = ZoneInfo(source.zone)
    told = {}
    for day in _weekdays(source.last_year):
        closes = rows.get(day)
        local = closes.astimezone(zone).time() if closes else None
        told[day] = CLOSED if local is None else USUAL if local == usual else f"{local:%H:%M}"
    return told


def _exchange_calendars(source: Source) -> Days:
    calendar = exchange_calendars.get_calendar(
        source.exchange_calendars, start=f"{FIRST_YEAR}-01-01", end=f"{source.last_year}-12-31"
    )
    rows = {day.date(): closes.to_pydatetime() for day, closes in calendar.schedule["close"].items()}
    return _told(rows, source, time.fromisoformat(source.exchange_calendars_close or source.close))


def _pandas_market_calendars(source: Source) -> Days:
    calendar = pandas_market_calendars.get_calendar(source.pandas_market_calendars)
    schedule = calendar.schedule(f"{FIRST_YEAR}-01-01", f"{source.last_year}-12-31")
    rows = {day.date(): closes.to_pydatetime() for day, closes in schedule["market_close"].items()}
    return _told(rows, source, time.fromisoformat(source.close))


def main() -> None:
    warnings.simplefilter("ignore")
    data: dict[str, Any] = {}
    rows, open_questions = [], []
    used = set()
    for code, source in SOURCES.items():
        theirs = (_exchange_calendars(source), _pandas_market_calendars(source))
        closed, early = [], {}
        for day in _weekdays(source.last_year):
            first, second = (each[day] for each in theirs)
            told = first
            if first != second:
                decision = DECISIONS.get((code, day))
                if decision is None:
                    open_questions.append(f"{code} {day}: {first} or {second}")
                    continue
                used.add((code, day))
                told = decision.told
                rows.append(f"| {code} | {day} | {first} | {second} | {told} | {decision.why} |")
            if told == CLOSED:
                closed.append(day.isoformat())
            elif told != USUAL:
                early[day.isoformat()] = told
        data[code] = {"first_year": FIRST_YEAR, "last_year": source.last_year, "closed": closed, "early": early}
    open_questions += [f"{code} {day}: decided, and no difference" for code, day in DECISIONS.keys() - used]
    if open_questions:
        raise SystemExit("Decide in tests/calendars/decisions.py:\n" + "\n".join(sorted(open_questions)))
    DATA.write_text(json.dumps(data, indent=1) + "\n")
    versions = (exchange_calendars.__version__, pandas_market_calendars.__version__)
    PAGE.write_text(_page(versions, rows))


def _page(versions: tuple[str, str], rows: list[str]) -> str:
    head = f"""# Market calendars

Written by `make calendars` from exchange_calendars {versions[0]} (Apache-2.0) and pandas_market_calendars
{versions[1]} (MIT), which were made independently. Both are asked about every weekday. Where they agree, the paper
exchange and the trading-hours limit follow them. On the days below they differ; the last columns say what was decided.
Times are local to the exchange.

| exchange | first year | last year |
|---|---|---|
"""
    spans = "".join(f"| {code} | {FIRST_YEAR} | {source.last_year} |\n" for code, source in SOURCES.items())
    table = (
        "\n| exchange | day | exchange_calendars | pandas_market_calendars | taken | why |\n|---|---|---|---|---|---|\n"
    )
    return head + spans + table + "\n".join(rows) + "\n"


if __name__ == "__main__":
    main()
