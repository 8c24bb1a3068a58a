"""Who reads the database, or a copy of it, cannot take over anybody's session."""

import asyncio

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse

from console.accounts.models import User
from console.accounts.session_store import SessionStore
from tests.conftest import PASSWORD


@pytest.fixture
def browser(owner: User) -> Client:
    client = Client()
    client.post(reverse("sign-in"), {"username": owner.email, "password": PASSWORD})
    return client


def cookie(client: Client) -> str:
    return str(client.cookies["tradelatch_session"].value)


def test_what_the_table_has_opens_nothing(browser: Client) -> None:
    (row,) = Session.objects.all()
    assert browser.get(reverse("home")).status_code == 200
    assert row.session_key != cookie(browser) and len(row.session_key) == 40
    thief = Client()
    thief.cookies["tradelatch_session"] = row.session_key
    assert thief.get(reverse("home")).status_code == 302


def test_a_session_is_kept_changed_and_ended_by_its_cookie(browser: Client) -> None:
    key = cookie(browser)
    store = SessionStore(key)
    assert store.exists(key) and not store.exists("another")
    store["colour"] = "green"
    store.save()
    assert SessionStore(key)["colour"] == "green"
    browser.post(reverse("sign-out"))
    assert not store.exists(key)
    SessionStore("unknown").delete()


@pytest.mark.django_db
def test_a_key_that_opens_nothing_is_not_taken_over() -> None:
    planted = SessionStore("a" * 32)
    planted["colour"] = "red"
    planted.save()
    assert planted.session_key != "a" * 32


@pytest.mark.django_db(transaction=True)
def test_the_same_holds_for_code_that_waits() -> None:
    async def walk() -> str:
        store = SessionStore()
        await store.acreate()
        key = store.session_key
        assert key is not None and await store.aexists(key)
        assert await SessionStore(key).aget("colour") is None
        await store.adelete()
        assert not await store.aexists(key)
        return key

    key = asyncio.run(walk())
    assert not Session.objects.filter(session_key=key).exists()
