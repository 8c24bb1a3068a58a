"""Hosts of ``make hosts`` that sign in from a terminal do so by the commands of their guides."""

from tests.hosts import guide
from tests.hosts.conftest import Host, consent, return_to
from tests.serving import Server


def test_opencode_registers_signs_in_and_connects(server: Server, host: Host) -> None:
    add, login = guide.commands(server, "opencode", "oauth")
    host.run_as_typed(add)
    with host.terminal(*login) as terminal:
        return_to(consent(server, terminal.authorize_address(), scope="mcp:read mcp:trade"))
        assert terminal.ended() == 0, terminal.said
    assert "connected" in host.run("opencode", "mcp", "list")
    apps = server.query("SELECT name, scopes FROM connected_apps_connectedapp WHERE activated_at IS NOT NULL")
    assert ("OpenCode", "mcp:read mcp:trade") in apps
