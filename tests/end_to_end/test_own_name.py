"""The whole server under a name of its own: hosts reach /mcp under localhost as well, and are told to sign in right."""

import contextlib
import http.client
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.config.instance_dir import OWN_NAME
from tests import serving
from tests.patience import at_most


@pytest.fixture
def named(tmp_path: Path) -> Iterator[serving.Server]:
    with serving.serve(tmp_path / "home") as server:
        server.kill()
        (server.home / "name").write_text(OWN_NAME)
        server.variables["TRADELATCH_PUBLIC_URL"] = ""  # what the home has is what counts
        server.start()
        yield server


def ask(server: serving.Server, method: str, path: str, host: str, **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=at_most(20))
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}) if method == "POST" else None
    told = {
        "Host": f"{host}:{server.port}",
        "Content-Type": "application/json",
        "Accept": "application/json",
        **headers,
    }
    with contextlib.closing(connection):
        connection.request(method, path, body, told)
        answer = connection.getresponse()
        answer.read()
        return answer


def test_mcp_answers_under_both_names_and_names_the_one_that_was_used(named: serving.Server) -> None:
    key = {"Authorization": f"Bearer {named.quickstart['paper_key_read']}"}
    for host in (OWN_NAME, "localhost", "127.0.0.1"):
        assert ask(named, "POST", "/mcp", host, **key).status == 200
        refused = ask(named, "POST", "/mcp", host)
        assert refused.status == 401
        where = f"http://{host}:{named.port}/.well-known/oauth-protected-resource/mcp"
        assert f'resource_metadata="{where}"' in (refused.getheader("WWW-Authenticate") or "")
        own_page = {"Origin": f"http://{OWN_NAME}:{named.port}"}
        assert ask(named, "POST", "/mcp", host, **key, **own_page).status == 200
    assert ask(named, "POST", "/mcp", "other.localhost", **key).status == 421


def test_its_pages_have_one_name(named: serving.Server) -> None:
    led = ask(named, "GET", "/keys/", "localhost")
    assert (led.status, led.getheader("Location")) == (307, f"http://{OWN_NAME}:{named.port}/keys/")
    assert ask(named, "GET", "/sign-in/", OWN_NAME).status == 200
