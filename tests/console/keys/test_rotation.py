"""Replacing a key: the new one works at once, the old one as long as it was given."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from console.accounts.models import User
from console.authority import bearer, last_used
from console.authority.bearer import Unauthenticated
from console.connections.models import Connection
from console.errors import Refusal
from console.keys import minting
from console.keys.models import ApiKey
from console.scopes import Scope
from tests import clock
from tests.console.pages import submit, text_of, words_of
from tests.console.present import present

READ, TRADE = frozenset({Scope.READ}), frozenset({Scope.READ, Scope.TRADE})
FORM = {"expiry": "90", "overlap": "24h"}


def rotated(browser: Browser, key: ApiKey, **fields: str) -> tuple[str, Any]:
    answer = submit(browser, f"/keys/{key.public_id}/rotate/", FORM | fields)
    found = re.search(r"tl_paper_[0-9A-Za-z]{8}_[0-9A-Za-z]{36}", text_of(answer))
    assert found is not None, words_of(answer)
    return found[0], answer


@pytest.mark.parametrize(("overlap", "hours"), [("1h", 1), ("24h", 24), ("7d", 168)])
def test_both_keys_work_until_the_overlap_after_the_first_use_of_the_new_one_is_over(
    browser: Browser, owner: User, paper: Connection, monkeypatch: pytest.MonkeyPatch, overlap: str, hours: int
) -> None:
    key, old = minting.mint(owner, paper, READ, name="nightly")
    time = clock.install(monkeypatch)
    new, answer = rotated(browser, key, overlap=overlap)
    assert "no-store" in answer["Cache-Control"]
    time.advance(days=20)  # nobody has put the new one in place yet
    last_used.record(bearer.authenticate(old))
    last_used.record(bearer.authenticate(new))
    time.advance(hours=hours, seconds=-1)
    last_used.record(bearer.authenticate(new))  # which starts nothing again
    assert bearer.authenticate(old).app_id == bearer.authenticate(new).app_id == key.app_id
    time.advance(seconds=2)
    with pytest.raises(Unauthenticated, match="expired"):
        bearer.authenticate(old)
    assert bearer.authenticate(new).app_id == key.app_id


def test_an_old_key_ends_at_last_though_the_new_one_was_never_used(
    browser: Browser, owner: User, paper: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, old = minting.mint(owner, paper, READ, name="nightly")
    time = clock.install(monkeypatch)
    rotated(browser, key, overlap="24h")
    assert "1 d after the new key is first used At the latest " in words_of(browser.get("/keys/"))
    time.advance(days=31, seconds=-1)
    bearer.authenticate(old)
    time.advance(seconds=2)
    with pytest.raises(Unauthenticated, match="expired"):
        bearer.authenticate(old)


def test_now_ends_the_old_key_at_once_and_the_app_lives_on(browser: Browser, owner: User, paper: Connection) -> None:
    key, old = minting.mint(owner, paper, READ, name="nightly")
    new, _ = rotated(browser, key, overlap="now")
    with pytest.raises(Unauthenticated, match="revoked"):
        bearer.authenticate(old)
    assert bearer.authenticate(new).app_id == key.app_id


def test_an_overlap_never_lets_the_old_key_outlive_its_own_end(owner: User, paper: Connection) -> None:
    soon = timezone.now() + timedelta(minutes=10)
    key, _ = minting.mint(owner, paper, READ, name="nightly", expires_at=soon)
    minting.rotate(key, by=owner, overlap=timedelta(days=7))
    key.refresh_from_db()
    assert key.expires_at == soon


def test_both_are_listed_with_their_last_use_and_the_old_one_can_be_ended_now(
    browser: Browser, owner: User, paper: Connection
) -> None:
    key, old = minting.mint(owner, paper, READ, name="nightly")
    ApiKey.objects.filter(pk=key.pk).update(last_used_at=timezone.now(), last_used_ip="203.0.113.9")
    new, _ = rotated(browser, key)
    page = browser.get("/keys/")
    words = words_of(page)
    assert key.hint in words and new.split("_")[2] in words
    assert "Replaced" in words and "203.0.113.9" in words and "End now" in words
    assert "Never used" in words, "the new one"
    browser.post(f"/keys/{key.public_id}/revoke/")
    with pytest.raises(Unauthenticated):
        bearer.authenticate(old)
    assert bearer.authenticate(new)


def test_note_and_addresses_are_offered_again(browser: Browser, owner: User, paper: Connection) -> None:
    key, _ = minting.mint(owner, paper, READ, name="nightly", note="in the vault", networks=["203.0.113.0/24"])
    page = text_of(browser.get(f"/keys/{key.public_id}/rotate/"))
    assert "in the vault" in page and "203.0.113.0/24" in page


def test_the_default_key_stays_the_default_one(owner: User, paper: Connection) -> None:
    key = ApiKey.objects.get(is_default=True)
    made, _ = minting.rotate(key, by=owner, overlap=timedelta(hours=1))
    assert made.is_default


def test_a_key_is_replaced_once(browser: Browser, owner: User, paper: Connection) -> None:
    key, _ = minting.mint(owner, paper, READ, name="nightly")
    _, answer = rotated(browser, key)
    again = browser.post(f"/keys/{key.public_id}/rotate/", answer.wsgi_request.POST.dict(), follow=True)
    assert "A key is shown only once" in words_of(again)
    assert browser.get(f"/keys/{key.public_id}/rotate/").status_code == 404
    with pytest.raises(Refusal, match="already replaced"):
        minting.rotate(key, by=owner, overlap=timedelta())
    assert key.app.api_keys.count() == 2


def test_a_key_that_has_ended_has_no_successor(owner: User, paper: Connection) -> None:
    gone, _ = minting.mint(owner, paper, READ, name="gone", expires_at=timezone.now() - timedelta(seconds=1))
    revoked, _ = minting.mint(owner, paper, READ, name="revoked")
    minting.revoke(revoked, by=owner)
    for key in (gone, revoked):
        with pytest.raises(Refusal, match="has ended"):
            minting.rotate(key, by=owner, overlap=timedelta(hours=1))
        assert key.app.api_keys.count() == 1


def test_replacing_a_key_that_may_trade_asks_who_is_there(browser: Browser, owner: User, paper: Connection) -> None:
    key, _ = minting.mint(owner, paper, TRADE, name="bot")
    url = f"/keys/{key.public_id}/rotate/"
    assert "Replace a key that trades?" in words_of(browser.post(url, FORM))
    assert key.app.api_keys.count() == 1
    browser = present(browser)
    rotated(browser, key)
    assert key.app.api_keys.count() == 2


def test_nobody_replaces_somebody_elses_key(others_browser: Browser, owner: User, paper: Connection) -> None:
    key, _ = minting.mint(owner, paper, READ, name="nightly")
    assert others_browser.post(f"/keys/{key.public_id}/rotate/", FORM).status_code == 404
