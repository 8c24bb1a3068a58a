"""The pages of practice accounts: what is announced, and what an account trades under."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client as Browser

from brokers.paper.corporate_actions import import_actions
from brokers.paper.models import PaperAccount
from console.connections.models import Connection
from console.practice import services as practice
from tests.console.pages import words_of

NOW = datetime(2027, 1, 12, 12, 0, tzinfo=UTC)


def address(paper: Connection) -> str:
    return f"/connections/{paper.pk}/practice/"


def test_the_page_announces_dividends_and_splits_of_the_simulated_market_and_of_files(
    browser: Browser, paper: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_actions(["symbol,kind,ex_date,value", "TSLA,dividend,2027-01-15,1.25"], now=NOW)
    monkeypatch.setattr(practice, "timezone", SimpleNamespace(now=lambda: NOW))
    words = words_of(browser.get(address(paper)))
    assert "14 January 2027 AAPL Dividend of 0.26 USD per share" in words
    assert "15 January 2027 TSLA Dividend of 1.25 USD per share" in words
    assert "20 January 2027 BRK.B Split, 4 for 1" in words


def test_an_account_at_live_prices_is_announced_nothing(browser: Browser, paper: Connection) -> None:
    PaperAccount.objects.update(venue="kraken")
    assert "Announced" not in words_of(browser.get(address(paper)))


def test_somebody_else_sees_neither(others_browser: Browser, paper: Connection) -> None:
    browser = others_browser
    assert browser.get(address(paper)).status_code == 404
    page = f"{address(paper)}{paper.default_account}/model/"
    assert browser.post(page, {"preset": "thin"}).status_code == 404
    assert PaperAccount.objects.get().preset == "standard"


@pytest.mark.parametrize(("typed", "kept"), [("750", {"latency_ms": "750"}), ("", {})])
def test_the_owner_sets_how_long_orders_are_on_their_way(
    browser: Browser, paper: Connection, typed: str, kept: dict[str, Any]
) -> None:
    page = f"{address(paper)}{paper.default_account}/model/"
    browser.post(page, {"preset": "standard", "latency_ms": typed})
    assert PaperAccount.objects.get().overrides == kept


def test_a_latency_of_minutes_is_refused_in_words(browser: Browser, paper: Connection) -> None:
    page = f"{address(paper)}{paper.default_account}/model/"
    assert "less than or equal to 60000" in words_of(browser.post(page, {"preset": "standard", "latency_ms": "60001"}))
    assert PaperAccount.objects.get().overrides == {}
