"""An owner switches sets of tools on the page of an app."""

import re
from typing import Any

import pytest
from django.test import Client as Browser

from console import toolsets
from console.accounts.models import User
from console.audit.models import Change
from console.clients import registration
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.scopes import Scope, Source
from console.toolsets import OFF_BY_DEFAULT, ON_BY_DEFAULT, Toolset
from mcpserver import console_catalog
from tests.console.pages import text_of, words_of
from tests.console.present import present


def switch(browser: Browser, app: ConnectedApp, *on: str) -> str:
    return words_of(browser.post(f"/apps/{app.pk}/toolsets/", {"on": list(on)}, follow=True))


def test_the_page_says_what_each_set_lets_it_see_and_what_it_costs(browser: Browser, app: ConnectedApp) -> None:
    words = words_of(browser.get(f"/apps/{app.pk}/"))
    every = toolsets.listed(toolsets.provided(), app.granted, None, "paper")
    assert f"Tools it sees {len(every)} tools, {toolsets.size(every) / 1000:.1f} kB" in words
    assert "Market" in words
    assert "Prices, price history and instrument search." in words
    assert "Always on." in words


def test_what_is_not_ticked_is_off_and_the_list_grows_shorter(browser: Browser, app: ConnectedApp) -> None:
    assert "Claude will see its new list of tools on its next call." in switch(browser, app, "market", "account")
    app.refresh_from_db()
    assert app.toolsets is not None
    kept = toolsets.listed(toolsets.provided(), app.granted, app.toolsets, "paper")
    assert {tool.toolset for tool in kept} == {Toolset.CORE, Toolset.MARKET, Toolset.ACCOUNT}
    assert f"{len(kept)} tools, {toolsets.size(kept) / 1000:.1f} kB" in words_of(browser.get(f"/apps/{app.pk}/"))


def test_the_change_is_on_record_once(browser: Browser, app: ConnectedApp) -> None:
    boxes = {each.value for each in ON_BY_DEFAULT}
    switch(browser, app, *(boxes - {"market"}))
    switch(browser, app, *(boxes - {"market"}))
    [change] = Change.objects.filter(action="switched toolsets of")
    assert (change.target, change.target_id, change.detail) == ("app", str(app.pk), {"on": "", "off": "market"})


def test_the_basics_cannot_be_switched_off(browser: Browser, app: ConnectedApp) -> None:
    switch(browser, app)
    app.refresh_from_db()
    assert "core" in app.toolset_names
    default = [each.value for each in ON_BY_DEFAULT - {Toolset.CORE}]
    switch(browser, app, *default)
    app.refresh_from_db()
    assert app.toolsets is not None, "to switch tools on takes a proof"
    switch(present(browser), app, *default)
    app.refresh_from_db()
    assert app.toolsets is None, "with the boxes of the default it has those of later versions too"


@pytest.mark.parametrize("toolset", sorted(OFF_BY_DEFAULT))
def test_a_set_that_is_off_by_default_has_a_box_that_switches_it_on(
    toolset: Toolset, browser: Browser, app: ConnectedApp
) -> None:
    page = text_of(browser.get(f"/apps/{app.pk}/"))
    assert re.search(rf'<input[^>]* value="{toolset.value}"(?![^>]* checked)', page), "there, and not ticked"
    ticked = [each.value for each in ON_BY_DEFAULT | {toolset}]
    switch(browser, app, *ticked)
    app.refresh_from_db()
    assert app.toolsets is None, "to switch tools on takes a proof"
    switch(present(browser), app, *ticked)
    app.refresh_from_db()
    assert toolset.value in app.toolset_names
    assert re.search(rf'<input[^>]* value="{toolset.value}"[^>]* checked', text_of(browser.get(f"/apps/{app.pk}/")))


def test_a_set_without_a_box_stays_as_it_is(browser: Browser, owner: User, paper: Connection) -> None:
    reader = grants.grant(owner, paper, frozenset({Scope.READ}), source=Source.OAUTH, name="Reader")
    grants.activate(reader)
    assert 'value="trade"' not in text_of(browser.get(f"/apps/{reader.pk}/"))
    switch(browser, reader, "market")
    reader.refresh_from_db()
    assert "trade" in reader.toolset_names
    assert "account" not in reader.toolset_names


@pytest.mark.parametrize("kind", ["others_browser", "operators_browser"])
def test_nobody_else_switches_them(kind: str, request: Any, app: ConnectedApp) -> None:
    stranger: Browser = request.getfixturevalue(kind)
    assert stranger.post(f"/apps/{app.pk}/toolsets/", {"on": []}).status_code == 404
    app.refresh_from_db()
    assert app.toolsets is None


def test_a_revoked_app_has_no_switches(browser: Browser, owner: User, app: ConnectedApp) -> None:
    grants.revoke(app, by=owner, reason="Revoked by its owner")
    assert "Tools it sees" not in words_of(browser.get(f"/apps/{app.pk}/"))
    switch(browser, app, "market")
    app.refresh_from_db()
    assert app.toolsets is None


def test_what_was_switched_off_stays_off_when_the_same_client_signs_in_again(
    owner: User, paper: Connection, client_of_owner: Any
) -> None:
    def grant() -> ConnectedApp:
        return grants.grant(
            owner,
            paper,
            frozenset({Scope.READ}),
            source=Source.OAUTH,
            name="Widget",
            client=client_of_owner,
        )

    first = grant()
    grants.activate(first)
    grants.set_toolsets(first, {Toolset.MARKET}, by=owner)
    second = grant()
    grants.activate(second)
    second.refresh_from_db()
    first.refresh_from_db()
    assert first.revoked_at is not None
    assert second.toolset_names == ["core", "market"]


@pytest.fixture
def client_of_owner(owner: User) -> Any:
    client, _ = registration.register_static(
        owner, name="Widget", redirect_uris=["https://widget.example.com/cb"], scopes=frozenset({Scope.READ})
    )
    return client


def test_without_the_tools_in_this_process_every_set_can_be_switched(
    browser: Browser, app: ConnectedApp, request: pytest.FixtureRequest
) -> None:
    request.addfinalizer(lambda: toolsets.provide(console_catalog.tools))
    toolsets.provide(tuple)
    assert "0.0 kB" not in words_of(browser.get(f"/apps/{app.pk}/"))
    switch(browser, app, "market")
    app.refresh_from_db()
    assert app.toolset_names == ["core", "market"]
    assert "serves only the console" in words_of(browser.get("/docs/tools/"))
