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
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Protocol

from brokers.types import Bar

MOST = 200
"""Longest length of an indicator, in bars."""
_WARM_UP = 250
"""Fewest bars given to those that remember, before their first value that is shown."""
_FORGETS = {"EMA": 7, "RSI": 14, "ATR": 14}
"""Lengths after which a millionth is left of the value they began with: the logarithm of a million is 13.8, and an EMA
forgets 2 / (n + 1) with each bar, Wilder's mean 1 / n."""

_NOTHING, _TWO, _MIDDLE = Decimal(0), Decimal(2), Decimal(50)

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

    @property
    def lines(self) -> tuple[str, ...]:
        """The names of its values at one bar: ``value`` alone, or more."""
        return _KINDS[self.kind].lines

    def stream(self) -> "IndicatorStream":
        """A new one, to be given one bar after the other."""
        return _KINDS[self.kind].stream(self.numbers)

    def rows(self, bars: Iterable[Bar]) -> list[Row]:
        """One row a bar, oldest first, none for the bars before it has enough."""
        stream = self.stream()
        return [row for bar in bars if (row := stream.push(bar)) is not None]


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


class Running:
    """A value that is brought up to date by each number, None until there were enough."""

    def __init__(self, length: int) -> None:
        self.length = length

    def push(self, value: Decimal) -> Decimal | None:
        raise NotImplementedError

    def all(self, values: Iterable[Decimal]) -> list[Decimal]:
        return [found for value in values if (found := self.push(value)) is not None]


class RunningMean(Running):
    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.window: deque[Decimal] = deque(maxlen=length)
        self._total = Decimal(0)
        self._count = Decimal(length)
        self._is_full = False

    def push(self, value: Decimal) -> Decimal | None:
        window = self.window
        if self._is_full:
            total = self._total = self._total + (value - window[0])
            window.append(value)
            return total / self._count
        window.append(value)
        self._total += value
        self._is_full = len(window) == self.length
        return self._total / self._count if self._is_full else None


class _Smoothed(Running):
    """It starts as the mean of the first ``length`` values; ``_next`` says how it moves then."""

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self._seen = 0
        self._value = Decimal(0)
        self._count = Decimal(length)

    def push(self, value: Decimal) -> Decimal | None:
        if self._seen < self.length:
            self._seen += 1
            self._value += value
            if self._seen < self.length:
                return None
            self._value /= self._count
        else:
            self._value = self._next(self._value, value)
        return self._value

    def _next(self, before: Decimal, value: Decimal) -> Decimal:
        raise NotImplementedError


class RunningEma(_Smoothed):
    def _next(self, before: Decimal, value: Decimal) -> Decimal:
        return before + (value - before) * _TWO / (self._count + 1)


class RunningWilder(_Smoothed):
    """Wilder's smoothing: a mean that gives the newest value the weight 1 / length."""

    def _next(self, before: Decimal, value: Decimal) -> Decimal:
        return (before * (self._count - 1) + value) / self._count


class RunningRsi(Running):
    def __init__(self, length: int) -> None:
        super().__init__(length)
        self._before: Decimal | None = None
        self._gains, self._losses = RunningWilder(length), RunningWilder(length)

    def push(self, value: Decimal) -> Decimal | None:
        before, self._before = self._before, value
        if before is None:
            return None
        gain = self._gains.push(max(value - before, _NOTHING))
        loss = self._losses.push(max(before - value, _NOTHING))
        if gain is None or loss is None:
            return None
        return 100 * gain / (gain + loss) if gain + loss else _MIDDLE


def ema(values: Iterable[Decimal], length: int) -> list[Decimal]:
    return RunningEma(length).all(values)


def rsi(closes: Iterable[Decimal], length: int) -> list[Decimal]:
    return RunningRsi(length).all(closes)


class IndicatorStream(Protocol):
    """An indicator that is brought up to date bar by bar, and keeps no more of them than its length."""

    def push(self, bar: Bar) -> Row | None:
        """The oldest bar first. None until there were enough."""
        ...


class OfCloses:
    def __init__(self, running: Running) -> None:
        self.running = running

    def push(self, bar: Bar) -> Row | None:
        value = self.running.push(bar.close)
        return None if value is None else {"value": value}


class _Macd:
    def __init__(self, numbers: Sequence[Decimal]) -> None:
        fast, slow, length = (int(number) for number in numbers)
        self._fast, self._slow, self._signal = RunningEma(fast), RunningEma(slow), RunningEma(length)

    def push(self, bar: Bar) -> Row | None:
        fast, slow = self._fast.push(bar.close), self._slow.push(bar.close)
        if fast is None or slow is None:
            return None
        macd = fast - slow
        signal = self._signal.push(macd)
        return None if signal is None else {"macd": macd, "signal": signal, "histogram": macd - signal}


class _Bollinger:
    def __init__(self, numbers: Sequence[Decimal]) -> None:
        self._mean, self._width = RunningMean(int(numbers[0])), numbers[1]

    def push(self, bar: Bar) -> Row | None:
        middle = self._mean.push(bar.close)
        if middle is None:
            return None
        away = self._width * deviation(self._mean.window, middle)
        return {"upper": middle + away, "middle": middle, "lower": middle - away}


class _Atr:
    def __init__(self, length: int) -> None:
        self._mean = RunningWilder(length)
        self._close: Decimal | None = None

    def push(self, bar: Bar) -> Row | None:
        before, self._close = self._close, bar.close
        if before is None:
            return None
        value = self._mean.push(max(bar.high, before) - min(bar.low, before))
        return None if value is None else {"value": value}


class _Vwap:
    def __init__(self, numbers: Sequence[Decimal]) -> None:
        self._length = int(numbers[0]) if numbers else None
        self._window: deque[tuple[Decimal, Decimal]] = deque()
        self._traded = self._volume = _NOTHING
        self._day: date | None = None

    def push(self, bar: Bar) -> Row | None:
        if self._length is None and bar.start.date() != self._day:
            self._day, self._traded, self._volume = bar.start.date(), _NOTHING, _NOTHING
        money = (bar.high + bar.low + bar.close) * bar.volume
        self._traded, self._volume = self._traded + money, self._volume + bar.volume
        if self._length is not None:
            self._window.append((money, bar.volume))
            if len(self._window) > self._length:
                old, volume = self._window.popleft()
                self._traded, self._volume = self._traded - old, self._volume - volume
            if len(self._window) < self._length:
                return None
        return {"value": self._traded / 3 / self._volume if self._volume else bar.close}


def deviation(values: Collection[Decimal], mean: Decimal) -> Decimal:
    """Of the population."""
    return (sum(((value - mean) ** 2 for value in values), _NOTHING) / len(values)).sqrt()


@dataclass(frozen=True, slots=True)
class _Kind:
    defaults: tuple[str, ...]
    stream: Callable[[Sequence[Decimal]], IndicatorStream]
    lines: tuple[str, ...]
    example: tuple[str, ...]
    at_most: int = 0


_VALUE = ("value",)
_KINDS: dict[str, _Kind] = {
    "RSI": _Kind(("14",), lambda n: OfCloses(RunningRsi(int(n[0]))), _VALUE, ("14",)),
    "MACD": _Kind(("12", "26", "9"), _Macd, ("macd", "signal", "histogram"), ("12", "26", "9")),
    "SMA": _Kind(("20",), lambda n: OfCloses(RunningMean(int(n[0]))), _VALUE, ("20",)),
    "EMA": _Kind(("20",), lambda n: OfCloses(RunningEma(int(n[0]))), _VALUE, ("20",)),
    "BBANDS": _Kind(("20", "2"), _Bollinger, ("upper", "middle", "lower"), ("20", "2")),
    "ATR": _Kind(("14",), lambda n: _Atr(int(n[0])), _VALUE, ("14",)),
    "VWAP": _Kind((), _Vwap, _VALUE, ("20",), at_most=1),
}

NAMES = tuple(_KINDS)


def _counted(kind: _Kind) -> str:
    most = max(len(kind.defaults), kind.at_most)
    return "at most one number" if most == 1 else f"at most {most} numbers"
