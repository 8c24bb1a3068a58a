"""What hosts read first, and that a host in a browser can read every answer."""

from typing import Any

import pytest
from django.conf import settings
from django.test import Client as Browser
from django.urls import reverse

from tests.console.oauth.hosts import post, register

RESOURCE = "/.well-known/oauth-protected-resource"
SERVER = "/.well-known/oauth-authorization-server"


@pytest.mark.parametrize("path", [RESOURCE, f"{RESOURCE}/mcp", f"{RESOURCE}/mcp/"])
def test_the_resource_names_itself_and_its_one_authorization_server(path: str) -> None:
    answer = Browser().get(path)
    assert answer.status_code == 200
    assert answer.json() == {
        "resource": settings.MCP_URL,
        "authorization_servers": [settings.ISSUER],
        "scopes_supported": ["mcp:read", "mcp:trade"],
        "bearer_methods_supported": ["header"],
        "resource_name": "Tradelatch",
    }


@pytest.mark.parametrize("path", [SERVER, f"{SERVER}/mcp"])
@pytest.mark.parametrize("asked_at", ["localhost", "127.0.0.1:8000"])
def test_the_authorization_server_describes_itself_by_one_fixed_issuer(path: str, asked_at: str) -> None:
    answer = Browser().get(path, headers={"host": asked_at})
    assert answer.status_code == 200
    issuer = settings.ISSUER
    assert answer.json() == {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/oauth/authorize",
        "token_endpoint": f"{issuer}/oauth/token",
        "registration_endpoint": f"{issuer}/oauth/register",
        "revocation_endpoint": f"{issuer}/oauth/revoke",
        "scopes_supported": ["mcp:read", "mcp:trade", "offline_access"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none", "client_secret_post", "client_secret_basic"],
        "revocation_endpoint_auth_methods_supported": ["none", "client_secret_post", "client_secret_basic"],
        "authorization_response_iss_parameter_supported": True,
        "client_id_metadata_document_supported": True,
    }


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/openid-configuration",
        "/.well-known/openid-configuration/mcp",
        f"{RESOURCE}/other",
        f"{SERVER}/other",
        "/.well-known/",
    ],
)
def test_a_document_that_does_not_exist_is_not_found_rather_than_a_sign_in_page(path: str) -> None:
    answer = Browser().get(path)
    assert answer.status_code == 404
    assert answer["Access-Control-Allow-Origin"] == "*"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path", [RESOURCE, f"{RESOURCE}/mcp", SERVER, "/oauth/register", "/oauth/token", "/oauth/revoke"]
)
def test_a_page_of_any_origin_may_call_and_read_even_the_errors(path: str) -> None:
    web = {"origin": "https://inspector.example"}
    before = Browser().options(path, headers=web | {"access-control-request-method": "POST"})
    assert before.status_code == 204
    for name in ("Authorization", "Content-Type", "MCP-Protocol-Version", "Mcp-Method", "Mcp-Name"):
        assert name in before["Access-Control-Allow-Headers"]
    answers: list[Any] = [before, Browser().get(path, headers=web), Browser().delete(path, headers=web)]
    answers += [post(path, {"grant_type": "refresh_token", "client_id": "nobody"}, headers=web)]
    for answer in answers:
        assert answer["Access-Control-Allow-Origin"] == "*"
        assert "WWW-Authenticate" in answer["Access-Control-Expose-Headers"]
        assert "Access-Control-Allow-Credentials" not in answer
        assert answer.status_code not in (301, 302)


@pytest.mark.django_db
def test_the_consent_page_is_not_open_to_other_origins() -> None:
    answer = Browser().options("/oauth/authorize", headers={"origin": "https://inspector.example"})
    assert "Access-Control-Allow-Origin" not in answer


def test_the_addresses_carry_the_names_the_toolkit_reverses() -> None:
    names = {"authorize": "authorize", "token": "token", "revoke-token": "revoke", "dcr-register": "register"}
    for name, end in names.items():
        assert reverse(f"oauth2_provider:{name}") == f"/oauth/{end}"


@pytest.mark.django_db
def test_a_refused_registration_can_be_read_across_origins() -> None:
    assert register([])["Access-Control-Allow-Origin"] == "*"
