"""Which clients may exist: one set of rules for those a person registers and those that register themselves."""

import json
import time
from typing import Any

import pytest
from django.core.cache import cache

from console.accounts.models import User
from console.audit.models import Change
from console.clients import redirect_uri_rules, registration
from console.clients.models import Client
from console.errors import Code, Refusal
from console.oauth.models import AccessToken
from console.scopes import Scope
from tests.console.oauth.hosts import BOTH, REGISTRATIONS, register

GOOD = [
    "https://claude.ai/api/mcp/auth_callback",
    "https://desk.example.com:8443/cb?tenant=7",
    "https://example.com",
    "http://localhost/cb",
    "http://localhost:8787/oauth/callback",
    "http://127.0.0.1:33418/",
    "http://[::1]:9/cb",
    "cursor://anysphere.cursor-mcp/oauth/callback",
]
BAD = [
    "",
    " ",
    "http://evil.example/cb",
    "http://localhost.evil.example/cb",
    "http://127.0.0.1.evil.example/cb",
    "http://localhost@evil.example/cb",
    "http://10.0.0.1/cb",
    "https://user@example.com/cb",
    "https://user:pass@example.com/cb",
    "https://@example.com/cb",
    "https://example.com/cb#part",
    "https://example.com/cb#",
    "https://*.example.com/cb",
    "https://example.com/*",
    "https://",
    "https:///cb",
    "https:example.com",
    "https://example.com:99999/cb",
    "https://example.com:0/cb",
    "https://[::1/cb",
    "https://example.com/a b",
    "https://example.com/\n",
    "https://example.com\\@evil.example",
    "https://ex\u00e4mple.com/cb",
    "https://example.com/<script>",
    "javascript:alert(1)",
    "data:text/html,x",
    "file:///etc/passwd",
    "claude://callback",
    "cursor://anysphere.cursor-mcp/oauth/callback/",
    "cursor://other/oauth/callback",
    "com.example.app:/cb",
    "/relative",
    "https://example.com/" + "x" * 2000,
]


@pytest.fixture(autouse=True)
def no_registrations_counted() -> None:
    cache.clear()


def body(**fields: Any) -> dict[str, Any]:
    return {"redirect_uris": GOOD[:1], "token_endpoint_auth_method": "none"} | fields


@pytest.mark.django_db
@pytest.mark.parametrize("uri", GOOD)
def test_a_good_address_is_taken_by_both_endpoints(uri: str, owner: User) -> None:
    redirect_uri_rules.check_redirect_uri(uri)
    registration.register_static(owner, name="Mine", redirect_uris=[uri], scopes=frozenset({Scope.READ}))
    assert register(body(redirect_uris=[uri])).json()["redirect_uris"] == [uri]


@pytest.mark.django_db
@pytest.mark.parametrize("uri", BAD)
def test_a_bad_address_is_refused_by_both_endpoints_in_words(uri: str, owner: User) -> None:
    with pytest.raises(Refusal) as refusal:
        registration.register_static(owner, name="Mine", redirect_uris=[uri], scopes=frozenset({Scope.READ}))
    assert (refusal.value.code, refusal.value.field) == (Code.INVALID_ARGUMENT, "redirect_uris")
    answer = register(body(redirect_uris=[GOOD[0], uri]))
    assert answer.status_code == 400
    assert answer.json() == {"error": "invalid_redirect_uri", "error_description": str(refusal.value)}
    assert not Client.objects.exists()


def test_there_must_be_an_address_and_at_most_ten(owner: User) -> None:
    for uris in ([], [f"https://example.com/{n}" for n in range(11)]):
        with pytest.raises(Refusal):
            registration.register_static(owner, name="x", redirect_uris=uris, scopes=frozenset({Scope.READ}))
        assert register(body(redirect_uris=uris)).json()["error"] == "invalid_redirect_uri"


def test_a_static_client_is_public_and_holds_no_more_than_its_owner_said(owner: User) -> None:
    client, secret = registration.register_static(
        owner, name="  My  desk ", redirect_uris=[GOOD[0], GOOD[0]], scopes=frozenset({Scope.READ})
    )
    assert secret is None
    assert (client.user, client.kind, client.client_type) == (owner, "static", "public")
    assert (client.name, client.scopes, client.redirect_uris) == ("My desk", "mcp:read", GOOD[0])
    assert Change.objects.get(target="client").action == "registered"


def test_a_confidential_clients_secret_is_told_once_and_kept_hashed(owner: User) -> None:
    client, secret = registration.register_static(
        owner, name="x", redirect_uris=GOOD[:1], scopes=frozenset({Scope.TRADE}), confidential=True
    )
    client.refresh_from_db()
    assert secret and secret not in str(vars(client))
    assert secret not in str(list(Change.objects.values()))
    assert client.scopes == BOTH, "trade implies read"


@pytest.mark.parametrize("fields", [{"name": "  "}, {"name": "\u202eedualC"}, {"scopes": frozenset()}])
def test_a_static_client_needs_a_name_and_a_scope(fields: dict[str, Any], owner: User) -> None:
    good: dict[str, Any] = {"name": "x", "redirect_uris": GOOD[:1], "scopes": frozenset({Scope.READ})}
    with pytest.raises(Refusal) as refusal:
        registration.register_static(owner, **(good | fields))
    assert refusal.value.field in fields


@pytest.mark.django_db
@pytest.mark.parametrize("name", REGISTRATIONS)
def test_a_host_is_told_what_was_registered(name: str) -> None:
    sent = REGISTRATIONS[name]
    answer = register(sent, REMOTE_ADDR="203.0.113.7")
    assert answer.status_code == 201, answer.content
    assert answer["Cache-Control"] == "no-store"
    told = answer.json()
    assert None not in told.values()
    assert told["client_name"] == sent["client_name"]
    assert told["redirect_uris"] == sent["redirect_uris"]
    assert told["grant_types"] == ["authorization_code", "refresh_token"]
    assert told["response_types"] == ["code"]
    assert told["scope"] == BOTH
    assert abs(told["client_id_issued_at"] - time.time()) < 60
    assert told["token_endpoint_auth_method"] == sent.get("token_endpoint_auth_method", "client_secret_basic")
    client = Client.objects.get(client_id=told["client_id"])
    assert (client.kind, client.registered_ip, client.user) == ("dynamic", "203.0.113.7", None)
    assert not AccessToken.objects.exists(), "nothing that could pass for an access token"


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", None])
def test_a_secret_comes_with_its_expiry_and_the_method_that_was_asked_for(method: str | None) -> None:
    told = register(body(token_endpoint_auth_method=method)).json()
    assert told["token_endpoint_auth_method"] == (method or "client_secret_basic")
    assert told["client_secret_expires_at"] == 0
    assert told["client_secret"] not in str(list(Client.objects.values()))


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["none"])
def test_a_public_client_gets_no_secret(method: str) -> None:
    told = register(body(token_endpoint_auth_method=method)).json()
    assert not {"client_secret", "client_secret_expires_at"} & told.keys()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "extra",
    [
        {"grant_types": ["authorization_code", "urn:ietf:params:oauth:grant-type:device_code", "password"]},
        {"grant_types": None, "response_types": None, "client_name": None, "scope": None, "contacts": None},
        {"jwks": {"keys": [{"a": [1, {"b": None}]}]}, "unknown": [[[[]]]], "scope": 7},
        {"application_type": "native", "software_id": "x", "client_uri": "https://x.example"},
    ],
)
def test_extra_grants_and_fields_we_do_not_use_are_ignored(extra: dict[str, Any]) -> None:
    assert register(body(**extra)).status_code == 201


@pytest.mark.django_db
@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b"7",
        b'"x"',
        b"true",
        b"{",
        b"{}",
        b"\xff\xfe\x00",
        b'{"redirect_uris": ["\xff"]}',
        b"[" * 50_000,
        b'{"redirect_uris":' * 20_000,
        b'{"redirect_uris": [' + b"1" * 5000 + b"]}",
        b'{"client_name": "' + b"x" * 300_000 + b'"}',
        b"x" * 300_000,
        json.dumps(body(redirect_uris="https://x.example")).encode(),
        json.dumps(body(redirect_uris=None)).encode(),
        json.dumps(body(redirect_uris=[None])).encode(),
        json.dumps(body(redirect_uris=[["https://x.example"]])).encode(),
        json.dumps(body(redirect_uris={"0": "https://x.example"})).encode(),
        json.dumps(body(redirect_uris=["https://x.example/\ud800"])).encode(),
        json.dumps(body(client_name=["x"])).encode(),
        json.dumps(body(client_name={"en": "x"})).encode(),
        json.dumps(body(grant_types="authorization_code")).encode(),
        json.dumps(body(grant_types=["refresh_token"])).encode(),
        json.dumps(body(grant_types=[])).encode(),
        json.dumps(body(grant_types=[1])).encode(),
        json.dumps(body(response_types=["token"])).encode(),
        json.dumps(body(token_endpoint_auth_method="private_key_jwt")).encode(),
        json.dumps(body(token_endpoint_auth_method=7)).encode(),
    ],
)
def test_a_bad_body_gets_the_error_of_rfc_7591_and_makes_nothing(raw: bytes) -> None:
    answer = register(raw)
    assert answer.status_code == 400
    told = answer.json()
    assert told.keys() == {"error", "error_description"}
    assert told["error"] in ("invalid_client_metadata", "invalid_redirect_uri")
    assert not Client.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("sent", "kept"),
    [("  a   b  ", "a b"), ("x" * 500, "x" * 100), ("", "Unnamed app"), ("\uff23laude", "Claude")],
)
def test_a_name_is_kept_in_its_plainest_form(sent: str, kept: str) -> None:
    assert register(body(client_name=sent)).json()["client_name"] == kept


@pytest.mark.django_db
def test_one_address_may_register_twenty_clients_an_hour() -> None:
    for _ in range(20):
        assert register(body(), REMOTE_ADDR="203.0.113.7").status_code == 201
    refused = register(body(), REMOTE_ADDR="203.0.113.7")
    assert (refused.status_code, refused["Retry-After"]) == (429, "3600")
    assert register(body(), REMOTE_ADDR="203.0.113.8").status_code == 201
