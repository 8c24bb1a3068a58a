"""Schemas and results in the form that the strictest hosts and agent frameworks take.

VS Code drops a server's whole list for one array without items; Gemini's and OpenAI's interfaces refuse a choice
without a type; AutoGen 0.7.5, Semantic Kernel 1.45.0 and DSPy 3.4.1 raise on a type that is a list. Some hosts give
their model the text of a result alone, others the structure alone: both must say the same, refusals too.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from console import toolsets
from mcpserver import catalog
from mcpserver.arguments import base as arguments
from tests.mcpserver.wire import Wire
from tests.serving import Server

# Words of JSON Schema that a host is known to refuse, drop or repair.
REFUSED = {"$ref", "$defs", "$schema", "allOf", "anyOf", "oneOf", "not", "if", "const", "patternProperties"}


def nodes(schema: dict[str, Any], where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield where, schema
    for name, each in schema.get("properties", {}).items():
        yield from nodes(each, f"{where}.{name}")
    for word in ("items", "additionalProperties"):
        if isinstance(schema.get(word), dict):
            yield from nodes(schema[word], f"{where}[{word}]")


@pytest.mark.parametrize("tool", catalog.TOOLS, ids=lambda tool: tool.name)
def test_every_node_has_one_type_every_array_items_and_every_object_properties(tool: catalog.Tool) -> None:
    for where, node in nodes(arguments.schema(tool.args), tool.name):
        assert isinstance(node.get("type"), str), where
        assert not REFUSED & node.keys(), where
        if node["type"] == "array":
            assert node.get("items"), where
        if node["type"] == "object" and where != tool.name:
            assert node.get("properties") or isinstance(node.get("additionalProperties"), dict), where
        assert set(node.get("required", ())) <= node.get("properties", {}).keys(), where


def test_every_toolset_is_covered() -> None:
    assert {tool.toolset for tool in catalog.TOOLS} == {tool.toolset for tool in toolsets.provided()}


@pytest.mark.parametrize(
    ("tool", "given"),
    [
        ("get_quote", {"symbols": ["AAPL"]}),
        ("get_quote", {"symbols": ["NOSUCH"]}),
        ("place_order", {"symbol": "AAPL", "side": "BUY"}),
        ("confirm_trade", {"confirmation_id": "cnf_none"}),
        ("get_orders", {"no_such_argument": 1}),
    ],
)
def test_the_text_of_a_result_or_refusal_is_its_structure(server: Server, tool: str, given: dict[str, Any]) -> None:
    result = Wire(server.mcp_url, server.quickstart["paper_key_trade"]).call(tool, given).json()["result"]
    (block,) = result["content"]
    assert block["type"] == "text"
    assert json.loads(block["text"]) == result["structuredContent"]


def test_an_argument_given_as_null_is_an_argument_left_out(server: Server) -> None:
    """mcp-use 1.7.1 sends null for every argument that its model did not name."""
    trade = Wire(server.mcp_url, server.quickstart["paper_key_trade"])
    order = {"symbol": "BTC/USD", "side": "BUY", "quantity": "0.1"}
    empty = dict.fromkeys(arg.name for arg in catalog.ORDER)
    prepared = trade.result("place_order", empty | order)
    assert prepared["status"] == "needs_confirmation"
