"""Bars a second of a backtest, beside backtesting.py on the same strategy and bars in one run, and memory by bars.

    python -m tests.bench.backtest [--bars 20000 100000] [--rounds 3]

The strategy buys one unit when the mean of ten closes crosses above that of thirty, and sells when it crosses below, as
the next bar opens, without costs. The bars are the shipped recording, again and again. Both make the same trades, or
the run fails. backtesting.py has an environment of its own (``make bench-backtest``); each engine runs in turn, alone.
Its time is that of ``Backtest.run``, with its statistics; ours that of ``backtest.run``, with its report. Both have the
bars in memory before; for the memory, ours come one after the other, as they do from a broker.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import django

ROOT = Path(__file__).parent.parent.parent
THEIRS = ROOT / ".cache" / "backtesting" / "bin" / "python"
RULES = {
    "name": "Two means",
    "universe": ["BTC/USD"],
    "timeframe": "1m",
    "entry": {"left": "SMA(10)", "is": "crosses_above", "right": "SMA(30)"},
    "exit": {"left": "SMA(10)", "is": "crosses_below", "right": "SMA(30)"},
    "size": {"quantity": 1},
}
_START = datetime(2018, 4, 5, tzinfo=UTC)


def bars(count: int) -> Iterator[Any]:
    from brokers.paper import replay_market
    from brokers.types import Bar

    tape = replay_market.btc_usd()
    for place in range(count):
        traded = tape.aggregate(place, place + 1)
        assert traded is not None
        yield Bar(start=_START + timedelta(minutes=place), **traded._asdict())


def ours(count: int, *, streamed: bool = False) -> tuple[float, dict[str, Any]]:
    from brokers.paper import costs, replay_market
    from console.strategies.engine import backtest, rules

    setting = backtest.Setting(
        rules=rules.parse(json.dumps(RULES)),
        instruments={"BTC/USD": replay_market.btc_usd().instrument},
        preset=costs.PRESETS["frictionless"],
        cash=Decimal(100_000),
        start=_START,
        end=_START + timedelta(minutes=count),
    )
    given = bars(count) if streamed else list(bars(count))
    began = time.perf_counter()
    report = backtest.run(setting, ((bar.start, {"BTC/USD": bar}) for bar in given))
    return time.perf_counter() - began, report


def theirs(file: Path) -> dict[str, Any]:
    ran = subprocess.run(
        [THEIRS, ROOT / "tests" / "bench" / "backtesting_side.py", file], check=True, capture_output=True, text=True
    )
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def peak(count: int) -> int:
    """Bytes at most at one time, beside the recording."""
    list(bars(1))
    tracemalloc.start()
    ours(count, streamed=True)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--bars", type=int, nargs="+", default=[20_000, 100_000])
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["TRADELATCH_HOME"] = home
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
        django.setup()
        print("    bars   ours, bars/s   backtesting.py   times   trades   our peak memory")  # noqa: T201
        least = min(compare(count, given.rounds, Path(home)) for count in given.bars)
    if least < 1:
        sys.exit("Slower than backtesting.py.")


def compare(count: int, rounds: int, folder: Path) -> float:
    file = folder / f"{count}.csv"
    with file.open("w", newline="", encoding="ascii") as out:
        writer = csv.writer(out)
        writer.writerow(["time", "Open", "High", "Low", "Close", "Volume"])
        writer.writerows(
            [bar.start.isoformat(), bar.open, bar.high, bar.low, bar.close, bar.volume] for bar in bars(count)
        )
    mine: list[float] = []
    other: list[float] = []
    for _ in range(rounds):
        seconds, report = ours(count)
        mine.append(seconds)
        told = theirs(file)
        other.append(told["seconds"])
        check(report, told)
    fast, slow = count / min(mine), count / min(other)
    memory = peak(count) / 1e6
    print(  # noqa: T201
        f"{count:>8,} {fast:>14,.0f} {slow:>16,.0f} {fast / slow:>7.2f} {told['trades']:>8,} {memory:>15.2f} MB"
    )
    return fast / slow


def check(report: dict[str, Any], told: dict[str, Any]) -> None:
    """The same trades: number, and each of those we list at the same prices."""
    listed = [[each["entry_price"], each["exit_price"]] for each in report["trades"]]
    other = [[f"{Decimal(price):f}" for price in pair] for pair in told["prices"][: len(listed)]]
    plain = [[f"{Decimal(price).normalize():f}" for price in pair] for pair in other]
    if report["figures"]["trades"] != told["trades"] or listed != plain:
        sys.exit(f"The trades differ: {report['figures']['trades']} and {told['trades']}.")


if __name__ == "__main__":
    main()
