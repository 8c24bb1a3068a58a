"""The authorization scenarios of the MCP conformance suite pass. Run by ``make conformance``."""

import json
from pathlib import Path

import httpx2

from tests.hosts.conftest import Host, consent, return_to
from tests.serving import Server

_PORT = "3199"


def test_the_authorization_server_conforms(server: Server, host: Host, tmp_path: Path) -> None:
    registered = httpx2.post(
        f"{server.url}/oauth/register",
        json={
            "client_name": "Conformance",
            "redirect_uris": [f"http://127.0.0.1:{_PORT}/callback"],
            "token_endpoint_auth_method": "none",
        },
    )
    assert registered.status_code == 201, registered.text
    results = tmp_path / "results"
    arguments = (
        *("--url", server.url, "--client-id", registered.json()["client_id"], "--resource", server.mcp_url),
        *("-p", _PORT, "-o", str(results)),
    )
    with host.terminal("conformance", "authorization", *arguments) as terminal:
        return_to(consent(server, terminal.authorize_address()))
        assert terminal.ended() == 0, terminal.said
        assert "authorization-server-metadata-endpoint: 2 passed, 0 failed" in terminal.said
        assert "authorization-code-grant: 1 passed, 0 failed" in terminal.said
    checks = [check for file in results.rglob("checks.json") for check in json.loads(file.read_text())]
    assert [check["status"] for check in checks] == ["SUCCESS"] * 3, "not so much as a warning"
