"""An order is sent through the client's own question only when its user said yes to it, once, in time, there."""

import json
import time
from dataclasses import replace
from typing import Any

import anyio
import pytest
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError

from brokers.types import Environment
from console.connections.models import LONGEST_APPROVAL_WAIT
from console.principal import Principal
from console.scopes import Scope, Source
from mcpserver import elicitation, result_tables
from tests.mcpserver.wire import Wire
from tests.serving import ANSWERED_BY_A_PERSON, Server

SERVER_VARIABLES = ANSWERED_BY_A_PERSON
BUY: dict[str, Any] = {"symbol": "BTC/USD", "side": "BUY", "quantity": "0.1"}
FORM: dict[str, Any] = {"elicitation": {"form": {}}}
URL: dict[str, Any] = {"elicitation": {"url": {}}}
YES: dict[str, Any] = {"action": "accept", "content": {"send": True}}


@pytest.fixture
def trade(server: Server) -> Wire:
    return Wire(server.mcp_url, server.quickstart["paper_key_trade"])


def place(wire: Wire, capabilities: dict[str, Any], arguments: dict[str, Any] = BUY, **more: Any) -> dict[str, Any]:
    params = {"name": "place_order", "arguments": arguments} | more
    answer: dict[str, Any] = wire.rpc("tools/call", params, name="place_order", capabilities=capabilities).json()
    return answer


def asked(wire: Wire, capabilities: dict[str, Any] = FORM) -> tuple[str, dict[str, Any]]:
    """The sealed state and the question."""
    result = place(wire, capabilities)["result"]
    assert result["resultType"] == "input_required", result
    return result["requestState"], result["inputRequests"]["order"]["params"]


def answer(wire: Wire, state: str, said: dict[str, Any] | None, capabilities: dict[str, Any] = FORM) -> dict[str, Any]:
    more: dict[str, Any] = {"requestState": state}
    if said is not None:
        more["inputResponses"] = {"order": said}
    result: dict[str, Any] = place(wire, capabilities, **more)["result"]
    return result


def last_order(server: Server) -> tuple[str, str]:
    return server.query("SELECT public_id, status FROM orders_order ORDER BY id DESC LIMIT 1")[0]


def test_a_yes_sends_the_very_order_that_was_shown(trade: Wire, server: Server) -> None:
    state, question = asked(trade)
    assert question["mode"] == "form"
    assert question["message"].startswith("Buy 0.1 BTC/USD")
    assert question["requestedSchema"]["properties"]["send"] == {"type": "boolean", "title": "Send this?"}
    order_id, status = last_order(server)
    assert status == "awaiting_confirmation"
    result = answer(trade, state, YES)
    assert result["structuredContent"]["status"] == "filled"
    assert last_order(server) == (order_id, "filled")
    tools = server.query("SELECT tool, outcome FROM audit_call ORDER BY id DESC LIMIT 2")
    assert tools == [("confirm_trade", "ok"), ("place_order", "ok")]


RESTS = BUY | {"order_type": "LMT", "limit_price": "100", "tif": "GTC"}


def asked_by(wire: Wire, tool: str, arguments: dict[str, Any], said: dict[str, Any] | None = None) -> dict[str, Any]:
    """What a tool answers once the user said ``said`` to its question."""
    first = wire.rpc("tools/call", {"name": tool, "arguments": arguments}, name=tool, capabilities=FORM).json()[
        "result"
    ]
    assert first["resultType"] == "input_required", first
    more = {"requestState": first["requestState"], "inputResponses": {"order": said}}
    again = wire.rpc("tools/call", {"name": tool, "arguments": arguments} | more, name=tool, capabilities=FORM)
    content: dict[str, Any] = result_tables.spread(again.json()["result"]["structuredContent"])
    return content


def test_a_yes_to_several_orders_sends_them_all(trade: Wire) -> None:
    told = asked_by(trade, "place_batch_orders", {"orders": [BUY, RESTS]}, YES)
    assert [order["status"] for order in told["orders"]] == ["filled", "working"]


def test_a_change_is_asked_like_an_order_and_a_no_leaves_the_order_as_it_is(trade: Wire, server: Server) -> None:
    order_id = asked_by(trade, "place_order", RESTS, YES)["order"]["order_id"]
    arguments = {"order_id": order_id, "limit_price": "101"}
    asked_by(trade, "modify_order", arguments, {"action": "decline"})
    order = trade.result("get_order_status", {"order_id": order_id})["order"]
    assert (order["status"], order["limit_price"]) == ("working", "100")
    assert asked_by(trade, "modify_order", arguments, YES)["order"]["limit_price"] == "101"


def test_the_question_never_shows_the_confirmation_to_the_model(trade: Wire) -> None:
    result = place(trade, FORM)["result"]
    assert "cnf_" not in str(result)


@pytest.mark.parametrize(
    "said",
    [{"action": "decline"}, {"action": "accept", "content": {"send": False}}],
    ids=["declined", "no"],
)
def test_a_no_ends_the_order_unsent(trade: Wire, server: Server, said: dict[str, Any]) -> None:
    state, _ = asked(trade)
    result = answer(trade, state, said)
    assert result["structuredContent"]["note"] == "The user declined. Nothing was sent."
    assert last_order(server)[1] == "cancelled"
    again = answer(trade, state, YES)
    assert again["structuredContent"]["error"]["code"] == "confirmation_used"
    assert last_order(server)[1] == "cancelled"


@pytest.mark.parametrize(
    "said",
    [
        None,
        {"action": "accept"},
        {"action": "accept", "content": {}},
        {"action": "accept", "content": {"send": "true"}},
        {"action": "accept", "content": {"send": 1}},
        {"action": "accept", "content": {"confirm": True}},
    ],
    ids=["nothing", "no content", "empty", "text", "a number", "another field"],
)
def test_what_is_neither_yes_nor_no_is_asked_again(trade: Wire, server: Server, said: dict[str, Any] | None) -> None:
    state, question = asked(trade)
    result = answer(trade, state, said)
    assert result["resultType"] == "input_required"
    assert result["inputRequests"]["order"]["params"] == question
    assert last_order(server)[1] == "awaiting_confirmation"
    assert answer(trade, result["requestState"], YES)["structuredContent"]["status"] == "filled"


def test_a_yes_that_no_question_preceded_is_only_a_new_question(trade: Wire, server: Server) -> None:
    result = place(trade, FORM, inputResponses={"order": YES})["result"]
    assert result["resultType"] == "input_required"
    assert last_order(server)[1] == "awaiting_confirmation"


def test_the_same_yes_sends_nothing_twice(trade: Wire, server: Server) -> None:
    state, _ = asked(trade)
    assert answer(trade, state, YES)["structuredContent"]["status"] == "filled"
    before = server.query("SELECT count(*) FROM orders_order")
    again = answer(trade, state, YES)
    assert again["isError"] is True
    assert again["structuredContent"]["error"]["code"] == "confirmation_used"
    assert server.query("SELECT count(*) FROM orders_order") == before


def refused(body: dict[str, Any]) -> None:
    error = body["error"]
    assert (error["code"], error["data"]["code"]) == (-32602, "invalid_request")
    assert "make the call again without it" in error["message"]


def test_a_changed_state_is_refused_and_kept_on_record(trade: Wire, server: Server) -> None:
    state, _ = asked(trade)
    for changed in (state[:-2] + ("AA" if state[-2:] != "AA" else "BB"), "v1.nonsense", "", '{"order_id": "x"}'):
        refused(place(trade, FORM, requestState=changed, inputResponses={"order": YES}))
    assert last_order(server)[1] == "awaiting_confirmation"
    row = server.query("SELECT tool, outcome, code FROM audit_call ORDER BY id DESC LIMIT 1")[0]
    assert row == ("place_order", "refused", "invalid_request")


def test_a_state_is_good_for_its_own_arguments_alone(trade: Wire, server: Server) -> None:
    state, _ = asked(trade)
    refused(place(trade, FORM, BUY | {"quantity": "0.2"}, requestState=state, inputResponses={"order": YES}))
    assert last_order(server)[1] == "awaiting_confirmation"


def test_another_app_cannot_use_the_state(trade: Wire, server: Server) -> None:
    state, _ = asked(trade)
    other = Wire(server.mcp_url, server.quickstart["paper_key_read"])
    refused(place(other, FORM, requestState=state, inputResponses={"order": YES}))
    assert last_order(server)[1] == "awaiting_confirmation"


def test_a_yes_after_the_confirmation_expired_sends_nothing(trade: Wire, server: Server) -> None:
    state, _ = asked(trade)
    server.query("UPDATE orders_confirmation SET expires_at = '2020-01-01 00:00:00'")
    error = answer(trade, state, YES)["structuredContent"]["error"]
    assert error["code"] == "confirmation_expired"


def test_every_check_holds_again_when_the_user_said_yes(trade: Wire, server: Server) -> None:
    state, _ = asked(trade)
    server.query("UPDATE connected_apps_connectedapp SET paused_at = '2026-01-01 00:00:00'")
    try:
        assert answer(trade, state, YES)["structuredContent"]["error"]["code"] == "app_paused"
    finally:
        server.query("UPDATE connected_apps_connectedapp SET paused_at = NULL")
    assert last_order(server)[1] == "awaiting_confirmation"


def test_any_process_of_the_instance_takes_the_state(trade: Wire, server: Server) -> None:
    state, _ = asked(trade)
    server.restart()
    assert answer(trade, state, YES)["structuredContent"]["status"] == "filled"


def test_a_client_that_declares_elicitation_without_a_mode_gets_the_form(trade: Wire) -> None:
    _, question = asked(trade, {"elicitation": {}})
    assert question["mode"] == "form"


def test_a_client_that_cannot_ask_gets_the_two_steps(trade: Wire) -> None:
    content = place(trade, {})["result"]["structuredContent"]
    assert content["status"] == "needs_confirmation"
    assert content["confirmation_id"].startswith("cnf_")


def test_a_client_that_can_no_longer_ask_has_its_order_dropped(trade: Wire, server: Server) -> None:
    state, _ = asked(trade)
    result = answer(trade, state, None, {})
    assert result["structuredContent"]["note"] == "The user could not be reached. Nothing was sent."
    assert last_order(server)[1] == "cancelled"


def test_the_handshake_era_is_never_asked(trade: Wire) -> None:
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "place_order", "arguments": BUY},
    }
    for version in ("2025-11-25", "2024-11-05"):
        answered = trade.post(json.dumps(body), **{"MCP-Protocol-Version": version}).json()
        assert answered["result"]["structuredContent"]["status"] == "needs_confirmation"


def test_a_refused_order_asks_nothing(trade: Wire) -> None:
    result = place(trade, FORM, BUY | {"quantity": "1000000"})["result"]
    assert result["structuredContent"]["error"]["code"] == "insufficient_funds"


def test_a_client_that_only_opens_pages_is_led_to_the_order_and_then_told_how_it_stands(
    trade: Wire, server: Server
) -> None:
    state, question = asked(trade, URL)
    order_id, _ = last_order(server)
    assert (question["mode"], question["url"]) == ("url", f"{server.url}/orders/{order_id}/")
    content = answer(trade, state, {"action": "accept"}, URL)["structuredContent"]
    assert content["status"] == "awaiting_confirmation"
    assert content["next"].startswith("Nothing was sent. Only the owner can release it, on that page")
    assert last_order(server)[1] == "awaiting_confirmation"
    assert "cnf_" not in str(content)


def test_where_only_the_owner_may_release_the_client_leads_there_and_cannot_confirm(
    trade: Wire, server: Server
) -> None:
    server.query("UPDATE connections_connection SET policy = 'owner_approval'")
    try:
        both: dict[str, Any] = {"elicitation": {"form": {}, "url": {}}}
        state, question = asked(trade, both)
        order_id, _ = last_order(server)
        assert question["url"].endswith(f"/orders/{order_id}/")
        content = answer(trade, state, YES, both)["structuredContent"]
        assert content["status"] == "awaiting_confirmation"
        assert "confirmation_id" not in content
        assert "Only the owner can release it" in content["next"]
        assert last_order(server) == (order_id, "awaiting_confirmation")
        assert answer(trade, state, {"action": "decline"}, both)["structuredContent"]["status"] == "cancelled"
    finally:
        server.query("UPDATE connections_connection SET policy = 'two_step'")


def test_the_state_lives_as_long_as_what_waits_for_its_owner_can_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    principal = Principal(
        user_id=1,
        user_label="",
        source=Source.API_KEY,
        credential_id="",
        app_id=1,
        app_label="",
        paused=False,
        scopes=frozenset({Scope.TRADE}),
        connection_id=1,
        connection_label="",
        connection_paused=False,
        broker="paper",
        broker_settings={},
        environment=Environment.PAPER,
        account_id="",
    )
    boundary = elicitation.boundary(lambda context: principal)
    params: dict[str, Any] = {"name": "place_order", "arguments": BUY}
    first: ServerRequestContext[Any, Any] = ServerRequestContext(
        session=None,  # type: ignore[arg-type]
        lifespan_context={},
        protocol_version="2026-07-28",
        method="tools/call",
        params=params,
    )

    async def question(ctx: Any) -> dict[str, Any]:
        return {"resultType": "input_required", "requestState": "ours"}

    async def seen(ctx: Any) -> dict[str, Any]:
        return {"state": ctx.params["requestState"]}

    sealed: Any = anyio.run(boundary, first, question)
    again = replace(first, params=params | {"requestState": sealed["requestState"]})
    assert anyio.run(boundary, again, seen) == {"state": "ours"}
    day = time.time() + LONGEST_APPROVAL_WAIT
    monkeypatch.setattr(time, "time", lambda: day - 60)
    assert anyio.run(boundary, again, seen) == {"state": "ours"}
    later = day + 1
    monkeypatch.setattr(time, "time", lambda: later)
    with pytest.raises(MCPError, match="requestState"):
        anyio.run(boundary, again, seen)
