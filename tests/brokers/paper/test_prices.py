"""Replay and simulation as functions of time."""

import csv
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from brokers.errors import InvalidSymbol
from brokers.paper import prices, replay_market, simulated_market
from brokers.paper.listings import built_in
from brokers.types import Bar, BarSize
from tests.patience import at_most

from .support import NOON

DATA = Path(replay_market.__file__).parent / "data" / "btcusd_minute.csv"
MINUTE = timedelta(minutes=1)


def market(seed: int = 1, hours: str = "always") -> prices.Market:
    return prices.Market(built_in(seed, hours))


def folded(parts: list[Bar]) -> tuple[Decimal, ...]:
    return (
        parts[0].open,
        max(part.high for part in parts),
        min(part.low for part in parts),
        parts[-1].close,
        sum((part.volume for part in parts), Decimal(0)),
    )


def values(bar: Bar) -> tuple[Decimal, ...]:
    return bar.open, bar.high, bar.low, bar.close, bar.volume


@pytest.mark.parametrize("hours", ["always", "venue"])
@pytest.mark.parametrize("symbol", ["AAPL", "INTC", "TLT", "BTC/USD"])
@pytest.mark.parametrize("size", [BarSize.FIVE_MINUTES, BarSize.FIFTEEN_MINUTES, BarSize.HOUR, BarSize.DAY])
def test_coarse_bars_are_exactly_their_minutes(symbol: str, hours: str, size: BarSize) -> None:
    start = datetime(2026, 11, 25, tzinfo=UTC)  # before a holiday and a half day
    now = start + timedelta(days=4)
    minutes = market(hours=hours).bars(symbol, BarSize.MINUTE, start, None, 10_000, now)
    coarse = market(hours=hours).bars(symbol, size, start, None, 10_000, now)
    step = timedelta(seconds=size.seconds)
    assert minutes and coarse
    for bar in coarse:
        assert values(bar) == folded([part for part in minutes if bar.start <= part.start < bar.start + step])
    assert sum(bar.volume for bar in coarse) == sum(part.volume for part in minutes)


@pytest.mark.parametrize("symbol", ["AAPL", "TSLA", "INTC"])
def test_every_simulated_minute_is_a_sound_bar_that_starts_where_the_last_one_ended(symbol: str) -> None:
    minutes = market().bars(symbol, BarSize.MINUTE, None, None, 5_000, NOON)
    assert len(minutes) == 5_000
    for before, bar in pairwise(minutes):
        assert bar.open == before.close
        assert bar.start == before.start + MINUTE
        assert Decimal(0) < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
    assert len({bar.close for bar in minutes}) > 50


def test_recorded_days_aggregate_to_the_daily_bars_of_the_source() -> None:
    monday = datetime(2026, 11, 16, tzinfo=UTC)
    found = [values(bar) for bar in market().bars("BTC/USD", BarSize.DAY, monday, None, 9, monday + 4 * 1440 * MINUTE)]
    fifth = ("6791.68", "6933.11", "6568.64", "6785.85", "13832.668772")
    sixth = ("6785.86", "6847", "6518.88", "6619.01", "10237.70670092")
    expected = [tuple(Decimal(text) for text in day) for day in (fifth, sixth)]
    assert sorted(found) == sorted(expected * 2)


def test_the_replay_shows_the_recorded_rows_and_says_when_they_were_recorded() -> None:
    rows = list(csv.DictReader(DATA.read_text().splitlines()))
    assert len(rows) == 2880
    quote = market().quote("BTC/USD", NOON)
    row = next(row for row in rows if datetime.fromisoformat(row["ts"]) == quote.recorded_at)
    assert quote.last == quote.bid == quote.ask == Decimal(row["close"])
    assert quote.recorded_at == datetime(2018, 4, 6, 15, 32, tzinfo=UTC)
    assert quote.as_of == NOON.replace(second=0)
    assert "replay" in quote.source


def test_the_replay_wraps_from_its_last_bar_to_its_first() -> None:
    tape = replay_market.btc_usd()
    length = 2880
    first = length * 1000
    assert tape.recorded_at(first - 1) == datetime(2018, 4, 6, 23, 59, tzinfo=UTC)
    assert tape.recorded_at(first) == datetime(2018, 4, 5, tzinfo=UTC)
    assert tape.aggregate(first, first + 1) == tape.aggregate(first + length, first + length + 1)
    across = tape.aggregate(first - 1, first + 1)
    assert across is not None
    assert (across.open, across.close) == (Decimal("6621.01"), Decimal("6778.01"))


@pytest.mark.parametrize("symbol", ["AAPL", "BTC/USD"])
def test_nothing_of_a_bar_shows_before_it_is_complete(symbol: str) -> None:
    bar = market().bars(symbol, BarSize.MINUTE, None, None, 1, NOON)[-1]
    assert bar.start == NOON.replace(second=0) - MINUTE
    whole = NOON.replace(second=0)
    early = market().quote(symbol, whole)
    late = market().quote(symbol, whole + timedelta(seconds=59, microseconds=999_999))
    assert early == late
    assert early.last == bar.close
    day = market().bars(symbol, BarSize.DAY, None, None, 1, NOON)[-1]
    assert day.start == datetime(2026, 11, 19, tzinfo=UTC)


def test_a_quote_knows_the_last_24_hours() -> None:
    quote = market().quote("AAPL", NOON)
    minutes = market().bars("AAPL", BarSize.MINUTE, None, None, 1440, NOON)
    opened, high, low, close, _ = folded(minutes)
    assert (quote.open, quote.high, quote.low, quote.last) == (opened, high, low, close)
    assert quote.change_percent == ((close - opened) / opened * 100).quantize(Decimal("0.01"))


def test_simulated_prices_depend_on_seed_symbol_and_time_only() -> None:
    afresh = simulated_market.SimulatedTape(simulated_market._SECURITIES[0], 1, "always")
    again = prices.bars(afresh, BarSize.HOUR, start=None, end=None, limit=30, now=NOON)
    assert again == market().bars("AAPL", BarSize.HOUR, None, None, 30, NOON)
    assert again != market(seed=2).bars("AAPL", BarSize.HOUR, None, None, 30, NOON)
    assert prices.quote(afresh, NOON) == market().quote("aapl", NOON)


def test_simulated_prices_say_that_they_are_not_real_and_spread_a_cent_or_two() -> None:
    spreads = set()
    for minute in range(50):
        quote = market().quote("SPY", NOON + minute * MINUTE)
        spreads.add(quote.ask - quote.bid)
        assert quote.bid <= quote.last <= quote.ask
        assert "not real" in quote.source
        assert quote.recorded_at is None
    assert spreads == {Decimal("0.01"), Decimal("0.02")}


def test_250_daily_bars_come_fast_from_cold_and_quotes_faster() -> None:
    tape = simulated_market.SimulatedTape(simulated_market._SECURITIES[1], 77, "always")
    begun = time.perf_counter()
    assert len(prices.bars(tape, BarSize.DAY, start=None, end=None, limit=250, now=NOON)) == 250
    assert time.perf_counter() - begun < at_most(0.6)
    begun = time.perf_counter()
    for second in range(100):
        prices.quote(tape, NOON + timedelta(seconds=second))
    assert time.perf_counter() - begun < at_most(0.1)


def test_bars_are_the_newest_in_the_asked_span_oldest_first() -> None:
    start, end = NOON - 10 * MINUTE, NOON - 5 * MINUTE
    found = market().bars("KO", BarSize.MINUTE, start, end, 100, NOON)
    first = datetime(2026, 11, 20, 15, 24, tzinfo=UTC)
    assert [bar.start for bar in found] == [first + place * MINUTE for place in range(5)]
    assert market().bars("KO", BarSize.MINUTE, start, end, 2, NOON) == found[-2:]
    assert market().bars("KO", BarSize.MINUTE, NOON, None, 5, NOON) == []


@pytest.mark.parametrize("alias", ["BTC/USD", "btcusd", "BTC-USD", "btc", " Btc/Usd "])
def test_bitcoin_answers_to_its_usual_spellings(alias: str) -> None:
    assert market().tape(alias).instrument.symbol == "BTC/USD"


def test_an_unknown_symbol_names_its_neighbours() -> None:
    with pytest.raises(InvalidSymbol, match="Did you mean AAPL"):
        market().tape("APPL")
    with pytest.raises(InvalidSymbol, match="MSFT"):
        market().tape("Microsoft")
    with pytest.raises(InvalidSymbol, match=r"paper market\.$"):
        market().tape("ZZZZQQ9")


def test_search_puts_the_exact_symbol_first_and_finds_names() -> None:
    assert [found.symbol for found in market().find("v", None, 5)][:2] == ["V", "VTI"]
    assert [found.symbol for found in market().find("vanguard", None, 5)] == ["VTI"]
    assert [found.symbol for found in market().find("bitcoin", None, 5)] == ["BTC/USD"]
    assert len(market().find("", None, 100)) == 25
