"""The consent page: who is asked, what is offered, and that nothing but the form decides."""

import re
from collections.abc import Callable
from html import unescape
from urllib.parse import quote

import pytest
from django.test import Client as Browser
from django.utils import timezone

from console.accounts.models import User
from console.clients import registration
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.keys import management_keys
from console.scopes import Scope
from tests.console.api.rest import Rest
from tests.console.oauth.hosts import BOTH, Host, allowed_apps, location
from tests.console.oauth.steps import inputs_of, text_of


def test_it_names_the_app_the_person_the_return_address_and_that_nobody_reviewed_it(
    host: Host, paper: Connection
) -> None:
    text = text_of(host.open())
    assert "Let Claude use one of your connections?" in text
    assert "Signed in as olivia@example.com" in text
    assert "Returns to claude.ai /api/mcp/auth_callback" in text
    assert "Unverified." in text and "The app chose the name itself." in text
    assert "This app registered itself and nobody has reviewed it." in text
    assert "You can revoke access at any time under Connected apps. It takes effect immediately." in text


def test_a_client_of_ones_own_is_not_called_unreviewed(browser: Browser, owner: User, paper: Connection) -> None:
    client, _ = registration.register_static(
        owner, name="Mine", redirect_uris=["https://mine.example/cb"], scopes=frozenset({Scope.READ})
    )
    page = Host(browser, client.client_id, "https://mine.example/cb").open()
    assert "registered itself" not in text_of(page)
    assert inputs_of(page, "scope") == {"mcp:read": True}, "it may not hold trade, whatever it asks for"


def test_a_client_that_a_management_key_registered_is_called_that_and_not_yours(
    browser: Browser, owner: User, paper: Connection
) -> None:
    _, raw = management_keys.mint(owner, name="terraform", expires_at=None)
    body = {"name": "Claude", "redirect_uris": ["https://mine.example/cb"], "scopes": ["mcp:read"]}
    client = Rest(Browser(), raw).post("/clients", body, status=201)["client"]
    text = text_of(Host(browser, client["client_id"], "https://mine.example/cb").open())
    assert "Registered on this server by you" not in text
    assert "Unverified. A program registered this app on this server, with a management key of yours." in text
    assert "The app chose the name itself." in text


def test_a_return_to_this_computer_is_called_that(connect_host: Callable[..., Host], paper: Connection) -> None:
    assert "a program on the computer in front of you, at 127.0.0.1:46589 /callback" in text_of(
        connect_host("codex").open()
    )


def test_reading_on_paper_is_preselected(host: Host, paper: Connection, live: Connection) -> None:
    page = host.open()
    assert inputs_of(page, "connection") == {str(live.pk): False, str(paper.pk): True}
    assert inputs_of(page, "scope") == {"mcp:read": True, BOTH: False}
    assert re.search(r"Main account</strong>\s*<span class=\"tag-live\">Live", page.content.decode())
    assert re.search(r"Practice</strong>\s*<span class=\"tag-paper\">Paper", page.content.decode())


def test_one_of_several_live_connections_is_never_preselected(host: Host, live: Connection) -> None:
    assert inputs_of(host.open(), "connection") == {str(live.pk): True}
    Connection.objects.create(owner=live.owner, name="Second", broker="x", environment="live")
    assert set(inputs_of(host.open(), "connection").values()) == {False}


@pytest.mark.parametrize(
    ("scope", "offered"),
    [
        (BOTH, {"mcp:read", BOTH}),
        ("mcp:trade", {"mcp:read", BOTH}),
        ("mcp:read", {"mcp:read"}),
        ("mcp:read openid", {"mcp:read"}),
        ("", {"mcp:read", BOTH}),
        (None, {"mcp:read", BOTH}),
        ("   ", {"mcp:read", BOTH}),
        (" offline_access", {"mcp:read", BOTH}),
        ("openid email offline_access profile", {"mcp:read", BOTH}),
        ("mcp:read mcp:manage oauth2_provider:registration", {"mcp:read"}),
    ],
)
def test_unknown_scopes_are_left_out_and_none_means_both(
    scope: str | None, offered: set[str], host: Host, paper: Connection
) -> None:
    assert inputs_of(host.open(scope=scope), "scope").keys() == offered


def test_the_person_may_grant_less_than_was_asked(host: Host, paper: Connection) -> None:
    assert host.connect(paper.pk, "mcp:read")["scope"] == "mcp:read"


@pytest.mark.parametrize("forged", [BOTH, "mcp:trade", "mcp:read mcp:manage", "", "admin"])
def test_the_form_cannot_widen_what_was_asked(forged: str, host: Host, paper: Connection) -> None:
    assert host.allow(paper.pk, forged, scope="mcp:read").status_code == 400
    assert not allowed_apps().exists()


def test_another_persons_connection_cannot_be_chosen(host: Host, paper: Connection, others_paper: Connection) -> None:
    for forged in (others_paper.pk, 10**9, "", "x", "-1", f"{paper.pk} "):
        answer = host.allow(forged)
        if forged == f"{paper.pk} ":
            continue
        assert answer.status_code == 400
    assert not allowed_apps().exclude(connection=paper).exists()
    assert str(others_paper.pk) not in inputs_of(host.open(), "connection")


def test_a_closed_connection_cannot_be_chosen(host: Host, paper: Connection, live: Connection) -> None:
    Connection.objects.filter(pk=live.pk).update(closed_at=timezone.now())
    assert host.allow(live.pk).status_code == 400
    assert inputs_of(host.open(), "connection").keys() == {str(paper.pk)}


def test_parameters_that_a_client_adds_decide_nothing(
    host: Host, paper: Connection, others_paper: Connection, other: User
) -> None:
    ConnectedApp.objects.create(owner=other, connection=others_paper, source="oauth", name="x", scopes=BOTH)
    forged = str(allowed_apps().get().pk)
    added = dict.fromkeys(("app", "app_id", "connection_id", "user", "client", "used", "grant"), forged)
    polluted = added | {"connection": str(others_paper.pk), "scopes": BOTH, "choice": "allow"}
    assert host.open(**polluted).status_code == 200, "a choice in the URL is no choice"
    assert allowed_apps().count() == 1

    code = location(host.allow(paper.pk, "mcp:read", **polluted))["code"]
    at_token = added | {"refresh_token_instance": "1", "scopes": BOTH, "scope": BOTH, "expires_in": "9"}
    tokens = host.redeem(code, **at_token)
    assert tokens.status_code == 200, tokens.content
    assert (tokens.json()["scope"], tokens.json()["expires_in"]) == ("mcp:read", 3600)
    again = host.refresh(tokens.json()["refresh_token"], **at_token)
    assert again.status_code == 200, again.content
    assert again.json()["scope"] == "mcp:read"
    made = allowed_apps().last()
    assert (made.owner, made.connection, made.access_tokens.count()) == (paper.owner, paper, 2)
    assert allowed_apps().get(pk=forged).access_tokens.count() == 0


def test_it_is_asked_every_time(host: Host, paper: Connection) -> None:
    host.connect(paper.pk, BOTH)
    for extra in ({}, {"approval_prompt": "auto"}, {"prompt": "none"}, {"skip_authorization": "1"}):
        assert host.open(**extra).status_code == 200


def test_saying_no_tells_the_client(host: Host, paper: Connection) -> None:
    told = location(host.choose(host.page(), "cancel"))
    assert (told["error"], told["state"], told["iss"]) == ("access_denied", "st/at+e=1", "http://localhost:8000")
    assert "code" not in told
    assert not allowed_apps().exists()


def test_switching_the_user_signs_out_and_comes_back_to_the_same_request(
    host: Host, paper: Connection, other: User
) -> None:
    first = host.page()
    answer = host.choose(first, "switch")
    assert answer["Location"] == host.url()
    assert host.begin()["Location"].endswith(quote(host.url(), safe="/")), "signed out"
    host.browser.force_login(other)
    page = host.browser.get(host.page())
    assert "Signed in as oscar@example.com" in text_of(page)
    assert host.browser.get(first).status_code == 410, "the first one's request is not the second one's"


def test_without_a_connection_the_page_leads_to_making_one(host: Host) -> None:
    address = host.page()
    page = host.browser.get(address)
    assert "You have no connection yet" in text_of(page)
    assert f"/connections/add/?next={quote(address, safe='')}" in unescape(page.content.decode())


def test_it_says_where_trading_is_switched_off(host: Host, paper: Connection) -> None:
    assert "Trading is switched off here" not in text_of(host.open())
    Connection.objects.update(trading_enabled=False)
    assert "Trading is switched off here" in text_of(host.open())
    assert "Trading is switched off here" not in text_of(host.open(scope="mcp:read"))


def test_the_form_is_protected_and_the_page_cannot_be_framed(host: Host, owner: User, paper: Connection) -> None:
    strict = Browser(enforce_csrf_checks=True)
    strict.force_login(owner)
    host.browser = strict
    page = host.page()
    assert host.choose(page, "allow", connection=paper.pk, scope="mcp:read").status_code == 403
    assert not allowed_apps().exists()
    page = host.open()
    policy = page["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    assert "form-action" not in policy, "Chromium would stop the redirect to the host"
    assert page["X-Frame-Options"] == "DENY"
    assert "no-store" in page["Cache-Control"]
    assert "Cross-Origin-Opener-Policy" not in page, "a host could not watch the window it opened"


def test_markup_in_a_name_stays_text(browser: Browser, paper: Connection) -> None:
    body = {
        "client_name": "<b>edualC</b> Signed in",
        "redirect_uris": ["https://x.example/cb"],
        "token_endpoint_auth_method": "none",
    }
    html = Host.register(browser, body).open().content.decode()
    assert "&lt;b&gt;edualC&lt;/b&gt; Signed in" in html
    assert "<b>" not in html
