"""Every field of a body is found, and each is spoiled alone."""

from decimal import Decimal
from typing import Any

import pytest

from brokers.types import OrderRequest, OrderType, Side
from tests.brokers.paper.support import order
from tests.mutations.bodies import DROPPED, changed, leaves, other_type, other_value

BODY: dict[str, Any] = {"symbol": "AAPL", "orders": [{"price": Decimal(1), "legs": {"stop": "2"}}, {"price": 3}]}


def test_fields_are_found_in_lists_and_in_each_other() -> None:
    assert {name for name, _ in leaves(BODY)} == {"symbol", "orders[].price", "orders[].legs.stop"}


def test_one_field_is_changed_in_every_row_and_nothing_else() -> None:
    assert changed(BODY, "orders[].price", lambda value: 7) == {
        "symbol": "AAPL",
        "orders": [{"price": 7, "legs": {"stop": "2"}}, {"price": 7}],
    }
    assert changed(BODY, "orders[].legs.stop", lambda value: DROPPED)["orders"][0] == {"price": 1, "legs": {}}
    assert BODY["orders"][0]["legs"] == {"stop": "2"}


def test_a_term_of_an_order_that_is_left_out_is_none() -> None:
    spoiled: OrderRequest = changed(order("BUY", "1", limit="100"), "limit_price", lambda value: DROPPED)
    assert (spoiled.limit_price, spoiled.quantity) == (None, Decimal(1))


@pytest.mark.parametrize(
    ("value", "seen", "other"),
    [
        ("15000", (), "15001"),
        ("0.5", (), "0.6"),
        ("buy", ("buy", "sell"), "sell"),
        ("AAPL", ("AAPL",), "AAPa"),
        ("", (), "1"),
        (True, (), False),
        ("true", (), "false"),
        (2, (), 3),
        (Decimal("0.25"), (), Decimal("0.26")),
        (Side.BUY, ("BUY", "SELL"), Side.SELL),
        (OrderType.LIMIT, ("LMT", "STP"), OrderType.STOP),
    ],
)
def test_another_value_is_near_and_never_the_same(value: Any, seen: tuple[str, ...], other: Any) -> None:
    made = other_value(value, frozenset(seen))
    assert (made, type(made)) == (other, type(other))


@pytest.mark.parametrize(
    ("value", "other"),
    [("15000", 15000), ("0.5", Decimal("0.5")), (2, "2"), (Decimal("0.5"), "0.5"), (True, "true"), ("buy", ["buy"])],
)
def test_another_type_says_the_same(value: Any, other: Any) -> None:
    made = other_type(value)
    assert (made, type(made)) == (other, type(other))
