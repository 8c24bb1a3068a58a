"""The playground's key: what it may, how it ends, and that it is nobody else's."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from console.accounts.models import User
from console.audit.models import Change
from console.authority import bearer
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.halts import services as halts
from console.keys.models import ApiKey
from console.limits import Limits
from console.onboarding import tasks
from console.onboarding.models import StandIn
from console.scopes import Scope, Source
from tests.console.pages import text_of, words_of
from tests.console.present import Person, present


def start(browser: Browser, app: ConnectedApp, may: str = "read") -> Any:
    """As the page's script does; what trades, as the form does that the script sends instead."""
    fields = {"app": app.pk, "may": may}
    return browser.post("/playground/start/", fields if isinstance(browser, Person) else {**fields, "answer": "json"})


def secret_of(response: Any) -> str:
    if response.status_code == 201:
        return str(response.json()["secret"])
    found = re.search(r'<script id="opened" type="application/json">(.*?)</script>', text_of(response))
    assert found is not None, response.content
    return str(json.loads(found[1])["secret"])


def test_it_is_an_app_of_its_own_for_ten_minutes(browser: Browser, app: ConnectedApp) -> None:
    secret = secret_of(start(browser, app))
    principal = bearer.authenticate(secret)
    assert principal.app_id != app.pk
    assert principal.app_label == "Playground: Claude"
    assert principal.connection_id == app.connection_id
    left = ApiKey.objects.get(app_id=principal.app_id).expires_at - timezone.now()  # type: ignore[operator]  # it has one
    assert timedelta(minutes=9) < left <= timedelta(minutes=10)


def test_it_sees_and_may_what_the_app_does(browser: Browser, app: ConnectedApp) -> None:
    ConnectedApp.objects.filter(pk=app.pk).update(toolsets=["core", "market"], current_account="PAPER-2")
    browser = present(browser)
    principal = bearer.authenticate(secret_of(start(browser, app, "same")))
    assert principal.scopes == {Scope.READ, Scope.TRADE}
    assert principal.toolsets == frozenset({"core", "market"})
    assert principal.account_id == "PAPER-2"


def test_for_a_paused_app_it_is_paused_too(browser: Browser, app: ConnectedApp) -> None:
    grants.pause(app, by=app.owner)
    assert bearer.authenticate(secret_of(start(browser, app))).paused


def test_the_limits_of_the_app_hold_for_it(browser: Browser, app: ConnectedApp) -> None:
    limits = Limits(order_notional=Decimal(100), symbols=frozenset({"AAPL"}))
    grants.set_limits(app, limits, by=app.owner)
    start(browser, app)
    assert StandIn.objects.get().app.limited == limits


CHANGES: dict[str, Callable[[ConnectedApp], object]] = {
    "revoked": lambda app: grants.revoke(app, by=app.owner, reason="Revoked by its owner"),
    "paused": lambda app: grants.pause(app, by=app.owner),
    "narrowed": lambda app: grants.narrow(app, by=app.owner),
    "limited": lambda app: grants.set_limits(app, Limits(order_notional=Decimal(100)), by=app.owner),
    "toolsets switched off": lambda app: grants.set_toolsets(app, set(), by=app.owner),
    "halted": lambda app: halts.halt_app(app, by=app.owner),
}


@pytest.mark.parametrize("change", CHANGES)
def test_it_ends_when_what_the_app_may_do_changes(browser: Browser, app: ConnectedApp, change: str) -> None:
    another = grants.grant(app.owner, app.connection, frozenset({Scope.READ}), source=Source.OAUTH, name="Another")
    grants.activate(another)
    secret, kept = secret_of(start(browser, app)), secret_of(start(browser, another))
    CHANGES[change](app)
    with pytest.raises(bearer.Unauthenticated, match="access has ended"):
        bearer.authenticate(secret)
    assert StandIn.objects.get(instead_of=app).app.revoked_reason == "The app it stood in for was changed"
    bearer.authenticate(kept)


def test_for_a_halted_app_it_may_only_read(browser: Browser, app: ConnectedApp) -> None:
    halts.halt_app(app, by=app.owner)
    assert start(present(browser), app, "same")["Location"] == "/playground/"
    assert "Claude is halted" in words_of(browser.get("/playground/"))
    assert not StandIn.objects.exists()
    assert bearer.authenticate(secret_of(start(browser, app))).scopes == {Scope.READ}


def test_it_may_never_do_more_than_the_app(browser: Browser, app: ConnectedApp) -> None:
    grants.narrow(app, by=app.owner)
    browser = present(browser)
    assert bearer.authenticate(secret_of(start(browser, app, "same"))).scopes == {Scope.READ}


def test_one_that_may_trade_takes_a_proof(browser: Browser, app: ConnectedApp) -> None:
    asked = start(browser, app, "same")
    assert asked.status_code == 403
    assert asked.json()["code"] == "re_authentication_required"
    assert not StandIn.objects.exists()
    browser = present(browser)
    assert Scope.TRADE in bearer.authenticate(secret_of(start(browser, app, "same"))).scopes


def test_somebody_elses_app_is_refused(others_browser: Browser, app: ConnectedApp) -> None:
    for may in ("read", "same"):
        assert start(others_browser, app, may).status_code == 404
    assert not StandIn.objects.exists()
    assert "Claude" not in text_of(others_browser.get("/playground/"))
    assert "No app to try" in words_of(others_browser.get(f"/playground/?app={app.pk}"))


def test_somebody_else_cannot_end_it(browser: Browser, others_browser: Browser, app: ConnectedApp) -> None:
    made = start(browser, app)
    others_browser.post("/playground/stop/", {"key": made.json()["public_id"]})
    bearer.authenticate(made.json()["secret"])


@pytest.mark.parametrize("ended", ["revoked", "closed"])
def test_an_app_that_has_ended_has_no_playground(
    browser: Browser, app: ConnectedApp, paper: Connection, ended: str
) -> None:
    if ended == "revoked":
        grants.revoke(app, by=app.owner, reason="Revoked by its owner")
    else:
        Connection.objects.filter(pk=paper.pk).update(closed_at=timezone.now())
    assert start(browser, app).status_code == 404


def test_a_stand_in_has_no_stand_in(browser: Browser, app: ConnectedApp) -> None:
    start(browser, app)
    assert start(browser, StandIn.objects.get().app).status_code == 404


def test_after_ten_minutes_it_is_refused_and_taken_out_of_the_lists(browser: Browser, app: ConnectedApp) -> None:
    secret = secret_of(start(browser, app))
    past = timezone.now() - timedelta(seconds=1)
    ApiKey.objects.filter(app__stand_in__isnull=False).update(expires_at=past)
    StandIn.objects.update(expires_at=past)
    with pytest.raises(bearer.Unauthenticated, match="has expired"):
        bearer.authenticate(secret)
    tasks.end_playgrounds()
    over = StandIn.objects.get().app
    assert over.revoked_at is not None
    assert over.revoked_reason == "Its ten minutes in the playground are over"
    app.refresh_from_db()
    assert app.revoked_at is None


def test_cleaning_up_leaves_what_still_runs(browser: Browser, app: ConnectedApp) -> None:
    secret = secret_of(start(browser, app))
    tasks.end_playgrounds()
    bearer.authenticate(secret)


def test_ending_it_ends_the_stand_in_and_not_the_app(browser: Browser, app: ConnectedApp) -> None:
    made = start(browser, app).json()
    assert browser.post("/playground/stop/", {"key": made["public_id"]}).status_code == 204
    with pytest.raises(bearer.Unauthenticated):
        bearer.authenticate(made["secret"])
    app.refresh_from_db()
    assert app.revoked_at is None


def test_no_other_key_can_be_ended_this_way(browser: Browser, app: ConnectedApp, read_key: str) -> None:
    key = ApiKey.objects.get(app__name="Test key mcp:read")
    browser.post("/playground/stop/", {"key": key.public_id})
    bearer.authenticate(read_key)


def test_a_second_one_for_the_same_app_ends_the_first(browser: Browser, app: ConnectedApp) -> None:
    first = secret_of(start(browser, app))
    second = secret_of(start(browser, app))
    with pytest.raises(bearer.Unauthenticated, match="access has ended"):
        bearer.authenticate(first)
    bearer.authenticate(second)


def test_it_is_listed_with_the_keys_and_apps_and_can_be_revoked_there(browser: Browser, app: ConnectedApp) -> None:
    made = start(browser, app).json()
    assert "Playground: Claude" in words_of(browser.get("/apps/"))
    assert "Playground: Claude" in words_of(browser.get("/keys/"))
    browser.post(f"/keys/{made['public_id']}/revoke/")
    with pytest.raises(bearer.Unauthenticated):
        bearer.authenticate(made["secret"])


def test_the_secret_is_in_that_one_answer_and_nowhere_else(browser: Browser, app: ConnectedApp) -> None:
    made = start(browser, app)
    secret = secret_of(made)
    assert "no-store" in made["Cache-Control"]
    for url in ("/playground/", "/apps/", "/keys/", "/activity/", made.json()["url"]):
        assert secret not in text_of(browser.get(url)), url
    changes = json.dumps(list(Change.objects.values()), default=str)
    assert "granted" in changes and "minted" in changes
    assert secret not in changes
    assert not ApiKey.objects.filter(digest=secret).exists()
    assert secret not in json.dumps(dict(browser.session), default=str)


def test_the_page_says_that_it_needs_javascript(browser: Browser, app: ConnectedApp) -> None:
    page = text_of(browser.get("/playground/"))
    assert re.search(r"<noscript>.*needs JavaScript.*</noscript>", page, re.S)
    assert f'value="{app.pk}" selected' in text_of(browser.get(f"/playground/?app={app.pk}"))


def test_nothing_starts_by_following_a_link(browser: Browser, app: ConnectedApp, owner: User) -> None:
    assert browser.get(f"/playground/start/?app={app.pk}&may=read").status_code == 405
    assert browser.get("/playground/stop/").status_code == 405
    strict = Browser(enforce_csrf_checks=True)
    strict.force_login(owner)
    assert start(strict, app).status_code == 403
    assert not StandIn.objects.exists()
