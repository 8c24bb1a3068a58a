"""A yes on the consent page is a yes to what the page showed; whatever came since is shown first."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from console.accounts.models import User
from console.clients.models import Client, ReviewState
from console.connections.models import Connection
from console.oauth import consent_digest
from tests.console.oauth.hosts import REGISTRATIONS, Host, allowed_apps, location, register, shown_on
from tests.console.oauth.steps import inputs_of, text_of

CHANGES: dict[str, tuple[Callable[[], object], str]] = {
    "the name": (lambda: Client.objects.update(name="Claude"), "the name of the app"),
    "an address": (
        lambda: Client.objects.update(redirect_uris="https://notes.example/cb https://evil.example/cb"),
        "where it may return to",
    ),
    "a review": (lambda: Client.objects.update(review=ReviewState.ACCEPTED), "what is known about its identity"),
    "the scopes": (lambda: Client.objects.update(scopes="mcp:read"), "what it can request"),
    "a connection's name": (lambda: Connection.objects.update(name="Other"), "your connections"),
    "a connection becoming live": (lambda: Connection.objects.update(environment="live"), "your connections"),
    "a connection's trading": (lambda: Connection.objects.update(trading_enabled=False), "your connections"),
    "a connection's pause": (lambda: Connection.objects.update(paused_at=timezone.now()), "your connections"),
}
NOTES = {
    "client_name": "Portfolio Notes",
    "redirect_uris": ["https://notes.example/cb"],
    "token_endpoint_auth_method": "none",
}


def opened(browser: Browser) -> tuple[Host, str, str]:
    """The host, the address of its consent page, and what that showed."""
    host = Host.register(browser, NOTES)
    page = host.page()
    return host, page, shown_on(browser.get(page))


def manage(told: dict[str, Any], **changes: Any) -> Any:
    return Browser().generic(
        "PUT",
        f"/oauth/register/{told['client_id']}",
        json.dumps({**NOTES, "client_id": told["client_id"], **changes}).encode(),
        content_type="application/json",
        headers={"authorization": f"Bearer {told['registration_access_token']}"},
    )


@pytest.mark.parametrize("what", CHANGES)
def test_what_changed_is_said_and_nothing_is_granted(what: str, browser: Browser, paper: Connection) -> None:
    host, page, shown = opened(browser)
    change, words = CHANGES[what]
    change()
    answer = host.choose(page, "allow", connection=paper.pk, scope="mcp:read", shown=shown)
    assert answer.status_code == 409
    assert f"Nothing was allowed. While this page was open, something changed: {words}." in text_of(answer)
    assert not allowed_apps().exists()
    assert inputs_of(answer, "connection") == {str(paper.pk): True}, "the choice is kept"
    again = host.choose(page, "allow", connection=paper.pk, scope="mcp:read", shown=shown_on(answer))
    assert "code" in location(again), "what is shown now may be allowed"


def test_a_client_that_renames_itself_at_its_management_address_is_shown_again(
    browser: Browser, paper: Connection
) -> None:
    told = register(NOTES).json()
    host = Host(browser, told["client_id"], "https://notes.example/cb")
    page = host.page()
    shown = shown_on(browser.get(page))
    assert manage(told, client_name="Claude").status_code == 200
    answer = host.choose(page, "allow", connection=paper.pk, scope="mcp:read", shown=shown)
    assert answer.status_code == 409
    assert "Let Claude use one of your connections?" in text_of(answer)
    assert not allowed_apps().exists()


def test_a_client_that_takes_its_address_away_gets_no_code(browser: Browser, paper: Connection) -> None:
    told = register(NOTES).json()
    host = Host(browser, told["client_id"], "https://notes.example/cb")
    page = host.page()
    shown = shown_on(browser.get(page))
    assert manage(told, redirect_uris=["https://evil.example/cb"]).status_code == 200
    answer = host.choose(page, "allow", connection=paper.pk, scope="mcp:read", shown=shown)
    assert answer.status_code == 400 and "Location" not in answer
    assert not allowed_apps().exists()


@pytest.mark.parametrize("shown", ["", "name", "name:x", "everything:" + "0" * 32])
def test_a_form_without_what_it_showed_allows_nothing(shown: str, browser: Browser, paper: Connection) -> None:
    host, page, _ = opened(browser)
    answer = host.choose(page, "allow", connection=paper.pk, scope="mcp:read", shown=shown)
    assert answer.status_code == 409
    assert not allowed_apps().exists()


def test_what_another_person_was_shown_is_not_what_this_one_was(
    browser: Browser, paper: Connection, other: User, others_paper: Connection
) -> None:
    host, page, _ = opened(browser)
    stranger = Browser()
    stranger.force_login(other)
    theirs = Host(stranger, host.client_id, host.redirect_uri)
    told = shown_on(stranger.get(theirs.page()))
    assert host.choose(page, "allow", connection=paper.pk, scope="mcp:read", shown=told).status_code == 409
    assert not allowed_apps().exists()


def test_a_change_between_looking_and_granting_is_found_under_the_lock(
    browser: Browser, paper: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, page, shown = opened(browser)
    plain = consent_digest.changed_parts

    def overtaken(sent: str, now: Any) -> list[str]:
        told = plain(sent, now)
        Client.objects.update(name="Claude")
        return told

    monkeypatch.setattr(consent_digest, "changed_parts", overtaken)
    answer = host.choose(page, "allow", connection=paper.pk, scope="mcp:read", shown=shown)
    assert (answer.status_code, answer["Location"]) == (302, page)
    assert not allowed_apps().exists()


def test_hosts_that_change_nothing_are_asked_once(browser: Browser, paper: Connection) -> None:
    for body in REGISTRATIONS.values():
        host = Host.register(browser, body)
        assert "code" in location(host.allow(paper.pk))
