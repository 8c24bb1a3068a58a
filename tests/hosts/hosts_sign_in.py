"""Hosts complete OAuth by their own command lines: sign-in, consent, and the connection works. ``make clients``."""

import json

import httpx2

from tests.hosts.conftest import Host, consent
from tests.serving import Server


def test_claude_code_signs_in_and_connects(server: Server, host: Host) -> None:
    host.run("claude", "mcp", "add", "--transport", "http", "gw", server.mcp_url)
    with host.terminal("claude", "mcp", "login", "gw", "--no-browser") as terminal:
        address = terminal.authorize_address()
        print(address)
        back = consent(server, address)
        print(back, terminal.said)
        terminal.type(back + "\r")
        code = terminal.ended()
        print(code, terminal.said)
    got = host.run("claude", "mcp", "get", "gw")
    print(got)
    assert "Connected" in got
    print(server.query("SELECT client_id, kind, name, cimd_expires_at, document_fetched_at FROM clients_client"))
    print(server.log)
    assert 0


def test_the_inspector_signs_in_and_lists_the_tools(server: Server, host: Host) -> None:
    with host.terminal(
        "mcp-inspector", "--cli", server.mcp_url, "--transport", "http", "--method", "tools/list"
    ) as terminal:
        address = terminal.authorize_address()
        print(address)
        back = consent(server, address)
        print(back)
        print(httpx2.get(back, timeout=20))
        code = terminal.ended()
        print(code, terminal.said)
    assert 0
