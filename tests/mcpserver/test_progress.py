"""A call that takes long tells how far it is, to a client that asked, in both eras; the answer comes all the same."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests import serving
from tests.mcpserver.wire import Wire

TOOL = "test_tool_with_progress"


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    home = tmp_path_factory.mktemp("progress") / "home"
    with serving.serve(home, app="tests.hosts.conformance_app:application") as server:
        yield Wire(server.mcp_url, server.quickstart["paper_key_read"])


def frames(answer: httpx2.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream"), answer.text
    return [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]


def told(messages: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [
        (message["params"]["progressToken"], message["params"]["progress"], message["params"]["total"])
        for message in messages
        if message.get("method") == "notifications/progress"
    ]


def legacy(wire: Wire, meta: dict[str, Any], **headers: str) -> httpx2.Response:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": TOOL, "arguments": {}, "_meta": meta}}
    return wire.post(json.dumps(body), **{"MCP-Protocol-Version": "2025-06-18"}, **headers)


def test_who_gave_a_token_is_told_in_both_eras(wire: Wire) -> None:
    for answer in (
        wire.rpc("tools/call", {"name": TOOL, "arguments": {}}, name=TOOL, progressToken="mine"),
        legacy(wire, {"progressToken": "mine"}),
    ):
        messages = frames(answer)
        assert told(messages) == [("mine", 0, 100), ("mine", 50, 100), ("mine", 100, 100)]
        assert messages[-1]["result"]["content"][0]["text"] == "done"


def test_a_screen_over_bars_tells_how_far_it_is(server: serving.Server) -> None:
    wire = Wire(server.mcp_url, server.quickstart["paper_key_read"])
    arguments = {"filters": [{"field": "rsi_14", "op": ">", "value": "1"}], "asset_class": "stock"}
    params = {"name": "screen_securities", "arguments": arguments}
    messages = frames(wire.rpc("tools/call", params, name="screen_securities", progressToken="s"))
    screened = messages[-1]["result"]["structuredContent"]["screened"]
    assert told(messages) == [("s", number, screened) for number in range(1, screened + 1)]


def test_who_gave_none_is_not_told(wire: Wire) -> None:
    answer = wire.rpc("tools/call", {"name": TOOL, "arguments": {}}, name=TOOL)
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["result"]["content"][0]["text"] == "done"
    assert told(frames(legacy(wire, {}))) == []


def test_a_client_that_reads_no_streams_gets_the_answer_alone(wire: Wire) -> None:
    plain = {"Accept": "application/json"}
    answer = legacy(wire, {"progressToken": 1}, **plain)
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["result"]["content"][0]["text"] == "done"
    modern = Wire(wire.url, None)
    modern.headers = wire.headers | plain
    answer = modern.rpc("tools/call", {"name": TOOL, "arguments": {}}, name=TOOL, progressToken=1)
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["result"]["content"][0]["text"] == "done"
