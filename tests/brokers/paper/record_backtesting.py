"""Make ``backtesting_fills.json``: what backtesting.py, an engine of somebody else, does with orders on our bars.

    python -m tests.brokers.paper.record_backtesting

Run by hand, in an environment of its own with ``pip install backtesting==0.6.6``: with pandas, numpy and bokeh it
brings 260 MB, too much for the tests, which read the file. Each order is alone in a run, on the bars of the Bitcoin
recording.
"""

import hashlib
import json
import random
import warnings
from decimal import Decimal
from pathlib import Path
from typing import Any

from brokers.paper import replay_market

FILE = Path(__file__).parent / "backtesting_fills.json"
STEP = 15
"""Minutes of a bar."""
WATCHED = 40
"""Bars that each order meets."""
COUNT = 600


def bars() -> list[tuple[Decimal, ...]]:
    """The whole recording."""
    tape = replay_market.btc_usd()
    found = [tape.aggregate(place * STEP, (place + 1) * STEP) for place in range(1447 // STEP)]
    return [tuple(bar) for bar in found if bar is not None]


def digest() -> str:
    return hashlib.sha256(repr(bars()).encode()).hexdigest()


def drawn() -> list[tuple[int, str, str, str | None, str | None]]:
    """(place of the bar that has just ended, side, kind, limit, stop) of each order."""
    draw, known = random.Random(20261121), bars()  # noqa: S311 - a repeatable load, not a secret

    def off(price: Decimal, cents: int) -> str:
        return str(price + Decimal(draw.randint(-cents, cents)) / 100)

    found = []
    for _ in range(COUNT):
        first = draw.randint(1, len(known) - WATCHED - 1)
        kind = draw.choice(["MKT", "LMT", "LMT", "STP", "STP", "STP_LIMIT", "STP_LIMIT", "STP_LIMIT", "STP_LIMIT"])
        # Near the open of a bar to come, where gaps are, and where a limit may be on either side of its stop.
        near = known[first + draw.randint(1, 12)][0]
        stop = off(near, 600) if kind in ("STP", "STP_LIMIT") else None
        limit = off(near, 2500) if kind == "LMT" else None
        if kind == "STP_LIMIT":
            limit = stop if draw.random() < 0.1 else off(Decimal(stop or 0), 1500)
        found.append((first, draw.choice(["BUY", "SELL"]), kind, limit, stop))
    return found


def main() -> None:
    import pandas  # not among our own dependencies
    from backtesting import Backtest, Strategy  # nor is this

    warnings.simplefilter("ignore")
    frame = pandas.DataFrame(
        [[float(value) for value in bar] for bar in bars()],
        columns=["Open", "High", "Low", "Close", "Volume"],
        index=pandas.date_range("2018-04-05", periods=len(bars()), freq="15min"),
    )
    rows: list[Any] = []
    for first, side, kind, limit, stop in drawn():
        terms = {"limit": limit and float(limit), "stop": stop and float(stop)}

        class Once(Strategy):  # type: ignore[misc]  # untyped
            def init(self) -> None:
                self.sent = False

            def next(self, side: str = side, terms: dict[str, Any] = terms) -> None:
                if not self.sent:
                    self.sent = True
                    (self.buy if side == "BUY" else self.sell)(size=1, **terms)

        # It skips the first bar, and the order comes when the second has ended.
        seen = frame.iloc[first - 1 : first + WATCHED + 1]
        trades = Backtest(seen, Once, cash=10**7, finalize_trades=True).run()["_trades"]
        fill = [int(trades.EntryBar[0]) - 2, f"{trades.EntryPrice[0]:.2f}"] if len(trades) else None
        rows.append([first, side, kind, limit, stop, fill])
    lines = ",\n".join(json.dumps(row) for row in rows)
    FILE.write_text(f'{{"engine": "backtesting.py 0.6.6", "bars": "{digest()}", "orders": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
