"""Indicators against examples published by others, and against the same definitions written a second time in floats."""

import math
import statistics
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise

import pytest

from brokers.types import Bar, BarSize
from console import indicators
from tests.brokers.paper.support import Clock, open_broker

# StockCharts ChartSchool, "Relative Strength Index (RSI)": the worked example, over 14 days.
QQQQ = (
    "44.3389 44.0902 44.1497 43.6124 44.3278 44.8264 45.0955 45.4245 45.8433 46.0826 45.8931 46.0328 45.6140 46.2820 "
    "46.2820 46.0028 46.0328 46.4116 46.2222 45.6439 46.2122 46.2521 45.7137 46.4515 45.7835 45.3548 44.0288 44.1783 "
    "44.2181 44.5672 43.4205 42.6628 43.1314"
)
QQQQ_RSI = (
    "70.53 66.32 66.55 69.41 66.36 57.97 62.93 63.26 56.06 62.38 54.71 50.42 39.99 41.46 41.87 45.46 37.30 33.08 37.77"
)
# StockCharts ChartSchool, "Moving Averages": the worked example, over 10 days.
INTC = (
    "22.27 22.19 22.08 22.17 22.18 22.13 22.23 22.43 22.24 22.29 22.15 22.39 22.38 22.61 23.36 24.05 23.75 23.83 23.95 "
    "23.63 23.82 23.87 23.65 23.19 23.10 23.33 22.68 23.10 22.40 22.17"
)
INTC_EMA = (
    "22.22 22.21 22.24 22.27 22.33 22.52 22.80 22.97 23.13 23.28 23.34 23.43 23.51 23.53 23.47 23.40 23.39 23.26 23.23 "
    "23.08 22.92"
)


def decimals(text: str) -> list[Decimal]:
    return [Decimal(part) for part in text.split()]


def rounded(values: list[Decimal]) -> list[Decimal]:
    return [value.quantize(Decimal("0.01"), ROUND_HALF_UP) for value in values]


def closing(*closes: str, volume: str = "1") -> list[Bar]:
    start = datetime(2026, 11, 20, tzinfo=UTC)
    return [
        Bar(
            start=start + timedelta(minutes=place),
            open=Decimal(close),
            high=Decimal(close),
            low=Decimal(close),
            close=Decimal(close),
            volume=Decimal(volume),
        )
        for place, close in enumerate(closes)
    ]


def test_rsi_is_that_of_the_published_example() -> None:
    assert rounded(indicators.rsi(decimals(QQQQ), 14)) == decimals(QQQQ_RSI)


def test_the_exponential_average_is_that_of_the_published_example() -> None:
    assert rounded(indicators.ema(decimals(INTC), 10)) == decimals(INTC_EMA)


@pytest.mark.django_db
def test_every_indicator_is_the_same_as_by_a_second_hand() -> None:
    broker, _ = open_broker(Clock())
    bars = broker.bars("AAPL", BarSize.HOUR, limit=120)
    close = [float(bar.close) for bar in bars]

    def latest(spec: str) -> dict[str, float]:
        return {name: float(value) for name, value in indicators.parse(spec).rows(bars)[-1].items()}

    def smooth(values: list[float], length: int, weight: float) -> list[float]:
        found = [statistics.fmean(values[:length])]
        for value in values[length:]:
            found.append(weight * value + (1 - weight) * found[-1])
        return found

    def ema(values: list[float], length: int) -> list[float]:
        return smooth(values, length, 2 / (length + 1))

    changes = [b - a for a, b in pairwise(close)]
    up = smooth([max(0.0, each) for each in changes], 14, 1 / 14)[-1]
    down = smooth([max(0.0, -each) for each in changes], 14, 1 / 14)[-1]
    ranges = [
        max(float(bar.high - bar.low), abs(float(bar.high) - before), abs(float(bar.low) - before))
        for bar, before in zip(bars[1:], close, strict=False)
    ]
    line = [fast - slow for fast, slow in zip(ema(close, 12)[14:], ema(close, 26), strict=True)]
    signal = ema(line, 9)[-1]
    middle, away = statistics.fmean(close[-20:]), 2 * statistics.pstdev(close[-20:])
    typical = [float(bar.high + bar.low + bar.close) / 3 for bar in bars]
    volume = [float(bar.volume) for bar in bars]
    today = [place for place, bar in enumerate(bars) if bar.start.date() == bars[-1].start.date()]
    assert 1 < len(today) < 24

    def weighted(places: list[int]) -> float:
        return sum(typical[place] * volume[place] for place in places) / sum(volume[place] for place in places)

    expected = {
        "RSI(14)": {"value": 100 - 100 / (1 + up / down)},
        "ATR(14)": {"value": smooth(ranges, 14, 1 / 14)[-1]},
        "SMA(50)": {"value": statistics.fmean(close[-50:])},
        "EMA(20)": {"value": ema(close, 20)[-1]},
        "MACD(12,26,9)": {"macd": line[-1], "signal": signal, "histogram": line[-1] - signal},
        "BBANDS(20,2)": {"upper": middle + away, "middle": middle, "lower": middle - away},
        "VWAP(20)": {"value": weighted(list(range(100, 120)))},
        "VWAP": {"value": weighted(today)},
    }
    for spec, values in expected.items():
        found = latest(spec)
        assert found.keys() == values.keys(), spec
        for name, value in values.items():
            assert math.isclose(found[name], value, rel_tol=1e-9, abs_tol=1e-9), (spec, name)


def test_an_indicator_without_enough_bars_has_no_rows_and_says_how_many_it_needs() -> None:
    for spec in ("RSI(3)", "MACD(2,3,2)", "SMA(4)", "EMA(4)", "BBANDS(4,2)", "ATR(3)", "VWAP(4)"):
        indicator = indicators.parse(spec)
        assert indicator.needs == 4
        assert indicator.rows(closing("1", "2", "3")) == []
        assert len(indicator.rows(closing("1", "2", "3", "4"))) == 1, spec


def test_prices_that_never_move_have_a_middling_rsi_and_never_a_division_by_zero() -> None:
    flat = closing(*["5"] * 30, volume="0")
    assert indicators.parse("RSI").rows(flat)[-1] == {"value": Decimal(50)}
    assert indicators.parse("VWAP(5)").rows(flat)[-1] == {"value": Decimal(5)}
    assert indicators.parse("BBANDS").rows(flat)[-1] == {"upper": 5, "middle": 5, "lower": 5}
    assert indicators.parse("RSI(2)").rows(closing("1", "2", "3"))[-1] == {"value": Decimal(100)}
    assert indicators.parse("RSI(2)").rows(closing("3", "2", "1"))[-1] == {"value": Decimal(0)}


@pytest.mark.parametrize(
    "text",
    [
        *("ADX", "RSI(", "RSI()14", "RSI(1)", "RSI(201)", "RSI(14,3)", "RSI(1.5)", "RSI(-3)", "RSI(1e2)", "SMA(x)", ""),
        *("MACD(26,12)", "BBANDS(20,0)", "BBANDS(20,11)", "VWAP(1)", "VWAP(5,5)", "SMA(,)", "SMA(\u0661\u0664)"),
    ],
)
def test_an_indicator_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"[A-Z]"):
        indicators.parse(text)


def test_what_is_left_out_is_the_usual() -> None:
    assert indicators.parse("rsi").name == "RSI(14)"
    assert indicators.parse(" macd( 5 ) ").name == "MACD(5,26,9)"
    assert indicators.parse("BBANDS(20, 2.5)").name == "BBANDS(20,2.5)"
    assert indicators.parse("VWAP").name == "VWAP"
