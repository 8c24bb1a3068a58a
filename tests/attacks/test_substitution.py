"""A credential where it does not belong: another endpoint, another connection, another person, another kind."""

from collections.abc import Callable

import pytest
from django.test import Client as Browser

from console.accounts.models import User
from console.authority import bearer
from console.connections.models import Connection
from console.oauth.models import AccessToken
from tests.console.oauth.hosts import BOTH, Host, allowed_apps, location, register, shown_on


def test_only_an_access_token_opens_the_mcp_endpoint(host: Host, paper: Connection) -> None:
    code = host.code(paper.pk)
    with pytest.raises(bearer.Unauthenticated):
        bearer.authenticate(code)
    tokens = host.redeem(code).json()
    assert bearer.authenticate(tokens["access_token"]).connection_id == paper.pk
    managing = register({"redirect_uris": ["https://x.example/"]}).json()
    stored = AccessToken.objects.get().token_checksum
    for other in (
        tokens["refresh_token"],
        code,
        managing["registration_access_token"],
        managing["client_secret"],
        host.client_id,
        stored,
        tokens["access_token"] + "\n",
        f" {tokens['access_token']}",
        tokens["access_token"].swapcase(),
    ):
        with pytest.raises(bearer.Unauthenticated):
            bearer.authenticate(other)


def test_an_access_token_of_mcp_opens_no_page_and_no_management(host: Host, paper: Connection) -> None:
    tokens = host.connect(paper.pk, BOTH)
    signed = {"authorization": f"Bearer {tokens['access_token']}"}
    for page in ("/", "/apps/", "/keys/", "/clients/", "/orders/", f"/oauth/authorize?client_id={host.client_id}"):
        assert Browser().get(page, headers=signed)["Location"].startswith("/sign-in/"), page
    managed = Browser().get(f"/oauth/register/{host.client_id}", headers=signed)
    assert managed.status_code == 401


def test_tokens_are_of_one_kind_each(host: Host, paper: Connection) -> None:
    code = host.code(paper.pk)
    assert host.refresh(code).json()["error"] == "invalid_grant"
    tokens = host.redeem(code).json()
    assert host.redeem(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert host.refresh(tokens["access_token"]).json()["error"] == "invalid_grant"


def test_a_token_acts_on_the_connection_of_its_own_consent_and_no_other(
    host: Host, paper: Connection, live: Connection, others_paper: Connection
) -> None:
    on_paper = host.connect(paper.pk)["access_token"]
    on_live = host.connect(live.pk)["access_token"]
    assert bearer.authenticate(on_paper).connection_id == paper.pk
    assert bearer.authenticate(on_live).connection_id == live.pk
    for forged in (live.pk, others_paper.pk):
        code = host.code(paper.pk)
        tokens = host.redeem(code, connection=str(forged), connection_id=str(forged), app=str(forged)).json()
        assert bearer.authenticate(tokens["access_token"]).connection_id == paper.pk


@pytest.mark.parametrize("pollution", ["connection={}&connection={}", "connection_id={}", "connection[]={}&app_id={}"])
def test_a_connection_in_the_query_is_not_one_in_the_form(
    pollution: str, host: Host, paper: Connection, live: Connection
) -> None:
    polluted = host.url() + "&" + pollution.format(live.pk, live.pk)
    page = host.browser.get(polluted)["Location"]
    answer = host.browser.post(
        f"{page}?connection={live.pk}&scope={BOTH}",
        {
            "choice": "allow",
            "connection": str(paper.pk),
            "scope": "mcp:read",
            "shown": shown_on(host.browser.get(page)),
        },
    )
    assert "code" in location(answer)
    made = allowed_apps().get()
    assert (made.connection, made.scopes) == (paper, "mcp:read")


def test_of_two_connections_in_the_form_one_own_and_one_foreign_none_is_taken_over(
    host: Host, paper: Connection, others_paper: Connection
) -> None:
    answer = host.browser.post(
        host.page(), {"choice": "allow", "connection": [str(paper.pk), str(others_paper.pk)], "scope": "mcp:read"}
    )
    assert answer.status_code == 400
    assert not allowed_apps().exists()


def test_a_code_that_was_stolen_is_of_no_use_without_the_verifier(
    host: Host, connect_host: Callable[..., Host], paper: Connection, other: User, others_paper: Connection
) -> None:
    """Code injection (RFC 9700 section 4.5): put into the attacker's own session, or the victim's."""
    stolen = host.code(paper.pk)
    attacker = Browser()
    attacker.force_login(other)
    injected = Host(attacker, host.client_id, host.redirect_uri, verifier="a" * 64)
    assert "code" in location(injected.allow(others_paper.pk))
    assert injected.redeem(stolen).json()["error"] == "invalid_grant"
    assert connect_host("claude").redeem(stolen).json()["error"] == "invalid_grant"
    assert connect_host("codex").redeem(stolen).json()["error"] == "invalid_grant"
    assert host.redeem(stolen).status_code == 200


def test_pkce_cannot_be_left_out_at_one_end(host: Host, paper: Connection) -> None:
    """PKCE downgrade (RFC 9700 section 4.8.2)."""
    for weaker in ({"code_challenge": None}, {"code_challenge_method": "plain"}, {"code_challenge_method": None}):
        assert location(host.begin(**weaker))["error"] == "invalid_request"
    code = host.code(paper.pk)
    for verifier in (None, "", "v"):
        assert host.redeem(code, code_verifier=verifier).status_code == 400
    assert host.redeem(code).status_code == 200
