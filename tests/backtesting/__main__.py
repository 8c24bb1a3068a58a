"""``make backtests``: what backtesting.py, an engine of somebody else, does with the drawn strategies, as a record.

Its conditions are worked out here with pandas, not with our indicators. Writes ``trades.json``, which the suite reads:
of each strategy its trades as (bar of entry, price, bar of exit, price).
"""

import json
import warnings
from pathlib import Path
from typing import Any

import pandas
from backtesting import Backtest, Strategy

from tests.backtesting import cases

FILE = Path(__file__).parent / "trades.json"


def series(text: str, frame: pandas.DataFrame) -> Any:
    name, _, inside = text.rstrip(")").partition("(")
    match name:
        case "close":
            return frame.Close
        case "SMA":
            return frame.Close.rolling(int(inside)).mean()
        case "HIGHEST":
            return frame.High.rolling(int(inside)).max()
        case "LOWEST":
            return frame.Low.rolling(int(inside)).min()
        case "CHANGE":
            return frame.Close.pct_change(int(inside)) * 100
        case _:
            return pandas.Series(float(text), index=frame.index)


def holds(comparison: dict[str, str], frame: pandas.DataFrame) -> list[bool]:
    left, right = series(comparison["left"], frame), series(comparison["right"], frame)
    match comparison["is"]:
        case "above":
            found = left > right
        case "below":
            found = left < right
        case "at_least":
            found = left >= right
        case "at_most":
            found = left <= right
        case "crosses_above":
            found = (left > right) & (left.shift() <= right.shift())
        case _:
            found = (left < right) & (left.shift() >= right.shift())
    return [bool(each) for each in found]


def trades(rules: dict[str, Any], frame: pandas.DataFrame) -> list[list[Any]]:
    enters, leaves, hold = holds(rules["entry"], frame), holds(rules["exit"], frame), rules.get("hold", len(frame))

    class Drawn(Strategy):  # type: ignore[misc]  # of a package that is not there
        def init(self) -> None:
            pass

        def next(self) -> None:
            place = len(self.data) - 1
            if self.position:
                if leaves[place] or place - self.trades[0].entry_bar + 1 >= hold:
                    self.position.close()
            elif enters[place] and not leaves[place]:
                self.buy(size=1)

    found = Backtest(frame, Drawn, cash=100_000, commission=0, finalize_trades=False).run()["_trades"]
    columns = (found.EntryBar, found.EntryPrice, found.ExitBar, found.ExitPrice)
    return [
        [int(entry), f"{bought:.2f}", int(leave), f"{sold:.2f}"]
        for entry, bought, leave, sold in zip(*columns, strict=True)
    ]


def main() -> None:
    warnings.simplefilter("ignore")
    frame = pandas.DataFrame(cases.rows()).set_index("ts").astype(float)
    frame.columns = [name.capitalize() for name in frame.columns]
    frame.index = pandas.DatetimeIndex(pandas.to_datetime(frame.index)).tz_localize(None)
    found = [trades(rules, frame) for rules in cases.drawn()]
    text = json.dumps({"bars": cases.digest(), "trades": found}, separators=(",", ":")).replace("]],[[", "]],\n[[")
    FILE.write_text(text + "\n", encoding="ascii")
    print(f"{sum(map(len, found))} trades of {len(found)} strategies in {FILE.name}")  # noqa: T201


if __name__ == "__main__":
    main()
