"""Hosts complete OAuth by the commands of their setup guides: sign-in, consent, and it works. ``make clients``."""

import json
from typing import Any

from tests.catalogued import READERS
from tests.hosts import guide
from tests.hosts.conftest import Host, consent, return_to
from tests.serving import Server


def answer_in(said: str) -> Any:
    """The JSON at the end of what a host said, after what it said to the person."""
    before, brace, answer = said.replace("\r\n", "\n").partition("\n{")
    assert brace, before
    return json.loads("{" + answer)


def apps(server: Server, name: str) -> list[tuple[str, str, bool]]:
    """Kind of client, scopes and whether tokens were issued, of the connected apps of this name."""
    return server.query(
        "SELECT client.kind, app.scopes, app.activated_at IS NOT NULL FROM connected_apps_connectedapp app"
        " JOIN clients_client client ON client.id = app.client_id WHERE app.name = ?",
        name,
    )


def test_claude_code_signs_in_by_its_metadata_document_and_connects(server: Server, host: Host) -> None:
    add, login, check = guide.commands(server, "claude-code", "oauth")
    host.run_as_typed(add)
    assert "Needs authentication" in host.run_as_typed(check)
    with host.terminal(*login, "--no-browser") as terminal:
        address = terminal.authorize_address()
        assert "client_id=https%3A%2F%2Fclaude.ai%2Foauth%2Fclaude-code-client-metadata&" in address
        # Nobody's browser is on this computer: the person pastes the address that theirs could not open.
        terminal.type(consent(server, address) + "\r")
        assert terminal.ended() == 0, terminal.said
    assert "Connected" in host.run_as_typed(check)
    assert ("document", "mcp:read", True) in apps(server, "Claude Code")


def test_claude_code_waits_at_its_callback_too(server: Server, host: Host) -> None:
    add, login, check = guide.commands(server, "claude-code", "oauth")
    host.run_as_typed(add)
    with host.terminal(*login, "--no-browser") as terminal:
        return_to(consent(server, terminal.authorize_address(), scope="mcp:read mcp:trade"))
        assert terminal.ended() == 0, terminal.said
    assert "Connected" in host.run_as_typed(check)
    assert ("document", "mcp:read mcp:trade", True) in apps(server, "Claude Code")


def test_the_inspector_registers_signs_in_and_lists_the_tools(server: Server, host: Host) -> None:
    (list_,) = guide.commands(server, "inspector", "oauth")
    with host.terminal(*host.installed(list_)) as terminal:
        return_to(consent(server, terminal.authorize_address()))
        assert terminal.ended() == 0, terminal.said
    names = {tool["name"] for tool in answer_in(terminal.said)["tools"]}
    assert names == set(READERS) and "get_quote" in names and "place_order" not in names
    assert ("dynamic", "mcp:read", True) in apps(server, "MCP Inspector")


def test_fastmcp_registers_signs_in_and_calls_a_tool(server: Server, host: Host) -> None:
    _, call = guide.commands(server, "python", "oauth")
    # A browser that is no more than told the address; fastmcp listens at its callback after that.
    with host.terminal(*call, BROWSER="echo %s") as terminal:
        return_to(consent(server, terminal.authorize_address()))
        assert terminal.ended() == 0, terminal.said
    called = answer_in(terminal.said)
    assert called["structured_content"]["context"]["environment"] == "paper"
    assert called["structured_content"]["context"]["connection"] == "Practice"
    assert ("dynamic", "mcp:read", True) in apps(server, "FastMCP Client")


def test_codex_signs_in_as_far_as_it_goes_without_an_account(server: Server, host: Host) -> None:
    add, check = guide.commands(server, "codex", "oauth")
    with host.terminal(*add) as terminal:
        return_to(consent(server, terminal.authorize_address()))
        assert terminal.ended() == 0, terminal.said
    assert "Successfully logged in" in terminal.said
    assert "OAuth" in host.run_as_typed(check)
    assert ("document", "mcp:read", True) in apps(server, "Codex")
