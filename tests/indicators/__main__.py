"""``make indicators``: what pandas-ta-classic says of every indicator here, lengths 2 to 200, into ``judged.json``.

Run in an environment of its own, which takes 163 MB with pandas; the suite reads the file. For each case the place of
its first value, and the values there, 50 and 400 bars later where there are so many, one for each line.
"""

import json
import math
from pathlib import Path
from typing import Any

import pandas
import pandas_ta_classic as judge

from tests.indicators import cases

FILE = Path(__file__).parent / "judged.json"


def main() -> None:
    frame = pandas.DataFrame(cases.rows()).astype(dict.fromkeys(("open", "high", "low", "close", "volume"), float))
    frame.index = pandas.DatetimeIndex(pandas.to_datetime(frame.pop("ts"))).tz_localize(None)
    found: dict[str, Any] = {}
    for case in cases.cases():
        lines = said(case, frame)
        first = next(place for place in range(len(frame)) if all(math.isfinite(line.iloc[place]) for line in lines))
        places = [first + after for after in cases.AFTER if first + after < len(frame)]
        found[case] = [first, *([float(f"{line.iloc[place]:.15g}") for line in lines] for place in places)]
    told = {"bars": cases.digest(), "judge": f"pandas-ta-classic {judge.version}", "values": found}
    text = json.dumps(told, separators=(",", ":")).replace('],"', '],\n"')
    FILE.write_text(text + "\n", encoding="ascii")
    print(f"{len(found)} cases in {FILE.name}")  # noqa: T201


def said(case: str, frame: pandas.DataFrame) -> list[Any]:
    """The lines of one case, in the order in which ours has them."""
    kind, _, inside = case.rstrip(")").partition("(")
    numbers = [int(each) for each in inside.split(",")] if inside else []
    high, low, close, volume = (frame[name] for name in ("high", "low", "close", "volume"))
    match kind:
        case "SMA":
            return [judge.sma(close, length=numbers[0])]
        case "EMA":
            return [judge.ema(close, length=numbers[0])]
        case "RSI":
            return [judge.rsi(close, length=numbers[0])]
        case "ATR":
            return [judge.atr(high, low, close, length=numbers[0], mamode="rma")]
        case "BBANDS":
            made = judge.bbands(close, length=numbers[0], std=numbers[1], ddof=0)
            return [made.iloc[:, 2], made.iloc[:, 1], made.iloc[:, 0]]
        case "MACD":
            made = judge.macd(close, fast=numbers[0], slow=numbers[1], signal=numbers[2])
            return [made.iloc[:, 0], made.iloc[:, 2], made.iloc[:, 1]]
        case _:
            typical = (high + low + close) / 3
            return [judge.vwma(typical, volume, length=numbers[0]) if numbers else judge.vwap(high, low, close, volume)]


if __name__ == "__main__":
    main()
