"""A host name that is not ours is told as what it is, at every endpoint, with one line in the log and no trace."""

import httpx2
import pytest

from console import host_names
from console.help import error_links
from tests.patience import at_most
from tests.serving import Server, until

FOREIGN = "192.168.1.20:8730"
ENDPOINTS = {
    "/": 400,
    "/sign-in/": 400,
    "/api/v1/orders": 400,
    "/oauth/token": 400,
    "/.well-known/oauth-authorization-server": 400,
    "/mcp": 421,
}


@pytest.fixture(scope="module")
def server(shared_server: Server) -> Server:
    return shared_server


@pytest.mark.parametrize("path", ENDPOINTS)
def test_a_foreign_host_name_is_named_beside_the_setting_and_our_address(server: Server, path: str) -> None:
    for method in ("GET", "POST"):
        answer = httpx2.request(method, server.url + path, headers={"Host": FOREIGN}, timeout=at_most(10))
        assert answer.status_code == ENDPOINTS[path]
        for named in (FOREIGN, "TRADELATCH_PUBLIC_URL", server.url):
            assert named in answer.text, (path, named)
        kind = answer.headers["content-type"].partition(";")[0]
        if path.startswith("/api/"):
            assert (kind, answer.json()["code"]) == ("application/problem+json", "invalid_request")
            assert answer.json()["type"] == f"{server.url}{error_links.PATH}invalid_request/"
        elif path.startswith(("/oauth/", "/.well-known/")):
            assert (kind, answer.json()["error"]) == ("application/json", "invalid_request")
            assert answer.json()["error_uri"] == f"{server.url}{error_links.PATH}invalid_request/"


def test_the_page_has_its_looks_and_its_policy(server: Server) -> None:
    page = httpx2.get(server.url + "/sign-in/", headers={"Host": FOREIGN}, timeout=at_most(10))
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"
    sheet = httpx2.get(server.url + "/static/console/app.css", headers={"Host": FOREIGN}, timeout=at_most(10))
    assert (sheet.status_code, sheet.headers["content-type"].partition(";")[0]) == (200, "text/css")


def test_the_log_has_one_line_for_a_name_however_often_it_is_asked_for(server: Server) -> None:
    for path in (*ENDPOINTS, *ENDPOINTS):
        httpx2.get(server.url + path, headers={"Host": "tl.lan"}, timeout=at_most(10))
    until(lambda: "'tl.lan'" in server.log, seconds=5, what="the line is written")
    lines = [line for line in server.log.splitlines() if "tl.lan" in line]
    assert len(lines) == 1
    assert f"TRADELATCH_PUBLIC_URL is {server.url}" in lines[0]
    assert "Traceback" not in server.log and "ALLOWED_HOSTS" not in server.log


def test_names_without_end_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    host_names._said.clear()
    for number in range(60):
        host_names.log_foreign_host(f"{number}.example", "203.0.113.7")
    assert len(caplog.records) == 20
    host_names._said.clear()


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "a" * 5000, "<b>x</b>", "a b", "[::1"])
def test_any_text_as_a_host_name_is_only_text(server: Server, host: str) -> None:
    answer = httpx2.get(server.url + "/sign-in/", headers={"Host": host}, timeout=at_most(10))
    assert answer.status_code == 400
    assert "<b>x" not in answer.text
    assert "a" * 200 not in answer.text
    assert "Traceback" not in server.log


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_our_own_names_are_answered_and_lead_to_the_first(server: Server, host: str) -> None:
    answer = httpx2.get(
        server.url + "/sign-in/", headers={"Host": f"{host}:{server.port}"}, follow_redirects=False, timeout=at_most(10)
    )
    own = f"{host}:{server.port}" == server.url.removeprefix("http://")
    assert answer.status_code == (200 if own else 307)
    assert own or answer.headers["Location"] == f"{server.url}/sign-in/"
