"""Sets of tools that no app has until its owner switches them on."""

from typing import Any

import pytest

from console.accounts.models import User
from console.authority import admission
from console.clients import registration
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.keys.forms import KeyForm
from console.scopes import Scope, Source
from console.toolsets import OFF_BY_DEFAULT, ON_BY_DEFAULT, Toolset

OFF = sorted(OFF_BY_DEFAULT)


def test_an_app_starts_with_every_set_but_those(app: ConnectedApp) -> None:
    assert app.toolsets is None
    assert app.toolset_names == [each.value for each in Toolset if each in ON_BY_DEFAULT]
    assert not OFF_BY_DEFAULT & set(app.toolset_names)


@pytest.mark.parametrize("toolset", OFF)
def test_what_is_in_them_is_refused(toolset: Toolset, app: ConnectedApp) -> None:
    with pytest.raises(Refusal) as refused:
        admission.check_switched_on(as_principal(app), "create_alert", toolset)
    assert refused.value.code is Code.TOOLSET_OFF
    assert "switched off for this app. Its owner can switch it on" in str(refused.value)


def as_principal(app: ConnectedApp) -> Any:
    """All that is looked at is its ``toolsets``."""
    return app


@pytest.mark.parametrize("toolset", OFF)
def test_to_switch_one_on_takes_a_proof(toolset: Toolset, app: ConnectedApp, owner: User) -> None:
    with pytest.raises(Refusal) as refused:
        grants.set_toolsets(app, ON_BY_DEFAULT | {toolset}, by=owner)
    assert refused.value.code is Code.RE_AUTHENTICATION_REQUIRED
    assert grants.set_toolsets(app, ON_BY_DEFAULT | {toolset}, by=owner, may_widen=True)
    app.refresh_from_db()
    assert toolset in app.toolset_names
    admission.check_switched_on(as_principal(app), "create_alert", toolset)


def test_switched_off_again_it_is_as_by_default(app: ConnectedApp, owner: User) -> None:
    grants.set_toolsets(app, frozenset(Toolset), by=owner, may_widen=True)
    app.refresh_from_db()
    assert app.toolset_names == [each.value for each in Toolset]
    grants.set_toolsets(app, ON_BY_DEFAULT, by=owner)
    app.refresh_from_db()
    assert app.toolsets is None


def test_a_key_is_created_with_one_only_where_its_box_was_ticked(owner: User, paper: Connection) -> None:
    ticked = KeyForm(owner=owner).fields["toolsets"].initial
    assert not OFF_BY_DEFAULT & set(ticked)

    def start(*boxes: str, **more: str) -> list[str] | None:
        given = {"name": "A key", "connection": paper.pk, "scope": "read", "lifetime": "90", "toolsets": boxes}
        form = KeyForm({**given, **more}, owner=owner)
        form.is_valid()
        return form.start.toolsets

    assert start(*ticked, chooses_tools="on") is None
    assert start() is None, "without the boxes the key has the tools of the default"
    more = start(*ticked, "alerts", chooses_tools="on")
    assert more == [each.value for each in Toolset if each in ON_BY_DEFAULT | {Toolset.ALERTS}]


def test_an_app_made_by_a_program_has_one_only_where_every_app_there_has_it(
    owner: User, paper: Connection, app: ConnectedApp
) -> None:
    grants.set_toolsets(app, frozenset(Toolset), by=owner, may_widen=True)
    app.refresh_from_db()
    plain = grants.grant(owner, paper, frozenset({Scope.READ}), source=Source.OAUTH, name="Reader")
    alone, both = grants.tightest_restrictions([app]), grants.tightest_restrictions([plain, app])
    assert alone is not None
    assert both is not None
    assert alone.toolsets == [each.value for each in Toolset]
    assert both.toolsets is None


def test_what_was_switched_on_stays_on_when_the_same_client_signs_in_again(owner: User, paper: Connection) -> None:
    client, _ = registration.register_static(
        owner, name="Widget", redirect_uris=["https://widget.example.com/cb"], scopes=frozenset({Scope.READ})
    )
    named: dict[str, Any] = {"source": Source.OAUTH, "name": "Widget", "client": client}
    first = grants.grant(owner, paper, frozenset({Scope.READ}), **named)
    grants.activate(first)
    grants.set_toolsets(first, frozenset(Toolset), by=owner, may_widen=True)
    second = grants.grant(owner, paper, frozenset({Scope.READ}), **named)
    grants.activate(second)
    second.refresh_from_db()
    assert second.toolset_names == [each.value for each in Toolset]
