"""Whatever a caller writes into a call comes back, and onto the pages, with its hidden characters written out."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from console.untrusted_text import find_hidden
from tests.mcpserver.wire import MODERN, Wire
from tests.person import Person
from tests.serving import Server

MARKS = "\u202e\u3164\u2800\U000e0041\ufe0f"
WRITTEN = "\\u202e\\u3164\\u2800\\U000e0041\\ufe0f"


@pytest.fixture(scope="module")
def server(shared_server: Server) -> Server:
    return shared_server


def legacy(wire: Wire, tool: str, arguments: Any) -> Any:
    return wire.post(
        json.dumps(
            {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
        ),
        **{"MCP-Protocol-Version": "2025-06-18"},
    )


def modern(wire: Wire, tool: str, arguments: Any) -> Any:
    meta = {"io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {}}
    params = {"name": tool, "arguments": arguments, "_meta": meta}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call"}
    return wire.post(json.dumps(body), **headers, **({"Mcp-Name": tool} if tool.isascii() else {}))


ERAS: dict[str, Callable[[Wire, str, Any], Any]] = {"before": legacy, "modern": modern}
eras = pytest.mark.parametrize("era", ERAS)


@pytest.fixture
def wire(server: Server) -> Wire:
    return Wire(server.mcp_url, server.quickstart["paper_key_trade"])


def nothing_hidden(text: str) -> None:
    assert not [hex(ord(text[place])) for place in find_hidden(text, lines=True)]


@eras
def test_arguments_are_answered_written_out(era: str, wire: Wire) -> None:
    for tool, arguments in (
        ("get_quote", {"symbols": [f"AAPL{MARKS}"]}),
        ("get_quote", {f"symbols{MARKS}": "AAPL"}),
        ("halt_trading", {"reason": f"Enough{MARKS}"}),
        ("add_journal_note", {"id": "trd_x", "text": f"Sold{MARKS}"}),
    ):
        answer = ERAS[era](wire, tool, arguments)
        told = json.dumps(answer.json(), ensure_ascii=False)
        nothing_hidden(told)
        assert answer.json()["result"]["isError"] is True, told
        for content in answer.json()["result"]["content"]:
            nothing_hidden(json.dumps(json.loads(content["text"]), ensure_ascii=False))


def test_the_name_of_a_tool_is_answered_written_out(wire: Wire) -> None:
    answer = legacy(wire, f"get_accounts{MARKS}", {})
    nothing_hidden(json.dumps(answer.json(), ensure_ascii=False))
    assert answer.json()["error"]["data"]["code"] == "unknown_tool"


def test_no_halt_and_no_note_is_kept_with_one(wire: Wire) -> None:
    told = legacy(wire, "halt_trading", {"reason": "Enough\u3164"}).json()["result"]["structuredContent"]["error"]
    assert (told["code"], told["field"]) == ("invalid_argument", "reason")
    assert told["message"] == "reason has an invisible character: \\u3164."


def test_the_activity_page_and_its_json_write_them_out_and_cut_long_names(server: Server, wire: Wire) -> None:
    legacy(wire, f"get_accounts{MARKS}", {f"key{MARKS}": f"value{MARKS}"})
    legacy(wire, "x" * 4000, {})
    with Person(server.url, server.quickstart["username"], server.quickstart["password"]) as person:
        listed = person.get("/timeline/").text
        nothing_hidden(listed)
        assert f"get_accounts{WRITTEN}" in listed
        assert "x" * 63 + "…" in listed and "x" * 65 not in listed
        found = re.search(rf'href="?(/activity/req_\w+/)[^>]*>[^<]*get_accounts{re.escape(WRITTEN)}', listed)
        assert found is not None
        page = person.get(found[1]).text
        nothing_hidden(page)
        assert f"value{WRITTEN}".replace("\\", "\\\\") in page, "as JSON"
        told = person.get("/api/v1/activity").text
        nothing_hidden(json.dumps(json.loads(told), ensure_ascii=False))
