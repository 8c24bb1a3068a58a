"""Linked connections are checked side by side, each at its own time; what is wrong comes with what to do about it."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from brokers import registry
from brokers.errors import AuthFailed, BrokerError, BrokerUnavailable, ClockSkew, NeedsLogin, PermissionDenied
from console.connections import health, vault
from console.connections.models import Connection
from tests.console.connections.fakes import OKX
from tests.console.pages import words_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def linked(paper: Connection) -> Connection:
    paper.broker, paper.settings, paper.key_checked_at = "okx", {"environment": "paper"}, timezone.now()
    paper.sealed = vault.seal(paper.pk, "okx", OKX.keys)
    paper.save()
    return paper


def broken(monkeypatch: pytest.MonkeyPatch, error: BrokerError | None) -> None:
    class Stand:
        def accounts(self) -> list[Any]:
            if error is not None:
                raise error
            return []

    monkeypatch.setitem(registry._ADAPTERS, "okx", lambda settings: Stand())


@pytest.mark.parametrize(
    ("error", "step", "state"),
    [
        (NeedsLogin("The session has ended."), "Sign in again at the broker", "sign_in_again"),
        (ClockSkew("Too late."), "Correct the clock", "error"),
        (AuthFailed("No such key."), "Replace the key", "error"),
        (PermissionDenied("Not this."), "Give the key permission to read", "error"),
        (BrokerUnavailable("Gone."), "We retry automatically", "error"),
    ],
    ids=["session ended", "clock", "key", "permission", "unreachable"],
)
def test_an_error_comes_with_the_next_step(
    linked: Connection, browser: Browser, monkeypatch: pytest.MonkeyPatch, error: BrokerError, step: str, state: str
) -> None:
    broken(monkeypatch, error)
    health.check(linked)
    linked.refresh_from_db()
    assert health.state(linked) == state
    words = words_of(browser.get(f"/connections/{linked.pk}/"))
    assert str(error) in words
    assert step in words
    assert ("Sign in again:" in words) is (state == "sign_in_again")


def test_no_account_is_an_error_and_never_an_empty_list(linked: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    broken(monkeypatch, None)
    health.check(linked)
    before = linked.equity
    linked.refresh_from_db()
    assert (linked.last_error, linked.equity) == ("The broker shows no account.", before)


def test_it_recovers_by_itself(linked: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        broken(patch, NeedsLogin("The session has ended."))
        health.check(linked)
    with OKX.running():
        health.check(linked)
    linked.refresh_from_db()
    assert (health.state(linked), linked.last_error, linked.next_step) == ("ok", "", "")


def test_each_comes_round_at_its_own_time(linked: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    broken(monkeypatch, BrokerUnavailable("Gone."))
    assert health.check_all() == 1
    linked.refresh_from_db()
    assert linked.check_after is not None
    assert timedelta(seconds=20) < linked.check_after - timezone.now() < timedelta(seconds=56)
    assert linked.last_error == "Gone."
    assert health.check_all() == 0


def test_one_that_breaks_our_code_does_not_keep_the_others_from_being_checked(
    linked: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(settings: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setitem(registry._ADAPTERS, "okx", explode)
    assert health.check_all() == 1
