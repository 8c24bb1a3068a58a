"""The limits of calls a minute, at the endpoint: a tool error that says when to retry, over all apps of a user."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from tests import serving
from tests.mcpserver.wire import Wire
from tests.patience import at_most
from tests.secrets.known import keep
from tests.serving import Server


@pytest.fixture(scope="module")
def tight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving.serve(
        tmp_path_factory.mktemp("tight") / "home",
        TRADELATCH_CALLS_PER_MINUTE="6",
        TRADELATCH_TRADE_CALLS_PER_MINUTE="2",
    ) as server:
        yield server


def test_the_limits_hold_over_all_apps_of_a_user_and_cancels_pass_them(tight: Server) -> None:
    trade = Wire(tight.mcp_url, tight.quickstart["paper_key_trade"])
    read = Wire(tight.mcp_url, tight.quickstart["paper_key_read"])
    order = {"symbol": "BTC/USD", "side": "BUY", "quantity": "0.1", "order_type": "LMT", "limit_price": "100"}
    prepared = trade.result("place_order", order)
    trade.result("confirm_trade", {"confirmation_id": prepared["confirmation_id"]})
    refused = trade.refusal("place_order", order)
    assert refused["code"] == "rate_limited"
    assert 1 <= refused["retry_after_seconds"] <= 60
    assert f"Try again in {refused['retry_after_seconds']} s" in refused["message"]

    for _ in range(4):
        read.result("get_cash", {})
    assert read.refusal("get_cash", {})["code"] == "rate_limited"
    assert trade.refusal("get_cash", {})["code"] == "rate_limited", "the user's apps share the minute"
    cancelled = trade.result("cancel_order", {"order_id": prepared["order"]["order_id"]})
    assert cancelled["status"] == "cancelled"


LISTS = 5
INITIALIZE: dict[str, Any] = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "wire", "version": "1"},
}
GREETINGS: dict[str, Callable[[Wire], httpx2.Response]] = {
    "initialize": lambda wire: wire.post(legacy("initialize", INITIALIZE)),
    "notifications/initialized": lambda wire: wire.post(legacy("notifications/initialized", {}, request_id=None)),
    "ping": lambda wire: wire.post(legacy("ping", {})),
    "tools/list in the older era": lambda wire: wire.post(legacy("tools/list", {})),
    "prompts/list in the older era": lambda wire: wire.post(legacy("prompts/list", {})),
    "resources/list in the older era": lambda wire: wire.post(legacy("resources/list", {})),
    "server/discover": lambda wire: wire.rpc("server/discover", {}),
    "tools/list": lambda wire: wire.rpc("tools/list", {}),
    "prompts/list": lambda wire: wire.rpc("prompts/list", {}),
    "resources/list": lambda wire: wire.rpc("resources/list", {}),
    "resources/templates/list": lambda wire: wire.rpc("resources/templates/list", {}),
    "no such method": lambda wire: wire.rpc("tools/burn", {}),
    "a batch": lambda wire: wire.post("[]"),
    # Calls that are turned away before they come to the pipeline, which counts calls.
    "a call without an id": lambda wire: wire.post(legacy("tools/call", {"name": "get_cash"}, request_id=None)),
    "a call of nothing": lambda wire: wire.post(legacy("tools/call", {})),
    "a call whose name is a number": lambda wire: wire.post(legacy("tools/call", {"name": 1})),
    "a call that its header names otherwise": lambda wire: wire.rpc("tools/call", {"name": "get_cash"}, name="other"),
    "a read of nothing": lambda wire: wire.rpc("resources/read", {}, name="x"),
    "a method that is no text": lambda wire: wire.post('{"jsonrpc": "2.0", "id": 1, "method": []}'),
    "GET": lambda wire: httpx2.get(wire.url, headers=wire.headers, timeout=at_most(10)),
    "no JSON": lambda wire: wire.post("hello", **{"Content-Type": "text/plain"}),
}


def legacy(method: str, params: dict[str, Any], *, request_id: int | None = 1) -> str:
    body: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params}
    return json.dumps(body if request_id is None else {**body, "id": request_id})


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving.serve(tmp_path_factory.mktemp("listed") / "home", TRADELATCH_LISTS_PER_MINUTE=str(LISTS)) as server:
        yield server


@pytest.fixture(scope="module")
def wires(listed: Server) -> dict[str, Wire]:
    """Of apps of their own, which have used up nothing."""
    names = ["first", "second", *GREETINGS]
    ran = serving.manage(listed.home, listed.port, "shell", "-c", MINT.format(names=names))
    keys = ran.stdout.strip().splitlines()[-len(names) :]
    return {name: Wire(listed.mcp_url, keep(name, key)) for name, key in zip(names, keys, strict=True)}


MINT = """
from console.connections.models import Connection
from console.keys import minting
from console.scopes import Scope
connection = Connection.objects.first()
for name in {names}:
    print(minting.mint(connection.owner, connection, frozenset({{Scope.TRADE}}), name=name)[1])
"""


def test_lists_and_greetings_are_counted_apart_from_calls_and_apart_by_app(
    listed: Server, wires: dict[str, Wire]
) -> None:
    wire = wires["first"]
    for number in range(LISTS):
        assert wire.rpc("tools/list" if number % 2 else "prompts/list", {}).status_code == 200
    for name, greet in GREETINGS.items():
        refused = greet(wire)
        assert refused.status_code == 429, (name, refused.text)
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert refused.json()["error"]["data"]["code"] == "rate_limited"
    for _ in range(LISTS + 1):
        wire.result("get_cash", {})
    resource = "tradelatch://account"
    assert "result" in wire.rpc("resources/read", {"uri": resource}, name=resource).json()
    assert wires["second"].rpc("tools/list", {}).status_code == 200
    [(rows,)] = listed.query("SELECT count(*) FROM audit_call WHERE code = 'rate_limited' AND app_label = 'first'")
    assert rows == len(GREETINGS)


@pytest.mark.parametrize("name", GREETINGS)
def test_each_of_them_is_counted(wires: dict[str, Wire], name: str) -> None:
    for _ in range(LISTS):
        assert GREETINGS[name](wires[name]).status_code != 429
    assert GREETINGS[name](wires[name]).status_code == 429


def test_calls_that_are_used_up_leave_lists_alone(tight: Server) -> None:
    wire = Wire(tight.mcp_url, tight.quickstart["paper_key_read"])
    answers = [wire.call("get_cash", {}).json() for _ in range(7)]
    assert answers[-1]["result"]["structuredContent"]["error"]["code"] == "rate_limited"
    assert wire.rpc("tools/list", {}).status_code == 200
