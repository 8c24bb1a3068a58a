"""X-Forwarded-For is believed from the proxies that the operator named, and what is no address is taken for none."""

from typing import Any

import anyio
import httpx2
import pytest
import uvicorn
from django.test import Client as Browser
from starlette.types import ASGIApp, Receive, Scope, Send

from console import ip_addresses, processes, trusted_proxies
from console.accounts.models import User
from console.connections.models import Connection
from console.keys import minting
from console.scopes import Scope as May
from tests import serving
from tests.conftest import PASSWORD
from tests.console.api.rest import Rest
from tests.patience import at_most
from tests.secrets.known import keep

ODD = ["a:b", "fe80::1%eth0:x", "203.0.113.7:80", "\u0661.2.3.4", "x" * 300, "", "unknown", "[::1]", "1.2.3.4, 5.6.7.8"]
BOUND = """
from console.connections.models import Connection
from console.keys import minting
from console.scopes import Scope
connection = Connection.objects.first()
bound = minting.mint(connection.owner, connection, frozenset({Scope.READ}), name="bound", networks=["203.0.113.7/32"])
print(bound[1])
"""


def met(named: list[str], client: tuple[str, int] | None, **headers: str) -> tuple[Any, str]:
    """Who the app behind sees, and by which scheme."""
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    lines = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    scope = {"type": "http", "scheme": "http", "client": client, "headers": lines}

    async def receive() -> Any:
        raise AssertionError("nothing is read")

    async def send(message: Any) -> None:
        raise AssertionError("nothing is sent")

    served: ASGIApp = trusted_proxies.with_proxies(named, trusted_proxies.with_proxies(named, app))
    anyio.run(served, scope, receive, send)
    [found] = seen
    return found["client"] and found["client"][0], found["scheme"]


def test_nobody_is_believed_unless_named() -> None:
    forwarded = {"x_forwarded_for": "203.0.113.7", "x_forwarded_proto": "https"}
    for named in ([], ["10.0.0.0/8"]):
        for peer in ("127.0.0.1", "::1", "192.0.2.1"):
            assert met(named, (peer, 5000), **forwarded) == (peer, "http")


def test_a_named_proxy_is_believed_for_the_last_address_that_is_no_proxy() -> None:
    forwarded = {"x_forwarded_for": "198.51.100.1, 203.0.113.7, 10.0.0.2", "x_forwarded_proto": "https"}
    assert met(["127.0.0.1", "10.0.0.0/8"], ("127.0.0.1", 5000), **forwarded) == ("203.0.113.7", "https")


@pytest.mark.parametrize("named", [[], ["127.0.0.1"]])
@pytest.mark.parametrize("sent", ["203.0.113.7", "203.0.113.7:4444", "192.0.2.9, 203.0.113.7"])
def test_where_the_web_server_believed_a_header_by_itself_nobody_is_known(named: list[str], sent: str) -> None:
    assert met(named, ("203.0.113.7", 4444), x_forwarded_for=sent) == (None, "http")


@pytest.mark.parametrize(("peer", "sent"), [(("127.0.0.1", 0), "127.0.0.1"), (("127.0.0.1", 4444), "127.0.0.1:4444")])
def test_also_where_the_header_names_a_proxy(peer: tuple[str, int], sent: str) -> None:
    assert met(["127.0.0.1"], peer, x_forwarded_for=sent) == (None, "http")


def test_a_visitor_on_the_computer_of_the_proxy_is_known() -> None:
    forwarded = {"x_forwarded_for": "127.0.0.1", "x_forwarded_proto": "https"}
    assert met(["127.0.0.1"], ("127.0.0.1", 5000), **forwarded) == ("127.0.0.1", "https")


def test_the_server_of_make_run_believes_no_header_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = dict[str, Any]()
    monkeypatch.setattr(uvicorn, "run", lambda app, **options: asked.update(options))
    processes.serve_web("127.0.0.1", 8000)
    assert asked["proxy_headers"] is False and not any("forwarded" in each for each in asked)


@pytest.mark.parametrize(("text", "named"), [("127.0.0.1, 10.0.0.0/8 ::1", 3), ("", 0)])
def test_proxies_are_addresses_and_networks(text: str, named: int) -> None:
    assert len(ip_addresses.parse_networks(text)) == named


@pytest.mark.parametrize("text", ["*", "proxy.example.com", "10.0.0.1/8"])
def test_and_nothing_else(text: str) -> None:
    with pytest.raises(ValueError, match="neither an IP address nor a network"):
        ip_addresses.parse_networks(text)


@pytest.mark.parametrize("trusted", [False, True])
def test_a_key_bound_to_an_address_is_not_opened_by_a_header_unless_a_named_proxy_sent_it(
    trusted: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    named = "127.0.0.1" if trusted else ""
    with serving.serve(tmp_path_factory.mktemp("front") / "home", TRADELATCH_TRUSTED_PROXIES=named) as server:
        made = serving.manage(server.home, server.port, "shell", "-c", BOUND).stdout.strip().splitlines()[-1]
        headers = {"Authorization": f"Bearer {keep('a bound key', made)}", "X-Forwarded-For": "203.0.113.7"}
        rest = httpx2.get(f"http://127.0.0.1:{server.port}/api/v1/orders", headers=headers, timeout=at_most(10))
        mcp = httpx2.post(
            f"http://127.0.0.1:{server.port}/mcp",
            json={"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}},
            headers=headers | {"Accept": "application/json, text/event-stream"},
            timeout=at_most(10),
        )
        assert [rest.status_code, mcp.status_code] == ([200, 200] if trusted else [403, 403])


# -- addresses that are none ---------------------------------------------------------------------------------


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_address_is_no_error_at_any_reader(odd: str, owner: User, paper: Connection, trade_key: str) -> None:
    browser = Browser(REMOTE_ADDR=odd)
    registration = {"client_name": "Odd", "redirect_uris": ["https://odd.example.com/cb"]}
    answers = [
        browser.post("/sign-in/", {"username": owner.email, "password": "wrong"}),
        browser.post("/recover/", {"email": owner.email}),
        browser.post("/sign-in/passkey/", {"answer": "{}"}),
        browser.post("/sign-in/second-step/", {"code": "000000"}),
        browser.post("/oauth/register", registration, content_type="application/json"),
        browser.post("/sign-in/", {"username": owner.email, "password": PASSWORD}),
        browser.get("/security/"),
        browser.post("/auth/tokens/user", headers={"client-id": "x", "client-secret": "y"}),
        Rest(browser, trade_key).send("GET", "/orders"),
    ]
    assert {answer.status_code for answer in answers} <= {200, 201, 302, 400, 401}
    assert answers[-1].status_code == 200


def test_a_key_bound_to_addresses_does_not_work_from_an_unknown_one(owner: User, paper: Connection) -> None:
    _, raw = minting.mint(owner, paper, frozenset({May.READ}), name="bound", networks=["0.0.0.0/0", "::/0"])
    assert Rest(Browser(REMOTE_ADDR="a:b"), raw).refused("GET", "/orders")["code"] == "ip_not_allowed"
    assert Rest(Browser(REMOTE_ADDR="::ffff:203.0.113.7"), raw).send("GET", "/orders").status_code == 200


@pytest.mark.parametrize(
    ("ip", "counted"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("a:b", ""),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_guesses_are_counted_by_neighbourhood(ip: str, counted: str) -> None:
    assert ip_addresses.customer_network(ip) == counted
