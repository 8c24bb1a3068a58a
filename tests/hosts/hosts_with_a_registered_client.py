"""Where apps may not register themselves: the guides name the client its owner registered. ``make clients``."""

from collections.abc import Iterator

import pytest

from tests.hosts import guide
from tests.hosts.conftest import Host, consent, return_to
from tests.person import Person
from tests.serving import Server, serve


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("closed") / "home"
    with serve(home, TRADELATCH_SELF_REGISTRATION="off") as started:
        yield started


def register(server: Server, slug: str) -> None:
    """Register the client a guide asks for, with the redirect addresses it gives."""
    addresses = guide.texts(server, slug, "oauth", "value")[0]
    with Person(server.url, server.quickstart["username"], server.quickstart["password"]) as person:
        page = person.get("/clients/new/")
        made = person.post("/clients/new/", page, name=slug, redirect_uris=addresses, scope="trade")
    assert made.status_code in (200, 302, 303), made.text[:2000]


def test_claude_code_signs_in(server: Server, host: Host) -> None:
    register(server, "claude-code")
    add, login, check = guide.commands(server, "claude-code", "oauth")
    assert "YOUR_CLIENT_ID" not in add
    host.run_as_typed(add)
    with host.terminal(*login, "--no-browser") as terminal:
        return_to(consent(server, terminal.authorize_address()))
        assert terminal.ended() == 0, terminal.said
    assert "Connected" in host.run_as_typed(check)


def test_codex_signs_in(server: Server, host: Host) -> None:
    register(server, "codex")
    add, check = guide.commands(server, "codex", "oauth")
    with host.terminal(*add) as terminal:
        return_to(consent(server, terminal.authorize_address()))
        assert terminal.ended() == 0, terminal.said
    assert "OAuth" in host.run_as_typed(check)


def test_mcp_remote_signs_in(server: Server, host: Host) -> None:
    register(server, "mcp-remote")
    started = guide.local_server(server, "mcp-remote", "oauth")
    _, *arguments = host.installed([started["command"], *started["args"]])
    with host.terminal("mcp-remote-client", *arguments) as terminal:
        return_to(consent(server, terminal.authorize_address()))
        assert terminal.ended() == 0, terminal.said
    assert "Connected successfully" in terminal.said
