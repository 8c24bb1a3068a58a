"""Every kind of credential at the MCP endpoint and at the REST endpoints of data and management, on the whole server.

The REST half is told endpoint by endpoint in tests/console/api/test_authority_matrix.py; here stand all kinds side by
side.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import httpx2
import pytest

from tests.end_to_end.platform_steps import READ, TRADE, Product, add_platform
from tests.end_to_end.sdk_steps import Memory, through_oauth
from tests.mcpserver.wire import Wire
from tests.patience import at_most
from tests.person import Person
from tests.serving import Server

ORDER = {"symbol": "BTC/USD", "side": "BUY", "quantity": "0.001"}
ENDPOINTS = ("mcp read", "mcp trade", "rest read", "rest trade", "rest manage")
OK = "ok"

# What each endpoint answers: "ok", or the code it refuses with. A 401 and a 403 of the edge are told by their code.
MATRIX: dict[str, tuple[str, str, str, str, str]] = {
    "nothing": ("unauthenticated",) * 5,
    "an OAuth token that may read": (OK, "insufficient_scope", *("wrong_audience",) * 3),
    "an OAuth token that may trade": (OK, OK, *("wrong_audience",) * 3),
    "a read key": (OK, "insufficient_scope", OK, "insufficient_scope", "not_permitted"),
    "a trade key": (OK, OK, OK, OK, "not_permitted"),
    "a platform token that may read": (OK, "insufficient_scope", OK, "insufficient_scope", "not_permitted"),
    "a platform token that may trade": (OK, OK, OK, OK, "not_permitted"),
    "a management key": ("unauthenticated", "unauthenticated", OK, "not_permitted", OK),
    "a trade key that a management key made": (OK, OK, OK, OK, "not_permitted"),
    "a trade key whose management key was revoked": ("unauthenticated",) * 5,
    "a platform's own secret": ("unauthenticated",) * 5,
    "a refresh token": ("unauthenticated",) * 5,
    "a session cookie as a bearer": ("unauthenticated",) * 5,
}


@dataclass(frozen=True)
class Instance:
    server: Server
    bearers: dict[str, str | None]


def oauth(server: Server, scope: str, port: int) -> Memory:
    storage = Memory()

    async def nothing(client: object) -> None:
        pass

    redirect = f"http://127.0.0.1:{port}/callback"
    through_oauth(server, storage, connection="Practice", scope=scope, use=nothing, redirect=redirect)
    return storage


def owner_of(server: Server) -> Person:
    return Person(server.url, server.quickstart["username"], server.quickstart["password"])


def management_key(person: Person, name: str, **fields: str) -> str:
    page = person.get("/keys/manage/new/")
    made = person.post("/keys/manage/new/", page, name=name, expiry="90", **fields)
    found = re.search(r"tl_manage_[0-9A-Za-z]{8}_[0-9A-Za-z]{36}", made.text)
    assert found is not None, made.text[:3000]
    return found[0]


def practice(server: Server) -> int:
    """The connection that came with the owner; the platform's user has one of the same name."""
    pk: int = server.query("SELECT min(id) FROM connections_connection WHERE name = 'Practice'")[0][0]
    return pk


def made_with(server: Server, manage: str) -> str:
    """The secret of a trade key on the practice connection."""
    body = {"name": "made", "connection_id": practice(server), "scopes": ["mcp:read", "mcp:trade"]}
    headers = {"Authorization": f"Bearer {manage}"}
    answer = httpx2.post(f"{server.url}/api/v1/keys", json=body, headers=headers, timeout=at_most(10))
    assert answer.status_code == 201, answer.text
    secret: str = answer.json()["secret"]
    return secret


@pytest.fixture(scope="module")
def instance(server: Server) -> Iterator[Instance]:
    reader, trader = oauth(server, "mcp:read", 43201), oauth(server, "mcp:read mcp:trade", 43202)
    assert reader.tokens is not None and trader.tokens is not None
    product: Product = add_platform(server)
    user = product.make_user()
    with owner_of(server) as person:
        manage = management_key(person, "terraform")
        maker, leaked = (management_key(person, name, makes_trade_keys="on") for name in ("maker", "leaked"))
        made, orphan = made_with(server, maker), made_with(server, leaked)
        person.post("/keys/leaked/", person.get("/keys/leaked/"), pasted=leaked)
        session = next(cookie.value for cookie in person.browser.cookies.jar if "session" in cookie.name)
    yield Instance(
        server,
        {
            "nothing": None,
            "an OAuth token that may read": reader.tokens.access_token,
            "an OAuth token that may trade": trader.tokens.access_token,
            "a read key": server.quickstart["paper_key_read"],
            "a trade key": server.quickstart["paper_key_trade"],
            "a platform token that may read": product.token(user, READ),
            "a platform token that may trade": product.token(user, TRADE),
            "a management key": manage,
            "a trade key that a management key made": made,
            "a trade key whose management key was revoked": orphan,
            "a platform's own secret": product.client_secret,
            "a refresh token": trader.tokens.refresh_token,
            "a session cookie as a bearer": session,
        },
    )


def at_mcp(server: Server, bearer: str | None, tool: str, arguments: dict[str, str]) -> str:
    answer = Wire(server.mcp_url, bearer).call(tool, arguments)
    body = answer.json()
    if answer.status_code != 200:
        return str(body["code"])
    content = body["result"]["structuredContent"]
    return str(content["error"]["code"]) if "error" in content else OK


def at_rest(server: Server, bearer: str | None, method: str, path: str, body: dict[str, str] | None = None) -> str:
    headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
    answer = httpx2.request(method, f"{server.url}/api/v1{path}", json=body, headers=headers, timeout=at_most(10))
    return OK if answer.status_code < 400 else str(answer.json()["code"])


@pytest.mark.parametrize("credential", MATRIX)
def test_each_kind_of_credential_opens_its_endpoints_and_no_other(instance: Instance, credential: str) -> None:
    server, bearer = instance.server, instance.bearers[credential]
    before = server.query("SELECT count(*) FROM orders_order WHERE status != 'awaiting_confirmation'")
    answers = (
        at_mcp(server, bearer, "get_cash", {}),
        at_mcp(server, bearer, "place_order", ORDER),
        at_rest(server, bearer, "GET", "/orders"),
        at_rest(server, bearer, "POST", "/orders", ORDER),
        at_rest(server, bearer, "GET", "/keys"),
    )
    assert dict(zip(ENDPOINTS, answers, strict=True)) == dict(zip(ENDPOINTS, MATRIX[credential], strict=True))
    assert server.query("SELECT count(*) FROM orders_order WHERE status != 'awaiting_confirmation'") == before


# Endpoints that might release an order that waits for its owner, and how each kind of credential is turned away at
# confirm_trade, at /orders/confirm and at /orders/{id}/approve. What is nobody's credential is not on record.
NO_APPROVAL: dict[str, tuple[str, str, str]] = {
    "nothing": ("unauthenticated",) * 3,
    "an OAuth token that may read": ("insufficient_scope", "wrong_audience", "wrong_audience"),
    "an OAuth token that may trade": ("confirmation_unknown", "wrong_audience", "wrong_audience"),
    "a read key": ("insufficient_scope", "insufficient_scope", "not_permitted"),
    "a trade key": ("approval_required", "approval_required", "not_permitted"),
    "a platform token that may read": ("insufficient_scope", "insufficient_scope", "not_permitted"),
    "a platform token that may trade": ("confirmation_unknown", "confirmation_unknown", "not_permitted"),
    "a management key": ("unauthenticated", "not_permitted", "not_permitted"),
    "a trade key that a management key made": ("confirmation_unknown", "confirmation_unknown", "not_permitted"),
    "a trade key whose management key was revoked": ("unauthenticated",) * 3,
    "a platform's own secret": ("unauthenticated",) * 3,
    "a refresh token": ("unauthenticated",) * 3,
    "a session cookie as a bearer": ("unauthenticated",) * 3,
}


@pytest.mark.parametrize("credential", MATRIX)
def test_no_credential_approves_an_order_that_waits_for_its_owner(instance: Instance, credential: str) -> None:
    server, bearer = instance.server, instance.bearers[credential]
    server.query("UPDATE connections_connection SET policy = 'owner_approval'")
    try:
        assert at_mcp(server, instance.bearers["a trade key"], "place_order", ORDER) == OK
        order = server.query("SELECT public_id FROM orders_order ORDER BY id DESC LIMIT 1")[0][0]
        confirmation = server.query("SELECT public_id FROM orders_confirmation ORDER BY id DESC LIMIT 1")[0][0]
        before = server.query("SELECT max(id) FROM audit_call")[0][0]
        answers = (
            at_mcp(server, bearer, "confirm_trade", {"confirmation_id": confirmation}),
            at_rest(server, bearer, "POST", "/orders/confirm", {"confirmation_id": confirmation}),
            at_rest(server, bearer, "POST", f"/orders/{order}/approve"),
        )
        assert answers == NO_APPROVAL[credential]
        rows = [row for row in server.query("SELECT id, outcome, code FROM audit_call ORDER BY id") if row[0] > before]
        assert all(outcome == "refused" for _, outcome, _ in rows)
        told = [code for _, _, code in rows if code != "unauthenticated"]
        assert told == [code for code in answers if code != "unauthenticated"]
        headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
        for address in (f"/orders/approvals/{confirmation}/release/", f"/orders/approvals/{confirmation}/reject/"):
            for method in ("GET", "POST"):
                page = httpx2.request(
                    method, f"{server.url}{address}", headers=headers, data={"reason": "other"}, timeout=at_most(10)
                )
                # Either led to the sign-in, or turned away before for want of the form's own token.
                assert page.status_code == 403 or page.headers["location"].startswith("/sign-in/")
        assert server.query("SELECT public_id, status FROM orders_order ORDER BY id DESC LIMIT 1") == [
            (order, "awaiting_confirmation")
        ]
    finally:
        server.query("UPDATE connections_connection SET policy = 'two_step'")


# -- what is the owner's --------------------------------------------------------------------------------------

OLD_ERA = "2025-11-25"
TRADERS_OWN = "a trade key"
NOT_HERE = ("unknown_order", "unknown_order", "unknown_order", "not_found")

# An order that its owner made, tried by cancel_order in both eras, modify_order and REST's cancel.
OWNERS: dict[str, tuple[str, ...]] = {
    "nothing": ("unauthenticated",) * 4,
    "an OAuth token that may read": (*("insufficient_scope",) * 3, "wrong_audience"),
    "an OAuth token that may trade": (*("owners_order",) * 3, "wrong_audience"),
    "a read key": ("insufficient_scope",) * 4,
    "a trade key": ("owners_order",) * 4,
    "a platform token that may read": ("insufficient_scope",) * 4,
    "a platform token that may trade": NOT_HERE,
    "a management key": (*("unauthenticated",) * 3, "not_permitted"),
    "a trade key that a management key made": ("owners_order",) * 4,
    "a trade key whose management key was revoked": ("unauthenticated",) * 4,
    "a platform's own secret": ("unauthenticated",) * 4,
    "a refresh token": ("unauthenticated",) * 4,
    "a session cookie as a bearer": ("unauthenticated",) * 4,
}
# A stop that guards a position where the owner releases orders, tried by the same: its app may ask, and no other.
GUARDS: dict[str, tuple[str, ...]] = {
    **{name: tuple(code.replace("owners_", "another_apps_") for code in told) for name, told in OWNERS.items()},
    TRADERS_OWN: ("approval_required", "approval_required", OK, "approval_required"),
}


def in_the_old_era(server: Server, bearer: str | None, tool: str, arguments: dict[str, str]) -> str:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
    answer = Wire(server.mcp_url, bearer).post(json.dumps(body), **{"MCP-Protocol-Version": OLD_ERA})
    if answer.status_code != 200:
        return str(answer.json()["code"])
    content = answer.json()["result"]["structuredContent"]
    return str(content["error"]["code"]) if "error" in content else OK


def tried(instance: Instance, credential: str, order_id: str) -> tuple[str, ...]:
    server, bearer = instance.server, instance.bearers[credential]
    order = {"order_id": order_id}
    return (
        at_mcp(server, bearer, "cancel_order", order),
        in_the_old_era(server, bearer, "cancel_order", order),
        at_mcp(server, bearer, "modify_order", order | {"quantity": "0.0011"}),
        at_rest(server, bearer, "POST", f"/orders/{order_id}/cancel"),
    )


def send(instance: Instance, **order: str) -> str:
    """By the trade key, which confirms it itself."""
    trade = Wire(instance.server.mcp_url, instance.bearers[TRADERS_OWN])
    prepared = trade.result("place_order", ORDER | order)
    trade.result("confirm_trade", {"confirmation_id": prepared["confirmation_id"]})
    made: str = prepared["order"]["order_id"]
    return made


def status_of(server: Server, order_id: str) -> str:
    [[status]] = server.query("SELECT status FROM orders_order WHERE public_id = ?", order_id)
    return str(status)


@pytest.fixture(scope="module")
def guard(instance: Instance) -> str:
    """A position, and a stop beneath it."""
    send(instance)
    return send(instance, side="SELL", order_type="STP", stop_price="500", tif="GTC")


@pytest.fixture(scope="module")
def owners(instance: Instance, guard: str) -> Iterator[str]:
    """Everything is to be closed, as soon as its owner releases it."""
    server = instance.server
    closing = f"/orders/closing/{practice(server)}/"
    with owner_of(server) as person:
        answer = person.post(f"{closing}prepare/", person.get(closing))
        assert "/orders/approvals/" in answer.headers["location"], answer.headers
    server.query("UPDATE orders_confirmation SET expires_at = '2100-01-01 00:00:00' WHERE action = 'flatten'")
    yield str(server.query("SELECT public_id FROM orders_order ORDER BY id DESC LIMIT 1")[0][0])


@pytest.mark.parametrize("credential", MATRIX)
def test_no_credential_takes_an_order_back_that_its_owner_made(
    instance: Instance, owners: str, credential: str
) -> None:
    assert tried(instance, credential, owners) == OWNERS[credential]
    assert status_of(instance.server, owners) == "awaiting_confirmation"


@pytest.mark.parametrize("credential", MATRIX)
def test_no_credential_takes_away_what_guards_a_position_where_the_owner_releases_orders(
    instance: Instance, guard: str, credential: str
) -> None:
    server = instance.server
    server.query("UPDATE connections_connection SET policy = 'owner_approval'")
    try:
        assert tried(instance, credential, guard) == GUARDS[credential]
    finally:
        server.query("UPDATE connections_connection SET policy = 'two_step'")
    assert status_of(server, guard) == "working"


# -- sets of tools --------------------------------------------------------------------------------------------

# A tool of each set and a REST endpoint, where there is one.
SETS: dict[str, tuple[str, dict[str, str], tuple[str, str] | None]] = {
    "account": ("get_cash", {}, None),
    "market": ("get_quote", {"symbols": "BTC/USD"}, None),
    "trade_read": ("get_orders", {}, ("GET", "/orders")),
    "trade": ("place_order", ORDER, ("POST", "/orders")),
    "risk": ("get_risk_status", {}, ("GET", "/halts")),
    "journal": ("get_activity_log", {}, ("GET", "/activity")),
    "alerts": ("get_alerts", {}, ("GET", "/alerts")),
}


@pytest.mark.parametrize("off", SETS)
def test_a_set_of_tools_that_is_off_is_off_at_every_endpoint_for_every_credential_of_an_app(
    instance: Instance, off: str
) -> None:
    server, (tool, arguments, endpoint) = instance.server, SETS[off]
    kept = json.dumps([each for each in SETS if each != off])
    server.query("UPDATE connected_apps_connectedapp SET toolsets = ?", kept)
    try:
        for credential, told in MATRIX.items():
            if told[1] != OK:
                continue
            bearer = instance.bearers[credential]
            assert at_mcp(server, bearer, tool, arguments) == "toolset_off", credential
            assert in_the_old_era(server, bearer, tool, arguments) == "toolset_off", credential
            if endpoint is not None and told[3] == OK:
                assert at_rest(server, bearer, *endpoint, ORDER if endpoint[0] == "POST" else None) == "toolset_off", (
                    credential
                )
    finally:
        server.query("UPDATE connected_apps_connectedapp SET toolsets = NULL")


@pytest.mark.parametrize("credential", [name for name in MATRIX if name != "nothing"])
@pytest.mark.parametrize(
    "path", ["/orders/", "/connections/add/", "/keys/new/", "/people/", "/security/", "/orders/approvals/"]
)
def test_no_bearer_opens_a_page_of_the_console(instance: Instance, credential: str, path: str) -> None:
    bearer = instance.bearers[credential]
    answer = httpx2.get(
        f"{instance.server.url}{path}", headers={"Authorization": f"Bearer {bearer}"}, timeout=at_most(10)
    )
    assert answer.status_code == 302
    assert answer.headers["location"].startswith("/sign-in/")
