"""Sixty strategies against backtesting.py, where its rules and ours agree: orders at market, filled at the next open.

Its trades are recorded (``make backtests``), with conditions that pandas worked out. Stops and targets are not among
them: it wants their prices before the fill, ours are measured from it. Those orders are compared one by one in
``tests/brokers/paper/test_another_engine.py``, by the same fill rules.
"""

import json
from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from brokers.types import Bar
from console.strategies.engine import rules
from tests.backtesting import cases
from tests.console.strategies.support import Run

RECORD: dict[str, Any] = json.loads((Path(cases.__file__).parent / "trades.json").read_text(encoding="ascii"))
MINUTE = timedelta(minutes=1)


def trades(drawn: dict[str, Any], bars: list[Bar]) -> list[list[Any]]:
    ran = Run(rules.parse(json.dumps(drawn)), bars, cash="100000")
    places = {bar.start: place for place, bar in enumerate(bars)}
    fills = ran.fills[: len(ran.fills) // 2 * 2]
    return [
        [places[bought.bar.start], f"{bought.price:.2f}", places[sold.bar.start], f"{sold.price:.2f}"]
        for bought, sold in zip(fills[::2], fills[1::2], strict=True)
    ]


def test_trades_are_those_of_another_engine() -> None:
    assert RECORD["bars"] == cases.digest(), "The recording has changed: make backtests"
    bars = [
        Bar(
            start=datetime.fromisoformat(row["ts"]),
            **{name: Decimal(row[name]) for name in ("open", "high", "low", "close", "volume")},
        )
        for row in cases.rows()
    ]
    found = Counter[str]()
    for drawn, theirs in zip(cases.drawn(), RECORD["trades"], strict=True):
        mine = trades(drawn, bars)
        found["strategies alike" if mine == theirs else f"different: {drawn}"] += 1
        found["trades"] += len(theirs)
    assert found == {"strategies alike": cases.COUNT, "trades": sum(map(len, RECORD["trades"]))}
