"""Limits are ordered by tightness, and what two of them both allow is never wider than either."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from brokers.types import AssetClass, OrderType
from console import limits
from console.errors import Code, Refusal
from console.limits import NONE, Limits, combine, is_tighter_or_equal

AMOUNT = some.none() | some.decimals(
    min_value=Decimal("0.01"), max_value=Decimal(1_000_000), places=2, allow_nan=False, allow_infinity=False
)
SYMBOLS = some.frozensets(some.sampled_from(["AAPL", "MSFT", "SPY", "BTC/USD"]))

ANY = some.builds(
    Limits,
    **dict.fromkeys(limits.NUMBERS, AMOUNT),
    orders_per_minute=some.none() | some.integers(1, 1000),
    symbols=some.none() | SYMBOLS.filter(bool),
    denied_symbols=SYMBOLS,
    asset_classes=some.none() | some.frozensets(some.sampled_from(AssetClass), min_size=1),
    order_types=some.none() | some.frozensets(some.sampled_from(OrderType), min_size=1),
    trading_hours_only=some.booleans(),
)


@given(ANY, ANY)
def test_the_order_of_two_does_not_matter(one: Limits, other: Limits) -> None:
    assert combine(one, other) == combine(other, one)


@given(ANY, ANY, ANY)
def test_nor_the_grouping_of_three(one: Limits, two: Limits, three: Limits) -> None:
    assert combine(combine(one, two), three) == combine(one, combine(two, three))


@given(ANY)
def test_combining_with_itself_or_with_nothing_changes_nothing(one: Limits) -> None:
    assert combine(one, one) == one == combine(one, NONE)


@given(ANY, ANY)
def test_what_both_allow_is_never_wider_than_either(one: Limits, other: Limits) -> None:
    both = combine(one, other)
    assert is_tighter_or_equal(both, one)
    assert is_tighter_or_equal(both, other)


@given(ANY, ANY, ANY)
def test_tightness_is_an_order(one: Limits, two: Limits, three: Limits) -> None:
    assert is_tighter_or_equal(one, one)
    assert is_tighter_or_equal(one, NONE)
    if is_tighter_or_equal(one, two) and is_tighter_or_equal(two, one):
        assert one == two
    if is_tighter_or_equal(one, two) and is_tighter_or_equal(two, three):
        assert is_tighter_or_equal(one, three)


@given(ANY)
def test_what_is_stored_comes_back_the_same(one: Limits) -> None:
    assert limits.parse(one.stored()) == one


@pytest.mark.parametrize(
    ("looser", "tighter"),
    [
        ({}, {"order_notional": "1000"}),
        ({"daily_notional": "1000"}, {"daily_notional": "999.99"}),
        ({"orders_per_minute": 10}, {"orders_per_minute": 9}),
        ({}, {"symbols": ["AAPL"]}),
        ({"symbols": ["AAPL", "SPY"]}, {"symbols": ["AAPL"]}),
        ({}, {"denied_symbols": ["AAPL"]}),
        ({"asset_classes": ["stock", "etf"]}, {"asset_classes": ["etf"]}),
        ({"order_types": ["LMT", "MKT"]}, {"order_types": ["LMT"]}),
        ({}, {"trading_hours_only": True}),
    ],
)
def test_a_step_towards_less_is_tighter_and_the_step_back_is_not(
    looser: dict[str, Any], tighter: dict[str, Any]
) -> None:
    loose, tight = limits.parse(looser), limits.parse(tighter)
    assert is_tighter_or_equal(tight, loose)
    assert not is_tighter_or_equal(loose, tight)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("order_notional", "0"),
        ("order_notional", "-1"),
        ("order_notional", "NaN"),
        ("order_notional", "Infinity"),
        ("order_notional", 1000.0),
        ("order_notional", "much"),
        ("order_notional", "1" * 16),
        ("orders_per_minute", 0),
        ("orders_per_minute", True),
        ("orders_per_minute", "5"),
        ("symbols", []),
        ("symbols", "AAPL"),
        ("symbols", ["<b>"]),
        ("symbols", [f"S{number}" for number in range(201)]),
        ("asset_classes", ["house"]),
        ("order_types", []),
        ("trading_hours_only", "yes"),
        ("secret", "1"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_name(name: str, value: Any) -> None:
    with pytest.raises(Refusal) as caught:
        limits.parse({name: value})
    assert caught.value.field == name
    assert caught.value.code in (Code.INVALID_ARGUMENT, Code.UNKNOWN_ARGUMENT)
