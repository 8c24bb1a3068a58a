"""``*`` at the end of a filter's value stands for any ending; anywhere else it is refused."""

from typing import Any

import pytest
from django.test import Client as Browser

from console.connected_apps.models import ConnectedApp
from console.orders.models import Order
from tests.console.pages import log, words_of
from tests.console.steps import order

__all__ = ["order"]


@pytest.fixture
def calls(app: ConnectedApp) -> dict[str, str]:
    made: dict[str, dict[str, Any]] = {
        "quote": {"tool": "get_quote", "arguments": {"symbol": "BTC/USD"}},
        "cash": {"tool": "get_cash", "outcome": "refused", "code": "limit_exceeded"},
        "place": {"tool": "place_order", "arguments": {"symbol": "BTCUSDT"}, "outcome": "refused", "code": "halted"},
        "odd": {"tool": "getXquote", "arguments": {"symbol": "ETH/BTC"}},
    }
    return {log(app, **values).request_id: name for name, values in made.items()}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("tool=get_*", {"quote", "cash"}),
        ("not_tool=get_*", {"place", "odd"}),
        ("tool=get_*&tool=place_order", {"quote", "cash", "place"}),
        ("tool=get_*&not_tool=get_c*", {"quote"}),
        ("symbol=BTC*", {"quote", "place"}),
        ("symbol=btc*&tool=get_*", {"quote"}),
        ("code=limit_*", {"cash"}),
        ("not_code=limit_*&outcome=refused", {"place"}),
        ("tool=100%*", set()),
    ],
)
def test_a_star_stands_for_any_ending(browser: Browser, calls: dict[str, str], query: str, expected: set[str]) -> None:
    lines = b"".join(browser.post(f"/timeline/export/ndjson/?kind=call&kind=refusal&{query}")).decode()
    assert {name for request_id, name in calls.items() if request_id in lines} == expected


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("tool=*", "after at least one character"),
        ("tool=*_quote", "at the end"),
        ("tool=get*e", "at the end"),
        ("symbol=B**", "at the end"),
        ("order=ord_*", "write the whole value"),
        ("credential=tl_*", "write the whole value"),
        ("app=1*", "write the whole value"),
        ("kind=*", "write the whole value"),
        ("code=nothing_*", "no code begins with"),
    ],
)
def test_a_star_elsewhere_is_refused_with_a_reason(browser: Browser, query: str, said: str) -> None:
    answer = browser.get(f"/timeline/?{query}")
    assert answer.status_code == 400
    assert said in words_of(answer)


def test_orders_are_found_by_the_beginning_of_their_symbol(browser: Browser, order: Order) -> None:
    assert "AAPL" in words_of(browser.get("/orders/?symbol=aa*"))
    assert "No matching orders" in words_of(browser.get("/orders/?symbol=APL*"))
    assert "* can stand once, at the end" in words_of(browser.get("/orders/?symbol=*APL"))
