"""Authorization requests that are wrong: who is told, and that nobody is sent to an address we do not know."""

from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.conf import settings

from console.accounts.models import User
from console.clients import registration
from console.clients.models import Client
from console.connected_apps import grants
from console.connections.models import Connection
from console.oauth.models import Grant
from console.scopes import ALL
from tests.console.oauth.hosts import Host, allowed_apps, challenge_of, location


def refused_page(answer: Any) -> str:
    assert answer.status_code == 400
    assert "Location" not in answer
    assert answer["Content-Type"].startswith("text/html")
    return unescape(answer.content.decode())


@pytest.mark.parametrize(
    "sent",
    [
        "https://claude.ai/api/mcp/auth_callback/",
        "https://claude.ai/api/mcp/AUTH_callback",
        "https://CLAUDE.ai/api/mcp/auth_callback",
        "HTTPS://claude.ai/api/mcp/auth_callback",
        "http://claude.ai/api/mcp/auth_callback",
        "https://claude.ai:443/api/mcp/auth_callback",
        "https://claude.ai:8443/api/mcp/auth_callback",
        "https://claude.ai/api/mcp/auth_callback?x=1",
        "https://claude.ai/api/mcp/auth_callback?",
        "https://claude.ai/api/mcp/auth_callback#x",
        "https://claude.ai/api/mcp/auth_callback#",
        "https://claude.ai/api/mcp/auth_callback;x=1",
        "https://claude.ai/api/mcp/%61uth_callback",
        "https://claude.ai/api/mcp/x/../auth_callback",
        "https://claude.ai/api/mcp//auth_callback",
        "https://evil.claude.ai/api/mcp/auth_callback",
        "https://claude.ai.evil.example/api/mcp/auth_callback",
        "https://evil@claude.ai/api/mcp/auth_callback",
        "https://claude.ai@evil.example/api/mcp/auth_callback",
        "https://claude.ai\\@evil.example/api/mcp/auth_callback",
        " https://claude.ai/api/mcp/auth_callback",
        "https://claude.ai/api/mcp/auth_callback\n",
        "https://claude.ai/api/mcp/auth_callback\x00",
        "javascript:alert(1)",
        "//claude.ai/api/mcp/auth_callback",
        "claude.ai",
    ],
)
def test_an_address_that_differs_anywhere_is_shown_beside_the_registered_one(
    sent: str, host: Host, paper: Connection
) -> None:
    page = refused_page(host.open(redirect_uri=sent))
    assert "https://claude.ai/api/mcp/auth_callback" in page
    assert "Sent" in page and "Registered" in page
    refused_page(host.allow(paper.pk, redirect_uri=sent))
    assert not allowed_apps().exists()


@pytest.mark.parametrize(
    ("name", "registered", "sent", "fits"),
    [
        ("codex", "http://127.0.0.1:46589/callback", "http://127.0.0.1:50001/callback", True),
        ("codex", "http://127.0.0.1:46589/callback", "http://127.0.0.1/callback", True),
        ("codex", "http://127.0.0.1:46589/callback", "http://127.0.0.1:50001/callback/", False),
        ("codex", "http://127.0.0.1:46589/callback", "http://localhost:46589/callback", False),
        ("codex", "http://127.0.0.1:46589/callback", "https://127.0.0.1:46589/callback", False),
        ("codex", "http://127.0.0.1:46589/callback", "http://127.0.0.1:50001@evil.example/callback", False),
        ("codex", "http://127.0.0.1:46589/callback", "http://127.0.0.1.evil.example:46589/callback", False),
        ("mcp-remote", "http://localhost:37917/oauth/callback", "http://localhost:1/oauth/callback", True),
        ("mcp-remote", "http://localhost:37917/oauth/callback", "http://localhost.evil/oauth/callback", False),
        ("vscode", "http://127.0.0.1/", "http://127.0.0.1:61234/", True),
        ("vscode", "http://127.0.0.1/", "http://127.0.0.1:61234", False),
        ("vscode", "https://vscode.dev/redirect", "https://vscode.dev:8443/redirect", False),
    ],
)
def test_the_port_is_free_on_loopback_and_nowhere_else(
    name: str, registered: str, sent: str, fits: bool, connect_host: Callable[..., Host], paper: Connection
) -> None:
    host = connect_host(name, sent)
    if not fits:
        assert registered in refused_page(host.open())
        return
    answer = host.allow(paper.pk)
    assert answer["Location"].startswith(sent + "?")
    assert host.redeem(location(answer)["code"]).status_code == 200


def test_ipv6_loopback_has_a_free_port_too(browser: Any, owner: User, paper: Connection) -> None:
    client, _ = registration.register_static(
        owner, name="Six", redirect_uris=["http://[::1]/cb"], scopes=frozenset(ALL)
    )
    host = Host(browser, client.client_id, "http://[::1]:4711/cb")
    assert host.connect(paper.pk)["scope"] == "mcp:read"


@pytest.mark.parametrize("client_id", ["nobody", "", "x" * 5000, "a\x00b"])
def test_an_unknown_client_gets_a_page_that_says_what_to_do(client_id: str, host: Host) -> None:
    page = refused_page(host.open(client_id=client_id))
    assert "remove the Tradelatch connector and add it again" in page


def test_a_deleted_client_is_unknown(host: Host, paper: Connection, owner: User) -> None:
    code, tokens = host.code(paper.pk), host.connect(paper.pk)
    client = Client.objects.get()
    assert grants.delete_client(client, by=owner)
    assert not grants.delete_client(client, by=owner), "once"
    refused_page(host.open())
    for answer in (host.redeem(code), host.refresh(tokens["refresh_token"])):
        assert answer.json()["error"] == "invalid_client"
    assert not allowed_apps().filter(revoked_at=None).exists()


@pytest.mark.parametrize(
    "pair", ["client_id=x&client_id=y", "redirect_uri=a&redirect_uri=b", "scope=a&scope=b", "state=a&state=b"]
)
def test_a_repeated_parameter_redirects_nowhere(pair: str, host: Host) -> None:
    refused_page(host.browser.get(host.url() + "&" + pair))


def test_a_query_that_is_badly_encoded_is_read_as_far_as_it_goes(host: Host, paper: Connection) -> None:
    begun = host.browser.get(host.url() + "&x=%zz&%ff=%00&=&&y")
    assert host.browser.get(begun["Location"]).status_code == 200


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code token"}, "unauthorized_client"),
        ({"response_type": "none"}, "unauthorized_client"),
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "s256"}, "invalid_request"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge": "\u00e9" * 43}, "invalid_request"),
        ({"code_challenge": "a" * 5000}, "invalid_request"),
        ({"resource": "https://elsewhere.example/mcp"}, "invalid_target"),
        ({"response_mode": "fragment", "code_challenge_method": "plain"}, "invalid_request"),
    ],
)
def test_the_client_is_told_of_its_own_mistakes_before_consent(
    changes: dict[str, str | None], error: str, host: Host, paper: Connection
) -> None:
    for answer in (host.open(**changes), host.allow(paper.pk, **changes)):
        assert answer["Location"].startswith(host.redirect_uri)
        told = location(answer)
        assert told["error"] == error
        assert told["state"] == "st/at+e=1"
        assert told["iss"] == settings.ISSUER
        assert "code" not in told
    assert not allowed_apps().exists()


@pytest.mark.parametrize("state", ["", "\u00fcber & so", "a\nb", "x" * 4000, None])
def test_the_state_comes_back_as_it_was(state: str | None, host: Host, paper: Connection) -> None:
    assert location(host.allow(paper.pk, state=state)).get("state", "") == (state or "")


def test_the_verifier_must_be_the_one_behind_the_challenge(host: Host, paper: Connection) -> None:
    code = host.code(paper.pk)
    for wrong in ("w" * 64, challenge_of(host.verifier), "", "\u00e9" * 43):
        refused = host.redeem(code, code_verifier=wrong)
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant"), wrong
    missing = host.redeem(code, code_verifier=None)
    assert (missing.status_code, missing.json()["error"]) == (400, "invalid_request")
    assert host.redeem(code).status_code == 200, "a wrong guess does not cost the host its code"


@pytest.mark.parametrize("uri", ["https://claude.ai/api/mcp/auth_callback/", "https://evil.example/", ""])
def test_the_code_is_bound_to_the_address_it_was_sent_to(uri: str, host: Host, paper: Connection) -> None:
    refused = host.redeem(host.code(paper.pk), redirect_uri=uri)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")


def test_a_client_of_oauth_2_1_may_leave_the_address_out_of_the_token_request(host: Host, paper: Connection) -> None:
    assert host.redeem(host.code(paper.pk), redirect_uri=None).status_code == 200


OURS = [
    "http://localhost:8000/mcp",
    "http://localhost:8000/mcp/",
    "http://localhost:8000",
    "http://localhost:8000/",
    "HTTP://LOCALHOST:8000/mcp",
    "",
    None,
]
NOT_OURS = [
    "http://localhost:8001/mcp",
    "https://localhost:8000/mcp",
    "http://localhost:8000/api",
    "http://localhost:8000/mcp/x",
    "http://localhost:8000/MCP",
    "http://localhost:8000/mcp?x=1",
    "http://localhost:8000/mcp#x",
    "http://user@localhost:8000/mcp",
    "http://localhost.evil.example:8000/mcp",
    "http://localhost:99999/mcp",
    "http://[::1",
    "mcp",
    "urn:mcp",
    "\x00",
]


@pytest.mark.parametrize("resource", OURS)
def test_every_spelling_of_our_resource_is_stored_as_one(resource: str | None, host: Host, paper: Connection) -> None:
    code = host.code(paper.pk, resource=resource)
    assert Grant.objects.get().resource == [settings.MCP_URL]
    tokens = host.redeem(code, resource=resource)
    assert tokens.json()["resource"] == settings.MCP_URL
    assert host.refresh(tokens.json()["refresh_token"], resource=resource).status_code == 200


@pytest.mark.parametrize("resource", NOT_OURS)
def test_another_resource_is_refused_before_anything_is_written(resource: str, host: Host, paper: Connection) -> None:
    assert location(host.allow(paper.pk, resource=resource))["error"] == "invalid_target"
    assert not allowed_apps().exists()
    code = host.code(paper.pk)
    refused = host.redeem(code, resource=resource)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_target")
    tokens = host.redeem(code).json()
    refused = host.refresh(tokens["refresh_token"], resource=resource)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_target")
    assert host.refresh(tokens["refresh_token"]).status_code == 200


def test_one_foreign_resource_among_several_spoils_the_request(host: Host, paper: Connection) -> None:
    foreign = "&resource=https%3A%2F%2Felsewhere.example"
    assert location(host.browser.get(host.url() + foreign))["error"] == "invalid_target"
    twice = host.browser.get(host.url() + "&resource=http%3A%2F%2Flocalhost%3A8000")
    assert twice["Location"].startswith("/oauth/consent/")
