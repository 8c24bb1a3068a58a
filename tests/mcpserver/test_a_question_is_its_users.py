"""While users are asked in their client, no tool or REST endpoint tells the confirmation or redeems it: they do,
once.
"""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.mcpserver.wire import Wire
from tests.patience import at_most
from tests.serving import ANSWERED_BY_A_PERSON, Server

SERVER_VARIABLES = ANSWERED_BY_A_PERSON
BUY: dict[str, Any] = {"symbol": "BTC/USD", "side": "BUY", "quantity": "0.01"}
RESTS = BUY | {"order_type": "LMT", "limit_price": "100", "tif": "GTC"}
FORM: dict[str, Any] = {"elicitation": {"form": {}}}
URL: dict[str, Any] = {"elicitation": {"url": {}}}
YES: dict[str, Any] = {"action": "accept", "content": {"send": True}}
LEGACY = ("2025-11-25", "2024-11-05")


@pytest.fixture
def trade(server: Server) -> Wire:
    return Wire(server.mcp_url, server.quickstart["paper_key_trade"])


@pytest.fixture(autouse=True)
def by_the_assistant(server: Server) -> Iterator[None]:
    yield
    server.query("UPDATE connections_connection SET policy = 'two_step'")


def ask(trade: Wire, tool: str, arguments: dict[str, Any], capabilities: dict[str, Any] = FORM, **more: Any) -> Any:
    params = {"name": tool, "arguments": arguments} | more
    return trade.rpc("tools/call", params, name=tool, capabilities=capabilities).json()["result"]


def done(trade: Wire, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Asked and answered with a yes."""
    asked = ask(trade, tool, arguments)
    assert asked["resultType"] == "input_required", asked
    again = ask(trade, tool, arguments, requestState=asked["requestState"], inputResponses={"order": YES})
    content: dict[str, Any] = again["structuredContent"]
    return content


def legacy(trade: Wire, version: str, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
    content: dict[str, Any] = trade.post(json.dumps(body), **{"MCP-Protocol-Version": version}).json()["result"][
        "structuredContent"
    ]
    return content


def rest(server: Server, method: str, path: str, body: Any = None) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {server.quickstart['paper_key_trade']}"}
    return httpx2.request(method, f"{server.url}/api/v1{path}", json=body, headers=headers, timeout=at_most(30))


def newest(server: Server) -> tuple[str, str]:
    """The public id of the newest confirmation, and whose yes it takes."""
    [found] = server.query("SELECT public_id, redeemer FROM orders_confirmation ORDER BY id DESC LIMIT 1")
    return found


def is_used(server: Server) -> bool:
    [[at]] = server.query("SELECT redeemed_at FROM orders_confirmation ORDER BY id DESC LIMIT 1")
    return at is not None


def nobody_else_redeems_it(server: Server, trade: Wire, code: str = "user_is_asked") -> None:
    confirmation_id, _ = newest(server)
    given = {"confirmation_id": confirmation_id}
    assert trade.refusal("confirm_trade", given)["code"] == code
    for version in LEGACY:
        assert legacy(trade, version, "confirm_trade", given)["error"]["code"] == code
    answer = rest(server, "POST", "/orders/confirm", given)
    assert (answer.status_code, answer.json()["code"]) == (403, code)
    assert not is_used(server)


def nobody_lists_it(server: Server, trade: Wire) -> None:
    confirmation_id, _ = newest(server)
    [[order_id]] = server.query("SELECT public_id FROM orders_order ORDER BY id DESC LIMIT 1")
    told: list[object] = [
        trade.result("get_pending_confirmations", {}),
        *(legacy(trade, version, "get_pending_confirmations", {}) for version in LEGACY),
        trade.result("get_orders", {"status": "awaiting_confirmation"}),
        trade.result("get_orders", {"status": "all"}),
        trade.result("get_order_status", {"order_id": order_id}),
        rest(server, "GET", "/orders").text,
        rest(server, "GET", f"/orders/{order_id}").text,
        rest(server, "GET", "/activity").text,
        trade.rpc("resources/list", {}).text,
        trade.rpc(
            "resources/read", {"uri": f"tradelatch://orders/{order_id}"}, name=f"tradelatch://orders/{order_id}"
        ).text,
    ]
    assert confirmation_id not in str(told)


def position_and_order(trade: Wire, server: Server) -> str:
    """Something to close and something to change."""
    done(trade, "place_order", BUY)
    order_id: str = done(trade, "place_order", RESTS)["order"]["order_id"]
    return order_id


@pytest.mark.parametrize(
    "tool",
    ["place_order", "place_batch_orders", "close_position", "reverse_position", "flatten_account", "modify_order"],
)
def test_only_the_answer_redeems_what_the_user_is_asked_about(trade: Wire, server: Server, tool: str) -> None:
    order_id = position_and_order(trade, server)
    arguments: dict[str, Any] = {
        "place_order": BUY,
        "place_batch_orders": {"orders": [BUY, RESTS]},
        "close_position": {"symbol": "BTC/USD"},
        "reverse_position": {"symbol": "BTC/USD"},
        "flatten_account": {},
        "modify_order": {"order_id": order_id, "limit_price": "101"},
    }[tool]
    asked = ask(trade, tool, arguments)
    if asked.get("isError"):
        assert asked["structuredContent"]["error"]["code"] in ("insufficient_position", "not_offered_by_broker"), asked
        return
    assert newest(server)[1] == "user"
    nobody_lists_it(server, trade)
    nobody_else_redeems_it(server, trade)
    again = ask(trade, tool, arguments, requestState=asked["requestState"], inputResponses={"order": YES})
    assert "error" not in again["structuredContent"], again
    assert is_used(server)
    twice = ask(trade, tool, arguments, requestState=asked["requestState"], inputResponses={"order": YES})
    assert twice["structuredContent"]["error"]["code"] == "confirmation_used"


@pytest.mark.parametrize("endpoint", ["another client", *LEGACY, "REST"])
def test_asking_for_the_same_order_by_another_endpoint_tells_no_confirmation(
    trade: Wire, server: Server, endpoint: str
) -> None:
    named = BUY | {"client_order_id": f"asked-{endpoint.replace(' ', '-')}"}
    asked = ask(trade, "place_order", named)
    if endpoint == "REST":
        told = rest(server, "POST", "/orders", named).json()
        assert told["confirmation"] is None
    else:
        told = (
            trade.result("place_order", named)
            if endpoint == "another client"
            else legacy(trade, endpoint, "place_order", named)
        )
        assert told["status"] == "needs_answer"
    assert newest(server)[0] not in str(told)
    nobody_else_redeems_it(server, trade)
    again = ask(trade, "place_order", named, requestState=asked["requestState"], inputResponses={"order": YES})
    assert again["structuredContent"]["status"] == "filled"


def test_a_confirmation_that_the_app_holds_is_worth_nothing_once_its_user_is_asked(trade: Wire, server: Server) -> None:
    named = BUY | {"client_order_id": "held-then-asked"}
    held = trade.result("place_order", named)["confirmation_id"]
    asked = ask(trade, "place_order", named)
    assert asked["resultType"] == "input_required"
    assert newest(server) == (held, "user")
    nobody_lists_it(server, trade)
    nobody_else_redeems_it(server, trade)


def test_a_question_that_nobody_answers_lapses_and_cannot_be_redeemed(trade: Wire, server: Server) -> None:
    asked = ask(trade, "place_order", BUY)
    server.query("UPDATE orders_confirmation SET expires_at = '2020-01-01 00:00:00' WHERE redeemed_at IS NULL")
    again = ask(trade, "place_order", BUY, requestState=asked["requestState"], inputResponses={"order": YES})
    assert again["structuredContent"]["error"]["code"] == "confirmation_expired"


def test_an_app_may_still_take_its_own_question_back(trade: Wire, server: Server) -> None:
    ask(trade, "place_order", BUY)
    [[order_id]] = server.query("SELECT public_id FROM orders_order ORDER BY id DESC LIMIT 1")
    assert trade.result("cancel_order", {"order_id": order_id})["status"] == "cancelled"


def test_where_a_page_asks_the_owner_decides_there_and_no_call_does(trade: Wire, server: Server) -> None:
    asked = ask(trade, "place_order", BUY, URL)
    assert newest(server)[1] == "owner"
    nobody_lists_it(server, trade)
    nobody_else_redeems_it(server, trade, "approval_required")
    opened = {"requestState": asked["requestState"], "inputResponses": {"order": {"action": "accept"}}}
    told = ask(trade, "place_order", BUY, URL, **opened)["structuredContent"]
    assert told["status"] == "awaiting_confirmation"
    assert "cnf_" not in str(told)
    nobody_else_redeems_it(server, trade, "approval_required")


def test_a_no_to_a_change_that_waits_for_the_owner_ends_the_change_alone(trade: Wire, server: Server) -> None:
    order_id = done(trade, "place_order", RESTS)["order"]["order_id"]
    server.query("UPDATE connections_connection SET policy = 'owner_approval'")
    arguments = {"order_id": order_id, "limit_price": "102"}
    asked = ask(trade, "modify_order", arguments, URL)
    no = {"requestState": asked["requestState"], "inputResponses": {"order": {"action": "decline"}}}
    assert ask(trade, "modify_order", arguments, URL, **no)["structuredContent"]["status"] == "discarded"
    order = trade.result("get_order_status", {"order_id": order_id})["order"]
    assert (order["status"], order["limit_price"]) == ("working", "100")


def test_a_form_cannot_ask_for_what_only_the_owner_releases(trade: Wire, server: Server) -> None:
    server.query("UPDATE connections_connection SET policy = 'owner_approval'")
    told = ask(trade, "place_order", BUY, FORM)["structuredContent"]
    assert told["status"] == "needs_approval"
    assert "cnf_" not in str(told)
    assert trade.result("get_pending_confirmations", {})["pending"] == []
    nobody_else_redeems_it(server, trade, "approval_required")
