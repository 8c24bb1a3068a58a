"""Hosts that are given an API key, by the commands of their setup guides, connect. Run by ``make clients``."""

import json

import pytest

from tests.catalogued import ALL
from tests.cli.command import COMMAND
from tests.hosts import guide
from tests.hosts.conftest import Host
from tests.serving import REPOSITORY, Server


def test_the_inspector_lists_the_tools_and_calls_one(server: Server, host: Host) -> None:
    list_, call = guide.commands(server, "inspector", "key")
    listed = json.loads(host.run_as_typed(list_))
    assert {"place_order", "get_quote"} <= {tool["name"] for tool in listed["tools"]}
    called = json.loads(host.run_as_typed(call))
    assert called["structuredContent"]["context"]["environment"] == "paper"


def test_the_inspector_speaks_the_modern_era_too(server: Server, host: Host) -> None:
    list_, _ = guide.commands(server, "inspector", "key")
    listed = json.loads(host.run_as_typed([*list_, "--protocol-era", "modern"]))
    assert [tool["name"] for tool in listed["tools"]] == ALL


def test_claude_code_connects(server: Server, host: Host) -> None:
    add, check = guide.commands(server, "claude-code", "key")
    host.run_as_typed(add)
    assert "Connected" in host.run_as_typed(check)
    rows = server.query("SELECT last_used_agent FROM connected_apps_connectedapp WHERE name = 'quickstart trade'")
    assert rows, "the app is listed"


def test_mcp_remote_connects(server: Server, host: Host) -> None:
    started = guide.local_server(server, "mcp-remote", "key")
    assert started["args"][:2] == ["-y", "mcp-remote"]
    said = host.run("mcp-remote-client", *started["args"][2:], **started["env"])
    assert "Connected successfully" in said


def test_codex_reads_the_file_of_its_guide(server: Server, host: Host) -> None:
    settings = host.home / ".codex" / "config.toml"
    settings.parent.mkdir()
    settings.write_text(guide.file(server, "codex", "key"))
    export, check = guide.commands(server, "codex", "key")
    variable, _, key = export[1].partition("=")
    listed = host.run_as_typed(check, **{variable: key})
    assert server.mcp_url in listed
    assert variable in listed and "Bearer token" in listed, listed


def test_the_python_program_runs(server: Server, host: Host) -> None:
    _, export = guide.commands(server, "python", "key")
    variable, _, key = export[1].partition("=")
    program = host.home / "program.py"
    program.write_text(guide.file(server, "python", "key"))
    said = host.run_python(program, **{variable: key})
    assert "'environment': 'paper'" in said


@pytest.mark.parametrize("way", ["key", "file"])
def test_claude_code_starts_the_local_server(server: Server, host: Host, way: str) -> None:
    started = guide.local_server(server, "stdio", way)
    started["command"], *first = COMMAND
    started["args"] = [*first, *started["args"]]
    started["env"] = {"PYTHONPATH": str(REPOSITORY)} | started.get("env", {})
    if way == "file":
        secret = host.home / "key"
        secret.write_text(server.quickstart["paper_key_trade"])
        secret.chmod(0o600)
        started["args"][-1] = str(secret)
    host.run("claude", "mcp", "add-json", "local", json.dumps({"type": "stdio"} | started))
    assert "Connected" in host.run("claude", "mcp", "get", "local")
