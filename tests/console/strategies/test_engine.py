"""What the engine of backtests does with rules and bars that are written out here."""

import gc
import json
import random
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from brokers.paper import costs, replay_market
from brokers.types import AssetClass, Bar
from console import indicators
from console.strategies.engine import backtest, measures, rules
from console.strategies.engine.backtest import Setting
from console.strategies.engine.statistics import Span
from tests.console.strategies.support import START, Run, bars, instrument, parsed


def test_what_is_decided_at_a_close_fills_as_the_next_bar_opens() -> None:
    ran = Run(parsed(), bars("99", "90 101 90 101", "103 104 95 99", "97 99 97 98", "98"))
    assert ran.told == [(2, "BUY", "103", "entry"), (3, "SELL", "97", "signal")]
    assert ran.figures["ending_equity"] == "994"
    [trade] = ran.report["trades"]
    assert (trade["profit"], trade["bars"], trade["exit"]) == ("-6", 1, "signal")


def test_no_fill_depends_on_a_later_bar() -> None:
    """The same strategy on a series and on one whose end is another: the same until there."""
    draw = random.Random(3)  # noqa: S311 - repeatable, no secret
    prices = [str(100 + draw.randint(-9, 9)) for _ in range(80)]
    known = Run(parsed(stop={"percent": 4}, target={"percent": 3}), bars(*prices)).told
    for end in range(10, 80, 7):
        other = [*prices[:end], *(str(100 + draw.randint(-50, 50)) for _ in range(80 - end))]
        found = Run(parsed(stop={"percent": 4}, target={"percent": 3}), bars(*other)).told
        # What is sent as bar ``end`` opens was decided before it.
        assert [each for each in found if each[0] < end] == [each for each in known if each[0] < end]


def test_of_stop_and_target_in_one_bar_the_stop_fills() -> None:
    ran = Run(
        parsed(exit=None, stop={"percent": 10}, target={"percent": 10}), bars("101", "100", "100 120 80 100", "99")
    )
    assert ran.told[:2] == [(1, "BUY", "100", "entry"), (2, "SELL", "90", "stop")]


def test_the_bar_in_which_it_is_bought_can_stop_it() -> None:
    ran = Run(parsed(exit=None, stop={"percent": 10}), bars("101", "100 105 85 95", "95"))
    assert ran.told == [(1, "BUY", "100", "entry"), (1, "SELL", "90", "stop")]


def test_a_gap_over_the_stop_fills_at_the_open() -> None:
    ran = Run(parsed(exit=None, stop={"amount": 5}), bars("101", "100", "80 81 70 75", "75"))
    assert ran.told == [(1, "BUY", "100", "entry"), (2, "SELL", "80", "stop")]


def test_a_trailing_stop_follows_the_price() -> None:
    ran = Run(
        parsed(exit=None, trailing={"percent": 10}), bars("101", "100", "100 200 100 200", "199 199 150 150", "1")
    )
    assert ran.told[:2] == [(1, "BUY", "100", "entry"), (3, "SELL", "180", "trailing")]


def test_a_stop_in_average_ranges_is_measured_at_the_bar_of_the_decision() -> None:
    ranges = ["100 102 98 100"] * 3
    ran = Run(
        parsed(entry={"left": "close", "is": "at_least", "right": 100}, exit=None, stop={"atr": 2, "length": 2}),
        bars(*ranges, "100 100 92 95", "95"),
    )
    # The first true range needs a bar before it, the mean of two of them one more.
    assert ran.told[:2] == [(3, "BUY", "100", "entry"), (3, "SELL", "92", "stop")]


def test_a_position_is_closed_after_its_bars() -> None:
    ran = Run(parsed(exit=None, hold=2), bars("101", "100", "100", "99", "99"))
    assert ran.told == [(1, "BUY", "100", "entry"), (3, "SELL", "99", "time")]


@pytest.mark.parametrize(
    ("size", "quantity"),
    [
        ({"quantity": "2.5"}, "2.5"),
        ({"worth": 250}, "2.5"),
        ({"percent_of_equity": 50}, "5"),
        ({"risk_percent": 1}, "1"),
        ({"percent_of_equity": 100}, "10"),
        ({"worth": 5000}, "10"),
    ],
)
def test_sizes(size: dict[str, Any], quantity: str) -> None:
    ran = Run(parsed(size=size, stop={"percent": 10}), bars("101", "100", "100"))
    assert [each.quantity for each in ran.fills] == [Decimal(quantity)]


def test_an_entry_is_made_smaller_so_that_its_fee_can_be_paid_and_never_borrows() -> None:
    for preset in costs.PRESETS:
        ran = Run(parsed(size={"percent_of_equity": 100}), bars("101", "100", "100"), preset=preset)
        assert len(ran.fills) == 1
        assert 0 <= ran.cash < Decimal("0.25")
        shares = Run(
            parsed(size={"percent_of_equity": 100}, universe=["TEST"]),
            bars("101", "100", "100"),
            preset=preset,
            asset_class=AssetClass.STOCK,
        )
        assert shares.fills[0].quantity in (Decimal(9), Decimal(10))
        assert 0 <= shares.cash <= 100


def test_an_entry_that_cannot_be_paid_is_left_out_and_said() -> None:
    ran = Run(parsed(size={"quantity": 50}), bars("101", "100", "100", "100"))
    assert ran.fills == []
    assert ran.report["warnings"][1].startswith("1 entries were left out: too little cash")


def test_the_limits_of_rules_hold() -> None:
    two = {"ONE": bars("101", "100", "100", "100"), "TWO": bars("101", "100", "100", "100")}
    usual: dict[str, Any] = {"universe": ["ONE", "TWO"]}
    assert len(Run(parsed(**usual), two).fills) == 2
    assert len(Run(parsed(**usual, limits={"positions": 1}), two).fills) == 1
    assert len(Run(parsed(**usual, limits={"trades_a_day": 1}), two).fills) == 1
    assert len(Run(parsed(**usual, limits={"worth": 150}), two).fills) == 1
    worth = Run(parsed(**usual, size={"worth": 100}, limits={"worth": 150}), two)
    assert [each.quantity for each in worth.fills] == [Decimal(1), Decimal("0.5")]


@pytest.mark.parametrize(
    ("sessions", "hour"),
    [
        ({"from": "05:00", "to": "08:00"}, 4),
        ({"from": "05:00", "to": "08:00", "zone": "Etc/GMT-3"}, 1),
        ({"days": ["tue"]}, 23),
        ({"from": "22:00", "to": "03:00"}, 0),
    ],
)
def test_entries_are_decided_on_in_the_session_alone(sessions: dict[str, Any], hour: int) -> None:
    """The bar that starts at ``hour`` is the first whose end is inside."""
    ran = Run(parsed(exit=None, hold=100, sessions=sessions), bars(*["101"] * 40))
    assert ran.told[0][0] == hour + 1


def test_a_symbol_without_a_bar_waits_for_its_next_one() -> None:
    one, two = bars("101", "100", "100", "100"), bars("101", "100", "100", "100")
    del one[1:3]
    ran = Run(parsed(universe=["ONE", "TWO"]), {"ONE": one, "TWO": two})
    assert sorted(ran.told) == [(1, "BUY", "100", "entry"), (3, "BUY", "100", "entry")]


def test_a_ratio_is_of_the_closes_of_both_symbols() -> None:
    entry = {"left": {"value": "close", "against": "TWO"}, "is": "above", "right": 2}
    one, two = bars("100", "100", "100", "100"), bars("60", "40", "60", "60")
    ran = Run(parsed(universe=["ONE"], entry=entry, exit=None, hold=1), {"ONE": one, "TWO": two})
    assert ran.told[0] == (2, "BUY", "100", "entry")


def test_figures_of_a_run_that_is_written_out() -> None:
    """Bought at 100 with all of 1,000, up to 200, down to 90, sold at 150, bought again at 90."""
    rows = bars("101", "100", "200", "150", "90", "150", "90", step=timedelta(days=1))
    ran = Run(parsed(timeframe="1d", size={"percent_of_equity": 100}), rows)
    assert ran.figures["return_percent"] == "50"
    assert ran.figures["max_drawdown_percent"] == "55"  # at the close of 90 it is 900 of 2000
    assert ran.figures["exposure_percent"] == "71.43"
    assert ran.figures["turnover"] == "2.98"
    assert ran.figures["benchmark_percent"] == "-10.89"
    assert ran.report["trade_figures"]["win_percent"] == "100"
    assert ran.report["trades"][0]["profit"] == "500"
    assert [each["return_percent"] for each in ran.report["years"]] == ["50"]


def test_sharpe_and_sortino_are_those_of_daily_returns() -> None:
    draw = random.Random(5)  # noqa: S311 - repeatable, no secret
    prices = [Decimal(101)]
    while len(prices) < 120:
        prices.append((prices[-1] * (1 + Decimal(draw.randint(-300, 320)) / 10_000)).quantize(Decimal("0.01")))
    rows = bars(*map(str, prices), step=timedelta(days=1))
    ran = Run(parsed(timeframe="1d", exit=None, hold=5000, size={"quantity": 1}), rows)
    equity = [1000.0, 1000.0, *(1000 + float(each - prices[1]) for each in prices[1:])]
    changes = [two / one - 1 for one, two in pairwise(equity)]
    mean = sum(changes) / len(changes)
    deviation = (sum((each - mean) ** 2 for each in changes) / (len(changes) - 1)) ** 0.5
    below = (sum(min(each, 0) ** 2 for each in changes) / len(changes)) ** 0.5
    assert float(ran.figures["sharpe"]) == pytest.approx(mean / deviation * 365**0.5, abs=0.006)
    assert float(ran.figures["sortino"]) == pytest.approx(mean / below * 365**0.5, abs=0.006)


# fmt: off
HALF_DAYS = (
    9979, 10050, 10033, 10005, 9903, 9888, 10030, 10091, 10227, 10268, 10327, 10360, 10163, 10277, 10350,
    10422, 10221, 10017, 9920, 9874, 9920, 9924, 9996, 9929, 9976, 10033, 9963, 10178, 10256, 10414, 10347,
    10266, 10234, 10231, 10319, 10360, 10315, 10207, 10153, 10312, 10222, 10262, 10325, 10151, 10167, 10337,
    10097, 10068, 10065, 9976, 10046, 10049, 9882, 9990, 10080, 10204, 10391, 10447, 10472, 10319,
)
# fmt: on


def test_figures_are_those_that_other_libraries_make_of_the_same_equity() -> None:
    """Ratios by quantstats 0.0.86 and empyrical-reloaded 0.7.1, drawdown by the second: they agree to twelve places."""
    span = Span(Decimal(10000), START)
    for number, equity in enumerate(HALF_DAYS):
        span.push(START + timedelta(hours=12 * number), Decimal(equity))
    assert span.ratios(365) == pytest.approx((1.4312188383439908, 2.07389471847081), rel=1e-12)
    assert float(span.deepest) == pytest.approx(0.05258107848781414, rel=1e-12)
    assert span.gained == Decimal("3.19")


def test_warnings_name_few_trades_one_lucky_trade_and_survivorship() -> None:
    rows = bars("101", "100", "300", "99", "99", "101", "101", "99", "99")
    said = " ".join(Run(parsed(), rows).report["warnings"])
    assert "Few trades: 2." in said
    assert "Survivorship" not in said
    rows = bars("101", "100", "101", "99", "150", "101", "101", "99", "100", "100")
    said = " ".join(Run(parsed(universe=["TEST"]), rows, asset_class=AssetClass.STOCK).report["warnings"])
    assert "One lucky trade" in said
    assert "Survivorship" in said


def test_a_bar_that_is_no_longer_needed_is_not_kept() -> None:
    alive: list[int] = []

    def some() -> Iterator[tuple[Any, dict[str, Bar]]]:
        for place in range(4_000):
            price = Decimal(100 + place % 13)
            at = START + place * timedelta(hours=1)
            yield at, {"TEST/USD": Bar(start=at, open=price, high=price, low=price, close=price, volume=price)}

    found = parsed(
        entry={"left": "SMA(50)", "is": "above", "right": {"value": "HIGHEST(30)", "ago": 5}}, stop={"atr": 2}
    )
    setting = Setting(
        rules=found,
        instruments={"TEST/USD": instrument()},
        preset=costs.STANDARD,
        cash=Decimal(1000),
        start=START,
        end=START + timedelta(hours=4_000),
    )
    gc.collect()
    before = sum(type(each) is Bar for each in gc.get_objects())

    def told(_: Any) -> None:
        alive.append(sum(type(each) is Bar for each in gc.get_objects()) - before)

    report = backtest.run(setting, some(), told)
    assert len(alive) == 8
    assert max(alive) <= 3
    assert len(report["curve"]) <= 401


def test_measures_in_a_stream_are_those_of_the_whole_series() -> None:
    tape = replay_market.btc_usd()
    series = [
        Bar(start=START + place * timedelta(minutes=1), **traded._asdict())
        for place in range(300)
        if (traded := tape.aggregate(place, place + 1)) is not None
    ]
    for text in (
        "SMA(7)",
        "EMA(30)",
        "RSI(14)",
        "MACD(5,12,4).signal",
        "BBANDS(9,2).lower",
        "ATR(14)",
        "VWAP",
        "VWAP(20)",
    ):
        push = measures.parse(text).push()
        name, _, line = text.partition(").")
        rows = indicators.parse(f"{name})" if line else name).rows(series)
        found = [value for value in map(push, series) if value is not None]
        assert found == [row[line or "value"] for row in rows]
    for length in (2, 9, 200):
        for name, best, price in (("HIGHEST", max, "high"), ("LOWEST", min, "low")):
            push = measures.parse(f"{name}({length})").push()
            found = [value for value in map(push, series) if value is not None]
            values = [getattr(bar, price) for bar in series]
            assert found == [best(values[end - length : end]) for end in range(length, 301)]
        push, closes = measures.parse(f"CHANGE({length})").push(), [bar.close for bar in series]
        assert [value for value in map(push, series) if value is not None] == [
            (new - old) / old * 100 for old, new in zip(closes, closes[length:], strict=False)
        ]


def test_a_crossing_needs_both_sides_of_it() -> None:
    crossing = {"left": "close", "is": "crosses_above", "right": 100}
    ran = Run(parsed(entry=crossing, exit=None, hold=1), bars("101", "102", "100", "101", "101", "101", "101"))
    assert ran.told[0] == (4, "BUY", "101", "entry")
    assert rules.parse(json.dumps({"name": "x", "universe": ["A"], "timeframe": "1d", "entry": crossing, "hold": 1,
                                   "size": {"worth": 1}})).needs == 2  # fmt: skip
