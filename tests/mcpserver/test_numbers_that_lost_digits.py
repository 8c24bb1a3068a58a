"""A JSON number with more digits than it keeps is refused at every argument that takes one, with what to do instead."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from console.errors import Refusal
from mcpserver import catalog
from mcpserver.arguments import base as arguments
from mcpserver.arguments.base import Amount, Arg, InexactNumber
from mcpserver.arguments.types import Amounts, Filters, OrderItems
from tests.mcpserver.wire import Wire
from tests.serving import Server

LOST = "0.1000000000000000055511151231257827"
ORDER = {"symbol": "BTC/USD", "side": "BUY"}


@pytest.fixture(scope="module")
def server(shared_server: Server) -> Server:
    return shared_server


@pytest.fixture
def trade(server: Server) -> Wire:
    return Wire(server.mcp_url, server.quickstart["paper_key_trade"])


def refused(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    error: dict[str, Any] = answer.json()["result"]["structuredContent"]["error"]
    return error


def send(trade: Wire, tool: str, given: str, era: str | None) -> Any:
    meta, headers = "", {}
    if era is not None:
        envelope = {
            "io.modelcontextprotocol/protocolVersion": era,
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "wire", "version": "1"},
        }
        meta = f',"_meta":{json.dumps(envelope)}'
        headers = {"MCP-Protocol-Version": era, "Mcp-Method": "tools/call", "Mcp-Name": tool}
    body = f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}","arguments":{given}{meta}}}}}'
    return trade.post(body, **headers)


# preview_order is answered on the short way, place_order by the SDK, which reads numbers again by itself.
@pytest.mark.parametrize("era", [None, "2026-07-28"])
@pytest.mark.parametrize("tool", ["preview_order", "place_order"])
@pytest.mark.parametrize("number", [LOST, "1234567890123.4567", "12345678901234567", "1e-400"])
def test_an_amount_is_refused_and_nothing_is_prepared(trade: Wire, tool: str, era: str | None, number: str) -> None:
    error = refused(send(trade, tool, json.dumps(ORDER)[:-1] + f',"quantity":{number}}}', era))
    assert (error["code"], error["field"]) == ("invalid_argument", "quantity")
    assert "more digits than a JSON number keeps; send it as text" in error["message"]
    assert trade.result("get_pending_confirmations", {})["pending"] == []


def test_the_same_as_text_and_a_number_that_keeps_all_are_taken(trade: Wire) -> None:
    for number in ('"0.1000000000000000055511151231257827"', "0.1", "1e-3", "1.50", "2"):
        answer = send(trade, "preview_order", json.dumps(ORDER)[:-1] + f',"quantity":{number}}}', None)
        assert "error" not in json.dumps(answer.json()) or "digits" not in answer.text, number


def numeric() -> Iterator[tuple[str, Arg]]:
    for tool in catalog.TOOLS:
        for arg in tool.args:
            if isinstance(arg, Amount | Amounts | Filters):
                yield f"{tool.name}.{arg.name}", arg
            if isinstance(arg, OrderItems):
                yield from ((f"{tool.name}.{each.name}", each) for each in arg.args if isinstance(each, Amount))


@pytest.mark.parametrize(("name", "arg"), list(numeric()))
def test_every_argument_that_takes_a_number_refuses_it(name: str, arg: Arg) -> None:
    lost = arguments.parse_number(LOST)
    assert isinstance(lost, InexactNumber)
    given: Any = lost
    if isinstance(arg, Amounts):
        given = {arg.names[0]: lost}
    elif isinstance(arg, Filters):
        given = [{"field": arg.fields[0], "op": ">", "value": lost}]
    with pytest.raises(Refusal):
        arg.parse(given)
