"""A platform of the tests': its products, users and tokens, and what a token opens."""

import re
from dataclasses import dataclass
from typing import Any

import httpx2

from tests.mcpserver.wire import Wire
from tests.patience import at_most
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
        answer = httpx2.post(f"{self.url}/api/v1/platform/users", json=body, headers=self.headers, timeout=at_most(10))
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def mint(self, user: dict[str, Any], body: dict[str, Any]) -> httpx2.Response:
        both = self.headers | {"user-id": user["user_id"], "user-secret": user["user_secret"]}
        return httpx2.post(f"{self.url}/auth/tokens/user", json=body, headers=both, timeout=at_most(10))

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
