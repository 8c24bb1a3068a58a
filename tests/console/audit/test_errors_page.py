from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.test import Client as Browser
from django.utils import timezone

from console.accounts.models import User
from console.audit import failed_calls
from console.audit import queries as call_queries
from console.connected_apps.models import ConnectedApp
from console.errors import EXPLANATIONS, Code
from tests.console.pages import log, text_of, words_of


@pytest.fixture
def failures(app: ConnectedApp) -> None:
    for minutes in (1, 61, 62):
        log(
            app,
            tool="place_order",
            outcome="refused",
            code="insufficient_funds",
            message="The order needs 18,150.00 USD.",
            arguments={"symbol": "NVDA"},
            ago=timedelta(minutes=minutes),
        )
    log(app, tool="get_quote", outcome="refused", code="rate_limited", ago=timedelta(hours=7))
    log(app, tool="get_quote", outcome="refused", code="unknown_symbol", ago=timedelta(hours=20))
    log(app)


def test_without_a_call_the_page_says_what_it_is_for(browser: Browser) -> None:
    assert "No calls" in words_of(browser.get("/errors/"))


def test_without_a_failure_it_says_how_many_calls_went_well(browser: Browser, app: ConnectedApp) -> None:
    log(app)
    assert "None of 1 call in the last 12 hours failed." in words_of(browser.get("/errors/"))


def test_the_headline_counts_calls_and_causes(browser: Browser, failures: None) -> None:
    words = words_of(browser.get("/errors/"))
    assert "4 failed calls in the last 12 hours, of 5. There are 2 causes." in words


def test_a_longer_span_reaches_further_back(browser: Browser, failures: None) -> None:
    words = words_of(browser.get("/errors/?span=24h"))
    assert "5 failed calls in the last 24 hours, of 6. There are 3 causes." in words


def test_the_newest_call_of_the_newest_cause_is_shown_with_what_to_do(browser: Browser, failures: None) -> None:
    words = words_of(browser.get("/errors/"))
    assert "Not enough buying power 3 calls, most recent shown" in words
    assert "The order needs 18,150.00 USD." in words
    assert EXPLANATIONS[Code.INSUFFICIENT_FUNDS].advice in words


def test_choosing_a_cause_shows_that_one(browser: Browser, failures: None, app: ConnectedApp) -> None:
    query = urlencode({"group": f"rate_limited:{app.connection_id}:get_quote"})
    words = words_of(browser.get(f"/errors/?{query}"))
    assert "Too many calls in a minute 1 call, most recent shown" in words


def test_the_bars_stand_where_the_calls_were(failures: None, owner: User) -> None:
    newest, _ = failed_calls.groups(call_queries.own_calls(owner), span=timedelta(hours=12), now=timezone.now())
    assert [bar.count for bar in newest.bars] == [0] * 10 + [2, 1]
    assert (newest.calls, newest.app_label, newest.connection_label) == (3, "Claude", "Practice")


def test_only_an_operator_who_asks_sees_everyones(
    browser: Browser, others_browser: Browser, operators_browser: Browser, failures: None
) -> None:
    assert "No calls" in words_of(operators_browser.get("/errors/"))
    assert "4 failed calls" in words_of(operators_browser.get("/errors/?everyone=1"))
    assert "No calls" in words_of(others_browser.get("/errors/?everyone=1"))


def test_a_tool_name_of_any_characters_can_be_chosen(browser: Browser, app: ConnectedApp) -> None:
    log(app, tool="a:b&c=d", outcome="refused", code="unknown_tool")
    query = urlencode({"group": f"unknown_tool:{app.connection_id}:a:b&c=d"})
    page = text_of(browser.get(f"/errors/?{query}"))
    assert "a:b&amp;c=d" in page
    assert 'aria-current="true"' in page


def test_a_code_of_an_older_version_is_shown_as_it_is(browser: Browser, app: ConnectedApp) -> None:
    log(app, outcome="failed", code="long_gone")
    assert "long_gone" in words_of(browser.get("/errors/"))
