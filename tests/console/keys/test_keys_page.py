import html
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.test import Client as Browser
from django.utils import timezone

from console.accounts.models import User
from console.connections.models import Connection
from console.keys import minting
from console.keys.models import ApiKey
from console.scopes import Scope
from tests.console.pages import log, submit, text_of, words_of
from tests.console.present import present

READ = frozenset({Scope.READ})


def fields(connection: Connection, **changes: str) -> dict[str, Any]:
    return {"name": "nightly-report", "connection": connection.pk, "scope": "read", "expiry": "90", **changes}


def minted() -> ApiKey:
    """The one key beside the default ones, which came with their connections."""
    return ApiKey.objects.get(is_default=False)


def raw_in(response: Any) -> str:
    found = re.search(r"tl_paper_[0-9A-Za-z]{8}_[0-9A-Za-z]{36}", text_of(response))
    assert found
    return found[0]


def test_without_a_connection_the_page_says_to_add_one_first(browser: Browser) -> None:
    for url in ("/keys/", "/keys/new/"):
        assert "Add a connection first" in words_of(browser.get(url))


def test_the_form_starts_at_read_only_and_ninety_days(browser: Browser, paper: Connection) -> None:
    page = text_of(browser.get("/keys/new/"))
    assert re.search(r'name="scope" value="read"[^>]*checked', page)
    assert '<option value="90" selected>' in page


def test_a_new_key_is_shown_once_with_a_line_to_paste(browser: Browser, paper: Connection) -> None:
    made = submit(browser, "/keys/new/", fields(paper))
    raw = raw_in(made)
    key = minted()
    assert key.digest == minting.digest(raw)
    assert "no-store" in made["Cache-Control"]
    page = html.unescape(text_of(made))
    assert (
        f'claude mcp add --transport http tradelatch http://localhost:8000/mcp --header "Authorization: Bearer {raw}"'
        in page
    )
    assert raw not in text_of(browser.get("/keys/"))
    assert raw not in text_of(browser.get(f"/apps/{key.app_id}/"))


def test_the_key_is_kept_nowhere_not_even_in_the_session(browser: Browser, paper: Connection) -> None:
    raw = raw_in(submit(browser, "/keys/new/", fields(paper)))
    sessions = [str(session.get_decoded()) for session in Session.objects.all()]
    assert sessions
    assert not any(raw in session for session in sessions)


def test_reload_makes_no_second_key_and_shows_none(browser: Browser, paper: Connection) -> None:
    made = submit(browser, "/keys/new/", fields(paper))
    again = browser.post("/keys/new/", made.wsgi_request.POST.dict(), follow=True)
    assert "A key is shown only once" in words_of(again)
    assert raw_in(made) not in text_of(again)
    assert minted()


def test_a_refused_form_can_be_corrected_and_sent_again(browser: Browser, paper: Connection) -> None:
    refused = submit(browser, "/keys/new/", fields(paper, name=""))
    once = refused.wsgi_request.POST["once"]
    assert raw_in(browser.post("/keys/new/", {**fields(paper), "once": once}))


@pytest.mark.parametrize(("expiry", "days"), [("30", 30), ("90", 90), ("365", 365)])
def test_it_ends_when_it_was_chosen_to(browser: Browser, paper: Connection, expiry: str, days: int) -> None:
    submit(browser, "/keys/new/", fields(paper, expiry=expiry))
    ends = minted().expires_at
    assert ends is not None
    assert abs(ends - timezone.now() - timedelta(days=days)) < timedelta(minutes=1)


def test_it_may_also_last_until_it_is_revoked(browser: Browser, paper: Connection) -> None:
    submit(browser, "/keys/new/", fields(paper, expiry="never", never_reason="Runs on a boat"))
    assert (minted().expires_at, minted().never_reason) == (None, "Runs on a boat")
    assert "Runs on a boat" in words_of(browser.get("/keys/"))


@pytest.mark.parametrize("reason", ["", "  "])
def test_one_that_never_ends_needs_a_reason(browser: Browser, paper: Connection, reason: str) -> None:
    answer = submit(browser, "/keys/new/", fields(paper, expiry="never", never_reason=reason))
    assert "Write why this key must never end" in words_of(answer)
    assert not ApiKey.objects.filter(is_default=False).exists()


def test_trade_is_chosen_on_purpose(browser: Browser, paper: Connection) -> None:
    browser = present(browser)
    submit(browser, "/keys/new/", fields(paper, scope="trade"))
    assert minted().app.can_trade


def test_nobody_mints_a_key_for_somebody_elses_connection(
    browser: Browser, others_browser: Browser, other: User, paper: Connection
) -> None:
    form = browser.get("/keys/new/")
    assert "Practice" in text_of(form)
    with_own = submit(
        others_browser,
        "/connections/add/",
        {"name": "Mine", "starting_cash": "1000", "currency": "USD", "hours": "always"},
    )
    assert with_own.status_code == 200
    response = submit(others_browser, "/keys/new/", fields(paper))
    assert "Select a valid choice" in words_of(response)
    assert not ApiKey.objects.filter(app__connection=paper, is_default=False).exists()


def test_the_list_knows_a_key_by_its_hint(browser: Browser, owner: User, paper: Connection) -> None:
    key, raw = minting.mint(owner, paper, READ, name="nightly-report", is_default=True)
    page = text_of(browser.get("/keys/"))
    assert key.hint in page
    assert raw not in page
    assert ">Default<" in page


def test_revoking_says_what_stops_and_ends_the_key(browser: Browser, owner: User, paper: Connection) -> None:
    key, _ = minting.mint(owner, paper, READ, name="nightly-report")
    log(key.app, ago=timedelta(minutes=2), credential=key.public_id)
    url = f"/keys/{key.public_id}/revoke/"
    assert "1 call in the last hour" in words_of(browser.get(url))
    assert "no longer works" in words_of(browser.post(url, follow=True))
    key.refresh_from_db()
    key.app.refresh_from_db()
    assert key.revoked_at is not None
    assert key.app.revoked_at is not None


def test_a_key_that_ran_out_or_whose_app_ended_is_listed_as_ended(
    browser: Browser, owner: User, paper: Connection
) -> None:
    minting.mint(owner, paper, READ, name="ran-out", expires_at=timezone.now() - timedelta(days=1))
    words = words_of(browser.get("/keys/"))
    assert "No longer working (1)" in words
    assert "Expired 1 day ago" in words
