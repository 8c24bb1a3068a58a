"""Typing the password again proves, for five minutes, that the person at the browser is the one who signed in."""

import time

import pytest
from django.http import HttpRequest
from django.test import Client

from console.accounts import fresh
from console.accounts.models import User
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db


def proved_at(browser: Client) -> object:
    return browser.session.get(fresh._KEY)


def test_the_right_password_proves_it_and_leads_on(client: Client, owner: User) -> None:
    client.force_login(owner)
    answer = client.post("/re-authenticate/", {"password": PASSWORD, "next": "/keys/new/"})
    assert (answer.status_code, answer["Location"]) == (302, "/keys/new/")
    assert proved_at(client)


def test_a_wrong_password_proves_nothing(client: Client, owner: User) -> None:
    client.force_login(owner)
    answer = client.post("/re-authenticate/", {"password": "guess", "next": "/keys/new/"})
    assert "not your password" in answer.content.decode()
    assert proved_at(client) is None


def test_guessing_is_throttled_like_signing_in(client: Client, owner: User) -> None:
    client.force_login(owner)
    for _ in range(5):
        client.post("/re-authenticate/", {"password": "guess"})
    answer = client.post("/re-authenticate/", {"password": PASSWORD})
    assert "Too many attempts" in answer.content.decode()
    assert proved_at(client) is None


@pytest.mark.parametrize("next_", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_it_leads_nowhere_else(client: Client, owner: User, next_: str) -> None:
    client.force_login(owner)
    assert client.post("/re-authenticate/", {"password": PASSWORD, "next": next_})["Location"] == "/"


def test_signing_in_is_proof_enough(client: Client, owner: User) -> None:
    client.post("/sign-in/", {"username": owner.email, "password": PASSWORD})
    assert isinstance(proved_at(client), float)


def test_the_proof_lasts_five_minutes(client: Client, owner: User) -> None:
    client.force_login(owner)
    for age, holds in ((0, True), (299, True), (301, False), (-10, False)):
        session = client.session
        session[fresh._KEY] = time.time() - age
        request = HttpRequest()
        request.session = session
        assert fresh.is_fresh(request) is holds
