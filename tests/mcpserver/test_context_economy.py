"""What the list of tools costs a model, in bytes of the answer to tools/list as it goes over HTTP.

The figures: ``python -m pytest tests/mcpserver/test_context_economy.py --log-cli-level=INFO``.
"""

import json
import logging
from typing import Any

import pytest

from console import toolsets
from tests.mcpserver.steps import TRADE_LIST
from tests.mcpserver.wire import Wire
from tests.serving import Server

log = logging.getLogger(__name__)

A_TOOL = 450
READ_LIST = 13_500
ALL_TOOLS = 40_000


@pytest.fixture(scope="module")
def server(shared_server: Server) -> Server:
    return shared_server


def listed(server: Server, key: str) -> tuple[int, list[dict[str, Any]]]:
    """Bytes of the whole answer, and its tools."""
    answer = Wire(server.mcp_url, server.quickstart[key]).rpc("tools/list", {})
    assert answer.status_code == 200
    return len(answer.content), answer.json()["result"]["tools"]


@pytest.mark.parametrize(("key", "most"), [("paper_key_read", READ_LIST), ("paper_key_trade", TRADE_LIST)])
def test_a_list_of_tools_stays_small(server: Server, key: str, most: int) -> None:
    size, tools = listed(server, key)
    log.info("%s: %d tools, %d bytes, %.0f a tool", key, len(tools), size, size / len(tools))
    assert size <= most
    assert size / len(tools) <= A_TOOL


def test_all_tools_together_stay_small() -> None:
    every = toolsets.provided()
    for toolset in toolsets.Toolset:
        inside = [tool for tool in every if tool.toolset is toolset]
        log.info("%s: %d tools, %d bytes", toolset, len(inside), toolsets.size(inside))
    size = toolsets.size(every)
    log.info("all: %d tools, %d bytes, %.0f a tool", len(every), size, size / len(every))
    assert size <= ALL_TOOLS
    assert size / len(every) <= A_TOOL


def test_the_size_an_owner_reads_is_what_is_sent(server: Server) -> None:
    _, tools = listed(server, "paper_key_trade")
    told = {tool.name: tool.listed_bytes for tool in toolsets.provided()}
    for tool in tools:
        sent = len(json.dumps(tool, separators=(",", ":"), ensure_ascii=False).encode()) + 1
        assert sent == told[tool["name"]], tool["name"]


def test_no_description_says_nothing_and_no_value_is_null(server: Server) -> None:
    _, tools = listed(server, "paper_key_trade")
    assert "null" not in json.dumps(tools)
    assert all(15 <= len(tool["description"]) <= 160 for tool in tools)
