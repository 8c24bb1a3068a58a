"""Limits and the policy in the console: tighter at once, looser with a proof, every change on record."""

from typing import Any

import pytest
from django.test import Client as Browser

from console import limits
from console.accounts.models import User
from console.audit.models import Change
from console.connected_apps.models import ConnectedApp
from console.connections import services as connections
from console.connections.models import Connection
from tests.console.pages import text_of, words_of
from tests.console.present import present


@pytest.fixture(params=["connection", "app"])
def place(request: pytest.FixtureRequest, paper: Connection, app: ConnectedApp) -> Any:
    """What is limited: its address, and what it has now."""
    thing = paper if request.param == "connection" else app

    def now() -> dict[str, Any]:
        thing.refresh_from_db()
        return dict(thing.limits)

    return (f"/connections/{paper.pk}/limits/" if thing is paper else f"/apps/{app.pk}/limits/"), now


FORM = {
    "order_notional": "25,000",
    "daily_notional": "50000.50",
    "equity_share": "20",
    "orders_per_minute": "5",
    "symbols": "aapl, BTC/USD  spy",
    "denied_symbols": "",
    "asset_classes": ["stock", "crypto"],
    "trading_hours_only": "on",
}
STORED = {
    "order_notional": "25000",
    "daily_notional": "50000.5",
    "equity_share": "20",
    "orders_per_minute": 5,
    "symbols": ["AAPL", "BTC/USD", "SPY"],
    "asset_classes": ["crypto", "stock"],
    "trading_hours_only": True,
}


def test_tightening_is_saved_at_once_and_shown_again(browser: Browser, place: Any) -> None:
    url, now = place
    assert browser.post(url, FORM).status_code == 302
    assert now() == STORED
    page = text_of(browser.get(url))
    assert 'value="AAPL, BTC/USD, SPY"' in page
    assert 'value="25000"' in page
    assert "[]" not in page, "an empty list is an empty field"


def test_allowing_more_asks_who_it_is_and_what_was_typed_goes_along(browser: Browser, place: Any) -> None:
    url, now = place
    browser.post(url, FORM)
    wider = {**FORM, "order_notional": "30000"}
    asked = browser.post(url, wider)
    assert "Value of one order: 25000 before, 30000 after." in words_of(asked)
    assert '<input type="hidden" name="order_notional" value="30000">' in text_of(asked)
    assert now() == STORED
    browser = present(browser)
    browser.post(url, wider)
    assert now() == {**STORED, "order_notional": "30000"}


def test_removing_a_limit_is_allowing_more(browser: Browser, place: Any) -> None:
    url, now = place
    browser.post(url, FORM)
    assert "Allow more than before?" in words_of(browser.post(url, {}))
    assert now() == STORED


def test_every_change_is_on_record_with_before_and_after(browser: Browser, place: Any) -> None:
    url, _ = place
    browser.post(url, {"order_notional": "500"})
    browser.post(url, {"order_notional": "400"})
    change = Change.objects.filter(action="limits changed").latest("pk")
    assert change.user_label == "olivia@example.com"
    assert (change.before, change.after) == ({"order_notional": "500"}, {"order_notional": "400"})


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("order_notional", "0,5", "must be a decimal number"),
        ("order_notional", "0", "must be greater than zero"),
        ("symbols", "AAPL; <script>", "which is not a symbol"),
        ("orders_per_minute", "0", "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_read_is_said_beside_its_field(
    browser: Browser, place: Any, field: str, value: str, words: str
) -> None:
    url, now = place
    assert words in words_of(browser.post(url, {field: value}))
    assert now() == {}


def test_somebody_else_neither_sees_nor_changes_them(others_browser: Browser, place: Any) -> None:
    url, now = place
    others_browser = present(others_browser)
    assert others_browser.get(url).status_code == 404
    assert others_browser.post(url, FORM).status_code == 404
    assert now() == {}


def test_the_page_of_a_connection_shows_what_is_left(browser: Browser, owner: User, paper: Connection) -> None:
    connections.set_limits(paper, limits.parse({"daily_notional": "5000", "symbols": ["SPY"]}), by=owner)
    words = words_of(browser.get(f"/connections/{paper.pk}/"))
    assert "5,000 USD 0.00 used, 5,000.00 left" in words
    assert "Only SPY" in words


# -- policy --------------------------------------------------------------------------------------------------


def test_asking_for_ones_own_approval_takes_no_proof_and_giving_it_up_does(browser: Browser, paper: Connection) -> None:
    url = f"/connections/{paper.pk}/policy/"
    browser.post(url, {"policy": "owner_approval"})
    paper.refresh_from_db()
    assert paper.policy == "owner_approval"
    assert "Let the assistant confirm?" in words_of(browser.post(url, {"policy": "two_step"}))
    paper.refresh_from_db()
    assert paper.policy == "owner_approval"
    browser = present(browser)
    browser.post(url, {"policy": "two_step"})
    paper.refresh_from_db()
    assert paper.policy == "two_step"
    changes = Change.objects.filter(action="policy changed").order_by("pk")
    assert [(change.before["policy"], change.after["policy"]) for change in changes] == [
        ("two_step", "owner_approval"),
        ("owner_approval", "two_step"),
    ]


@pytest.mark.parametrize("sent", [{}, {"policy": "nobody"}])
def test_an_unknown_policy_changes_nothing(browser: Browser, paper: Connection, sent: dict[str, str]) -> None:
    browser = present(browser)
    browser.post(f"/connections/{paper.pk}/policy/", sent)
    paper.refresh_from_db()
    assert paper.policy == "two_step"


def test_somebody_else_cannot_change_it(others_browser: Browser, paper: Connection) -> None:
    others_browser = present(others_browser)
    assert others_browser.post(f"/connections/{paper.pk}/policy/", {"policy": "owner_approval"}).status_code == 404
    paper.refresh_from_db()
    assert paper.policy == "two_step"
