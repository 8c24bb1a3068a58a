"""Schemas and results in the form that the strictest hosts and agent frameworks take.

VS Code drops a server's whole list for one array without items; Gemini's and OpenAI's interfaces refuse a choice
without a type; AutoGen 0.7.5, Semantic Kernel 1.45.0 and DSPy 3.4.1 raise on a type that is a list. Some hosts give
their model the text of a result alone, others the structure alone: both must say the same, refusals too.
"""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from console import toolsets
from console.authority import bearer, call_quota
from console.errors import Code, Refusal
from console.toolsets import Toolset
from mcpserver import catalog, pipeline, result_schemas, server
from mcpserver.arguments import base as arguments
from mcpserver.context import ToolCall
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


def test_the_text_of_every_refusal_is_its_structure_and_has_its_page(
    trade_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "close_old_connections", lambda: None)
    monkeypatch.setattr(call_quota, "check", lambda *about, **more: None)
    principal = bearer.authenticate(trade_key)
    for code in Code:

        def refuse(call: ToolCall, code: Code = code) -> dict[str, Any]:
            raise Refusal(
                code,
                'Words with "quotes", a line\nbreak, \u20ac and \u202ehidden ones.',
                field="orders[0].quantity",
                retry_after=1.5,
                order_id="ord_1",
                limit={"limit": "order_notional", "value": "100"},
                candidates=[{"symbol": "ABC", "name": "A, B & C", "exchange": "XNAS"}] * 40,
            )

        tool = catalog.Tool(name="refuse", toolset=Toolset.CORE, about="", run=refuse, returns=dict)
        answer = pipeline.call(principal, "refuse", {}, request_id=uuid.uuid4().hex, find={"refuse": tool}.get)
        result = server.result_of(answer, tool, {})
        (block,) = result.model_dump(mode="json")["content"]
        content = result.structured_content
        assert content is not None and result.is_error
        assert json.loads(block["text"]) == content
        assert list(content) == ["context", "error"]
        assert content["error"]["help"].endswith(f"/help/errors/{code}/")
        jsonschema.validate(content, result_schemas.schema(result_schemas.Failure), jsonschema.Draft202012Validator)


def test_the_items_of_a_batch_name_what_each_order_has() -> None:
    tool = catalog.find("place_batch_orders")
    assert tool is not None
    item = arguments.schema(tool.args)["properties"]["orders"]["items"]
    assert {"symbol", "side", "quantity"} <= item["properties"].keys()
    assert item["required"] == ["symbol", "side"]


def test_no_tool_lists_legs_where_no_broker_takes_them() -> None:
    assert "legs" not in json.dumps([arguments.schema(tool.args) for tool in catalog.TOOLS])
