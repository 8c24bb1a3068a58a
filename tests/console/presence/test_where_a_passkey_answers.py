"""A passkey answers for the console's own page alone, within five minutes, and for nothing that was not asked."""

import time
from typing import Any

import pytest
from django.conf import LazySettings
from django.test import Client as Browser

from console.accounts.models import User
from console.connections.models import Connection
from console.keys.models import ApiKey
from tests.console.passkeys import Passkey
from tests.console.present import challenge

URL = "/keys/new/"


@pytest.fixture
def fields(paper: Connection) -> dict[str, Any]:
    return {"name": "bot", "connection": paper.pk, "scope": "trade", "expiry": "30"}


def send(browser: Browser, fields: dict[str, Any], signed: str) -> bool:
    """Whether a key came of it."""
    before = ApiKey.objects.count()
    browser.post(URL, {**fields, "proof-credential": signed})
    return ApiKey.objects.count() > before


@pytest.mark.parametrize("origin", ["http://localhost:9999", "https://localhost:8000", "http://app.localhost:8000"])
def test_a_page_of_another_port_that_lets_the_passkey_sign_gains_nothing(
    browser: Browser, owner: User, fields: dict[str, Any], settings: LazySettings, origin: str
) -> None:
    passkey, own = Passkey(owner), settings.PUBLIC_URL
    asked = challenge(browser, URL, fields)
    settings.PUBLIC_URL = origin
    signed = passkey.answer(asked)
    settings.PUBLIC_URL = own
    assert not send(browser, fields, signed)
    assert send(browser, fields, passkey.answer(challenge(browser, URL, fields)))


def test_nor_does_it_sign_in_there(owner: User, settings: LazySettings) -> None:
    passkey, own, browser = Passkey(owner), settings.PUBLIC_URL, Browser()
    asked = browser.get("/sign-in/passkey/?options").json()
    settings.PUBLIC_URL = "http://localhost:9999"
    signed = passkey.answer(asked)
    settings.PUBLIC_URL = own
    browser.post("/sign-in/passkey/", {"credential": signed})
    assert browser.get("/").status_code == 302
    own_page = passkey.answer(browser.get("/sign-in/passkey/?options").json())
    browser.post("/sign-in/passkey/", {"credential": own_page})
    assert browser.get("/").status_code == 200


def test_a_question_is_good_for_five_minutes(
    browser: Browser, owner: User, fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    passkey, now = Passkey(owner), time.time()
    signed = passkey.answer(challenge(browser, URL, fields))
    monkeypatch.setattr("console.accounts.second_factors.time.time", lambda: now + 301)
    assert not send(browser, fields, signed)


def test_what_was_signed_in_one_session_counts_in_no_other(
    browser: Browser, owner: User, fields: dict[str, Any]
) -> None:
    passkey, elsewhere = Passkey(owner), Browser()
    elsewhere.force_login(owner)
    signed = passkey.answer(challenge(browser, URL, fields))
    challenge(elsewhere, URL, fields)
    assert not send(elsewhere, fields, signed)
    assert send(browser, fields, signed)


def test_the_passkey_of_signing_in_is_no_proof(browser: Browser, owner: User, fields: dict[str, Any]) -> None:
    passkey = Passkey(owner)
    signed = passkey.answer(browser.get("/sign-in/passkey/?options").json())
    assert not send(browser, fields, signed)


def test_the_line_ends_a_browser_sends_make_no_difference(
    browser: Browser, owner: User, fields: dict[str, Any]
) -> None:
    passkey = Passkey(owner)
    signed = passkey.answer(challenge(browser, URL, {**fields, "networks": "203.0.113.7\n203.0.113.8"}))
    assert send(browser, {**fields, "networks": "203.0.113.7\r\n203.0.113.8"}, signed)
