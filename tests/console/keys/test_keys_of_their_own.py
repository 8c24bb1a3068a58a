"""What a key is bound by from the start, how it went, and why it ended."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from console.accounts.models import User
from console.audit.models import Change
from console.authority import admission, bearer
from console.authority.call_quota import CallKind
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.keys import child_keys, management_keys, minting
from console.keys.models import ApiKey
from console.scopes import Scope
from console.toolsets import Toolset
from tests.console.pages import log, submit, text_of, words_of
from tests.console.present import present

READ = frozenset({Scope.READ})
READS = admission.PlainEndpoint(name="reads", toolset=Toolset.CORE)
CANCELS = admission.PlainEndpoint(name="cancels", toolset=Toolset.CORE, throttle=CallKind.CANCEL)


def fields(connection: Connection, **changes: Any) -> dict[str, Any]:
    return {"name": "nightly-report", "connection": connection.pk, "scope": "read", "expiry": "90", **changes}


@pytest.fixture
def key(owner: User, paper: Connection) -> ApiKey:
    return minting.mint(owner, paper, READ, name="nightly-report")[0]


def test_a_new_key_may_have_a_rate_and_some_of_the_tools(browser: Browser, paper: Connection) -> None:
    chosen = {"calls_per_minute": "30", "orders_per_minute": "2", "chooses_tools": "on", "toolsets": ["market"]}
    submit(present(browser), "/keys/new/", fields(paper, scope="trade", **chosen))
    app = ApiKey.objects.get(is_default=False).app
    assert (app.calls_per_minute, app.limited.orders_per_minute, app.toolset_names) == (30, 2, ["core", "market"])


def test_a_form_without_the_boxes_leaves_every_tool_on(browser: Browser, paper: Connection) -> None:
    submit(browser, "/keys/new/", fields(paper))
    assert ApiKey.objects.get(is_default=False).app.toolsets is None


def test_more_calls_a_minute_than_the_app_may_make_are_refused_and_cancels_are_not(
    owner: User, paper: Connection
) -> None:
    key, raw = minting.mint(owner, paper, READ, name="slow")
    grants.set_rate(key.app, 2, by=owner)
    who = bearer.authenticate(raw)
    for _ in range(2):
        admission.admit(who, READS)
    with pytest.raises(Refusal, match="More than 2 calls in a minute, the limit the owner set for this app") as refused:
        admission.admit(who, READS)
    assert refused.value.code is Code.RATE_LIMITED
    assert refused.value.retry_after is not None
    admission.admit(who, CANCELS)
    _, other = minting.mint(owner, paper, READ, name="another")
    admission.admit(bearer.authenticate(other), READS)


def test_a_rate_is_lowered_at_once_and_raised_with_a_proof(browser: Browser, owner: User, app: ConnectedApp) -> None:
    url = f"/apps/{app.pk}/rate/"
    assert browser.post(url, {"calls_per_minute": "5"})["Location"] == f"/apps/{app.pk}/"
    for more in ("6", ""):
        assert "Allow more than before?" in words_of(browser.post(url, {"calls_per_minute": more}))
    app.refresh_from_db()
    assert app.calls_per_minute == 5
    present(browser).post(url, {"calls_per_minute": ""})
    app.refresh_from_db()
    assert app.calls_per_minute is None


@pytest.mark.parametrize("value", ["0", "-1", "10001", "many", "1.5"])
def test_a_rate_that_is_none_changes_nothing(browser: Browser, app: ConnectedApp, value: str) -> None:
    answer = browser.post(f"/apps/{app.pk}/rate/", {"calls_per_minute": value}, follow=True)
    assert "Nothing was changed." in words_of(answer)


def test_nobody_changes_the_rate_of_somebody_elses_app(others_browser: Browser, app: ConnectedApp) -> None:
    assert others_browser.post(f"/apps/{app.pk}/rate/", {"calls_per_minute": "1"}).status_code == 404


def test_what_a_management_key_makes_calls_no_more_than_the_apps_there(owner: User, paper: Connection) -> None:
    app = minting.mint(owner, paper, READ, name="slow")[0].app
    grants.set_rate(app, 7, by=owner)
    maker, _ = management_keys.mint(owner, name="terraform", expires_at=None)
    for asked, got in ((None, 7), (100, 7), (3, 3)):
        made, _ = child_keys.mint(
            maker.public_id, paper, READ, name=f"bot {asked}", expires_at=None, calls_per_minute=asked
        )
        assert made.app.calls_per_minute == got


def test_the_list_says_what_each_key_called_last_and_how_often(browser: Browser, key: ApiKey) -> None:
    log(key.app, tool="get_positions", ago=timedelta(minutes=5), credential=key.public_id)
    log(key.app, tool="get_quote", ago=timedelta(minutes=3), credential=key.public_id, outcome="refused", code="x")
    words = words_of(browser.get("/keys/"))
    assert "2, 1 failed" in words
    assert "get_quote" in words
    assert "2 calls in 30 days" in words
    assert "Calls by day" in words_of(browser.get(f"/keys/{key.public_id}/activity/"))
    assert "Calls by day" in words_of(browser.get(f"/apps/{key.app_id}/"))


def test_a_key_that_trades_real_money_from_anywhere_is_called_wide(
    browser: Browser, owner: User, paper: Connection
) -> None:
    both = frozenset({Scope.READ, Scope.TRADE})
    minting.mint(owner, paper, both, name="bot", networks=["203.0.113.0/24"])
    assert "Wide" not in words_of(browser.get("/keys/"))
    Connection.objects.filter(pk=paper.pk).update(environment="live")
    assert "Wide" not in words_of(browser.get("/keys/"))
    minting.mint(owner, Connection.objects.get(pk=paper.pk), both, name="bot 2")
    assert "Wide" in words_of(browser.get("/keys/"))


def test_the_owners_reason_is_kept_and_not_told_to_the_caller(browser: Browser, key: ApiKey) -> None:
    browser.post(f"/keys/{key.public_id}/revoke/", {"reason": "It may have leaked", "note": "Seen in a chat"})
    key.refresh_from_db()
    assert key.revoked_reason == "It may have leaked. Seen in a chat"
    assert "Seen in a chat" in words_of(browser.get("/keys/"))
    assert Change.objects.get(action="revoked", target="key").detail["note"] == key.revoked_reason
    assert ConnectedApp.objects.get(pk=key.app_id).why_ended == "This app's access has ended. Revoked by its owner."


@pytest.mark.parametrize("sent", [{}, {"reason": "nonsense"}, {"note": "x" * 1000}])
def test_nothing_hinders_a_revocation(browser: Browser, owner: User, paper: Connection, sent: dict[str, str]) -> None:
    key, _ = minting.mint(owner, paper, frozenset({Scope.READ, Scope.TRADE}), name="bot")
    assert browser.post(f"/keys/{key.public_id}/revoke/", sent).status_code == 302
    key.refresh_from_db()
    assert key.revoked_at is not None


def test_what_was_tried_with_it_later_is_counted(browser: Browser, owner: User, key: ApiKey) -> None:
    minting.revoke(key, by=owner)
    ApiKey.objects.update(revoked_at=timezone.now() - timedelta(hours=1))
    for minutes in (90, 20, 10):
        log(key.app, ago=timedelta(minutes=minutes), credential=key.public_id, outcome="refused", code="x")
    assert "It has made 2 refused calls since" in words_of(browser.get(f"/keys/{key.public_id}/activity/"))


def test_a_connection_without_a_key_says_how_to_sign_in(browser: Browser) -> None:
    made = submit(
        browser, "/connections/add/", {"name": "Mine", "starting_cash": "1000", "currency": "USD", "hours": "always"}
    )
    words = words_of(made)
    assert "No key is needed." in words
    assert "Copy the key now" not in words
    assert not ApiKey.objects.exists()


def test_a_key_that_came_with_its_connection_ends(paper: Connection) -> None:
    key = ApiKey.objects.get(is_default=True)
    assert key.expires_at is not None
    assert timedelta(days=89) < key.expires_at - timezone.now() < timedelta(days=91)


def test_an_apps_page_names_its_client_and_where_it_sends_people(browser: Browser, app: ConnectedApp) -> None:
    page = text_of(browser.get(f"/apps/{app.pk}/"))
    assert "Redirects to" not in page  # it has no client
    assert "Calls a minute" in page
