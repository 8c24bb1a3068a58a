"""Each key knows when it was last used, and the list points out what is forgotten or about to end."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from console.accounts.models import User
from console.authority import bearer, last_used, management_callers
from console.connections.models import Connection
from console.keys import management_keys, minting
from console.keys.badges import badges
from console.keys.models import ApiKey
from console.scopes import Scope
from tests import clock
from tests.console.pages import words_of

READ = frozenset({Scope.READ})


def test_the_use_of_one_key_is_not_the_use_of_its_sibling(owner: User, paper: Connection) -> None:
    first, raw = minting.mint(owner, paper, READ, name="nightly")
    second, _ = minting.add_secret(first.app, by=owner)
    last_used.record(bearer.authenticate(raw, ip="203.0.113.9"))
    first.refresh_from_db()
    second.refresh_from_db()
    assert first.last_used_at is not None and first.last_used_ip == "203.0.113.9"
    assert second.last_used_at is None


def test_it_is_written_once_a_minute_or_when_the_address_changes(
    owner: User, paper: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, raw = minting.mint(owner, paper, READ, name="nightly")
    time = clock.install(monkeypatch)
    started = time.now
    seen = []
    for seconds, ip in ((0, "203.0.113.9"), (59, "203.0.113.9"), (2, "203.0.113.9"), (1, "203.0.113.10")):
        time.advance(seconds=seconds)
        last_used.record(bearer.authenticate(raw, ip=ip))
        key.refresh_from_db()
        assert key.last_used_at is not None
        seen.append((key.last_used_at - started).total_seconds())
    assert seen == [0, 0, 61, 62]


def test_uses_of_calls_that_are_answered_together_are_written_together(owner: User, paper: Connection) -> None:
    keys = [minting.mint(owner, paper, READ, name=f"key {number}") for number in range(6)]
    used = [bearer.authenticate(raw, ip="203.0.113.9", user_agent="a") for _, raw in keys[:5]]
    last_used.gather()
    try:
        for who in used * 2:
            last_used.record(who)
        assert not ApiKey.objects.exclude(last_used_at=None).exists()
        with CaptureQueriesContext(connection) as asked:
            last_used.write_gathered()
        written = [each["sql"] for each in asked if each["sql"].startswith("UPDATE")]
        assert len(written) == 2
        last_used.write_gathered()
    finally:
        last_used._here.gathered = None
    for key, _ in keys:
        key.refresh_from_db()
        key.app.refresh_from_db()
    assert [key.last_used_ip for key, _ in keys] == ["203.0.113.9"] * 5 + [""]
    assert [key.app.last_used_agent for key, _ in keys] == ["a"] * 5 + [""]
    assert bearer.authenticate(keys[0][1], ip="203.0.113.9").is_use_on_record


def test_a_management_key_is_seen_too(owner: User) -> None:
    key, raw = management_keys.mint(owner, name="terraform", expires_at=None)
    last_used.record(management_callers.authenticate(raw, ip="203.0.113.9"))
    key.refresh_from_db()
    assert key.last_used_ip == "203.0.113.9"


@pytest.mark.parametrize(
    ("used", "ends", "words"),
    [
        (None, None, ["Never used"]),
        (29, None, []),
        (31, None, ["Unused for 30 days"]),
        (1, 15, []),
        (1, 13, ["Ends soon"]),
        (None, 13, ["Never used", "Ends soon"]),
    ],
)
def test_badges(used: int | None, ends: int | None, words: list[str]) -> None:
    now = timezone.now()
    key = ApiKey(
        last_used_at=None if used is None else now - timedelta(days=used),
        expires_at=None if ends is None else now + timedelta(days=ends),
    )
    assert badges(key, now) == words


def test_the_list_shows_them(browser: Browser, owner: User, paper: Connection) -> None:
    minting.mint(owner, paper, READ, name="nightly", expires_at=timezone.now() + timedelta(days=2))
    words = words_of(browser.get("/keys/"))
    assert "Never used" in words and "Ends soon" in words
