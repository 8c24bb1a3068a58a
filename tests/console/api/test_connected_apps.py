from console.connected_apps.models import ConnectedApp
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


def test_somebody_elses_app_is_not_there(others_session: Rest, app: ConnectedApp) -> None:
    assert others_session.get("/connected-apps")["items"] == []
    assert others_session.refused("GET", f"/connected-apps/{app.pk}")["code"] == "not_found"
    for verb in ("narrow", "pause", "resume", "revoke"):
        assert others_session.refused("POST", f"/connected-apps/{app.pk}/{verb}")["code"] == "not_found"
    app.refresh_from_db()
    assert app.revoked_at is None
