"""The whole way of every host: register, consent, code, tokens, refresh."""

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import settings
from django.test import Client as Browser

from console.connections.models import Connection
from console.oauth.models import AccessToken, Grant, RefreshToken
from tests.console.oauth.hosts import BOTH, REGISTRATIONS, Host, allowed_apps, location

EVERY_ADDRESS = [(name, uri) for name, body in REGISTRATIONS.items() for uri in body["redirect_uris"]]


@pytest.mark.parametrize(("name", "uri"), EVERY_ADDRESS)
def test_every_host_gets_from_registration_to_a_refreshed_token(
    name: str, uri: str, connect_host: Callable[..., Host], paper: Connection
) -> None:
    host = connect_host(name, uri)
    page = host.open(scope=REGISTRATIONS[name].get("scope"))
    assert page.status_code == 200
    assert REGISTRATIONS[name]["client_name"] in page.content.decode()

    answer = host.allow(paper.pk, BOTH, scope=REGISTRATIONS[name].get("scope"))
    assert answer["Location"].startswith(uri)
    told = location(answer)
    assert told.keys() == {"code", "state", "iss"}
    assert told["state"] == "st/at+e=1"
    assert told["iss"] == settings.ISSUER

    first = host.redeem(told["code"])
    assert first.status_code == 200, first.content.decode()
    assert first["Content-Type"] == "application/json"
    assert first["Cache-Control"] == "no-store"
    tokens = first.json()
    assert tokens == {
        "access_token": tokens["access_token"],
        "refresh_token": tokens["refresh_token"],
        "token_type": "Bearer",
        "expires_in": 3600,
        "scope": BOTH,
        "resource": settings.MCP_URL,
    }
    second = host.refresh(tokens["refresh_token"], scope=REGISTRATIONS[name].get("scope"))
    assert second.status_code == 200, second.content.decode()
    assert second.json()["scope"] == BOTH
    assert second.json()["refresh_token"] != tokens["refresh_token"]


def test_an_app_is_made_for_the_chosen_connection_and_starts_with_the_first_token(
    host: Host, paper: Connection
) -> None:
    code = host.code(paper.pk, "mcp:read")
    app = allowed_apps().get()
    assert (app.owner, app.connection, app.name, app.scopes) == (paper.owner, paper, "Claude", "mcp:read")
    assert app.client is not None and app.client.client_id == host.client_id
    assert allowed_apps().filter(activated_at=None).exists()

    tokens = host.redeem(code).json()
    assert not allowed_apps().filter(activated_at=None).exists()
    assert AccessToken.objects.get().app == RefreshToken.objects.get().app == app
    assert AccessToken.objects.get().resource == [settings.MCP_URL]
    assert tokens["scope"] == "mcp:read"


def test_signing_in_again_ends_the_older_app_of_the_same_client_and_connection(host: Host, paper: Connection) -> None:
    old = host.connect(paper.pk)
    code = host.code(paper.pk)
    assert host.refresh(old["refresh_token"]).status_code == 200, "an unredeemed code ends nothing"
    assert host.redeem(code).status_code == 200
    assert host.refresh(old["refresh_token"]).json()["error"] == "invalid_grant"
    assert [bool(app.revoked_at) for app in allowed_apps()] == [True, False]


def test_nothing_that_opens_an_endpoint_is_stored_readable(host: Host, paper: Connection) -> None:
    code = host.code(paper.pk)
    assert Grant.objects.get().code != code
    tokens = host.redeem(code).json()
    rows = [*AccessToken.objects.values(), *RefreshToken.objects.values()]
    for secret in (code, tokens["access_token"], tokens["refresh_token"]):
        assert secret not in str(rows)


def test_a_person_who_is_not_signed_in_comes_back_to_the_same_request(host: Host) -> None:
    answer = Browser().get(host.url())
    assert answer.status_code == 302
    sent_to = urlsplit(answer["Location"])
    assert sent_to.path == settings.LOGIN_URL
    assert parse_qs(sent_to.query)["next"] == [host.url()]


def test_a_confidential_client_needs_its_secret(browser: Browser, paper: Connection) -> None:
    host = Host.register(browser, REGISTRATIONS["copilot-studio"])
    assert host.secret
    right, host.secret = host.secret, "wrong"
    code = host.code(paper.pk)
    for secret in ("wrong", ""):
        host.secret = secret
        refused = host.redeem(code)
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
    host.secret = right
    assert host.redeem(code).status_code == 200


def test_an_unknown_client_is_told_to_register_again(host: Host, paper: Connection) -> None:
    code = host.code(paper.pk)
    for client_id in ("nobody", "no\x00body", None):
        refused = host.redeem(code, client_id=client_id)
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")


def test_a_code_is_bound_to_its_client(host: Host, connect_host: Callable[..., Host], paper: Connection) -> None:
    stranger = connect_host("claude")
    code = host.code(paper.pk)
    assert stranger.redeem(code).json()["error"] == "invalid_grant"
    tokens = host.redeem(code).json()
    assert stranger.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert host.refresh(tokens["refresh_token"]).status_code == 200


@pytest.mark.parametrize("grant_type", ["password", "client_credentials", "implicit", "device_code", "", "x"])
def test_there_are_no_other_grants(host: Host, grant_type: str) -> None:
    answer = host.token({"grant_type": grant_type, "username": "olivia@example.com", "password": "x"})
    assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")


def test_token_requests_are_forms_in_the_body(host: Host, paper: Connection) -> None:
    for path in ("/oauth/token", "/oauth/revoke"):
        for answer in (
            Browser().post(path, {"grant_type": "refresh_token"}, content_type="application/json"),
            Browser().post(f"{path}?client_id=%zz", "a=b", content_type="application/x-www-form-urlencoded"),
            Browser().post(path, "a=" + "b" * 300_000, content_type="application/x-www-form-urlencoded"),
            Browser().post(path, "a=%zz", content_type="application/x-www-form-urlencoded; charset=utf-16"),
        ):
            assert answer.status_code == 400, answer.content
            assert answer.json()["error"] == "invalid_request"
        assert Browser().get(path).status_code == 405
