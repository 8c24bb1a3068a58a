"""Technical indicators in exact decimals, each by one written definition. Pure: bars in, values out.

Every function answers one value per bar from the first bar that has enough before it; the last is that of the newest
bar. Prices are closes unless said otherwise.

=====================  ===============================================================================================
SMA(n)                 mean of the last n closes
EMA(n)                 starts as the mean of the first n closes, then moves by 2 / (n + 1) of the difference
RSI(n)                 Wilder 1978: first mean gain and loss over n changes, then (mean x (n - 1) + new) / n;
                       100 - 100 / (1 + gain / loss); 100 without losses, 50 without any change
MACD(f,s,g)            EMA(f) - EMA(s), each started on its own first closes; signal is the EMA(g) of that,
                       started as the mean of its first g values; histogram is the difference
BBANDS(n,k)            SMA(n) plus and minus k population standard deviations of the last n closes (Bollinger)
ATR(n)                 Wilder 1978: true range from the second bar on, first the mean of n, then as RSI's means
VWAP(n)                sum of (high + low + close) / 3 x volume over the last n bars, divided by their volume
VWAP                   the same from the first bar of the bar's UTC day on; without volume both are the close
=====================  ===============================================================================================

EMA, RSI, MACD and ATR remember everything before them, so what they say depends, ever less, on the first bar given.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from brokers.types import Bar

MOST = 200
"""Longest length of an indicator, in bars."""
_WARM_UP = 250
"""Fewest bars given to those that remember, before their first value that is shown."""
_FORGETS = {"EMA": 7, "RSI": 14, "ATR": 14}
"""Lengths after which a millionth is left of the value they began with: the logarithm of a million is 13.8, and an EMA
forgets 2 / (n + 1) with each bar, Wilder's mean 1 / n."""

_SPEC = re.compile(r"([A-Z]+)(?:\(([0-9., ]*)\))?")

Row = Mapping[str, Decimal]
"""The named values of an indicator at one bar."""


@dataclass(frozen=True, slots=True)
class Indicator:
    """One indicator with its numbers, as asked for."""

    kind: str
    numbers: tuple[Decimal, ...]

    @property
    def name(self) -> str:
        shown = ",".join(format(number, "f") for number in self.numbers)
        return f"{self.kind}({shown})" if shown else self.kind

    @property
    def needs(self) -> int:
        """Bars from which its first value can be had."""
        lengths = [int(number) for number in self.numbers]
        if self.kind == "MACD":
            return lengths[1] + lengths[2] - 1
        if self.kind in ("RSI", "ATR"):
            return lengths[0] + 1
        return lengths[0] if lengths else 1

    @property
    def wants(self) -> int:
        """Bars to give it: enough that a millionth is left of what depends on the first bar."""
        lengths = [int(number) for number in self.numbers]
        if self.kind == "MACD":
            return self.needs + max(_WARM_UP, _FORGETS["EMA"] * (lengths[1] + lengths[2]))
        if self.kind in _FORGETS:
            return self.needs + max(_WARM_UP, _FORGETS[self.kind] * lengths[0])
        return self.needs

    @property
    def is_of_prices(self) -> bool:
        """Whether its values are amounts of the instrument's currency."""
        return self.kind != "RSI"

    def rows(self, bars: Sequence[Bar]) -> list[Row]:
        """One row a bar, oldest first, none for the bars before it has enough."""
        return _KINDS[self.kind].rows(bars, self.numbers)


def parse(text: str) -> Indicator:
    """``RSI``, ``SMA(50)``, ``MACD(12,26,9)``, in any case. Raises ValueError with a sentence."""
    found = _SPEC.fullmatch(text.strip().upper())
    kind = _KINDS.get(found[1]) if found else None
    if found is None or kind is None:
        raise ValueError(f"{text[:40]!r} is not one of {', '.join(_KINDS)}; write for example RSI or SMA(50).")
    given = [part.strip() for part in found[2].split(",")] if found[2] else []
    if len(given) > max(len(kind.defaults), kind.at_most):
        raise ValueError(f"{found[1]} takes {_counted(kind)}, such as {found[1]}({','.join(kind.example)}).")
    numbers = [Decimal(part) if re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,2})?", part) else None for part in given]
    numbers += [Decimal(each) for each in kind.defaults[len(numbers) :]]
    for place, number in enumerate(numbers):
        whole = not (found[1] == "BBANDS" and place == 1)
        if number is None or (whole and not (number == number.to_integral_value() and 2 <= number <= MOST)):
            raise ValueError(f"The lengths of {found[1]} must be whole numbers from 2 to {MOST}.")
        if not whole and not 0 < number <= 10:
            raise ValueError("BBANDS needs more than 0 and at most 10 standard deviations.")
    exact = tuple(number for number in numbers if number is not None)
    if found[1] == "MACD" and exact[0] >= exact[1]:
        raise ValueError("The first length of MACD must be the shorter one.")
    return Indicator(found[1], exact)


def sma(values: Sequence[Decimal], length: int) -> list[Decimal]:
    if len(values) < length:
        return []
    total = sum(values[:length], Decimal(0))
    found = [total / length]
    for old, new in zip(values, values[length:], strict=False):
        total += new - old
        found.append(total / length)
    return found


def ema(values: Sequence[Decimal], length: int) -> list[Decimal]:
    if len(values) < length:
        return []
    found = [sum(values[:length], Decimal(0)) / length]
    for value in values[length:]:
        found.append(found[-1] + (value - found[-1]) * 2 / (length + 1))
    return found


def wilder(values: Sequence[Decimal], length: int) -> list[Decimal]:
    """Wilder's smoothing: a mean that gives the newest value the weight 1 / length."""
    if len(values) < length:
        return []
    found = [sum(values[:length], Decimal(0)) / length]
    for value in values[length:]:
        found.append((found[-1] * (length - 1) + value) / length)
    return found


def rsi(closes: Sequence[Decimal], length: int) -> list[Decimal]:
    changes = [new - old for old, new in pairwise(closes)]
    gains = wilder([max(change, Decimal(0)) for change in changes], length)
    losses = wilder([max(-change, Decimal(0)) for change in changes], length)
    return [
        100 * gain / (gain + loss) if gain + loss else Decimal(50) for gain, loss in zip(gains, losses, strict=True)
    ]


def true_ranges(bars: Sequence[Bar]) -> list[Decimal]:
    """From the second bar on."""
    return [max(bar.high, before.close) - min(bar.low, before.close) for before, bar in pairwise(bars)]


def _closes(bars: Sequence[Bar]) -> list[Decimal]:
    return [bar.close for bar in bars]


def _value(values: Sequence[Decimal]) -> list[Row]:
    return [{"value": value} for value in values]


def _macd(bars: Sequence[Bar], numbers: Sequence[Decimal]) -> list[Row]:
    fast, slow, length = (int(number) for number in numbers)
    closes = _closes(bars)
    slower = ema(closes, slow)
    if not slower:
        return []
    line = [a - b for a, b in zip(ema(closes, fast)[slow - fast :], slower, strict=True)]
    signal = ema(line, length)
    return [
        {"macd": macd, "signal": smooth, "histogram": macd - smooth}
        for macd, smooth in zip(line[length - 1 :], signal, strict=True)
    ]


def _bbands(bars: Sequence[Bar], numbers: Sequence[Decimal]) -> list[Row]:
    closes, length, width = _closes(bars), int(numbers[0]), numbers[1]
    found: list[Row] = []
    for end, middle in enumerate(sma(closes, length), start=length):
        variance = sum(((close - middle) ** 2 for close in closes[end - length : end]), Decimal(0)) / length
        away = width * variance.sqrt()
        found.append({"upper": middle + away, "middle": middle, "lower": middle - away})
    return found


def _vwap(bars: Sequence[Bar], numbers: Sequence[Decimal]) -> list[Row]:
    length = int(numbers[0]) if numbers else None
    money = [(bar.high + bar.low + bar.close) * bar.volume for bar in bars]
    found: list[Row] = []
    traded = volume = Decimal(0)
    for place, bar in enumerate(bars):
        if length is None and place and bar.start.date() != bars[place - 1].start.date():
            traded = volume = Decimal(0)
        traded, volume = traded + money[place], volume + bar.volume
        if length is not None and place >= length:
            traded, volume = traded - money[place - length], volume - bars[place - length].volume
        if length is None or place >= length - 1:
            found.append({"value": traded / 3 / volume if volume else bar.close})
    return found


@dataclass(frozen=True, slots=True)
class _Kind:
    defaults: tuple[str, ...]
    rows: Callable[[Sequence[Bar], Sequence[Decimal]], list[Row]]
    example: tuple[str, ...]
    at_most: int = 0


_KINDS: dict[str, _Kind] = {
    "RSI": _Kind(("14",), lambda bars, n: _value(rsi(_closes(bars), int(n[0]))), ("14",)),
    "MACD": _Kind(("12", "26", "9"), _macd, ("12", "26", "9")),
    "SMA": _Kind(("20",), lambda bars, n: _value(sma(_closes(bars), int(n[0]))), ("20",)),
    "EMA": _Kind(("20",), lambda bars, n: _value(ema(_closes(bars), int(n[0]))), ("20",)),
    "BBANDS": _Kind(("20", "2"), _bbands, ("20", "2")),
    "ATR": _Kind(("14",), lambda bars, n: _value(wilder(true_ranges(bars), int(n[0]))), ("14",)),
    "VWAP": _Kind((), _vwap, ("20",), at_most=1),
}

NAMES = tuple(_KINDS)


def _counted(kind: _Kind) -> str:
    most = max(len(kind.defaults), kind.at_most)
    return "at most one number" if most == 1 else f"at most {most} numbers"
