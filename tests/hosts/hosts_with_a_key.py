"""Hosts that are given an API key connect and list the tools. Run by ``make clients``."""

import json

from tests.hosts.conftest import Host
from tests.serving import Server


def bearer(server: Server) -> str:
    return f"Authorization: Bearer {server.quickstart['paper_key_trade']}"


def test_the_inspector_lists_the_tools_and_calls_one(server: Server, host: Host) -> None:
    base = ("--cli", server.mcp_url, "--transport", "http", "--header", bearer(server))
    listed = json.loads(host.run("mcp-inspector", *base, "--method", "tools/list"))
    assert {"place_order", "get_quote"} <= {tool["name"] for tool in listed["tools"]}
    called = json.loads(host.run("mcp-inspector", *base, "--method", "tools/call", "--tool-name", "get_cash"))
    assert called["structuredContent"]["context"]["environment"] == "paper"


def test_the_inspector_speaks_the_modern_era_too(server: Server, host: Host) -> None:
    base = ("--cli", server.mcp_url, "--transport", "http", "--header", bearer(server))
    listed = json.loads(host.run("mcp-inspector", *base, "--protocol-era", "modern", "--method", "tools/list"))
    assert len(listed["tools"]) == 17


def test_claude_code_connects(server: Server, host: Host) -> None:
    host.run("claude", "mcp", "add", "--transport", "http", "tradelatch", server.mcp_url, "--header", bearer(server))
    assert "Connected" in host.run("claude", "mcp", "get", "tradelatch")
    rows = server.query("SELECT last_used_agent FROM connected_apps_connectedapp WHERE name = 'quickstart trade'")
    assert rows, "the app is listed"


def test_mcp_remote_connects(server: Server, host: Host) -> None:
    said = host.run(
        "mcp-remote-client", server.mcp_url, "--allow-http", "--transport", "http-only", "--header", bearer(server)
    )
    assert "Connected successfully" in said
