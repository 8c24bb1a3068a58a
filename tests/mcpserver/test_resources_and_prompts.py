"""Resources, prompts and completion: the same data as the tools, through the same gate, for the same app alone."""

import json
from typing import Any

import pytest

from mcpserver import result_tables
from mcpserver.prompts import PROMPTS
from mcpserver.resources import RESOURCES
from tests.mcpserver.wire import Wire
from tests.serving import Server, manage

SELL_LATER: dict[str, Any] = {
    "symbol": "BTC/USD",
    "side": "BUY",
    "quantity": "0.1",
    "order_type": "LMT",
    "limit_price": "100",
}


@pytest.fixture
def trade(server: Server) -> Wire:
    return Wire(server.mcp_url, server.quickstart["paper_key_trade"])


@pytest.fixture
def read(server: Server) -> Wire:
    return Wire(server.mcp_url, server.quickstart["paper_key_read"])


@pytest.fixture
def stranger(server: Server) -> Wire:
    """A key of somebody else, with a connection of their own."""
    made = manage(server.home, server.port, "shell", "-c", _STRANGER)
    assert made.returncode == 0, made.stderr
    return Wire(server.mcp_url, made.stdout.split()[-1])


_STRANGER = """
from decimal import Decimal
from console import scopes
from console.keys import minting
from console.onboarding.connection_lifecycle import open_paper
owner, made = User.objects.get_or_create(email="oscar@example.com")
connection = owner.connections.first() or open_paper(owner, name="His", starting_cash=Decimal(1000))[0]
print(minting.mint(owner, connection, scopes.parse("mcp:trade"), name="his key")[1])
"""


def read_uri(wire: Wire, uri: str) -> dict[str, Any]:
    answer: dict[str, Any] = wire.rpc("resources/read", {"uri": uri}, name=uri).json()
    return answer


def content(wire: Wire, uri: str) -> dict[str, Any]:
    part = read_uri(wire, uri)["result"]["contents"][0]
    assert (part["uri"], part["mimeType"]) == (uri, "application/json")
    found: dict[str, Any] = result_tables.spread(json.loads(part["text"]))
    assert found["context"]["environment"] == "paper"
    return found


def prepared(wire: Wire) -> str:
    order_id: str = wire.result("place_order", SELL_LATER)["order"]["order_id"]
    return order_id


def test_the_resources_say_what_the_tools_say(read: Wire, trade: Wire) -> None:
    listed = read.rpc("resources/list", {}).json()["result"]
    templates = read.rpc("resources/templates/list", {}).json()["result"]
    assert [each["uri"] for each in listed["resources"]] == [
        "tradelatch://account",
        "tradelatch://orders",
        "tradelatch://guide",
    ]
    assert [each["uriTemplate"] for each in templates["resourceTemplates"]] == [
        "tradelatch://orders/{order_id}",
        "tradelatch://quotes/{+symbol}",
    ]
    assert content(read, "tradelatch://account")["totals"] == read.result("get_portfolio", {})["totals"]
    for uri in ("tradelatch://quotes/BTC/USD", "tradelatch://quotes/BTC%2FUSD"):
        assert content(read, uri)["quotes"][0]["symbol"] == "BTC/USD"
    order_id = prepared(trade)
    assert content(read, f"tradelatch://orders/{order_id}")["order"]["status"] == "awaiting_confirmation"
    assert content(read, "tradelatch://orders")["orders"] == []


def test_the_guide_is_about_this_app_and_instance(read: Wire, trade: Wire, server: Server) -> None:
    for wire, says in ((read, "This app can only read"), (trade, "place_order prepares an order and sends nothing")):
        guide = read_uri(wire, "tradelatch://guide")["result"]["contents"][0]
        assert guide["mimeType"] == "text/markdown"
        assert says in guide["text"]
        assert '"Practice" (paper, practice money on a simulated account)' in guide["text"]
        assert f"{server.url}/apps/" in guide["text"]


@pytest.mark.parametrize(
    "method", ["server/discover", "tools/list", "prompts/list", "resources/list", "resources/templates/list"]
)
def test_lists_may_be_kept_for_a_minute_by_this_app_alone(read: Wire, method: str) -> None:
    result = read.rpc(method, {}).json()["result"]
    assert (result["ttlMs"], result["cacheScope"], result["resultType"]) == (60_000, "private", "complete")


def test_what_is_read_may_not_be_kept(read: Wire) -> None:
    result = read_uri(read, "tradelatch://account")["result"]
    assert (result["ttlMs"], result["cacheScope"]) == (0, "private")


@pytest.mark.parametrize(
    "uri", ["tradelatch://nothing", "file:///etc/passwd", "tradelatch://orders/a/b", "tradelatch://account/", "x" * 400]
)
def test_an_address_of_nothing_is_refused(read: Wire, uri: str) -> None:
    error = read_uri(read, uri)["error"]
    assert error["code"] == -32602
    assert error["data"]["code"] in ("not_found", "invalid_argument")


def test_an_unprintable_character_in_an_address_reaches_no_database(read: Wire) -> None:
    error = read_uri(read, "tradelatch://orders/%00")["error"]
    assert (error["code"], error["data"]["code"]) == (-32602, "invalid_argument")


def test_somebody_elses_order_is_not_there(trade: Wire, stranger: Wire) -> None:
    order_id = prepared(trade)
    error = read_uri(stranger, f"tradelatch://orders/{order_id}")["error"]
    assert (error["code"], error["data"]["code"]) == (-32602, "unknown_order")
    explained = stranger.rpc(
        "prompts/get", {"name": "explain_order", "arguments": {"order_id": order_id}}, name="explain_order"
    ).json()
    assert explained["error"]["data"]["code"] == "unknown_order"
    assert order_id not in complete(stranger, "ref/prompt", "explain_order", "order_id", "ord_")


def test_a_read_leaves_its_row_and_is_refused_to_a_paused_app(read: Wire, server: Server) -> None:
    read_uri(read, "tradelatch://account")
    [(tool, told, outcome)] = server.query("SELECT tool, arguments, outcome FROM audit_call ORDER BY id DESC LIMIT 1")
    assert (tool, json.loads(told), outcome) == ("resources/read", {"uri": "tradelatch://account"}, "ok")
    server.query("UPDATE connected_apps_connectedapp SET paused_at = '2026-01-01 00:00:00'")
    try:
        for answer in (
            read_uri(read, "tradelatch://account"),
            read.rpc("prompts/get", {"name": "review_week"}, name="review_week").json(),
            read.rpc("completion/complete", reference("ref/prompt", "explain_order", "order_id", "")).json(),
        ):
            assert (answer["error"]["code"], answer["error"]["data"]["code"]) == (1000, "app_paused")
    finally:
        server.query("UPDATE connected_apps_connectedapp SET paused_at = NULL")


# -- prompts -----------------------------------------------------------------------------------------------------


def test_every_prompt_names_tools_that_exist_and_says_what_it_takes(trade: Wire) -> None:
    tools = {tool["name"] for tool in trade.rpc("tools/list", {}).json()["result"]["tools"]}
    order_id = prepared(trade)
    given = {
        "morning_brief": {"symbols": "SPY, AAPL"},
        "explain_order": {"order_id": order_id},
        "rebalance_plan": {"targets": "60% SPY, 40% BTC/USD"},
        "review_week": {},
    }
    listed = trade.rpc("prompts/list", {}).json()["result"]["prompts"]
    assert [prompt["name"] for prompt in listed] == [*given]
    for prompt in listed:
        name = prompt["name"]
        assert {argument["name"] for argument in prompt.get("arguments", [])} == set(given[name])
        got = trade.rpc("prompts/get", {"name": name, "arguments": given[name]}, name=name).json()["result"]
        text = got["messages"][0]["content"]["text"]
        named = {word.strip(".,:") for word in text.split() if "_" in word and not word.startswith("ord_")}
        assert named - {"order_id"} <= tools
        assert named
        for value in given[name].values():
            assert value in text


@pytest.mark.parametrize(
    ("name", "arguments", "code"),
    [
        ("nothing", {}, "not_found"),
        ("explain_order", {}, "missing_argument"),
        ("explain_order", {"order_id": "ord_nobody"}, "unknown_order"),
        ("review_week", {"week": "2"}, "unknown_argument"),
        ("rebalance_plan", {"targets": "x" * 500}, "invalid_argument"),
    ],
)
def test_a_prompt_that_makes_no_sense_is_refused(read: Wire, name: str, arguments: dict[str, str], code: str) -> None:
    error = read.rpc("prompts/get", {"name": name, "arguments": arguments}, name=name).json()["error"]
    assert (error["code"], error["data"]["code"]) == (-32602, code)


def test_both_eras_list_and_get_them(read: Wire) -> None:
    def legacy(method: str, params: dict[str, Any]) -> dict[str, Any]:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        result: dict[str, Any] = read.post(body, **{"MCP-Protocol-Version": "2025-06-18"}).json()["result"]
        return result

    assert len(legacy("prompts/list", {})["prompts"]) == len(PROMPTS)
    uris = [each["uri"] for each in legacy("resources/list", {})["resources"]]
    uris += [each["uriTemplate"] for each in legacy("resources/templates/list", {})["resourceTemplates"]]
    assert uris == [each.uri for each in RESOURCES]
    assert "review" in legacy("prompts/get", {"name": "review_week"})["messages"][0]["content"]["text"].lower()
    assert "totals" in legacy("resources/read", {"uri": "tradelatch://account"})["contents"][0]["text"]


# -- completion --------------------------------------------------------------------------------------------------


def reference(kind: str, name: str, argument: str, typed: str) -> dict[str, Any]:
    key = "name" if kind == "ref/prompt" else "uri"
    return {"ref": {"type": kind, key: name}, "argument": {"name": argument, "value": typed}}


def complete(wire: Wire, kind: str, name: str, argument: str, typed: str) -> list[str]:
    answer = wire.rpc("completion/complete", reference(kind, name, argument, typed)).json()
    values: list[str] = answer["result"]["completion"]["values"]
    return values


def test_what_was_begun_is_completed_from_the_own_connection(trade: Wire) -> None:
    order_id = prepared(trade)
    assert complete(trade, "ref/prompt", "explain_order", "order_id", "")[0] == order_id
    assert complete(trade, "ref/resource", "tradelatch://orders/{order_id}", "order_id", order_id[:-1]) == [order_id]
    assert "BTC/USD" in complete(trade, "ref/resource", "tradelatch://quotes/{+symbol}", "symbol", "BTC")
    assert "SPY,AAPL" in complete(trade, "ref/prompt", "morning_brief", "symbols", "SPY,AAP")
    assert complete(trade, "ref/prompt", "rebalance_plan", "targets", "60%") == []
    assert complete(trade, "ref/prompt", "explain_order", "order_id", "\x00") == []


def test_completing_what_is_not_there_is_refused(trade: Wire) -> None:
    for kind, name in (("ref/prompt", "nothing"), ("ref/resource", "tradelatch://nothing")):
        error = trade.rpc("completion/complete", reference(kind, name, "order_id", "")).json()["error"]
        assert (error["code"], error["data"]["code"]) == (-32602, "not_found")
