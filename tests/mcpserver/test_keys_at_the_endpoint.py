"""Keys at /mcp: the addresses they work from, and the kind that never works there."""

import re
from collections.abc import Iterator

import httpx2
import pytest

from tests import serving
from tests.mcpserver.wire import Wire
from tests.person import Person
from tests.serving import Server


def mint(server: Server, path: str, **fields: str) -> str:
    with Person(server.url, server.quickstart["username"], server.quickstart["password"]) as person:
        page = person.get(path)
        connections = re.findall(r'name="connection" value="(\d+)"', page.text)
        chosen = {"connection": connections[0], "scope": "read"} if connections else {}
        made = person.post(path, page, **chosen, **fields)
    found = re.search(r"tl_(?:paper|manage)_[0-9A-Za-z]{8}_[0-9A-Za-z]{36}", made.text)
    assert found is not None, made.text[:3000]
    return found[0]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Behind a proxy on the same machine, which its operator named."""
    with serving.serve(
        tmp_path_factory.mktemp("behind") / "home", TRADELATCH_TRUSTED_PROXIES="127.0.0.1,::1"
    ) as server:
        yield server


@pytest.fixture(scope="module")
def bound(server: Server) -> Wire:
    key = mint(server, "/keys/new/", name="office", expiry="90", networks="203.0.113.0/24\n2001:db8::/32")
    return Wire(server.mcp_url, key)


def ping(wire: Wire, **headers: str) -> httpx2.Response:
    return wire.post('{"jsonrpc": "2.0", "id": 1, "method": "ping"}', **headers)


@pytest.mark.parametrize("address", ["203.0.113.7", "203.0.113.255", "2001:db8::1"])
def test_a_key_bound_to_addresses_works_from_them(bound: Wire, address: str) -> None:
    # The proxy in front says so.
    assert ping(bound, **{"X-Forwarded-For": address}).status_code == 200


@pytest.mark.parametrize("address", ["203.0.114.7", "2001:db9::1", "unknown", None])
def test_from_elsewhere_it_is_refused_and_the_owner_finds_the_attempt(
    server: Server, bound: Wire, address: str | None
) -> None:
    refused = ping(bound, **({"X-Forwarded-For": address} if address else {}))
    assert refused.status_code == 403
    assert refused.json()["error"]["data"]["code"] == "ip_not_allowed"
    row = server.query("SELECT code, app_label, user_label FROM audit_call ORDER BY id DESC LIMIT 1")
    assert row == [("ip_not_allowed", "office", server.quickstart["username"])]


def test_a_key_without_a_list_works_from_anywhere(server: Server) -> None:
    wire = Wire(server.mcp_url, server.quickstart["paper_key_read"])
    assert ping(wire, **{"X-Forwarded-For": "198.51.100.4"}).status_code == 200


def test_a_management_key_is_refused_and_told_what_it_is_for(server: Server) -> None:
    key = mint(server, "/keys/manage/new/", name="terraform", expiry="30")
    refused = ping(Wire(server.mcp_url, key))
    assert refused.status_code == 401
    assert "management key" in refused.json()["error_description"]
    row = server.query("SELECT source, scopes, app_label, code FROM audit_call ORDER BY id DESC LIMIT 1")
    assert row == [("management", "manage", "terraform", "unauthenticated")]


def test_the_use_of_a_key_is_on_its_own_row(server: Server, bound: Wire) -> None:
    key = server.quickstart["paper_key_read"]
    Wire(server.mcp_url, key).result("get_cash", {})
    used = server.query("SELECT last_used_ip FROM keys_apikey WHERE public_id = ?", key.split("_")[2])
    assert used == [("127.0.0.1",)]
