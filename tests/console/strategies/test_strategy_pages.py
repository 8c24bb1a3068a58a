"""The pages of strategies: the owner's own backtests, and nobody else's."""

import pytest
from django.test import Client as Browser

from console.connections.models import Connection
from console.strategies import running, services
from console.strategies.models import Backtest
from tests.console.pages import text_of, words_of
from tests.console.strategies.conftest import SHORT, Prices


def address(backtest: Backtest) -> str:
    return f"/strategies/{backtest.public_id}/"


def test_the_list_shows_the_library_and_the_backtests(browser: Browser, waiting: Backtest) -> None:
    words = words_of(browser.get("/strategies/"))
    for each in services.library().values():
        assert each["name"] in words
    assert "Short" in words
    assert "Waiting" in words


def test_one_is_asked_for_from_the_library_and_read(browser: Browser, paper: Connection, prices: Prices) -> None:
    page = text_of(browser.get("/strategies/new/?library=rsi-2-reversion"))
    assert "Two-day RSI" in page
    sent = {"connection": paper.pk, "start": "2026-01-01", "end": "2026-03-01", "cash": "5000", "costs": "thin"}
    answer = browser.post("/strategies/new/", {**sent, "rules": SHORT})
    made = Backtest.objects.get()
    assert answer["Location"] == address(made)
    assert (made.preset, made.app, made.connection) == ("thin", None, paper)
    assert "Backtests run one after the other." in words_of(browser.get(address(made)))
    running.run_next()
    words = words_of(browser.get(address(made)))
    for told in ("Maximum drawdown", "Buy and hold", "Result", "Rules", "Fees"):
        assert told in words
    assert "First 70 percent of the time" in words


def test_rules_that_are_wrong_are_shown_with_their_lines(browser: Browser, paper: Connection, prices: Prices) -> None:
    sent = {"connection": paper.pk, "cash": "5000", "costs": "standard", "rules": SHORT.replace("above", "over")}
    words = words_of(browser.post("/strategies/new/", sent))
    assert "The rules have 1 problem. Line 1, column" in words
    assert not Backtest.objects.exists()


def test_rules_of_somebody_are_shown_as_text(browser: Browser, waiting: Backtest) -> None:
    Backtest.objects.update(rules="<script>alert(1)</script>", name="<b>bold</b>")
    page = text_of(browser.get(address(waiting)))
    assert "<script>alert" not in page
    assert "<b>bold" not in page


def test_a_running_one_is_cancelled(browser: Browser, waiting: Backtest) -> None:
    browser.post(f"{address(waiting)}cancel/")
    waiting.refresh_from_db()
    assert waiting.status == "cancelled"
    assert "it is cancelled" in words_of(browser.post(f"{address(waiting)}cancel/", follow=True))


def test_somebody_else_sees_none_of_it(others_browser: Browser, waiting: Backtest) -> None:
    assert others_browser.get(address(waiting)).status_code == 404
    assert others_browser.post(f"{address(waiting)}cancel/").status_code == 404
    assert "Short" not in words_of(others_browser.get("/strategies/"))
    waiting.refresh_from_db()
    assert waiting.status == "waiting"


def test_nobody_tests_on_the_connection_of_somebody_else(
    others_browser: Browser, paper: Connection, prices: Prices
) -> None:
    sent = {"connection": paper.pk, "cash": "5000", "costs": "standard", "rules": SHORT}
    assert others_browser.post("/strategies/new/", sent).status_code == 200
    assert not Backtest.objects.exists()


def test_an_operator_sees_no_backtest_of_others(operators_browser: Browser, waiting: Backtest) -> None:
    assert operators_browser.get(address(waiting)).status_code == 404


def test_the_schema_is_served(browser: Browser) -> None:
    answer = browser.get("/strategies/rules.schema.json")
    assert answer["Content-Type"] == "application/json"
    assert answer.json()["title"] == "Rules of a strategy"


@pytest.mark.parametrize("status", ["waiting", "running", "done"])
def test_a_page_asks_again_only_while_it_is_not_over(status: str, browser: Browser, waiting: Backtest) -> None:
    Backtest.objects.update(status=status)
    assert ("hx-get" in text_of(browser.get(address(waiting))).partition('id="backtest"')[2][:80]) == (status != "done")
