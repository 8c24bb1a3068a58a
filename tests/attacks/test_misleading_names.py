"""No program's name says how far it is to be trusted, or that it is this server: at every endpoint a name comes in
by.
"""

import json
from typing import Any

import pytest
from django.test import Client as Browser

from console import display_name_rules
from console.accounts.models import User
from console.clients.metadata_documents import DocumentRefused, normalise
from console.clients.models import Client
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.errors import Refusal
from console.keys import management_keys, minting
from console.keys.models import ApiKey, ManagementKey
from console.platforms import services
from console.platforms.models import Platform
from console.scopes import Scope
from tests.attacks.steps import body
from tests.console.api.rest import Rest
from tests.console.oauth.hosts import REGISTRATIONS, register
from tests.console.pages import submit, words_of
from tests.console.present import at_the_browser

pytestmark = pytest.mark.django_db
READ = frozenset({Scope.READ})
SPEAKING = [
    "Claude \u2713 verified by Tradelatch",
    "Claude\nIdentity: verified",
    "Claude \u2714",
    "Claude \u2705",
    "\u2611 Claude",
    "\u221a Claude",
    "\U0001f512 Claude",
    "\U0001f6e1 Claude",
    "Identity: Claude",
    "Claude (Verified)",
    "ClaudeVerified",
    "Unverified",
    "0fficial Claude",
    "ver!fied Claude",
    "V e r i f i e d",
    "v.e.r.i.f.i.e.d",
    "\u24e5\u24d4\u24e1\u24d8\u24d5\u24d8\u24d4\u24d3",
    "\uff36\uff45\uff52\uff49\uff46\uff49\uff45\uff44",
    "Reviewed: Claude",
    "Trusted by your operator",
    "Tradelatch",
    "Trade Latch support",
    "T-r-a-d-e-l-a-t-c-h",
    "Tr\u00e4delatch",
    "\u0422\u0433\u0430\u0501\u0435\u04cf\u0430\u0442\u0441\u04bb",  # in Cyrillic letters alone
    "\u1d1b\u0280\u1d00\u1d05\u1d07\u029f\u1d00\u1d1b\u1d04\u029c",  # in small capitals
    "\u13a2\u13a1\u13aa\u13a0\u13ac\u13de\u13aa\u13a2\u13df\u13bb",  # in Cherokee
    "Tr@del@tch",
    "Tradelatch (tradelatch)",
    "Claude (tradelatch) verified",
    "Claude (tradelatch-verified)",
    "Claude (tradelatch-team)",
    "tradelatch-live",
]
PLAIN = [
    *sorted({str(each["client_name"]) for each in REGISTRATIONS.values() if each.get("client_name")}),
    "Claude Code (tradelatch)",
    "Claude Code (tradelatch-live)",
    "Claude Code (Tradelatch_paper)",
    "TradeStation",
    "Portfolio Notes",
    "My Authenticator",
    "IdentityServer",
    "Order Desk 24/7",
    "Key for C++",
    "\U0001f680 Rocket",
    "M\u00fcller & S\u00f6hne",
    "\u041f\u0440\u043e\u0432\u0435\u0440\u043a\u0430",
    "\u53d6\u5f15AI",
]
speaking = pytest.mark.parametrize("name", SPEAKING)


@pytest.fixture
def owned(browser: Browser, owner: User) -> Browser:
    return at_the_browser(owner)


@pytest.mark.parametrize("name", PLAIN)
def test_a_programs_own_name_is_taken(name: str) -> None:
    assert display_name_rules.clean_display_name(name) == name
    assert register(body(client_name=name)).json()["client_name"] == name


@speaking
def test_registering_and_changing_a_registration_refuse_it(name: str) -> None:
    answer = register(body(client_name=name))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")
    told = register(body(client_name="Portfolio Notes")).json()
    changed = Browser().generic(
        "PUT",
        f"/oauth/register/{told['client_id']}",
        json.dumps({**body(client_name=name), "client_id": told["client_id"]}).encode(),
        content_type="application/json",
        headers={"authorization": f"Bearer {told['registration_access_token']}"},
    )
    assert (changed.status_code, changed.json()["error"]) == (400, "invalid_client_metadata")
    assert Client.objects.get().name == "Portfolio Notes"


@speaking
def test_a_metadata_document_with_it_is_no_client(name: str) -> None:
    address = "https://notes.example/client.json"
    document: dict[str, Any] = {
        "client_id": address,
        "client_name": name,
        "redirect_uris": ["https://notes.example/cb"],
    }
    with pytest.raises(DocumentRefused, match="name"):
        normalise(address, document)
    assert normalise(address, {**document, "client_name": "Notes"}).name == "Notes"


@speaking
def test_no_verb_takes_it_for_a_key_or_a_platform(name: str, owner: User, operator: User, paper: Connection) -> None:
    before = ApiKey.objects.count()
    for refused in (
        lambda: minting.mint(owner, paper, READ, name=name),
        lambda: management_keys.mint(owner, name=name, expires_at=None),
        lambda: services.create_platform(operator, name=name),
    ):
        with pytest.raises(Refusal, match="name"):
            refused()
    assert ApiKey.objects.count() == before
    assert not ManagementKey.objects.exists() and not Platform.objects.exists()


@pytest.mark.parametrize("name", ["Claude \u2713", "Official Claude", "Tradelatch", "Claude (Verified)"])
def test_the_consoles_forms_and_rest_refuse_it_to_operators_too(
    name: str, operator: User, owner: User, paper: Connection
) -> None:
    before = ConnectedApp.objects.count()
    page = at_the_browser(operator)
    client = {"redirect_uris": "https://x.example/cb", "scope": "read", "name": name}
    assert "could be mistaken for a statement by this server" in words_of(submit(page, "/clients/new/", client))
    assert "could be mistaken for a statement by this server" in words_of(
        submit(page, "/platforms/new/", {"name": name})
    )
    key = {"name": name, "connection": paper.pk, "scope": "read", "expiry": "90"}
    mine = at_the_browser(owner)
    assert "could be mistaken for a statement by this server" in words_of(submit(mine, "/keys/new/", key))
    for path, sent in (
        ("/keys", {"name": name, "connection_id": paper.pk, "scopes": ["mcp:read"]}),
        ("/clients", {"name": name, "redirect_uris": ["https://x.example/cb"], "scopes": ["mcp:read"]}),
    ):
        assert Rest(mine).refused("POST", path, sent)["errors"][0]["field"] == "name"
    assert not Client.objects.exists() and not Platform.objects.exists()
    assert ConnectedApp.objects.count() == before


def test_a_connection_that_is_called_so_still_gets_its_default_key(owner: User) -> None:
    page = submit(
        at_the_browser(owner),
        "/connections/add/",
        {"name": "Verified by Tradelatch", "starting_cash": "1000.00", "currency": "USD", "hours": "always"},
    )
    assert "Verified by Tradelatch is ready" in words_of(page)
