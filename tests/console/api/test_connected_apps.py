from typing import Any

import pytest
from django.test import Client as Browser

from console.accounts.models import User
from console.connected_apps.models import ConnectedApp
from console.keys import management_keys
from console.toolsets import ON_BY_DEFAULT, Toolset
from tests.console.api.rest import Rest


def test_an_app_is_narrowed_in_place(session: Rest, trader: Rest) -> None:
    [trading] = [app for app in session.get("/connected-apps")["items"] if "mcp:trade" in app["scopes"]]
    for _ in range(2):
        assert session.post(f"/connected-apps/{trading['id']}/narrow")["scopes"] == ["mcp:read"]
    order = {"symbol": "BTC/USD", "side": "BUY", "quantity": "0.1"}
    assert trader.refused("POST", "/orders", order)["code"] == "insufficient_scope"
    trader.get("/orders")


def test_a_paused_app_is_refused_everything_until_it_is_resumed(session: Rest, trader: Rest) -> None:
    [trading] = [app for app in session.get("/connected-apps")["items"] if "mcp:trade" in app["scopes"]]
    assert session.post(f"/connected-apps/{trading['id']}/pause")["paused_at"] is not None
    assert trader.refused("GET", "/orders")["code"] == "app_paused"
    assert session.post(f"/connected-apps/{trading['id']}/resume")["paused_at"] is None
    trader.get("/orders")


def test_revoking_holds_from_the_next_request_and_is_remembered(session: Rest, trader: Rest) -> None:
    [trading] = [app for app in session.get("/connected-apps")["items"] if "mcp:trade" in app["scopes"]]
    ended = session.post(f"/connected-apps/{trading['id']}/revoke")
    assert ended["revoked_at"] is not None
    assert trader.refused("GET", "/orders")["code"] == "unauthenticated"
    assert session.get(f"/connected-apps/{trading['id']}")["revoked_reason"] == "Revoked by its owner"


def test_a_revoked_app_is_not_resumed(session: Rest, app: ConnectedApp) -> None:
    session.post(f"/connected-apps/{app.pk}/revoke")
    assert session.post(f"/connected-apps/{app.pk}/resume")["revoked_at"] is not None


def test_a_grant_that_was_never_redeemed_is_no_app_yet(session: Rest, app: ConnectedApp) -> None:
    ConnectedApp.objects.filter(pk=app.pk).update(activated_at=None)
    assert session.refused("GET", f"/connected-apps/{app.pk}")["code"] == "not_found"


def test_sets_of_tools_are_switched_and_stay_as_they_were_left(session: Rest, app: ConnectedApp) -> None:
    address = f"/connected-apps/{app.pk}"
    assert session.get(address)["toolsets"] == [each.value for each in Toolset if each in ON_BY_DEFAULT]
    assert session._json(session.send("PATCH", address, {"toolsets": ["market"]}), 200)["toolsets"] == [
        "core",
        "market",
    ]
    assert session.get(address)["toolsets"] == ["core", "market"]
    assert session.get(address)["scopes"] == ["mcp:read", "mcp:trade"]
    every = [each.value for each in Toolset]
    assert session._json(session.send("PATCH", address, {"toolsets": every}), 200)["toolsets"] == every
    session.send("PATCH", address, {"toolsets": [each.value for each in ON_BY_DEFAULT]})
    app.refresh_from_db()
    assert app.toolsets is None


def test_a_management_key_switches_them_and_a_key_of_the_app_itself_does_not(
    owner: User, app: ConnectedApp, trader: Rest
) -> None:
    _, secret = management_keys.mint(owner, name="terraform", expires_at=None)
    manager = Rest(Browser(), secret)
    assert manager.send("PATCH", f"/connected-apps/{app.pk}", {"toolsets": []}).status_code == 200
    assert trader.refused("PATCH", f"/connected-apps/{app.pk}", {"toolsets": []})["code"] == "not_permitted"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "missing_argument"),
        ({"toolsets": ["withdrawals"]}, "invalid_argument"),
        ({"toolsets": "market"}, "invalid_argument"),
        ({"toolsets": None}, "invalid_argument"),
        ({"toolsets": [], "scopes": ["mcp:trade"]}, "unknown_argument"),
    ],
)
def test_what_is_no_list_of_sets_is_refused(session: Rest, app: ConnectedApp, body: Any, code: str) -> None:
    assert session.refused("PATCH", f"/connected-apps/{app.pk}", body)["code"] == code
    app.refresh_from_db()
    assert app.toolsets is None


def test_somebody_elses_app_is_not_there(others_session: Rest, app: ConnectedApp) -> None:
    assert others_session.get("/connected-apps")["items"] == []
    assert others_session.refused("GET", f"/connected-apps/{app.pk}")["code"] == "not_found"
    for verb in ("narrow", "pause", "resume", "revoke"):
        assert others_session.refused("POST", f"/connected-apps/{app.pk}/{verb}")["code"] == "not_found"
    assert others_session.refused("PATCH", f"/connected-apps/{app.pk}", {"toolsets": []})["code"] == "not_found"
    app.refresh_from_db()
    assert app.revoked_at is None
    assert app.toolsets is None
