"""A key that may trade is made only with a proof of presence for that very key."""

from django.test import Client as Browser

from console.connections.models import Connection
from console.keys.models import ApiKey
from tests.conftest import PASSWORD
from tests.console.pages import submit, text_of, words_of
from tests.console.present import present


def typed(paper: Connection) -> dict[str, object]:
    return {
        "name": "order-bot",
        "connection": paper.pk,
        "scope": "trade",
        "expiry": "30",
        "note": "in the vault",
        "networks": "203.0.113.7\r\n203.0.113.8",
    }


def test_without_it_no_key_is_made_and_what_was_typed_goes_along(browser: Browser, paper: Connection) -> None:
    asked = submit(browser, "/keys/new/", typed(paper))
    assert "Create a key that trades?" in words_of(asked)
    assert not ApiKey.objects.filter(is_default=False).exists()
    page = text_of(asked)
    for name, value in (("name", "order-bot"), ("expiry", "30"), ("note", "in the vault"), ("scope", "trade")):
        assert f'<input type="hidden" name="{name}" value="{value}">' in page, name
    assert "203.0.113.8" in page
    assert submit(browser, "/keys/new/", {**typed(paper), "proof-password": PASSWORD}).status_code == 200
    assert ApiKey.objects.get(is_default=False).app.can_trade


def test_the_page_repeats_neither_the_proof_nor_the_token_of_the_form(browser: Browser, paper: Connection) -> None:
    asked = text_of(submit(browser, "/keys/new/", {**typed(paper), "proof-password": "a guess of mine"}))
    assert "Wrong password." in asked
    assert "a guess of mine" not in asked
    assert asked.count('name="csrfmiddlewaretoken"') == 1


def test_a_read_only_key_needs_none(browser: Browser, paper: Connection) -> None:
    submit(browser, "/keys/new/", typed(paper) | {"scope": "read"})
    assert not ApiKey.objects.get(is_default=False).app.can_trade


def test_with_it_the_key_is_made_as_it_was_typed(browser: Browser, paper: Connection) -> None:
    browser = present(browser)
    assert submit(browser, "/keys/new/", typed(paper)).status_code == 200
    key = ApiKey.objects.get(is_default=False)
    assert (key.app.name, key.networks) == ("order-bot", ["203.0.113.7/32", "203.0.113.8/32"])
