"""Clients that pretend to be others: the name is a claim, the address is what a person checks."""

import pytest
from django.test import Client as Browser

from console.clients.models import Client
from console.connections.models import Connection
from tests.attacks.steps import body
from tests.console.oauth.hosts import Host, register
from tests.console.oauth.steps import inputs_of, text_of

DISGUISED = [
    "\u0421laude",  # CYRILLIC ES
    "Cl\u0430ude",  # CYRILLIC A
    "C\u217caud\u0435",
    "\u0391ssistant",  # GREEK ALPHA
    "Cur\u0455or",
    "Claude\u200b",
    "Cl\u200daude",
    "Cl\u00adaude",
    "\ufeffClaude",
    "\u202eedualC",
    "\u2066Claude\u2069",
    "\u200fClaude",
    "Claude\u0000",
    "Claude\x1b[31m",
    "Claude\x7f",
    "Claude\u2028Verified by Tradelatch",
    "Claude\u3164",
    "Claude\u2800",
    "Clau\u034fde",
    "Claude\ufe0f",
    "Claude\U000e0041",
    "Claude\ue000",
    "\ud800Claude",
]


@pytest.mark.django_db
@pytest.mark.parametrize("name", DISGUISED)
def test_a_name_in_disguise_is_refused(name: str) -> None:
    answer = register(body(client_name=name))
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_client_metadata"
    assert not Client.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "name",
    [
        "Caf\u00e9 desk",
        "\u041c\u043e\u0439 desk",
        "\u53d6\u5f15AI",
        "M\u00fcller & S\u00f6hne",
        "\u0395\u03bb\u03bb\u03ac\u03c2 1",
    ],
)
def test_a_name_in_any_one_alphabet_is_taken(name: str) -> None:
    assert register(body(client_name=name)).json()["client_name"] == name


def test_who_takes_a_known_name_is_shown_as_unverified_with_its_own_address(
    browser: Browser, paper: Connection
) -> None:
    told = register(body(client_name="Claude")).json()
    page = Host(browser, told["client_id"], "https://evil.example/cb").open()
    text = text_of(page)
    assert "Returns to evil.example /cb" in text
    assert "Unverified. This app registered itself and nobody has reviewed it. The app chose the name itself." in text
    assert "verified host" not in text and "vouches" not in text
    assert '<strong class="mono destination">evil.example</strong>' in page.content.decode(), "large"
    assert inputs_of(page, "scope")["mcp:read"], "and reading is all that is preselected"


@pytest.mark.parametrize(
    "uri",
    [
        "https://claude.ai.evil.example/cb",
        "https://evil.example/claude.ai/api/mcp/auth_callback",
        "https://evil.example:8443/claude.ai",
        "https://xn--clude-5ve.ai/cb",
    ],
)
def test_the_whole_host_is_shown_and_set_apart_from_the_path(uri: str, browser: Browser, paper: Connection) -> None:
    told = register(body(client_name="Claude", redirect_uris=[uri])).json()
    html = Host(browser, told["client_id"], uri).open().content.decode()
    assert f'<strong class="mono destination">{uri.split("/")[2]}</strong>' in html


@pytest.mark.django_db
@pytest.mark.parametrize(
    "uri",
    [
        "http://evil.example/cb",
        "http://localhost.evil.example/cb",
        "http://127.0.0.1@evil.example/cb",
        "cursor://evil/oauth/callback",
        "cursor://anysphere.cursor-mcp/oauth/callback/evil",
        "cursor://anysphere.cursor-mcp/oauth/callback?to=evil",
        "cursor://anysphere.cursor-mcp@evil/oauth/callback",
        "CURSOR://anysphere.cursor-mcp/oauth/callback",
        "cursor://anysphere.cursor-mcp/oauth/../evil",
        "claude://callback",
        "vscode://evil/cb",
    ],
)
def test_an_address_without_a_verified_owner_is_not_registered(uri: str) -> None:
    answer = register(body(redirect_uris=[uri]))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_redirect_uri")
    assert not Client.objects.exists()


@pytest.mark.django_db
def test_a_client_cannot_choose_its_own_id_kind_or_standing() -> None:
    claims = {
        "client_id": "https://claude.ai/oauth/mcp-oauth-client-metadata",
        "client_secret": "known",
        "kind": "static",
        "review": "accepted",
        "skip_authorization": True,
        "user": 1,
        "registration_access_token": "known",
    }
    told = register(body(**claims)).json()
    client = Client.objects.get()
    assert client.client_id == told["client_id"] != claims["client_id"]
    assert told["registration_access_token"] != "known"
    assert (client.kind, client.review, client.skip_authorization, client.user) == ("dynamic", "", False, None)
    assert client.client_secret == ""
