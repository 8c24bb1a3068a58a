from decimal import Decimal

import pytest
from django.test import Client as Browser

from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.onboarding import home
from tests.console.pages import text_of, words_of


def test_a_new_person_is_told_to_begin_with_a_paper_account(browser: Browser) -> None:
    words = words_of(browser.get("/"))
    assert "No assistant or script has access to an account. Nothing is waiting." in words
    assert "Start with a paper account" in words


def test_home_says_in_one_sentence_what_can_reach_what(browser: Browser, app: ConnectedApp) -> None:
    # Claude, and the default key of the connection.
    assert "Two assistants and scripts can reach one account. Nothing is waiting." in words_of(browser.get("/"))


def test_a_revoked_app_reaches_nothing_any_more(browser: Browser, app: ConnectedApp) -> None:
    grants.revoke(app, by=app.owner, reason="Revoked by its owner")
    assert "One assistant or script can reach one account." in words_of(browser.get("/"))


@pytest.mark.parametrize(
    ("reaching", "reached", "for_owner", "for_apps", "words"),
    [
        (2, 2, 0, 0, "Two assistants and scripts can reach two accounts. Nothing is waiting."),
        (12, 1, 0, 1, "12 assistants and scripts can reach one account. One order is waiting for confirmation."),
        (0, 0, 2, 0, "No assistant or script has access to an account. Two orders are waiting for you."),
        (1, 1, 1, 3, "One assistant or script can reach one account. One order is waiting for you. "
         "Three orders are waiting for confirmation."),
    ],
)  # fmt: skip
def test_the_sentence_counts(reaching: int, reached: int, for_owner: int, for_apps: int, words: str) -> None:
    assert home.status_sentence(reaching, reached, for_owner, for_apps) == words


def test_equity_and_change_come_from_the_stored_snapshot(browser: Browser, paper: Connection) -> None:
    Connection.objects.filter(pk=paper.pk).update(
        equity=Decimal("101932.104"), day_change_percent=Decimal("-0.214"), currency="USD"
    )
    words = words_of(browser.get("/"))
    assert "101,932.10 USD" in words
    assert "\N{MINUS SIGN}0.21%" in words


def test_every_way_to_connect_names_this_instance(browser: Browser) -> None:
    page = text_of(browser.get("/"))
    assert page.count("http://localhost:8000/mcp") >= 5
    assert "http://localhost:8000, which Claude cannot reach" in page
    assert 'href="/connect/"' in page
