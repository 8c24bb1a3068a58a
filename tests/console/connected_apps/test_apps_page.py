from datetime import timedelta

from django.test import Client as Browser

from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.scopes import Source
from tests.console.pages import log, words_of
from tests.console.present import present


def test_the_empty_list_says_what_to_do_next(browser: Browser) -> None:
    assert "No app has access to your accounts" in words_of(browser.get("/apps/"))


def test_an_app_is_listed_with_its_connection_and_what_it_may_do(browser: Browser, app: ConnectedApp) -> None:
    assert "Claude OAuth Practice Paper Read and trade Never" in words_of(browser.get("/apps/"))


def test_revoking_first_says_what_will_stop(browser: Browser, app: ConnectedApp) -> None:
    for _ in range(14):
        log(app, ago=timedelta(minutes=5))
    log(app, ago=timedelta(minutes=61))
    assert "14 calls in the last hour" in words_of(browser.get(f"/apps/{app.pk}/revoke/"))


def test_a_revoked_app_leaves_the_list_and_stays_on_record(browser: Browser, app: ConnectedApp) -> None:
    response = browser.post(f"/apps/{app.pk}/revoke/", follow=True)
    words = words_of(response)
    assert "Claude can no longer reach Practice." in words
    assert "No longer connected (1)" in words
    app.refresh_from_db()
    assert app.revoked_at is not None
    assert "Its access to Practice ended just now. Revoked by its owner." in words_of(browser.get(f"/apps/{app.pk}/"))


def test_revoking_twice_changes_nothing_more(browser: Browser, app: ConnectedApp) -> None:
    browser.post(f"/apps/{app.pk}/revoke/")
    app.refresh_from_db()
    first = app.revoked_at
    browser.post(f"/apps/{app.pk}/revoke/")
    app.refresh_from_db()
    assert app.revoked_at == first


def test_the_owner_pauses_and_resumes_it(browser: Browser, app: ConnectedApp) -> None:
    assert "Claude is paused." in words_of(browser.post(f"/apps/{app.pk}/pause/", follow=True))
    assert "Resume the app?" in words_of(browser.post(f"/apps/{app.pk}/resume/"))
    app.refresh_from_db()
    assert app.paused_at is not None
    assert "Claude works again." in words_of(present(browser).post(f"/apps/{app.pk}/resume/", follow=True))


def test_narrowing_takes_trading_away_and_keeps_it_connected(browser: Browser, app: ConnectedApp) -> None:
    words = words_of(browser.post(f"/apps/{app.pk}/narrow/", follow=True))
    assert "Claude can now only read. It stays connected." in words
    assert "Narrow to read only" not in words
    app.refresh_from_db()
    assert not app.can_trade
    assert app.revoked_at is None


def test_its_page_shows_its_recent_calls_and_nobody_elses(
    browser: Browser, app: ConnectedApp, others_browser: Browser
) -> None:
    log(app, tool="get_positions")
    assert "get_positions" in words_of(browser.get(f"/apps/{app.pk}/"))


def test_what_a_revoked_app_still_tries_is_told_on_its_page(browser: Browser, app: ConnectedApp) -> None:
    log(app, ago=timedelta(minutes=5))
    grants.revoke(app, by=app.owner, reason="Revoked by its owner")
    assert "refused call" not in words_of(browser.get(f"/apps/{app.pk}/"))
    for _ in range(2):
        log(app, tool="", outcome="refused", code="unauthenticated", message="Its access was revoked.")
    page = words_of(browser.get(f"/apps/{app.pk}/"))
    assert "It has made 2 refused calls since." in page


def test_a_grant_whose_code_was_never_redeemed_is_not_an_app(browser: Browser, app: ConnectedApp) -> None:
    pending = grants.grant(app.owner, app.connection, app.granted, source=Source.OAUTH, name="Abandoned")
    assert "Abandoned" not in words_of(browser.get("/apps/"))
    assert browser.get(f"/apps/{pending.pk}/").status_code == 404
