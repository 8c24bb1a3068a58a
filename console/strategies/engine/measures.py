"""What a condition of a strategy compares: prices of a bar, indicators, and a few values of closes more.

==============  ==================================================================================================
HIGHEST(n)      highest high of the last n bars, this one too
LOWEST(n)       lowest low of the same
CHANGE(n)       change of the close over n bars, in percent
ZSCORE(n)       (close - SMA(n)) in population standard deviations of the last n closes; 0 where they are all the same
==============  ==================================================================================================

The indicators are those of ``console.indicators``. ``against`` another symbol, a measure of closes is that of the
ratio of the two closes. A stream gives None until it had enough bars.
"""

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from operator import attrgetter

from brokers.types import Bar
from console import indicators
from console.indicators import MOST, IndicatorStream, OfCloses, RunningMean, deviation

PRICES = ("open", "high", "low", "close", "volume")
OWN = ("HIGHEST", "LOWEST", "CHANGE", "ZSCORE")
MOST_AGO = 50
_OF_CLOSES = ("close", "CHANGE", "ZSCORE", "SMA", "EMA", "RSI", "MACD", "BBANDS")
_OWN = re.compile(rf"({'|'.join(OWN)})\(([0-9]{{1,3}})\)", re.IGNORECASE)
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,12})?")

Push = Callable[[Bar], Decimal | None]


@dataclass(frozen=True, slots=True)
class RuleMeasure:
    """One side of a comparison. ``number`` is set for a fixed one, and nothing else then."""

    text: str
    line: str = ""
    """Of an indicator with several lines, such as ``signal``."""
    number: Decimal | None = None
    ago: int = 0
    times: Decimal = Decimal(1)
    against: str = ""

    @property
    def needs(self) -> int:
        """Bars from which its first value can be had."""
        if self.number is not None:
            return 0
        if self.text in PRICES:
            return 1 + self.ago
        own = _OWN.fullmatch(self.text)
        if own is None:
            return indicators.parse(self.text).needs + self.ago
        return int(own[2]) + (own[1] == "CHANGE") + self.ago

    def push(self) -> Push:
        """A new stream of it, to be given each bar once."""
        return _scaled(_delayed(self._plain(), self.ago), self.times)

    def _plain(self) -> Push:
        if self.text in PRICES:
            return attrgetter(self.text)
        if (own := _OWN.fullmatch(self.text)) is not None:
            return _MADE[own[1]](int(own[2]))
        return _line(indicators.parse(self.text).stream(), self.line)


def parse(text: str, *, ago: int = 0, times: Decimal = Decimal(1), against: str = "") -> RuleMeasure:
    """``close``, ``30``, ``SMA(50)``, ``MACD(12,26,9).signal``. Raises ValueError with a sentence."""
    text = text.strip()
    if _NUMBER.fullmatch(text):
        if ago or against:
            raise ValueError(f"{text} is a number: it has no bars ago and nothing to be measured against.")
        return RuleMeasure(text, number=Decimal(text) * times)
    if text.lower() in PRICES:
        found = RuleMeasure(text.lower(), ago=ago, times=times, against=against)
    elif (own := _OWN.fullmatch(text)) is not None:
        if not 2 <= int(own[2]) <= MOST:
            raise ValueError(f"The length of {own[1].upper()} must be a whole number from 2 to {MOST}.")
        found = RuleMeasure(f"{own[1].upper()}({int(own[2])})", ago=ago, times=times, against=against)
    else:
        found = _of_indicator(text, ago, times, against)
    if against and found.text.partition("(")[0] not in _OF_CLOSES:
        raise ValueError(
            f"Against another symbol there are only closes to compare: {', '.join(_OF_CLOSES)}, not {found.text}."
        )
    return found


def _of_indicator(text: str, ago: int, times: Decimal, against: str) -> RuleMeasure:
    name, _, line = text.partition(").")
    try:
        indicator = indicators.parse(f"{name})" if line else name)
    except ValueError as error:
        if text.partition("(")[0].strip().upper() in indicators.NAMES:
            raise
        raise ValueError(
            f"{text[:40]!r} is not a number, one of {', '.join(PRICES)}, or one of "
            f"{', '.join((*indicators.NAMES, *OWN))} with its length, such as SMA(50)."
        ) from error
    line = line.strip().lower() or ("value" if "value" in indicator.lines else "")
    if line not in indicator.lines:
        shown = ", ".join(f"{indicator.name}.{each}" for each in indicator.lines)
        raise ValueError(f"{indicator.name} has more than one line: write {shown}.")
    return RuleMeasure(indicator.name, line, ago=ago, times=times, against=against)


def _line(stream: IndicatorStream, line: str) -> Push:
    if isinstance(stream, OfCloses):
        of_closes = stream.running.push
        return lambda bar: of_closes(bar.close)

    def push(bar: Bar) -> Decimal | None:
        row = stream.push(bar)
        return None if row is None else row[line]

    return push


def _delayed(push: Push, bars: int) -> Push:
    if not bars:
        return push
    kept: deque[Decimal | None] = deque([None] * (bars + 1), maxlen=bars + 1)

    def delayed(bar: Bar) -> Decimal | None:
        kept.append(push(bar))
        return kept[0]

    return delayed


def _scaled(push: Push, times: Decimal) -> Push:
    if times == 1:
        return push

    def scaled(bar: Bar) -> Decimal | None:
        value = push(bar)
        return None if value is None else value * times

    return scaled


def _extreme(length: int, sign: int, price: Callable[[Bar], Decimal]) -> Push:
    """The largest of the last values times ``sign``: those that a later one is beyond are forgotten at once."""
    kept: deque[tuple[int, Decimal]] = deque()
    place = 0

    def push(bar: Bar) -> Decimal | None:
        nonlocal place
        value = price(bar) * sign
        while kept and kept[-1][1] <= value:
            kept.pop()
        kept.append((place, value))
        if kept[0][0] <= place - length:
            kept.popleft()
        place += 1
        return kept[0][1] * sign if place >= length else None

    return push


def _change(length: int) -> Push:
    kept: deque[Decimal] = deque(maxlen=length + 1)

    def push(bar: Bar) -> Decimal | None:
        kept.append(bar.close)
        return (bar.close - kept[0]) / kept[0] * 100 if len(kept) > length and kept[0] else None

    return push


def _z_score(length: int) -> Push:
    mean = RunningMean(length)

    def push(bar: Bar) -> Decimal | None:
        middle = mean.push(bar.close)
        if middle is None:
            return None
        away = deviation(mean.window, middle)
        return (bar.close - middle) / away if away else Decimal(0)

    return push


_MADE: dict[str, Callable[[int], Push]] = {
    "HIGHEST": lambda length: _extreme(length, 1, attrgetter("high")),
    "LOWEST": lambda length: _extreme(length, -1, attrgetter("low")),
    "CHANGE": _change,
    "ZSCORE": _z_score,
}
