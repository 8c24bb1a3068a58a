"""A key that may trade is made only by somebody who has just proved to be the owner."""

from django.test import Client as Browser

from console.connections.models import Connection
from console.keys.models import ApiKey
from tests.conftest import PASSWORD
from tests.console.pages import prove, submit, text_of, words_of


def typed(paper: Connection) -> dict[str, object]:
    return {
        "name": "order-bot",
        "connection": paper.pk,
        "scope": "trade",
        "expiry": "30",
        "note": "in the vault",
        "networks": "203.0.113.7",
    }


def test_without_it_no_key_is_made_and_what_was_typed_is_kept(browser: Browser, paper: Connection) -> None:
    asked = submit(browser, "/keys/new/", typed(paper))
    assert asked["Location"] == "/re-authenticate/?next=%2Fkeys%2Fnew%2F"
    assert not ApiKey.objects.filter(is_default=False).exists()
    back = browser.post(asked["Location"], {"password": PASSWORD, "next": "/keys/new/"}, follow=True)
    page = text_of(back)
    for piece in ('value="order-bot"', 'value="30" selected', 'value="in the vault"', "203.0.113.7"):
        assert piece in page, piece
    assert 'value="trade" id="id_scope_1" checked' in page or 'id="id_scope_1" required checked' in page
    assert "What you typed is still here" in words_of(back)
    assert submit(browser, "/keys/new/", typed(paper)).status_code == 200
    assert ApiKey.objects.get(is_default=False).app.can_trade


def test_what_was_kept_is_shown_once(browser: Browser, paper: Connection) -> None:
    submit(browser, "/keys/new/", typed(paper))
    assert "order-bot" in text_of(browser.get("/keys/new/"))
    assert "order-bot" not in text_of(browser.get("/keys/new/"))


def test_a_read_only_key_needs_none(browser: Browser, paper: Connection) -> None:
    assert submit(browser, "/keys/new/", typed(paper) | {"scope": "read"}).status_code == 200


def test_with_it_there_is_no_detour(browser: Browser, paper: Connection) -> None:
    prove(browser)
    assert submit(browser, "/keys/new/", typed(paper)).status_code == 200
