"""RFC 7592: a client that registered itself reads, changes and removes its registration with a token of its own."""

import json
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client as Browser

from console.accounts.models import User
from console.audit.models import Change
from console.authority import bearer
from console.clients import registration
from console.clients.models import Client
from console.connections.models import Connection
from console.scopes import Scope
from tests.console.oauth.hosts import REGISTRATIONS, Host, allowed_apps, register

pytestmark = pytest.mark.django_db
BODY: dict[str, Any] = {
    "client_name": "Desk",
    "redirect_uris": ["https://desk.example/cb"],
    "token_endpoint_auth_method": "none",
}


@pytest.fixture(autouse=True)
def no_registrations_counted() -> None:
    cache.clear()


def call(method: str, told: dict[str, Any], body: object = None, *, token: str | None = None) -> Any:
    """``token`` instead of the one that belongs to the client."""
    path = told["registration_client_uri"].removeprefix("http://localhost:8000")
    shown = told["registration_access_token"] if token is None else token
    raw = b"" if body is None else json.dumps(body).encode()
    return Browser().generic(
        method, path, raw, content_type="application/json", headers={"authorization": f"Bearer {shown}"}
    )


def test_it_is_told_where_and_with_what_to_manage_itself() -> None:
    told = register(BODY).json()
    client = Client.objects.get()
    assert told["registration_client_uri"] == f"http://localhost:8000/oauth/register/{client.client_id}"
    assert len(told["registration_access_token"]) >= 43
    assert told["registration_access_token"] not in str(vars(client)), "only its digest is stored"
    assert told["registration_access_token"] not in str(list(Change.objects.values()))


@pytest.mark.parametrize("method", ["none", "client_secret_post", "client_secret_basic"])
def test_it_reads_what_it_registered_without_its_secrets(method: str) -> None:
    told = register(BODY | {"token_endpoint_auth_method": method}).json()
    answer = call("GET", told)
    assert (answer.status_code, answer["Cache-Control"]) == (200, "no-store")
    secrets = {"registration_access_token", "client_secret", "client_secret_expires_at"}
    assert answer.json() == {name: value for name, value in told.items() if name not in secrets}
    assert answer.json()["token_endpoint_auth_method"] == method


def test_it_changes_its_name_and_addresses() -> None:
    told = register(BODY).json()
    changed = BODY | {"client_id": told["client_id"], "client_name": "Desk 2", "redirect_uris": ["https://d.example/2"]}
    answer = call("PUT", told, changed)
    assert answer.status_code == 200, answer.content
    assert (answer.json()["client_name"], answer.json()["redirect_uris"]) == ("Desk 2", ["https://d.example/2"])
    assert Client.objects.get().redirect_uris == "https://d.example/2"
    assert Change.objects.filter(action="changed", target="client").count() == 1


@pytest.mark.parametrize(
    "change",
    [
        {"client_id": None},
        {"client_id": "another"},
        {"redirect_uris": ["http://evil.example/cb"]},
        {"redirect_uris": []},
        {"client_name": "\u202eedualC"},
        {"token_endpoint_auth_method": "client_secret_post"},
        {"client_secret": "guess"},
        {"grant_types": ["password"]},
    ],
)
def test_a_change_against_the_rules_changes_nothing(change: dict[str, Any]) -> None:
    told = register(BODY).json()
    answer = call("PUT", told, BODY | {"client_id": told["client_id"]} | change)
    assert answer.status_code == 400
    assert answer.json()["error"] in ("invalid_client_metadata", "invalid_redirect_uri")
    client = Client.objects.get()
    assert (client.name, client.redirect_uris) == ("Desk", "https://desk.example/cb")


def test_removing_it_ends_every_app_that_came_through_it(owner: User, paper: Connection) -> None:
    browser = Browser()
    browser.force_login(owner)
    told = register(REGISTRATIONS["claude"]).json()
    host = Host(browser, told["client_id"], told["redirect_uris"][0])
    tokens = host.connect(paper.pk)
    assert call("DELETE", told).status_code == 204
    assert allowed_apps().get().revoked_reason == "Its client was deleted"
    assert host.refresh(tokens["refresh_token"]).json()["error"] == "invalid_client"
    assert call("GET", told).status_code == 401


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_only_its_own_token_manages_it_and_nobody_learns_which_clients_there_are(method: str, owner: User) -> None:
    told, stranger = register(BODY).json(), register(BODY).json()
    static, secret = registration.register_static(
        owner, name="Mine", redirect_uris=["https://m.example/cb"], scopes=frozenset({Scope.READ}), confidential=True
    )
    unknown = told | {"registration_client_uri": "http://localhost:8000/oauth/register/nobody"}
    by_hand = told | {"registration_client_uri": f"http://localhost:8000/oauth/register/{static.client_id}"}
    answers = [
        call(method, told, BODY, token=stranger["registration_access_token"]),
        call(method, told, BODY, token=""),
        call(method, told, BODY, token="x"),
        call(method, told, BODY, token="\u00e9"),
        call(method, unknown, BODY),
        call(method, by_hand, BODY),
        call(method, by_hand, BODY, token=""),
        call(method, by_hand, BODY, token=str(secret)),
    ]
    assert {(answer.status_code, answer.content) for answer in answers} == {(401, answers[0].content)}
    assert "WWW-Authenticate" in answers[0]
    assert Client.objects.filter(deleted_at=None).count() == 3


def test_the_token_opens_nothing_else() -> None:
    told = register(BODY).json()
    token = told["registration_access_token"]
    with pytest.raises(bearer.Unauthenticated):
        bearer.authenticate(token)
    signed = {"authorization": f"Bearer {token}"}
    assert Browser().get("/clients/", headers=signed)["Location"].startswith("/sign-in/")
    assert register(BODY, headers=signed).status_code == 201, "no more and no less than without it"
