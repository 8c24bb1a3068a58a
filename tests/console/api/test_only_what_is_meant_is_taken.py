"""Booleans are true and false, whole numbers ASCII digits, amounts plain decimals: nothing is read as another thing."""

from typing import Any

import pytest

from console.connections.models import Connection
from tests.console.api.rest import Rest

ORDER = {"symbol": "BTC/USD", "side": "BUY", "quantity": "0.1"}


@pytest.mark.parametrize("name", ["reduce_only", "outside_rth", "post_only"])
@pytest.mark.parametrize("value", ["n", "off", 0, 1, "yes", "TRUE", "true", [], None])
def test_a_boolean_is_true_or_false(trader: Rest, name: str, value: Any) -> None:
    told = trader.refused("POST", "/orders", {**ORDER, name: value})
    assert (told["code"], told["errors"][0]["field"]) == ("invalid_argument", name)


@pytest.mark.parametrize("value", ["\u0665", "\u096b", "\uff15", "+5", " 5", "5.0", "5_0", "1e1", "", "-1", "0" * 30])
@pytest.mark.parametrize(
    "path", ["/orders?limit=", "/activity?connection_id=", "/orders?connection_id=", "/keys?limit="]
)
def test_a_whole_number_of_a_query_is_ascii_digits(session: Rest, path: str, value: str) -> None:
    told = session.refused("GET", path + value.replace("+", "%2B").replace(" ", "%20"))
    assert told["code"] == "invalid_argument"


def test_ascii_digits_are_taken(session: Rest, paper: Connection) -> None:
    assert session.get(f"/orders?limit=5&connection_id={paper.pk}")["items"] == []


@pytest.mark.parametrize("value", ["5", True, 5.0, "\u0665"])
def test_in_a_body_it_is_a_number(session: Rest, trader: Rest, paper: Connection, value: Any) -> None:
    told = session.refused("POST", "/halts", {"connection_id": value})
    assert (told["code"], told["errors"][0]["field"]) == ("invalid_argument", "connection_id")
    clone = {"name": "x", "clone_connection_id": value}
    assert trader.refused("POST", f"/connections/{paper.pk}/practice-accounts", clone)["code"] == "invalid_argument"


@pytest.mark.parametrize(
    "value", ["1_000", "1e3", "\u0661\u0660\u0660", "+100", " 100", "100 ", ".5e3", "1000\n", 1000]
)
def test_an_amount_is_a_plain_decimal(session: Rest, trader: Rest, paper: Connection, value: Any) -> None:
    told = session.refused("POST", "/connections", {"name": "New", "starting_cash": value})
    assert (told["code"], told["errors"][0]["field"]) == ("invalid_argument", "starting_cash")
    practice = f"/connections/{paper.pk}/practice-accounts"
    assert trader.refused("POST", practice, {"name": "x", "cash": value})["code"] == "invalid_argument"
    assert not Connection.objects.filter(name="New").exists()


def test_what_nobody_takes_is_named_where_it_stands_beside_all_else_that_is_wrong(trader: Rest) -> None:
    legs = [{"symbol": "AAPL", "side": "BUY", "colour": "red"}, {"symbol": "AAPL", "size": "2"}]
    told = trader.refused("POST", "/orders", {**ORDER, "legs": legs, "mood": "good", "side": "UP"})
    assert {(each["field"], each["code"]) for each in told["errors"]} == {
        ("mood", "unknown_argument"),
        ("side", "invalid_argument"),
        ("legs.0.colour", "unknown_argument"),
        ("legs.1.size", "unknown_argument"),
        ("legs.1.side", "missing_argument"),
    }
