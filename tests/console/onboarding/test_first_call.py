"""A setup guide that is open says so when the first call comes, and nobody sees another's."""

from datetime import timedelta
from urllib.parse import urlencode

from django.test import Client as Browser
from django.utils import timezone

from console.accounts.models import User
from console.audit.models import Call
from console.connected_apps.models import ConnectedApp
from tests.console.pages import log, text_of, words_of


def heard(browser: Browser, minutes_ago: int = 5) -> str:
    since = (timezone.now() - timedelta(minutes=minutes_ago)).isoformat()
    return words_of(browser.get(f"/connect/heard/?{urlencode({'since': since})}"))


def test_the_guide_waits_for_the_first_call_and_asks_again(browser: Browser) -> None:
    page = text_of(browser.get("/connect/claude-code/"))
    assert "Waiting for its first call." in page
    assert 'hx-get="/connect/heard/?since=' in page


def test_the_first_call_is_told_with_who_made_it_where(browser: Browser, app: ConnectedApp) -> None:
    log(app, tool="get_accounts")
    log(app, tool="get_quote")
    told = heard(browser)
    assert f"It works. {app.name} made its first call" in told
    assert "get_accounts on Practice" in told
    assert "hx-get" not in text_of(browser.get("/connect/heard/?since=2020-01-01T00:00:00%2B00:00"))


def test_a_call_that_was_refused_is_told_as_such(browser: Browser, app: ConnectedApp) -> None:
    log(app, tool="place_order")
    Call.objects.update(outcome="refused", message="This app may only read.")
    assert "The call arrived and was refused." in heard(browser)
    assert "This app may only read." in heard(browser)


def test_an_app_that_only_read_the_list_is_told_as_connected(browser: Browser, app: ConnectedApp) -> None:
    ConnectedApp.objects.filter(pk=app.pk).update(last_used_at=timezone.now())
    assert f"{app.name} is connected to Practice and has read the list of tools." in heard(browser)


def test_what_came_before_the_page_was_opened_is_not_its_first_call(browser: Browser, app: ConnectedApp) -> None:
    log(app, tool="get_accounts")
    Call.objects.update(at=timezone.now() - timedelta(hours=1))
    assert "Waiting for its first call." in heard(browser)


def test_nobody_sees_anothers_call(app: ConnectedApp, other: User) -> None:
    log(app, tool="get_accounts")
    ConnectedApp.objects.filter(pk=app.pk).update(last_used_at=timezone.now())
    stranger = Browser()
    stranger.force_login(other)
    assert "Waiting for its first call." in heard(stranger)


def test_without_a_session_or_a_time_the_page_is_loaded_again(browser: Browser) -> None:
    for answer in (
        Browser().get("/connect/heard/?since=2026-01-01T00:00:00%2B00:00"),
        browser.get("/connect/heard/?since=yesterday"),
        browser.get("/connect/heard/?since=2026-11-30T25:00"),
        browser.get("/connect/heard/?since=2026-11-30T10:00%2B99:99"),
        browser.get("/connect/heard/?since=0001-01-01T00:00%2B14:00"),
        browser.get("/connect/heard/?since=9999-12-31T23:59-14:00"),
        browser.get("/connect/heard/"),
        browser.get("/connect/heard/?since=2026-01-01T00:00:00"),
    ):
        assert answer["HX-Refresh"] == "true"
