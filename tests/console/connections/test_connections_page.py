from decimal import Decimal
from typing import Any

import pytest
from django.test import Client as Browser

from console.accounts.models import User
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.keys import minting
from console.keys.models import ApiKey
from tests.console.pages import submit, text_of, words_of
from tests.console.present import present

ADD = "/connections/add/"
FIELDS: dict[str, Any] = {
    "name": "Swing",
    "starting_cash": "25000.50",
    "currency": "EUR",
    "hours": "venue",
    "trading_enabled": "on",
    "with_key": "on",
}


def test_the_empty_list_says_what_to_do_next(browser: Browser) -> None:
    assert "No connection yet" in words_of(browser.get("/connections/"))


def test_adding_a_paper_connection_shows_its_read_only_key_once(browser: Browser, owner: User) -> None:
    made = submit(browser, ADD, FIELDS)
    connection = Connection.objects.get(owner=owner)
    key = ApiKey.objects.get(app__connection=connection)
    assert (connection.name, connection.environment, connection.equity) == ("Swing", "paper", Decimal("25000.5"))
    assert key.is_default
    assert key.app.scope_label == "Read only"
    raw = text_of(made).split("Bearer ")[1].split("&quot;")[0]
    assert minting.digest(raw) == key.digest
    assert "no-store" in made["Cache-Control"]
    for url in ("/connections/", "/keys/", f"/apps/{key.app_id}/", f"/connections/{connection.pk}/"):
        assert raw not in text_of(browser.get(url))


def test_sending_the_form_again_makes_no_second_connection(browser: Browser, owner: User) -> None:
    made = submit(browser, ADD, FIELDS)
    again = browser.post(ADD, {**FIELDS, "name": "Swing 2", "once": made.wsgi_request.POST["once"]})
    assert again["Location"] == "/connections/"
    assert Connection.objects.filter(owner=owner).count() == 1


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("starting_cash", "0.99", "Start with at least 1.00."),
        ("starting_cash", "1000000000.01", "Start with at most 1,000,000,000.00."),
        ("starting_cash", "10.001", "Use at most 2 decimals."),
        ("starting_cash", "much", "Write the amount in digits"),
        ("starting_cash", "NaN", "Write the amount in digits"),
        ("currency", "XAU", "Select a valid choice"),
        ("hours", "sometimes", "Select a valid choice"),
        ("name", "", "This field is required"),
    ],
)
def test_a_value_that_does_not_fit_is_named_at_its_field(
    browser: Browser, owner: User, field: str, value: str, sentence: str
) -> None:
    response = submit(browser, ADD, {**FIELDS, field: value})
    assert sentence in words_of(response)
    assert f'id="id_{field}_error"' in text_of(response)
    assert not Connection.objects.exists()


def test_a_name_in_use_is_refused_at_the_field(browser: Browser, paper: Connection) -> None:
    response = submit(browser, ADD, {**FIELDS, "name": paper.name})
    assert "You already have a connection called Practice." in words_of(response)
    assert 'id="id_name_error"' in text_of(response)


def test_the_way_back_to_a_consent_page_is_kept(browser: Browser) -> None:
    consent = "/oauth/authorize/?client_id=x&state=y"
    form = browser.get(ADD, {"next": consent})
    assert 'name="next" value="/oauth/authorize/?client_id=x&amp;state=y"' in text_of(form)
    made = submit(browser, ADD, {**FIELDS, "next": consent})
    assert 'href="/oauth/authorize/?client_id=x&amp;state=y">Continue' in text_of(made)


@pytest.mark.parametrize("next_", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_the_way_back_never_leads_elsewhere(browser: Browser, next_: str) -> None:
    assert next_ not in text_of(browser.get(ADD, {"next": next_}))
    assert next_ not in text_of(submit(browser, ADD, {**FIELDS, "next": next_}))


def test_the_owner_pauses_and_resumes_it(browser: Browser, paper: Connection) -> None:
    response = browser.post(f"/connections/{paper.pk}/pause/", follow=True)
    assert "Practice is paused." in words_of(response)
    paper.refresh_from_db()
    assert paper.paused_at is not None
    assert "Resume the connection?" in words_of(browser.post(f"/connections/{paper.pk}/resume/"))
    paper.refresh_from_db()
    assert paper.paused_at is not None
    answer = present(browser).post(f"/connections/{paper.pk}/resume/", follow=True)
    assert "Practice works again." in words_of(answer)


def test_the_owner_switches_trading_off_and_on(browser: Browser, paper: Connection) -> None:
    browser.post(f"/connections/{paper.pk}/trading-off/")
    paper.refresh_from_db()
    assert not paper.trading_enabled
    asked = browser.post(f"/connections/{paper.pk}/trading-on/")
    assert "Switch trading on?" in words_of(asked), "it lets apps do more, so the person proves presence"
    paper.refresh_from_db()
    assert not paper.trading_enabled
    browser = present(browser)
    browser.post(f"/connections/{paper.pk}/trading-on/")
    paper.refresh_from_db()
    assert paper.trading_enabled


def test_its_page_lists_what_can_reach_it_and_links_to_its_activity(
    browser: Browser, paper: Connection, app: ConnectedApp
) -> None:
    html = text_of(browser.get(f"/connections/{paper.pk}/"))
    assert f'href="/apps/{app.pk}/"' in html
    assert f'href="/activity/?connection={paper.pk}"' in html
    assert f'href="/orders/?connection={paper.pk}"' in html


def test_what_is_wrong_with_it_is_said_in_the_list(browser: Browser, paper: Connection) -> None:
    Connection.objects.filter(pk=paper.pk).update(last_error="Key rejected since 14:02.")
    assert "Key rejected since 14:02." in words_of(browser.get("/connections/"))
