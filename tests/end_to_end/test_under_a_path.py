"""The whole server under a path of its host, behind proxies that take the path off and that leave it on."""

import http.client
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from mcp.client.client import Client

from tests import serving
from tests.catalogued import READERS
from tests.end_to_end.sdk_steps import Memory, through_oauth, told
from tests.patience import at_most
from tests.person import Person

BASE = "/desk/one"
AT_THE_ROOT = (
    f"/.well-known/oauth-protected-resource{BASE}/mcp",
    f"/.well-known/oauth-authorization-server{BASE}",
)
"""What docs/operate/deploying.md tells an operator to pass beside the path itself."""
_OURS = re.compile(r'(?:href|src|action|formaction|hx-get|hx-post)="(/[^"]*)"')


@dataclass(slots=True)
class Proxy:
    port: int
    strays: list[str] = field(default_factory=list)
    """Paths of the host that are somebody else's, and were asked for all the same."""

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}{BASE}"


@dataclass(slots=True)
class Reached:
    """An instance as a client of the proxy knows it, for the steps that want a server."""

    proxy: Proxy
    quickstart: dict[str, str]

    @property
    def url(self) -> str:
        return self.proxy.url

    @property
    def mcp_url(self) -> str:
        return f"{self.proxy.url}/mcp"


@pytest.fixture(scope="module", params=["takes the path off", "leaves it on"])
def reached(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reached]:
    behind: list[int] = []
    takes_it_off = request.param == "takes the path off"

    class Handler(BaseHTTPRequestHandler):
        def _pass_on(self) -> None:
            path = self.path.partition("?")[0]
            if path in AT_THE_ROOT:
                target = self.path
            elif path == BASE or path.startswith(f"{BASE}/"):
                target = (self.path.removeprefix(BASE) or "/") if takes_it_off else self.path
            else:
                proxy.strays.append(path)
                self.send_error(404)
                return
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            inner = http.client.HTTPConnection("127.0.0.1", behind[0], timeout=at_most(30))
            headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
            inner.request(self.command, target, body or None, headers)
            answer = inner.getresponse()
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "connection"):
                    self.send_header(name, value)
            self.end_headers()
            while part := answer.read1(65536):
                self.wfile.write(part)
                self.wfile.flush()
            inner.close()

        do_GET = do_POST = do_HEAD = do_OPTIONS = _pass_on

        def log_message(self, format: str, *args: Any) -> None:
            pass

    home: Path = tmp_path_factory.mktemp("path") / "home"
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as front:
        proxy = Proxy(front.server_port)
        threading.Thread(target=front.serve_forever, args=(0.05,), daemon=True).start()
        with serving.serve(home, TRADELATCH_PUBLIC_URL=proxy.url) as server:
            behind.append(server.port)
            yield Reached(proxy, server.quickstart)
        front.shutdown()


@pytest.fixture
def person(reached: Reached) -> Iterator[Person]:
    with Person(reached.url, reached.quickstart["username"], reached.quickstart["password"]) as person:
        yield person


def test_the_sdk_client_finds_its_way_signs_in_and_calls(reached: Reached) -> None:
    async def look(client: Client) -> None:
        assert [tool.name for tool in (await client.list_tools()).tools] == READERS
        assert (await told(client, "get_portfolio"))["context"]["connection"] == "Practice"

    [asked] = through_oauth(reached, Memory(), connection="Practice", scope="mcp:read", use=look)  # type: ignore[arg-type]
    assert asked.startswith(f"{reached.url}/oauth/authorize?")


def test_the_metadata_names_the_path_and_stands_at_the_root_of_the_host(reached: Reached) -> None:
    root = reached.url.removesuffix(BASE)
    refused = httpx2.post(reached.mcp_url, json={}, timeout=at_most(20))
    assert refused.status_code == 401
    assert f'resource_metadata="{root}{AT_THE_ROOT[0]}"' in refused.headers["www-authenticate"]
    resource = httpx2.get(f"{root}{AT_THE_ROOT[0]}", timeout=at_most(20)).json()
    assert (resource["resource"], resource["authorization_servers"]) == (reached.mcp_url, [reached.url])
    issuer = httpx2.get(f"{root}{AT_THE_ROOT[1]}", timeout=at_most(20)).json()
    assert issuer["issuer"] == reached.url
    ends = {value for name, value in issuer.items() if name.endswith("_endpoint")}
    assert ends and all(each.startswith(f"{reached.url}/oauth/") for each in ends)


def test_no_page_leads_out_of_the_path(reached: Reached, person: Person) -> None:
    reached.proxy.strays.clear()
    to_see, seen = [f"{BASE}/", f"{BASE}/no-such-page/"], set[str]()
    out: set[tuple[str, str]] = set()
    while to_see and len(seen) < 60:
        path = to_see.pop(0)
        kind = re.sub(r"\d+", "N", path)
        if kind in seen:
            continue
        seen.add(kind)
        page = person.get(path)
        assert page.status_code in (200, 404), path
        for found in _OURS.findall(page.text):
            if not found.startswith((f"{BASE}/", "//")):
                out.add((path, found))
            elif 'href="' + found in page.text and "/export" not in found and "." not in found:
                to_see.append(found.partition("?")[0].partition("#")[0])
    assert out == set()
    assert len(seen) > 25
    assert reached.proxy.strays == []


def test_cookies_belong_to_the_path(reached: Reached, person: Person) -> None:
    person.get(f"{BASE}/")
    kept = {cookie.name: cookie.path for cookie in person.browser.cookies.jar}
    assert kept and set(kept.values()) == {BASE}


def test_what_is_installed_stays_below_the_path(reached: Reached, person: Person) -> None:
    told = person.get(f"{BASE}/manifest.webmanifest").json()
    assert (told["id"], told["start_url"], told["scope"]) == (f"{BASE}/",) * 3
    assert all(each["src"].startswith(f"{BASE}/static/") for each in told["icons"])
    assert person.browser.get(f"http://localhost:{reached.proxy.port}{told['icons'][0]['src']}").status_code == 200
    worker = person.get(f"{BASE}/push-worker.js")
    assert worker.status_code == 200 and "javascript" in worker.headers["content-type"]


def test_rest_answers_below_the_path_and_describes_it(reached: Reached) -> None:
    key = {"Authorization": f"Bearer {reached.quickstart['paper_key_read']}"}
    answer = httpx2.get(f"{reached.url}/api/v1/activity?limit=1", headers=key, timeout=at_most(20))
    assert answer.status_code == 200
    refused = httpx2.get(f"{reached.url}/api/v1/nothing", headers=key, timeout=at_most(20))
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["type"].startswith(f"{reached.url}/help/errors/")
    told = httpx2.get(f"{reached.url}/api/v1/schema.json", timeout=at_most(20)).json()
    server = told["servers"][0]["url"]
    assert all(urlsplit(server + path).path.startswith(f"{BASE}/api/v1/") for path in told["paths"])


def test_reach_finds_nothing_to_mend(reached: Reached, person: Person) -> None:
    page = person.get(f"{BASE}/operator/reach/")
    found = person.post(f"{BASE}/operator/reach/", page)
    assert found.status_code == 200
    assert found.text.count(">Good<") >= 8 and "Not good" not in found.text, found.text


def test_health_is_asked_of_the_process_itself_with_and_without_the_path(reached: Reached) -> None:
    assert httpx2.get(f"{reached.url}/livez", timeout=at_most(20)).status_code == 200


@pytest.mark.parametrize("path", ["/a b", "/a//b", "/../a", "/a?b", "/a#b", "/."])
def test_a_path_that_cannot_be_one_is_refused_at_start(tmp_path: Path, path: str) -> None:
    ran = serving.manage(tmp_path / "home", 8000, "check", TRADELATCH_PUBLIC_URL=f"https://desk.example.com{path}")
    assert ran.returncode != 0
    assert "TRADELATCH_PUBLIC_URL" in ran.stderr
