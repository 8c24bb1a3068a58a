"""Every kind of credential against every endpoint of the REST API: allowed or refused, and on record."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from django.test import Client as Browser
from django.utils import timezone

from console import limits
from console.accounts.models import User
from console.alerts import intake as alerts
from console.api import openapi
from console.audit.models import Call, Change
from console.authority import call_quota
from console.clients import registration
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections import services as connections
from console.connections.models import Connection, Policy
from console.halts import services as halts
from console.keys import management_keys, minting
from console.keys.models import ManagementKey
from console.oauth.models import AccessToken
from console.onboarding import connection_lifecycle
from console.orders.models import Confirmation, Modification, Order
from console.orders.states import Status
from console.scopes import Scope, Source
from console.toolsets import Toolset
from tests.console.api.conftest import a_trade, account_of
from tests.console.api.rest import Rest, problem
from tests.console.pages import log

READ, TRADE = frozenset({Scope.READ}), frozenset({Scope.TRADE})
ORDER = {"symbol": "BTC/USD", "side": "BUY", "quantity": "0.1"}
ALERT = {"kind": "equity", "condition": "above", "value": "1"}


@dataclass(frozen=True)
class Endpoint:
    column: str
    method: str
    path: str
    body: Any = None
    own: bool = True
    """It names something of the owner's."""


def an_order(maker: ConnectedApp) -> Order:
    """A working one; that no broker has it is nothing to whoever may not reach it."""
    connection, now = maker.connection, timezone.now()
    confirmation = Confirmation.objects.create(
        public_id=f"cnf_{maker.pk}",
        app=maker,
        terms={},
        terms_digest="",
        created_at=now,
        expires_at=now + timedelta(seconds=120),
    )
    return Order.objects.create(
        public_id=f"ord_{maker.pk}",
        connection=connection,
        app=maker,
        confirmation=confirmation,
        account_id="ELSEWHERE",  # so that it does not stand in the way of a reset
        client_order_id=f"of-{maker.pk}",
        wire_id=f"{maker.pk:032x}",
        symbol="BTC/USD",
        asset_class="crypto",
        currency="USD",
        side="BUY",
        order_type="LMT",
        tif="GTC",
        quantity=1,
        limit_price=100,
        shown_price=100,
        status=Status.INTENT,
        created_at=now,
        moved_at=now,
    )


@pytest.fixture
def endpoints(owner: User, paper: Connection, trader: Rest, app: ConnectedApp, trade_key: str) -> dict[str, Endpoint]:
    prepared = trader.post("/orders", ORDER, status=201)
    client, _ = registration.register_static(
        owner, name="Widget", redirect_uris=["https://widget.example.com/cb"], scopes=READ
    )
    key, _ = minting.mint(owner, paper, READ, name="nightly-report")
    call = log(ConnectedApp.objects.get(api_keys__public_id=minting.public_id_of(trade_key)))
    connections.set_limits(paper, limits.parse({"order_notional": "90000"}), by=owner)
    grants.set_limits(app, limits.parse({"daily_notional": "90000"}), by=owner)
    grants.set_toolsets(app, {Toolset.MARKET, Toolset.ACCOUNT}, by=owner)
    owners, anothers = an_order(grants.console_app(paper)), an_order(app)
    # Of another app, so that it holds none of the endpoints shut.
    halt = halts.halt_app(app, by=owner)
    # Another connection, so that it holds none of the endpoints shut either.
    asks, _ = connection_lifecycle.open_paper(owner, name="Asks", starting_cash=Decimal(1000))
    connections.set_policy(asks, Policy.OWNER_APPROVAL, by=owner)
    connections.set_confirmation_delay(asks, 2, by=owner)
    connections.pause(asks, by=owner)
    connection, order = f"/connections/{paper.pk}", f"/orders/{prepared['order']['id']}"
    trade, practice = (
        f"/journal/trades/{a_trade(paper).public_id}",
        f"{connection}/practice-accounts/{account_of(paper)}",
    )
    of_app = ConnectedApp.objects.select_related("connection").get(api_keys__public_id=minting.public_id_of(trade_key))
    alert = f"/alerts/{alerts.create(paper, ALERT | {'value': Decimal(1)}, app=of_app).alert.public_id}"
    new_client = {"name": "W", "redirect_uris": ["https://w.example.com/cb"], "scopes": ["mcp:read"]}
    new_key = {"name": "n", "connection_id": paper.pk}
    return {
        "list_connections": Endpoint("manage", "GET", "/connections", own=False),
        "open_paper_connection": Endpoint(
            "manage", "POST", "/connections", {"name": "New", "starting_cash": "1000"}, own=False
        ),
        "open_paper_connection that trades": Endpoint(
            "begin trading",
            "POST",
            "/connections",
            {"name": "New", "starting_cash": "1000", "trading_enabled": True},
            own=False,
        ),
        "get_connection": Endpoint("manage", "GET", connection),
        "pause_connection": Endpoint("stop", "POST", f"{connection}/pause"),
        "resume_connection": Endpoint("widen", "POST", f"/connections/{asks.pk}/resume"),
        "disable_trading": Endpoint("stop", "POST", f"{connection}/trading-off"),
        "get_connection_limits": Endpoint("manage", "GET", f"{connection}/limits"),
        "set_connection_limits": Endpoint("manage", "PUT", f"{connection}/limits", {"order_notional": "900"}),
        "set_connection_limits to more": Endpoint("more", "PUT", f"{connection}/limits", {}),
        "set_confirmation_delay": Endpoint(
            "manage", "PUT", f"/connections/{asks.pk}/confirmation-delay", {"confirmation_delay_seconds": 4}
        ),
        "set_confirmation_delay to less": Endpoint(
            "more", "PUT", f"/connections/{asks.pk}/confirmation-delay", {"confirmation_delay_seconds": 0}
        ),
        "set_connection_policy": Endpoint("stricter", "PUT", f"{connection}/policy", {"policy": "owner_approval"}),
        "set_connection_policy to less": Endpoint(
            "in person", "PUT", f"/connections/{asks.pk}/policy", {"policy": "two_step"}
        ),
        "enable_trading": Endpoint("widen", "POST", f"{connection}/trading-on"),
        "list_clients": Endpoint("manage", "GET", "/clients", own=False),
        "register_client": Endpoint("manage", "POST", "/clients", new_client, own=False),
        # Its owner still grants or refuses, with a proof, what the client asks for.
        "register_client that may trade": Endpoint(
            "offer trade", "POST", "/clients", {**new_client, "scopes": ["mcp:trade"]}, own=False
        ),
        "get_client": Endpoint("manage", "GET", f"/clients/{client.pk}"),
        "delete_client": Endpoint("stop", "DELETE", f"/clients/{client.pk}"),
        "list_keys": Endpoint("manage", "GET", "/keys", own=False),
        "mint_key": Endpoint("manage", "POST", "/keys", new_key),
        "mint_key that may trade": Endpoint("mint trade", "POST", "/keys", {**new_key, "scopes": ["mcp:trade"]}),
        "get_key": Endpoint("manage", "GET", f"/keys/{key.public_id}"),
        "revoke_key": Endpoint("stop", "POST", f"/keys/{key.public_id}/revoke"),
        "list_apps": Endpoint("manage", "GET", "/connected-apps", own=False),
        "get_app": Endpoint("manage", "GET", f"/connected-apps/{app.pk}"),
        "switch_toolsets": Endpoint("manage", "PATCH", f"/connected-apps/{app.pk}", {"toolsets": ["market"]}),
        "switch_toolsets to more": Endpoint(
            "more", "PATCH", f"/connected-apps/{app.pk}", {"toolsets": [each.value for each in Toolset]}
        ),
        "narrow_app": Endpoint("stop", "POST", f"/connected-apps/{app.pk}/narrow"),
        "pause_app": Endpoint("stop", "POST", f"/connected-apps/{app.pk}/pause"),
        "resume_app": Endpoint("widen", "POST", f"/connected-apps/{app.pk}/resume"),
        "revoke_app": Endpoint("stop", "POST", f"/connected-apps/{app.pk}/revoke"),
        "get_app_limits": Endpoint("manage", "GET", f"/connected-apps/{app.pk}/limits"),
        "set_app_asking": Endpoint("manage", "PUT", f"/connected-apps/{app.pk}/asking", {"ask_in_assistant": True}),
        "set_app_asking to no": Endpoint(
            "more", "PUT", f"/connected-apps/{app.pk}/asking", {"ask_in_assistant": False}
        ),
        "set_app_limits": Endpoint("manage", "PUT", f"/connected-apps/{app.pk}/limits", {"daily_notional": "900"}),
        "set_app_limits to more": Endpoint("more", "PUT", f"/connected-apps/{app.pk}/limits", {}),
        "list_halts": Endpoint("read", "GET", "/halts", own=False),
        "halt": Endpoint("halt", "POST", "/halts", {"reason": "Enough."}, own=False),
        "lift_halt": Endpoint("in person", "POST", f"/halts/{halt.pk}/lift"),
        "list_orders": Endpoint("read", "GET", "/orders", own=False),
        "list_external_orders": Endpoint("read", "GET", "/orders/external", own=False),
        "place_order": Endpoint("trade", "POST", "/orders", ORDER, own=False),
        "get_max_order": Endpoint("trade", "GET", "/orders/max?symbol=BTC%2FUSD&side=BUY", own=False),
        "confirm_order": Endpoint(
            "trade", "POST", "/orders/confirm", {"confirmation_id": prepared["confirmation"]["id"]}
        ),
        "get_order": Endpoint("read", "GET", order),
        "approve_order": Endpoint("in person", "POST", f"{order}/approve"),
        "cancel_order": Endpoint("cancel", "POST", f"{order}/cancel"),
        "cancel_order that the owner made": Endpoint("the owner's", "POST", f"/orders/{owners.public_id}/cancel"),
        "cancel_order that another app made": Endpoint("another app's", "POST", f"/orders/{anothers.public_id}/cancel"),
        "list_alerts": Endpoint("read", "GET", "/alerts", own=False),
        "create_alert": Endpoint("keep", "POST", "/alerts", {**ALERT, "connection_id": paper.pk}),
        "get_alert": Endpoint("read", "GET", alert),
        "update_alert": Endpoint("keep", "PATCH", alert, {"value": "2"}),
        "cancel_alert": Endpoint("keep", "POST", f"{alert}/cancel"),
        "list_alert_history": Endpoint("read", "GET", "/alerts/history", own=False),
        # A person has nobody to send one to.
        "send_message": Endpoint("trade", "POST", "/alerts/messages", {"text": "Done."}, own=False),
        "list_trades": Endpoint("read", "GET", "/journal/trades", own=False),
        "get_trade": Endpoint("read", "GET", trade),
        "list_trade_notes": Endpoint("read", "GET", f"{trade}/notes"),
        "add_trade_note": Endpoint("keep", "POST", f"{trade}/notes", {"text": "Too soon."}),
        "list_order_notes": Endpoint("read", "GET", f"{order}/notes"),
        "add_order_note": Endpoint("keep", "POST", f"{order}/notes", {"text": "Why?"}),
        "get_performance": Endpoint("read", "GET", f"{connection}/performance"),
        "get_profit": Endpoint("read", "GET", f"{connection}/profit"),
        "get_equity_curve": Endpoint("read", "GET", f"{connection}/equity"),
        "list_practice_accounts": Endpoint("read", "GET", f"{connection}/practice-accounts"),
        "open_practice_account": Endpoint("keep", "POST", f"{connection}/practice-accounts", {"name": "Second"}),
        "get_practice_account": Endpoint("read", "GET", practice),
        "reset_practice_account": Endpoint("keep", "POST", f"{practice}/reset"),
        "set_practice_model": Endpoint("keep", "PUT", f"{practice}/model", {"preset": "standard"}),
        "list_activity": Endpoint("read", "GET", "/activity", own=False),
        "get_call": Endpoint("read", "GET", f"/activity/{call.request_id}"),
        "list_errors": Endpoint("read", "GET", "/errors", own=False),
    }


def test_the_matrix_knows_every_endpoint(endpoints: dict[str, Endpoint]) -> None:
    declared = {
        operation["operationId"] for path in openapi.document()["paths"].values() for operation in path.values()
    }
    assert {name.split()[0] for name in endpoints} == declared


ALLOWED = ""
PERSON = {
    "read": ALLOWED,
    "cancel": ALLOWED,
    "keep": ALLOWED,
    "halt": ALLOWED,
    "manage": ALLOWED,
    "stop": ALLOWED,
    "widen": ALLOWED,
    "mint trade": ALLOWED,
    "offer trade": ALLOWED,
    "begin trading": ALLOWED,
    "more": ALLOWED,
    "stricter": ALLOWED,
    "in person": ALLOWED,
    "trade": "not_permitted",
    "the owner's": ALLOWED,
    "another app's": ALLOWED,
}
_FOR_APPS = ("trade", "cancel", "halt", "keep")
KEY = dict.fromkeys(PERSON, "not_permitted") | {"read": ALLOWED}

# It reads, makes what reads, stops and tightens, and lets nobody do more.
MANAGER = dict.fromkeys(PERSON, "not_permitted") | dict.fromkeys(
    ("read", "manage", "halt", "stop", "offer trade"), ALLOWED
)
READS = dict.fromkeys((*_FOR_APPS, "the owner's", "another app's"), "insufficient_scope")
TRADES = dict.fromkeys(_FOR_APPS, ALLOWED) | {"the owner's": "owners_order", "another app's": "another_apps_order"}

# One row for each credential, one column for each kind of endpoint: the code it is refused with, or ALLOWED.
MATRIX: dict[str, dict[str, str]] = {
    "no credential": dict.fromkeys(PERSON, "unauthenticated"),
    "the owner's session": PERSON,
    "a copy of the owner's session": {
        **PERSON,
        "widen": "re_authentication_required",
        "mint trade": "re_authentication_required",
        "offer trade": "re_authentication_required",
        "more": "re_authentication_required",
        "in person": "re_authentication_required",
    },
    "somebody else's session": PERSON,
    "an operator's session": PERSON,
    "a read key": {**KEY, **READS},
    "a trade key": {**KEY, **TRADES},
    "somebody else's trade key": {**KEY, **TRADES},
    "an OAuth access token": dict.fromkeys(PERSON, "wrong_audience"),
    "a revoked key": dict.fromkeys(PERSON, "unauthenticated"),
    "an expired key": dict.fromkeys(PERSON, "unauthenticated"),
    "the key of a revoked app": dict.fromkeys(PERSON, "unauthenticated"),
    "a paused app's key": dict.fromkeys(PERSON, "app_paused"),
    "a key that never was": dict.fromkeys(PERSON, "unauthenticated"),
    "a key used from another address": dict.fromkeys(PERSON, "ip_not_allowed"),
    "a management key": MANAGER,
    # An app on the connection is halted, and a new key could do what it may not.
    "a management key that may make keys that trade": {**MANAGER, "mint trade": "halted"},
    "a trade key that a management key made": {**KEY, **TRADES, "cancel": "another_apps_order"},
    "a trade key whose management key was revoked": dict.fromkeys(PERSON, "unauthenticated"),
    "a trade key whose management key has expired": dict.fromkeys(PERSON, "unauthenticated"),
    "somebody else's management key": MANAGER,
    "a revoked management key": dict.fromkeys(PERSON, "unauthenticated"),
}
STRANGERS = (
    "somebody else's session",
    "an operator's session",
    "somebody else's trade key",
    "somebody else's management key",
)
ON_RECORD = (
    "a read key",
    "a trade key",
    "somebody else's trade key",
    "an OAuth access token",
    "a revoked key",
    "an expired key",
    "the key of a revoked app",
    "a paused app's key",
    "a key used from another address",
    "a management key",
    "a management key that may make keys that trade",
    "a trade key that a management key made",
    "a trade key whose management key was revoked",
    "a trade key whose management key has expired",
    "somebody else's management key",
    "a revoked management key",
)


def expected(credential: str, name: str, endpoint: Endpoint) -> str:
    code = MATRIX[credential][endpoint.column]
    if credential == "somebody else's management key" and endpoint.column in ("more", "mint trade"):
        return "not_found"
    is_out_of_reach = code in ("owners_order", "another_apps_order")
    if (code == ALLOWED or is_out_of_reach) and endpoint.own and credential in STRANGERS:
        return "confirmation_unknown" if name == "confirm_order" else "not_found"
    if code == ALLOWED and credential in ("a read key", "a trade key that a management key made"):
        # They are another app's.
        others = dict.fromkeys(("get_call", "get_alert", "update_alert", "cancel_alert"), "not_found")
        return {**others, "confirm_order": "confirmation_unknown"}.get(name, code)
    return code


@pytest.fixture
def credentials(
    owner: User, other: User, operator: User, paper: Connection, others_paper: Connection, trade_key: str, read_key: str
) -> dict[str, Callable[[], Rest]]:
    def session(user: User, *, present: bool = True) -> Rest:
        browser = Browser()
        browser.force_login(user)
        return Rest(browser, present=present)

    def key(user: User, connection: Connection, **fields: Any) -> tuple[Any, Rest]:
        made, raw = minting.mint(user, connection, TRADE, name="script", **fields)
        return made, Rest(Browser(), raw)

    def token() -> Rest:
        app = grants.grant(owner, paper, TRADE, source=Source.OAUTH, name="Claude")
        grants.activate(app)
        AccessToken.objects.create(
            app=app, user=owner, token="t", scope=app.scopes, expires=timezone.now() + timedelta(hours=1)
        )
        return Rest(Browser(), "t")

    def revoked() -> Rest:
        made, rest = key(owner, paper)
        minting.revoke(made, by=owner)
        return rest

    def of_revoked_app() -> Rest:
        made, rest = key(owner, paper)
        grants.revoke(made.app, by=owner, reason="test")
        return rest

    def paused() -> Rest:
        made, rest = key(owner, paper)
        grants.pause(made.app, by=owner)
        return rest

    def manager(user: User, *, revoked: bool = False, **fields: Any) -> Rest:
        made, raw = management_keys.mint(user, name="terraform", expires_at=None, **fields)
        if revoked:
            management_keys.revoke(made, by=user)
        return Rest(Browser(), raw)

    def child(*, revoked: bool = False, ends: timedelta = timedelta(days=1)) -> Rest:
        maker, _ = management_keys.mint(owner, name="terraform", expires_at=timezone.now() + timedelta(days=1))
        _, raw = minting.mint(owner, paper, TRADE, name="script", made_by=maker)
        if revoked:
            management_keys.revoke(maker, by=owner)
        ManagementKey.objects.filter(pk=maker.pk).update(expires_at=timezone.now() + ends)
        return Rest(Browser(), raw)

    return {
        "a key used from another address": lambda: key(owner, paper, networks=["203.0.113.0/24"])[1],
        "a management key": lambda: manager(owner),
        "a management key that may make keys that trade": lambda: manager(owner, makes_trade_keys=True),
        "a trade key that a management key made": child,
        "a trade key whose management key was revoked": lambda: child(revoked=True),
        "a trade key whose management key has expired": lambda: child(ends=-timedelta(seconds=1)),
        "somebody else's management key": lambda: manager(other),
        "a revoked management key": lambda: manager(owner, revoked=True),
        "no credential": lambda: Rest(Browser()),
        "the owner's session": lambda: session(owner),
        "a copy of the owner's session": lambda: session(owner, present=False),
        "somebody else's session": lambda: session(other),
        "an operator's session": lambda: session(operator),
        "a read key": lambda: Rest(Browser(), read_key),
        "a trade key": lambda: Rest(Browser(), trade_key),
        "somebody else's trade key": lambda: key(other, others_paper)[1],
        "an OAuth access token": token,
        "a revoked key": revoked,
        "an expired key": lambda: key(owner, paper, expires_at=timezone.now() - timedelta(seconds=1))[1],
        "the key of a revoked app": of_revoked_app,
        "a paused app's key": paused,
        "a key that never was": lambda: Rest(Browser(), "tl_paper_00000000_nothing"),
    }


@pytest.mark.parametrize("credential", MATRIX)
def test_each_credential_opens_its_endpoints_and_no_other(
    credential: str, endpoints: dict[str, Endpoint], credentials: dict[str, Callable[[], Rest]]
) -> None:
    rest = credentials[credential]()
    # As their owners switched every set on.
    ConnectedApp.objects.filter(toolsets__isnull=True).update(toolsets=[*Toolset])
    for name, endpoint in endpoints.items():
        call_quota.reset()
        with transaction.atomic():
            before, changes = set(Call.objects.values_list("pk", flat=True)), Change.objects.count()
            response = rest.send(endpoint.method, endpoint.path, endpoint.body)
            code = "" if response.status_code < 400 else problem(response)["code"]
            assert code == expected(credential, name, endpoint), (name, response.content.decode())
            assert "Location" not in response
            rows = list(Call.objects.exclude(pk__in=before))
            if credential in ON_RECORD:
                [row] = rows
                assert row.tool == f"rest:{name.split()[0]}"
                assert (row.outcome, row.code) == ("refused" if code else "ok", code), name
                assert row.request_id == response["X-Request-ID"]
                managing_key = "management" in credential and not credential.startswith("a trade key")
                source = "oauth" if "OAuth" in credential else "management" if managing_key else "apikey"
                assert (row.source, row.duration_us > 0) == (source, True)
            else:
                assert rows == []
            if code:
                assert Change.objects.count() == changes, name
            transaction.set_rollback(True)


def test_a_cancel_of_what_guards_a_position_waits_for_the_owner(
    trader: Rest, session: Rest, others_session: Rest, owner: User, paper: Connection
) -> None:
    connections.set_policy(paper, Policy.OWNER_APPROVAL, by=owner)
    exits = {"order_class": "bracket", "take_profit": "9000000", "stop_loss": "500"}
    bracket = trader.post("/orders", {**ORDER, **exits}, status=201)["order"]["id"]
    session.post(f"/orders/{bracket}/approve")
    for leg in Order.objects.filter(parent__public_id=bracket):
        path = f"/orders/{leg.public_id}/cancel"
        assert trader.refused("POST", path)["code"] == "approval_required"
        assert others_session.refused("POST", path)["code"] == "not_found"
        leg.refresh_from_db()
        assert leg.state is Status.WORKING
    assert Modification.objects.filter(cancels=True, status="awaiting_confirmation").count() == 2
    assert session.post(f"/orders/{Order.objects.get(parent__public_id=bracket, order_type='STP').public_id}/cancel")


def test_a_refused_credential_is_challenged(credentials: dict[str, Callable[[], Rest]]) -> None:
    for credential in ("no credential", "an OAuth access token", "a revoked key"):
        response = credentials[credential]().send("GET", "/orders")
        assert response.status_code == 401
        assert response["WWW-Authenticate"].startswith("Bearer ")


def test_a_bearer_is_weighed_alone_where_a_session_came_along(browser: Browser, read_key: str) -> None:
    assert Rest(browser, read_key).refused("GET", "/connections")["code"] == "not_permitted"
    assert Rest(browser, "tl_paper_nothing").refused("GET", "/orders")["code"] == "unauthenticated"


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic b2xpdmlh", "Token x"])
def test_an_authorization_of_another_form_is_refused(browser: Browser, paper: Connection, header: str) -> None:
    assert problem(Rest(browser).send("GET", "/orders", Authorization=header))["code"] == "unauthenticated"


def test_a_paused_connection_takes_nothing_but_cancels(trader: Rest, owner: User, paper: Connection) -> None:
    prepared = trader.post("/orders", ORDER, status=201)
    connections.pause(paper, by=owner)
    assert trader.refused("GET", "/orders")["code"] == "connection_paused"
    assert trader.refused("POST", "/orders", ORDER)["code"] == "connection_paused"
    trader.post(f"/orders/{prepared['order']['id']}/cancel")


def test_a_disabled_users_session_ends(browser: Browser, owner: User) -> None:
    User.objects.filter(pk=owner.pk).update(is_active=False)
    assert Rest(browser).refused("GET", "/orders")["code"] == "unauthenticated"
