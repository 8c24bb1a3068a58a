"""A product embeds Tradelatch: it makes users, mints tokens for them, and their assistants act through /mcp."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from tests.catalogued import ALL, READERS
from tests.mcpserver.wire import Wire
from tests.person import Person
from tests.serving import Server

READ = {"scopes": ["read"]}
TRADE = {"scopes": ["read", "trade"]}


@dataclass
class Product:
    """The product's own server."""

    url: str
    client_id: str
    client_secret: str

    @property
    def headers(self) -> dict[str, str]:
        return {"client-id": self.client_id, "client-secret": self.client_secret}

    def make_user(self, name: str = "Practice") -> dict[str, Any]:
        body = {"connection": {"name": name, "starting_cash": "100000"}}
        answer = httpx2.post(f"{self.url}/api/v1/platform/users", json=body, headers=self.headers)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def mint(self, user: dict[str, Any], body: dict[str, Any]) -> httpx2.Response:
        both = self.headers | {"user-id": user["user_id"], "user-secret": user["user_secret"]}
        return httpx2.post(f"{self.url}/auth/tokens/user", json=body, headers=both)

    def token(self, user: dict[str, Any], body: dict[str, Any]) -> str:
        answer = self.mint(user, body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])


def add_platform(server: Server, name: str = "Widget") -> Product:
    with Person(server.url, server.quickstart["username"], server.quickstart["password"]) as person:
        page = person.get("/platforms/new/")
        made = person.post("/platforms/new/", page, name=name)
    ids, secrets = re.findall(r"tlc_[0-9a-f]{20}", made.text), re.findall(r"tlc_secret_[0-9A-Za-z]+", made.text)
    assert ids and secrets, made.text[:2000]
    return Product(server.url, ids[0], secrets[0])


def tools(server: Server, token: str) -> list[str]:
    answer = Wire(server.mcp_url, token).rpc("tools/list", {})
    assert answer.status_code == 200, answer.text
    return [tool["name"] for tool in answer.json()["result"]["tools"]]


@pytest.fixture(scope="module")
def product(server: Server) -> Iterator[Product]:
    server.query("UPDATE accounts_user SET is_operator = 1")
    yield add_platform(server)


def test_a_read_token_lists_the_tools_of_readers_and_a_trade_token_all(server: Server, product: Product) -> None:
    user = product.make_user()
    assert tools(server, product.token(user, READ)) == READERS
    assert tools(server, product.token(user, TRADE)) == ALL


def test_a_trade_token_places_an_order_that_is_confirmed_and_filled(server: Server, product: Product) -> None:
    wire = Wire(server.mcp_url, product.token(product.make_user(), TRADE))
    prepared = wire.result("place_order", {"symbol": "AAPL", "side": "BUY", "quantity": "3"})
    done = wire.result("confirm_trade", {"confirmation_id": prepared["confirmation_id"]})
    assert done["status"] == "filled"
    assert done["context"]["environment"] == "paper"
    row = server.query("SELECT source, app_label, outcome FROM audit_call ORDER BY id DESC LIMIT 1")
    assert row == [("platform", "Widget", "ok")]


def test_a_read_token_is_refused_an_order(server: Server, product: Product) -> None:
    wire = Wire(server.mcp_url, product.token(product.make_user(), READ))
    assert (
        wire.refusal("place_order", {"symbol": "AAPL", "side": "BUY", "quantity": "3"})["code"] == "insufficient_scope"
    )


def test_two_users_of_a_platform_do_not_see_each_other(server: Server, product: Product) -> None:
    one, two = product.make_user("First"), product.make_user("Second")
    seen = Wire(server.mcp_url, product.token(one, READ)).result("get_portfolio", {})
    assert seen["context"]["connection"] == "First"
    assert product.mint(two, READ | {"connection_id": one["connections"][0]["id"]}).status_code == 409


def test_tokens_minted_at_once_stand_for_one_app(server: Server, product: Product) -> None:
    user = product.make_user()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: product.mint(user, READ).status_code, range(16)))
    assert answers == [200] * 16
    apps = server.query(
        "SELECT count(*) FROM connected_apps_connectedapp WHERE connection_id = ?", user["connections"][0]["id"]
    )
    assert apps == [(1,)]


def test_the_published_key_is_the_one_that_signs(server: Server, product: Product) -> None:
    answer = httpx2.get(f"{server.url}/.well-known/jwks.json", headers={"Origin": "https://elsewhere.example"})
    assert answer.headers["access-control-allow-origin"] == "*"
    (key,) = answer.json()["keys"]
    assert (key["kty"], key["crv"], key["alg"]) == ("EC", "P-256", "ES256")
    assert "d" not in key, "the private part stays here"
    file = server.home / "secrets" / "platform_signing_key"
    assert file.stat().st_mode & 0o777 == 0o600


def test_tokens_outlive_a_restart(server: Server, product: Product) -> None:
    token = product.token(product.make_user(), READ)
    server.restart()
    assert tools(server, token) == READERS
