"""A key that got out: pasted once, ended at once, and everything it did on one page."""

import hashlib
import logging
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.test import Client as Browser
from django.utils import timezone

from console.accounts.models import User
from console.audit.models import Call, Change
from console.connected_apps import grants
from console.connections.models import Connection
from console.keys import management_keys, minting
from console.keys.models import ApiKey
from console.scopes import Scope
from tests.console.pages import log, text_of, words_of

READ = frozenset({Scope.READ})


@pytest.fixture
def leaked(owner: User, paper: Connection) -> tuple[ApiKey, str]:
    return minting.mint(owner, paper, READ, name="nightly")


def paste(browser: Browser, text: str, **options: Any) -> Any:
    return browser.post("/keys/leaked/", {"pasted": text}, **options)


@pytest.mark.parametrize(
    "form",
    ["{key}", "  {key}\n", "Authorization: Bearer {key}", 'TRADELATCH_KEY="{key}"', "{sha}", "SHA256:{SHA}"],
)
def test_it_is_found_as_it_was_found_and_ends_at_once(browser: Browser, leaked: tuple[ApiKey, str], form: str) -> None:
    key, raw = leaked
    sha = hashlib.sha256(raw.encode()).hexdigest()
    answer = paste(browser, form.format(key=raw, sha=sha, SHA=sha.upper()))
    assert answer["Location"] == f"/keys/{key.public_id}/activity/"
    assert "no-store" in answer["Cache-Control"]
    key.refresh_from_db()
    key.app.refresh_from_db()
    assert key.revoked_at is not None and key.app.revoked_at is not None


def test_everything_it_did_is_listed_with_counts_and_times(browser: Browser, leaked: tuple[ApiKey, str]) -> None:
    key, raw = leaked
    log(key.app, tool="get_quote", credential=key.public_id, ago=timedelta(days=3))
    log(key.app, tool="get_quote", credential=key.public_id, ago=timedelta(hours=2))
    log(key.app, tool="place_order", credential=key.public_id, outcome="refused", code="insufficient_scope")
    log(key.app, tool="get_cash", credential="somebody-else")
    words = words_of(paste(browser, raw, follow=True))
    assert "is revoked. It no longer works" in words
    assert "Calls 3 Refused or failed 1" in words
    assert "First call 3 days ago" in words
    assert "get_quote 2" in words and "place_order 1" in words
    assert "get_cash" not in words
    assert "insufficient_scope" in words


def test_its_calls_come_in_pages(browser: Browser, leaked: tuple[ApiKey, str]) -> None:
    key, _ = leaked
    for _ in range(55):
        log(key.app, credential=key.public_id)
    first = browser.get(f"/keys/{key.public_id}/activity/")
    assert "Older" in words_of(first)
    fiftieth = Call.objects.filter(credential_id=key.public_id).order_by("-id")[49].pk
    second = words_of(browser.get(f"/keys/{key.public_id}/activity/?before={fiftieth}"))
    assert "Newest" in second and "Calls 55" in second


def test_one_that_was_revoked_before_is_found_too(browser: Browser, owner: User, leaked: tuple[ApiKey, str]) -> None:
    key, raw = leaked
    minting.revoke(key, by=owner)
    assert "was already revoked" in words_of(paste(browser, raw, follow=True))


def test_the_page_says_whether_the_key_still_works(browser: Browser, owner: User, paper: Connection) -> None:
    past = timezone.now() - timedelta(days=2)
    live, _ = minting.mint(owner, paper, READ, name="live")
    over, _ = minting.mint(owner, paper, READ, name="over", expires_at=past)
    assert "It still works" in words_of(browser.get(f"/keys/{live.public_id}/activity/"))
    assert "It expired 2 days ago" in words_of(browser.get(f"/keys/{over.public_id}/activity/"))
    grants.revoke(live.app, by=owner, reason="test")
    assert "It ended with its app just now" in words_of(browser.get(f"/keys/{live.public_id}/activity/"))


def test_a_management_key_is_found_and_ended(browser: Browser, owner: User) -> None:
    key, raw = management_keys.mint(owner, name="terraform", expires_at=None)
    assert "is revoked" in words_of(paste(browser, raw, follow=True))
    key.refresh_from_db()
    assert key.revoked_at is not None


def test_somebody_elses_key_gets_the_answer_of_an_unknown_one(
    others_browser: Browser, leaked: tuple[ApiKey, str]
) -> None:
    key, raw = leaked
    theirs = paste(others_browser, raw)
    unknown = paste(others_browser, minting.generate("paper").raw)
    assert words_of(theirs) == words_of(unknown)
    assert theirs.status_code == unknown.status_code == 200
    key.refresh_from_db()
    assert key.revoked_at is None
    assert others_browser.get(f"/keys/{key.public_id}/activity/").status_code == 404
    assert not Change.objects.filter(action="reported leaked").exists()


def test_an_operator_ends_anybodys(operators_browser: Browser, leaked: tuple[ApiKey, str]) -> None:
    key, raw = leaked
    assert "olivia@example.com" in words_of(paste(operators_browser, raw, follow=True))
    key.refresh_from_db()
    assert key.revoked_at is not None


@pytest.mark.parametrize("whose", ["own", "others", "mistyped", "long"])
def test_the_paste_is_echoed_stored_and_logged_nowhere(
    browser: Browser,
    others_browser: Browser,
    leaked: tuple[ApiKey, str],
    caplog: pytest.LogCaptureFixture,
    whose: str,
) -> None:
    _, raw = leaked
    text = {"own": raw, "others": raw, "mistyped": raw[:-2], "long": raw + "x" * 3000}[whose]
    person = others_browser if whose == "others" else browser
    with caplog.at_level(logging.DEBUG):
        answer = paste(person, text, follow=True)
    secret = raw.split("_")[-1][:20]
    assert secret not in text_of(answer)
    assert secret not in caplog.text
    assert not any(secret in str(row) for row in Change.objects.values())
    assert not any(secret in str(session.get_decoded()) for session in Session.objects.all())


def test_the_journal_names_only_the_public_id(browser: Browser, leaked: tuple[ApiKey, str]) -> None:
    key, raw = leaked
    paste(browser, raw)
    row = Change.objects.get(action="reported leaked")
    assert (row.target, row.target_id, row.target_label, row.detail) == ("key", key.public_id, "", {})


def test_it_is_not_taken_from_an_address(browser: Browser, leaked: tuple[ApiKey, str]) -> None:
    key, raw = leaked
    answer = browser.get("/keys/leaked/", {"pasted": raw})
    assert raw not in text_of(answer)
    key.refresh_from_db()
    assert key.revoked_at is None
