"""A host that can show the card of a prepared order is given it; everybody else is told nothing of it."""

import json
from typing import Any

import pytest
from mcp.server import apps

from mcpserver import order_card
from tests.mcpserver.ways import META, Way, call, request, sdk, short  # noqa: F401  fixtures
from tests.mcpserver.wire import MODERN

CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
SHOWS = {"extensions": {"io.modelcontextprotocol/ui": {"mimeTypes": ["text/html;profile=mcp-app"]}}}
PREPARES = {
    *("place_order", "place_batch_orders", "close_position", "reverse_position", "flatten_account", "modify_order"),
}


def send(way: Way, key: str, method: str, params: dict[str, Any], declared: dict[str, Any]) -> Any:
    [reply] = way.send(request(key, MODERN, method, params | {"_meta": META | {CAPABILITIES: declared}}))
    return reply.body["result"]


def cards(tools: list[dict[str, Any]]) -> set[str]:
    return {each["name"] for each in tools if "_meta" in each}


def test_what_prepares_an_order_names_its_card(short: Way, trade_key: str) -> None:  # noqa: F811
    tools = send(short, trade_key, "tools/list", {}, SHOWS)["tools"]
    assert cards(tools) == PREPARES
    place = next(each for each in tools if each["name"] == "place_order")
    assert place["_meta"] == {"ui": {"resourceUri": "ui://tradelatch/order"}}


@pytest.mark.parametrize(
    "declared",
    [
        {},
        {"extensions": {}},
        {"extensions": {"io.modelcontextprotocol/ui": {}}},
        {"extensions": {"io.modelcontextprotocol/ui": {"mimeTypes": ["text/html"]}}},
    ],
)
def test_a_host_that_does_not_say_so_gets_the_plain_list(
    short: Way,  # noqa: F811
    trade_key: str,
    declared: dict[str, Any],
) -> None:
    assert cards(send(short, trade_key, "tools/list", {}, SHOWS)["tools"]) == PREPARES
    assert cards(send(short, trade_key, "tools/list", {}, declared)["tools"]) == set()
    listed = send(short, trade_key, "resources/list", {}, declared)["resources"]
    assert "ui://tradelatch/order" not in [each["uri"] for each in listed]


def test_an_older_host_gets_the_plain_list(short: Way, trade_key: str) -> None:  # noqa: F811
    [reply] = short.send(request(trade_key, "2025-11-25", "tools/list"))
    assert cards(reply.body["result"]["tools"]) == set()


def test_the_card_is_a_page_that_loads_nothing(short: Way, trade_key: str) -> None:  # noqa: F811
    params = {"uri": "ui://tradelatch/order", "name": "ui://tradelatch/order"}
    listed = send(short, trade_key, "resources/list", {}, SHOWS)["resources"]
    assert "ui://tradelatch/order" in [each["uri"] for each in listed]
    body = request(trade_key, MODERN, "resources/read", {"uri": params["uri"]}, mcp_name=params["uri"])
    [reply] = short.send(body)
    [contents] = reply.body["result"]["contents"]
    assert contents["mimeType"] == "text/html;profile=mcp-app"
    assert "csp" not in contents["_meta"]["ui"]
    page = contents["text"]
    assert all(word not in page for word in ("src=", "href=", "fetch(", "innerHTML", "http://", "https://"))


def test_who_may_not_trade_cannot_read_it(short: Way, read_key: str) -> None:  # noqa: F811
    assert cards(send(short, read_key, "tools/list", {}, SHOWS)["tools"]) == set()


def test_the_server_says_that_it_has_cards(short: Way, trade_key: str) -> None:  # noqa: F811
    [reply] = short.send(request(trade_key, MODERN, "server/discover", {}))
    assert reply.body["result"]["capabilities"]["extensions"] == {"io.modelcontextprotocol/ui": {}}


def test_what_the_card_shows_is_in_the_answer(short: Way, trade_key: str) -> None:  # noqa: F811
    order = {"symbol": "BTC/USD", "side": "BUY", "quantity": "0.1"}
    told = send(short, trade_key, "tools/call", call("place_order", order), SHOWS)["structuredContent"]
    assert told["status"] == "needs_confirmation"
    assert {"summary", "estimate", "expires_at", "context"} <= told.keys()
    assert json.dumps(told)


def test_the_names_are_those_of_the_sdk() -> None:
    assert (order_card.EXTENSION_ID, order_card.APP_MIME_TYPE) == (apps.EXTENSION_ID, apps.APP_MIME_TYPE)
