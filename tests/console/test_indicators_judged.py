"""Every indicator, lengths 2 to 200, against pandas-ta-classic as ``make indicators`` has recorded it."""

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from brokers.types import Bar
from console import indicators
from tests.indicators import cases

RECORD: dict[str, Any] = json.loads((Path(cases.__file__).parent / "judged.json").read_text(encoding="ascii"))
BARS = [
    Bar(
        start=datetime.fromisoformat(row["ts"]),
        **{name: Decimal(row[name]) for name in ("open", "high", "low", "close", "volume")},
    )
    for row in cases.rows()
]
CLOSE = 1e-9
"""Of what is larger, the value or the price: what doubles lose over so many bars."""


def test_the_record_is_of_these_bars_and_cases() -> None:
    assert RECORD["bars"] == cases.digest(), "The recording has changed: make indicators"
    assert list(RECORD["values"]) == cases.cases()
    assert {case.partition("(")[0] for case in cases.cases()} == set(indicators.NAMES)


@pytest.mark.parametrize("kind", indicators.NAMES)
def test_each_equals_the_judge_from_its_first_value_on(kind: str) -> None:
    wrong = [
        told
        for case, (first, *values) in RECORD["values"].items()
        if case.partition("(")[0] == kind
        for told in different(case, first, values)
    ]
    assert wrong == []


def different(case: str, first: int, values: list[list[float]]) -> list[str]:
    asked = indicators.parse(case)
    if asked.needs - 1 != first:
        return [f"{case} begins at {asked.needs - 1}, the judge at {first}"]
    forgets = case.startswith(("SMA", "BBANDS", "VWAP("))
    rows = [] if forgets else asked.rows(BARS[: first + max(cases.AFTER) + 1])
    wrong = []
    for after, theirs in zip(cases.AFTER, values, strict=False):
        end = first + after + 1
        row = asked.rows(BARS[end - asked.needs : end])[-1] if forgets else rows[after]
        mine = [float(row[line]) for line in asked.lines]
        scale = max(100.0, *map(abs, theirs)) if kind_is_percent(case) else float(BARS[end - 1].close)
        if any(abs(one - other) > CLOSE * scale for one, other in zip(mine, theirs, strict=True)):
            wrong.append(f"{case} {after} bars on: {mine}, the judge {theirs}")
    return wrong


def kind_is_percent(case: str) -> bool:
    return case.startswith("RSI")
