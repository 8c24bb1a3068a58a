"""Windows of their own: what apps use up keeps no session and not a management key from taking power away, or reading.

The loop of an app is stood in for by a minute that is used up before anybody asks.
"""

from collections.abc import Callable

import pytest
from django.conf import LazySettings
from django.db import DatabaseError
from django.test import Client as Browser

from console.accounts.models import User
from console.audit import log as audit_log
from console.authority import call_quota
from console.authority.call_quota import CallKind
from console.clients import registration
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.errors import Refusal
from console.keys import management_keys, minting
from console.scopes import Scope
from tests.console.api.rest import Rest

ORDER = {"symbol": "BTC/USD", "side": "BUY", "quantity": "0.1"}


@pytest.fixture
def manager(owner: User) -> Rest:
    return Rest(Browser(), management_keys.mint(owner, name="terraform", expires_at=None)[1])


@pytest.fixture
def app(trade_key: str) -> ConnectedApp:
    return ConnectedApp.objects.get(api_keys__public_id=minting.public_id_of(trade_key))


@pytest.fixture
def busy(app: ConnectedApp, reader: Rest, settings: LazySettings) -> None:
    """An app has used up its user's minute, its own lists and its own cancels."""
    settings.CALLS_PER_MINUTE, settings.CANCELS_PER_MINUTE, settings.LISTS_PER_MINUTE = 8, 8, 8
    for kind in (CallKind.READ, CallKind.CANCEL, CallKind.LIST):
        for _ in range(8):
            call_quota.check(app.owner_id, app.pk, kind)
    assert reader.refused("GET", "/orders")["code"] == "rate_limited"


@pytest.fixture
def stops(owner: User, paper: Connection, app: ConnectedApp) -> list[tuple[str, str]]:
    client, _ = registration.register_static(
        owner, name="Widget", redirect_uris=["https://widget.example.com/cb"], scopes=frozenset({Scope.READ})
    )
    key, _ = minting.mint(owner, paper, frozenset({Scope.READ}), name="nightly-report")
    return [
        ("POST", f"/keys/{key.public_id}/revoke"),
        ("POST", f"/connected-apps/{app.pk}/pause"),
        ("POST", f"/connected-apps/{app.pk}/narrow"),
        ("POST", f"/connected-apps/{app.pk}/revoke"),
        ("POST", f"/connections/{paper.pk}/pause"),
        ("POST", f"/connections/{paper.pk}/trading-off"),
        ("DELETE", f"/clients/{client.pk}"),
        ("POST", "/halts"),
    ]


@pytest.mark.parametrize("who", ["session", "manager"])
def test_a_busy_app_keeps_nobody_from_stopping_it(
    who: str, request: pytest.FixtureRequest, stops: list[tuple[str, str]], busy: None
) -> None:
    caller: Rest = request.getfixturevalue(who)
    for method, path in stops:
        answer = caller.send(method, path)
        assert answer.status_code < 300, (path, answer.content)


@pytest.mark.parametrize("who", ["session", "manager"])
def test_nor_from_looking_and_tightening(
    who: str, request: pytest.FixtureRequest, app: ConnectedApp, busy: None
) -> None:
    caller: Rest = request.getfixturevalue(who)
    caller.get("/connected-apps")
    caller.get("/orders")
    assert caller.send("PUT", f"/connected-apps/{app.pk}/limits", {"order_notional": "1"}).status_code == 200


def test_nor_does_it_keep_a_session_from_cancelling(session: Rest, trader: Rest, app: ConnectedApp) -> None:
    order = trader.post("/orders", ORDER, status=201)["order"]
    for _ in range(120):
        call_quota.check(app.owner_id, app.pk, CallKind.CANCEL)
    assert trader.refused("POST", f"/orders/{order['id']}/cancel")["code"] == "rate_limited"
    session.post(f"/orders/{order['id']}/cancel")


def test_a_session_or_a_key_that_is_used_up_still_stops(
    session: Rest, manager: Rest, app: ConnectedApp, settings: LazySettings
) -> None:
    settings.CALLS_PER_MINUTE = 2
    for caller in (session, manager):
        for _ in range(2):
            caller.get("/orders")
        assert caller.refused("GET", "/orders")["code"] == "rate_limited"
        caller.post(f"/connected-apps/{app.pk}/pause")


def test_one_management_key_uses_up_no_other_and_no_session(
    owner: User, session: Rest, manager: Rest, app: ConnectedApp, settings: LazySettings
) -> None:
    settings.CALLS_PER_MINUTE = settings.CANCELS_PER_MINUTE = 2
    for _ in range(2):
        manager.get("/orders")
        manager.post(f"/connected-apps/{app.pk}/pause")
    assert manager.refused("GET", "/orders")["code"] == "rate_limited"
    assert manager.refused("POST", f"/connected-apps/{app.pk}/pause")["code"] == "rate_limited"
    second = Rest(Browser(), management_keys.mint(owner, name="second", expires_at=None)[1])
    for caller in (second, session):
        caller.get("/orders")
        caller.post(f"/connected-apps/{app.pk}/pause")


def test_one_persons_session_uses_up_nobody_elses(
    session: Rest, other: User, trader: Rest, others_session: Rest, settings: LazySettings
) -> None:
    settings.CANCELS_PER_MINUTE = 1
    order = trader.post("/orders", ORDER, status=201)["order"]
    assert others_session.refused("POST", f"/orders/{order['id']}/cancel")["code"] == "not_found"
    session.post(f"/orders/{order['id']}/cancel")


@pytest.mark.parametrize(
    ("check", "passes"),
    [
        (lambda: call_quota.check(1, 1, CallKind.LIST), False),
        (lambda: call_quota.check_person("manager-x", CallKind.READ), False),
        (lambda: call_quota.check_person("manager-x", CallKind.STOP), True),
        (lambda: call_quota.check_person("user-1/session", CallKind.CANCEL), True),
    ],
)
def test_without_the_shared_counter_only_what_stops_passes(
    check: Callable[[], None], passes: bool, settings: LazySettings
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    call_quota._limiter.cache_clear()
    try:
        if passes:
            check()
        else:
            with pytest.raises(Refusal):
                check()
    finally:
        call_quota._limiter.cache_clear()


def test_a_stop_is_told_even_if_its_row_cannot_be_written(
    manager: Rest, app: ConnectedApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(entry: audit_log.Entry) -> None:
        raise DatabaseError("disk full")

    monkeypatch.setattr(audit_log, "record_call", full)
    assert manager.refused("GET", "/connected-apps")["code"] == "audit_unavailable"
    assert manager.post(f"/connected-apps/{app.pk}/revoke")["revoked_at"] is not None
