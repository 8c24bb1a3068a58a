"""What an alert can be asked for: its kind, condition and value, checked and in words. Knows no row and no broker."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Self

from brokers.decimals import plain
from brokers.types import Bar
from console import indicators
from console.alerts.models import AlertKind, Condition
from console.connections.bar_series import BarSpan
from console.errors import Code, Refusal
from console.indicators import Indicator

OF_SYMBOL = frozenset({AlertKind.PRICE, AlertKind.CHANGE, AlertKind.INDICATOR, AlertKind.SPREAD, AlertKind.PROFIT})
OF_ACCOUNT = frozenset({AlertKind.PROFIT, AlertKind.DRAWDOWN, AlertKind.EQUITY})
OF_BARS = frozenset({AlertKind.CHANGE, AlertKind.INDICATOR})
_IN_PERCENT_OR_MONEY = frozenset({AlertKind.SPREAD, AlertKind.PROFIT})
PERCENT = "percent"

# How far a change looks back, in which bars.
WINDOWS = {
    "5m": (timedelta(minutes=5), BarSpan.MINUTE),
    "15m": (timedelta(minutes=15), BarSpan.MINUTE),
    "1h": (timedelta(hours=1), BarSpan.MINUTE),
    "4h": (timedelta(hours=4), BarSpan.FIVE_MINUTES),
    "1d": (timedelta(days=1), BarSpan.FIFTEEN_MINUTES),
    "7d": (timedelta(days=7), BarSpan.HOUR),
}
BARS = tuple(span.value for span in BarSpan if span.seconds <= BarSpan.DAY.seconds)
_CLOSE = "PRICE"
_OPERAND = re.compile(r"([A-Za-z]+(?:\([0-9., ]*\))?)(?:\.([a-z]+))?")
_LINES = {"MACD": ("macd", "signal", "histogram"), "BBANDS": ("middle", "upper", "lower")}
_LARGEST = Decimal(10) ** 15


@dataclass(frozen=True, slots=True)
class Operand:
    """One line of an indicator, or the close itself."""

    indicator: Indicator | None
    line: str = "value"

    @classmethod
    def parse(cls, text: str, field: str) -> Self:
        """``RSI(14)``, ``MACD(12,26,9).histogram``, ``PRICE``. Raises Refusal."""
        found = _OPERAND.fullmatch(text.strip())
        if found is None:
            shown = f"not {text[:40]!r}."
            raise _wrong(field, f"must be PRICE or an indicator such as RSI(14) or BBANDS(20,2).upper, {shown}")
        if found[1].upper() == _CLOSE and found[2] is None:
            return cls(None)
        try:
            indicator = indicators.parse(found[1])
        except ValueError as error:
            raise _wrong(field, f": {error}") from error
        lines = _LINES.get(indicator.kind, ("value",))
        line = found[2] or lines[0]
        if line not in lines:
            raise _wrong(field, f": {indicator.kind} has {', '.join(lines)}.")
        return cls(indicator, line)

    @property
    def name(self) -> str:
        if self.indicator is None:
            return _CLOSE
        return self.indicator.name if self.line == "value" else f"{self.indicator.name}.{self.line}"

    @property
    def wants(self) -> int:
        return 1 if self.indicator is None else self.indicator.wants

    def at_last(self, bars: Sequence[Bar]) -> Decimal | None:
        """At the newest bar; None where there are too few."""
        if self.indicator is None:
            return bars[-1].close if bars else None
        rows = self.indicator.rows(bars)
        return rows[-1][self.line] if rows else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """What tells two values of one kind and symbol apart: its window, its indicators and bars, or its unit."""

    window: str = ""
    left: Operand | None = None
    right: Operand | None = None
    bar: str = ""
    in_percent: bool = False

    def stored(self) -> str:
        if self.window:
            return self.window
        if self.left is not None:
            right = f" - {self.right.name}" if self.right is not None else ""
            return f"{self.left.name}{right} {self.bar}"
        return PERCENT if self.in_percent else ""

    @classmethod
    def of(cls, kind: str, stored: str) -> Self:
        if kind == AlertKind.CHANGE:
            return cls(window=stored, in_percent=True)
        if kind == AlertKind.INDICATOR:
            left, _, rest = stored.partition(" ")
            right, bar = rest[2:].split(" ") if rest.startswith("- ") else ("", rest)
            against = Operand.parse(right, "against") if right else None
            return cls(left=Operand.parse(left, "indicator"), right=against, bar=bar)
        return cls(in_percent=stored == PERCENT or kind == AlertKind.DRAWDOWN)

    @property
    def span(self) -> BarSpan | None:
        """Which bars it is of."""
        if self.window:
            return WINDOWS[self.window][1]
        return BarSpan(self.bar) if self.bar else None

    @property
    def wants(self) -> int:
        """How many bars."""
        if self.window:
            length, span = WINDOWS[self.window]
            return int(length.total_seconds()) // span.seconds + 1
        return max((each.wants for each in (self.left, self.right) if each is not None), default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertTerms:
    """An alert that was asked for, every part of it checked but for what only the broker knows."""

    kind: AlertKind
    condition: Condition
    value: Decimal
    measure: Measure


def check(
    kind: str,
    condition: str = "",
    value: Decimal | None = None,
    *,
    symbol: str = "",
    account_id: str = "",
    window: str = "",
    indicator: str = "",
    against: str = "",
    bar: str = "",
    percent: bool = False,
) -> AlertTerms:
    """Raises Refusal that names the first part that is missing, wrong or belongs to another kind."""
    wanted = AlertKind(kind)
    _belongs(wanted in OF_SYMBOL, symbol, "symbol", wanted, is_needed=True)
    _belongs(wanted in OF_ACCOUNT or wanted is AlertKind.ORDER_AGE, account_id, "account_id", wanted)
    _belongs(wanted is AlertKind.CHANGE, window, "window", wanted, is_needed=True)
    _belongs(wanted is AlertKind.INDICATOR, indicator, "indicator", wanted, is_needed=True)
    _belongs(wanted is AlertKind.INDICATOR, against, "against", wanted)
    _belongs(wanted is AlertKind.INDICATOR, bar, "bar", wanted)
    _belongs(wanted in _IN_PERCENT_OR_MONEY, PERCENT if percent else "", "percent", wanted)
    measure = Measure(window=window, in_percent=percent)
    if wanted is AlertKind.INDICATOR:
        right = Operand.parse(against, "against") if against else None
        measure = Measure(left=Operand.parse(indicator, "indicator"), right=right, bar=bar or BarSpan.DAY.value)
        if right is not None:
            if right == measure.left:
                raise _wrong("against", "must be another one than indicator.")
            if value is not None:
                raise _wrong("value", "and against: give one of them.")
            value = Decimal(0)
    if wanted is AlertKind.CONNECTION:
        if condition or value is not None:
            field = "condition" if condition else "value"
            raise _wrong(field, "is not taken for connection: it fires when the broker cannot be used.")
        return AlertTerms(kind=wanted, condition=Condition.ABOVE, value=Decimal(0), measure=measure)
    if not condition:
        raise Refusal(Code.MISSING_ARGUMENT, f"An alert of {wanted.value} needs condition.", field="condition")
    return AlertTerms(kind=wanted, condition=Condition(condition), value=check_value(wanted, value), measure=measure)


def check_value(kind: AlertKind, value: Decimal | None) -> Decimal:
    """Raises Refusal for one that could not be reached, or would always be."""
    if value is None:
        raise Refusal(Code.MISSING_ARGUMENT, f"An alert of {kind.value} needs value.", field="value")
    if abs(value) > _LARGEST or (value and value.adjusted() < -12):
        raise _wrong("value", "is too large or too small.")
    if kind is AlertKind.PRICE and value <= 0:
        raise _wrong("value", "must be a price above 0.")
    if kind in (AlertKind.SPREAD, AlertKind.DRAWDOWN, AlertKind.ORDER_AGE) and value < 0:
        raise _wrong("value", "cannot be negative here.")
    return value


def _belongs(fits: bool, given: str, field: str, kind: AlertKind, *, is_needed: bool = False) -> None:
    if given and not fits:
        raise _wrong(field, f"is not taken for an alert of {kind.value}.")
    if fits and is_needed and not given:
        raise Refusal(Code.MISSING_ARGUMENT, f"An alert of {kind.value} needs {field}.", field=field)


def _wrong(field: str, what: str) -> Refusal:
    return Refusal(Code.INVALID_ARGUMENT, f"{field} {what}".replace(" :", ":"), field=field)


# -- in words


def subject(kind: str, symbol: str, measure: Measure) -> str:
    """What is watched: ``AAPL``, ``RSI(14) of AAPL, 1h bars``."""
    match kind:
        case AlertKind.PRICE:
            return symbol
        case AlertKind.CHANGE:
            return f"{symbol}, change over {measure.window},"
        case AlertKind.INDICATOR:
            assert measure.left is not None
            left = measure.left.name if measure.left.indicator else "Close"
            return f"{left} of {symbol}, {measure.bar} bars,"
        case AlertKind.SPREAD:
            return f"Spread of {symbol}"
        case AlertKind.PROFIT:
            return f"Profit of {symbol}"
        case AlertKind.DRAWDOWN:
            return "Drawdown"
        case AlertKind.EQUITY:
            return "Equity"
        case AlertKind.ORDER_AGE:
            return "Age of the oldest open order"
        case _:
            return "Connection"


def amount(kind: str, value: Decimal, measure: Measure, currency: str = "") -> str:
    """A value with its unit."""
    shown = plain(value.quantize(Decimal("0.000001"))) if value.adjusted() >= -6 else plain(value)
    if measure.in_percent:
        return f"{plain(value.quantize(Decimal('0.01')))}%"
    if kind == AlertKind.ORDER_AGE:
        return f"{int(value)} min"
    money = kind in (AlertKind.PRICE, AlertKind.SPREAD, AlertKind.PROFIT, AlertKind.EQUITY)
    return f"{shown} {currency}".strip() if money else shown


def sentence(kind: str, symbol: str, measure: Measure, condition: str, value: Decimal, currency: str = "") -> str:
    """``AAPL is above 200 USD``."""
    if kind == AlertKind.CONNECTION:
        return "The broker cannot be used"
    words = Condition(condition).label
    against = measure.right
    other = (against.name if against.indicator else "the close") if against else amount(kind, value, measure, currency)
    return f"{subject(kind, symbol, measure)} {words} {other}"


# -- whether it is met


def side_of(value: Decimal, than: Decimal) -> str:
    if value == than:
        return "equal"
    return Condition.ABOVE.value if value > than else Condition.BELOW.value


def step(condition: str, last: str, side: str) -> tuple[bool, str]:
    """Whether the condition became true with this look, and what to remember of it.

    Above and below become true when they were not at the look before, also at the first look. Crosses needs a change of
    side; on the value itself nothing has changed sides.
    """
    if condition == Condition.CROSSES:
        return (False, last) if side == "equal" else (last not in ("", side), side)
    return side == condition and last != condition, side
