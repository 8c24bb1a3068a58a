"""How a paper account trades is chosen when it is added: prices, kind, fees and settlement."""

from typing import Any

import pytest
from django.test import Client as Browser

from brokers.paper.costs import PRESETS
from brokers.paper.models import PaperAccount
from console.accounts.models import User
from console.connections import health
from console.connections.forms import PaperConnectionForm
from console.connections.models import Connection
from tests.console.pages import submit, text_of, words_of

ADD = "/connections/add/"
FIELDS: dict[str, Any] = {"name": "Swing", "starting_cash": "25000", "currency": "USD", "hours": "always"}


def test_the_account_trades_as_it_was_asked_to(browser: Browser, owner: User) -> None:
    submit(browser, ADD, {**FIELDS, "kind": "margin", "preset": "realistic", "settlement_days": "1"})
    account = PaperAccount.objects.get()
    assert (account.kind, account.preset, account.settlement_days, account.venue) == ("margin", "realistic", 1, "")


def test_what_is_left_out_is_the_plain_cash_account(browser: Browser, owner: User) -> None:
    submit(browser, ADD, FIELDS)
    account = PaperAccount.objects.get()
    assert (account.kind, account.preset, account.settlement_days, account.venue) == ("cash", "standard", 0, "")


def test_every_preset_is_offered(db: None) -> None:
    assert [name for name, _ in PaperConnectionForm().fields["preset"].choices] == list(PRESETS)  # type: ignore[attr-defined]


def test_a_live_account_that_cannot_reach_its_venue_says_so_and_has_no_worth_made_up(
    browser: Browser, owner: User, settings: Any
) -> None:
    settings.PAPER_PRICE_HOSTS = {"kraken": "http://127.0.0.1:9"}
    submit(browser, ADD, {**FIELDS, "prices": "kraken"})
    connection = Connection.objects.get(owner=owner)
    assert connection.detail == "Live prices of Kraken"
    health.check(connection)
    connection.refresh_from_db()
    assert "Live prices from Kraken are not available" in connection.last_error
    assert "Live prices from Kraken are not available" in words_of(browser.get(f"/connections/{connection.pk}/"))
    assert [each.ok for each in health.diagnose(connection)] == [True, True, False]


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("currency", "GBP", "At Binance coins trade against EUR here."),
        ("kind", "margin", "Live prices need a cash account."),
        ("hours", "venue", "Coins are traded at all hours."),
        ("preset", "generous", "Select a valid choice"),
        ("settlement_days", "3", "Select a valid choice"),
        ("prices", "nowhere", "Select a valid choice"),
    ],
)
def test_what_does_not_fit_together_is_said_at_its_field(
    browser: Browser, owner: User, field: str, value: str, sentence: str
) -> None:
    told = submit(browser, ADD, {**FIELDS, "currency": "EUR", "prices": "binance", field: value})
    assert sentence in text_of(told)
    assert not Connection.objects.exists() and not PaperAccount.objects.exists()
