"""A history gives the period that was asked for, in bars of every size, or says what it gives instead; indicators begin
early enough that their first bar no longer shows, or say that the broker has not enough.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from django.utils import timezone

from console import indicators
from console.authority import bearer, call_quota
from console.connections import bar_series, broker_access
from console.connections.bar_series import BarSpan
from mcpserver import pipeline
from tests.mcpserver.steps import call, refusal

PERIODS = {"1h": 1, "1d": 24, "1w": 168, "1m": 720, "3m": 2184, "1y": 8760}
CLOSED = timedelta(days=5)


@pytest.fixture(autouse=True)
def _one_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    # The pipeline is made for worker threads and lets connections go; the test's own must stay.
    monkeypatch.setattr(pipeline, "close_old_connections", lambda: None)
    monkeypatch.setattr(call_quota, "check", lambda *about, **more: None)


def starts(answer: dict[str, Any]) -> list[datetime]:
    return [datetime.fromisoformat(bar["start"]) for bar in answer["bars"]]


@pytest.mark.parametrize("symbol", ["AAPL", "BTC/USD"])
@pytest.mark.parametrize("period", PERIODS)
def test_a_period_is_given_from_its_beginning_in_bars_that_fit(read_key: str, symbol: str, period: str) -> None:
    asked = timezone.now() - timedelta(hours=PERIODS[period])
    answer = call(read_key, "get_history", symbol=symbol, period=period)
    found, span = starts(answer), timedelta(seconds=BarSpan(answer["bar"]).seconds)
    if symbol == "BTC/USD":
        assert asked <= found[0] <= asked + 2 * span or "no bars" in answer["left_out"]
    elif found:
        assert asked <= found[0] <= asked + 2 * span + CLOSED
    assert len(found) <= 120
    assert "next_cursor" not in answer
    if found:
        assert answer["first"] == answer["bars"][0]["start"]


def test_a_year_of_days_is_a_year_of_days(read_key: str) -> None:
    answer = call(read_key, "get_history", symbol="AAPL", period="1y", bar="1d")
    found = starts(answer)
    assert len(found) in (364, 365)  # the simulated market is open every day
    assert found[0] - (timezone.now() - timedelta(days=365)) < CLOSED
    assert "left_out" not in answer


def test_what_of_a_period_has_no_room_is_told_and_had_by_its_cursor(read_key: str) -> None:
    given: dict[str, Any] = {"symbol": "AAPL", "period": "1w", "bar": "1m"}
    asked = timezone.now() - timedelta(weeks=1)
    seen: list[datetime] = []
    answer = call(read_key, "get_history", **given)
    assert "call again with next_cursor" in answer["left_out"]
    for _ in range(30):
        seen = starts(answer) + seen
        if "next_cursor" not in answer:
            break
        answer = call(read_key, "get_history", **given, cursor=answer["next_cursor"])
    assert all(one < two for one, two in pairwise(seen))
    assert 7 * 24 * 60 - 2 <= len(seen) <= 7 * 24 * 60
    assert seen[0] - asked < timedelta(minutes=2)


def test_without_a_period_earlier_bars_are_had_by_the_cursor(read_key: str) -> None:
    newest = call(read_key, "get_history", symbol="AAPL", limit=5)
    before = call(read_key, "get_history", symbol="AAPL", limit=5, cursor=newest["next_cursor"])
    both = call(read_key, "get_history", symbol="AAPL", limit=10)
    assert before["bars"] + newest["bars"] == both["bars"]
    assert refusal(read_key, "get_history", symbol="AAPL", cursor="YmFyczp4")["field"] == "cursor"


@pytest.mark.parametrize(("bar", "parts"), [("30m", "15m"), ("4h", "1h"), ("1w", "1d"), ("1mo", "1d")])
@pytest.mark.parametrize("symbol", ["AAPL", "BTC/USD"])
def test_larger_bars_are_those_that_smaller_ones_make(read_key: str, symbol: str, bar: str, parts: str) -> None:
    large = call(read_key, "get_history", symbol=symbol, bar=bar, limit=3)
    if not large["bars"]:
        assert symbol == "BTC/USD"
        return
    last = large["bars"][-1]
    inside = call(read_key, "get_history", symbol=symbol, bar=parts, start=last["start"], end=large["as_of"], limit=40)[
        "bars"
    ]
    assert last["open"] == inside[0]["open"] and last["close"] == inside[-1]["close"]
    assert Decimal(last["high"]) == max(Decimal(each["high"]) for each in inside)
    assert Decimal(last["low"]) == min(Decimal(each["low"]) for each in inside)
    assert Decimal(last["volume"]) == sum(Decimal(each["volume"]) for each in inside)


@pytest.mark.parametrize("indicator", ["EMA(200)", "RSI(200)", "ATR(200)", "RSI(50)", "MACD(100,200,50)", "EMA(20)"])
def test_an_indicator_no_longer_depends_on_its_first_bar(read_key: str, indicator: str) -> None:
    answer = call(read_key, "get_indicators", symbol="AAPL", indicators=[indicator], bar="1h")
    with broker_access.broker_for(bearer.authenticate(read_key)) as broker:
        bars = bar_series.read(broker, "AAPL", BarSpan.HOUR, limit=9_000)
    (newest,) = answer["values"]
    place = next(place for place, bar in enumerate(bars) if bar.start == datetime.fromisoformat(newest["start"]))
    exact = indicators.parse(indicator).rows(bars[: place + 1])[-1]
    shown = Decimal("0.01") if indicator.startswith("RSI") else Decimal("0.0001")
    for line, value in exact.items():
        told = Decimal(newest[indicator if line == "value" else f"{indicator}.{line}"])
        assert abs(told - value) <= shown
        assert told == told.quantize(shown)
    assert "note" not in answer


def test_a_broker_that_has_not_enough_bars_is_told_with_the_values(read_key: str) -> None:
    with broker_access.broker_for(bearer.authenticate(read_key)) as broker:
        there = len(bar_series.read(broker, "BTC/USD", BarSpan.HOUR, limit=9_000))
    length = max(2, min(200, there // 3))
    answer = call(read_key, "get_indicators", symbol="BTC/USD", indicators=[f"RSI({length})", "SMA(5)"], bar="1h")
    if there < indicators.parse(f"RSI({length})").wants:
        assert f"RSI({length}) wants" in answer["note"] and f"the broker has {there}" in answer["note"]
        assert "SMA" not in answer["note"]
    else:
        assert "note" not in answer


def test_values_of_all_indicators_have_one_row_a_bar(read_key: str) -> None:
    answer = call(read_key, "get_indicators", symbol="AAPL", indicators=["RSI", "SMA(20)", "MACD"], last=3)
    assert len(answer["values"]) == 3
    lines = [f"MACD(12,26,9).{line}" for line in ("macd", "signal", "histogram")]
    assert all(list(row) == ["start", "RSI(14)", "SMA(20)", *lines] for row in answer["values"])
