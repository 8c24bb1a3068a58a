"""Clients known by the address of their own metadata: hosts as they are today, and what the person is told."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.cache import cache
from django.test import Client as Browser
from django.utils import timezone
from pytest_django import Settings

from console.accounts.models import User
from console.audit.models import Change
from console.clients import fallback_metadata_documents, metadata_documents, registration
from console.clients.metadata_documents import DocumentRefused
from console.clients.models import Client
from console.connected_apps import grants
from console.connections.models import Connection
from tests.console.clients import vendor as vendors
from tests.console.clients.vendor import Vendor
from tests.console.oauth.hosts import BOTH, Host, location
from tests.console.oauth.steps import text_of

# As vendors publish them; see known.py. What they offer beyond the code grant is what the toolkit stumbles over.
PUBLISHED: dict[str, dict[str, Any]] = {
    "claude": {
        "client_name": "Claude",
        "client_uri": "https://claude.ai",
        "redirect_uris": ["https://claude.ai/api/mcp/auth_callback"],
        "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:jwt-bearer"],
    },
    "claude-code": {
        "client_name": "Claude Code",
        "redirect_uris": ["http://localhost/callback", "http://127.0.0.1/callback"],
    },
    "chatgpt": {
        "client_name": "ChatGPT",
        "redirect_uris": ["https://chatgpt.com/connector_platform_oauth_redirect"],
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_methods_supported": ["none", "private_key_jwt"],
        "jwks_uri": "https://chatgpt.com/oauth/jwks.json",
    },
    "codex": {"client_name": "Codex", "redirect_uris": ["http://127.0.0.1/callback"]},
    "vscode": {
        "client_name": "Visual Studio Code",
        "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
        "redirect_uris": ["http://127.0.0.1/", "https://vscode.dev/redirect"],
    },
}
RETURN_TO = {"claude-code": "http://localhost:51234/callback", "codex": "http://127.0.0.1:50001/callback"}


@pytest.fixture(autouse=True)
def no_failures_remembered() -> None:
    cache.clear()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vendor]:
    with vendors.serving(tmp_path_factory.mktemp("vendor")) as started:
        yield started


@pytest.fixture
def vendor(server: Vendor, settings: Settings) -> Vendor:
    """The vendor's server, which this process may reach for as long as the test runs."""
    server.replies.clear()
    server.asked.clear()
    reachable = {**django_settings.OAUTH2_PROVIDER, "CIMD_METADATA_FETCHER": vendors.fetcher_for(server)}
    settings.OAUTH2_PROVIDER = reachable
    return server


@pytest.fixture
def browser(owner: User) -> Browser:
    browser = Browser()
    browser.force_login(owner)
    return browser


def host_of(browser: Browser, address: str, redirect_uri: str = "https://vendor.example/callback") -> Host:
    return Host(browser, address, redirect_uri)


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_vendors_document_leads_from_consent_to_a_refreshed_token(
    name: str, vendor: Vendor, browser: Browser, paper: Connection
) -> None:
    published = PUBLISHED[name]
    host = host_of(browser, vendor.publish(**published), RETURN_TO.get(name, published["redirect_uris"][0]))
    page = text_of(host.open())
    assert f"Let {published['client_name']} use one of your connections?" in page
    assert f"vendor.example:{vendor.port} vouches for this app: verified host." in page
    assert "known copy" not in page and "registered itself" not in page
    assert ("Any program on this computer could pretend to be this app" in page) == host.redirect_uri.startswith(
        "http:"
    )
    tokens = host.connect(paper.pk, BOTH)
    assert tokens["scope"] == BOTH
    assert host.refresh(tokens["refresh_token"]).status_code == 200
    assert vendor.asked == ["/client.json"], "once, and never at the token endpoint"
    client = Client.objects.get()
    assert (client.kind, client.client_type, client.user, client.stands_on_a_copy) == (
        "document",
        "public",
        None,
        False,
    )
    assert Change.objects.get(target="client").action == "registered"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("max-age=3600", 3600),
        ("max-age=1", 300),
        ("max-age=99999999", 86400),
        ("no-store", 300),
        ("", 86400),
    ],
)
def test_it_is_kept_as_long_as_its_server_says_within_bounds(
    header: str, seconds: int, vendor: Vendor, db: None
) -> None:
    client = metadata_documents.resolve(vendor.publish(headers={"Cache-Control": header}))
    assert client.cimd_expires_at is not None
    assert abs((client.cimd_expires_at - timezone.now()).total_seconds() - seconds) < 10
    metadata_documents.resolve(client.client_id)
    assert len(vendor.asked) == 1


def _out_of_date(**fields: Any) -> None:
    Client.objects.update(cimd_expires_at=timezone.now(), **fields)


def test_a_document_that_changed_is_read_anew(vendor: Vendor, db: None) -> None:
    address = vendor.publish()
    metadata_documents.resolve(address)
    vendor.publish(client_name="Renamed", redirect_uris=["https://vendor.example/new"])
    _out_of_date()
    client = metadata_documents.resolve(address)
    assert (client.name, client.redirect_uris) == ("Renamed", "https://vendor.example/new")
    assert [change.action for change in Change.objects.filter(target="client").order_by("pk")] == [
        "registered",
        "changed",
    ]


def test_a_document_that_went_away_holds_for_a_week(vendor: Vendor, db: None) -> None:
    address = vendor.publish()
    metadata_documents.resolve(address)
    vendor.replies.clear()
    _out_of_date(document_fetched_at=timezone.now() - timedelta(days=6))
    assert metadata_documents.resolve(address).name == "Vendor"
    _out_of_date(document_fetched_at=timezone.now() - timedelta(days=8))
    cache.clear()
    with pytest.raises(DocumentRefused):
        metadata_documents.resolve(address)


def test_a_failure_is_remembered_for_a_minute_and_not_asked_for_again(vendor: Vendor, db: None) -> None:
    for _ in range(3):
        with pytest.raises(DocumentRefused, match="HTTP 404"):
            metadata_documents.resolve(vendor.address())
    assert len(vendor.asked) == 1


@pytest.mark.parametrize("address", fallback_metadata_documents.COPIES)
def test_a_known_copy_is_used_when_the_vendor_does_not_answer_and_the_page_says_so(
    address: str, browser: Browser, paper: Connection
) -> None:
    copy = fallback_metadata_documents.COPIES[address]
    host = host_of(browser, address, copy["redirect_uris"][0])
    page = text_of(host.open())
    assert f"Let {copy['client_name']} use" in page
    assert "Its document could not be fetched, so a known copy was used" in page
    assert Client.objects.get().stands_on_a_copy
    assert host.connect(paper.pk)["scope"] == "mcp:read"


def test_the_copies_are_the_documents_that_were_reported(pytestconfig: pytest.Config) -> None:
    for address, copy in fallback_metadata_documents.COPIES.items():
        assert copy["client_id"] == address
        metadata_documents.normalise(address, copy)


def test_a_known_copy_gives_way_to_the_document_when_it_can_be_read(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch, db: None
) -> None:
    address = vendor.address()
    monkeypatch.setitem(fallback_metadata_documents.COPIES, address, vendor.document(client_name="As we knew it"))
    assert metadata_documents.resolve(address).stands_on_a_copy
    vendor.publish(client_name="As it is")
    _out_of_date()
    cache.clear()
    client = metadata_documents.resolve(address)
    assert (client.name, client.stands_on_a_copy) == ("As it is", False)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"client_id": "https://claude.ai/oauth/mcp-oauth-client-metadata"}, "not the address"),
        ({"client_id": None}, "not the address"),
        ({"client_id": ["x"]}, "not the address"),
        ({"client_secret": "x"}, "secret"),
        ({"client_secret_expires_at": 0}, "secret"),
        ({"grant_types": ["refresh_token"]}, "grant_types"),
        ({"grant_types": "authorization_code"}, "grant_types"),
        ({"response_types": ["token"]}, "response_types"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "auth_method"),
        ({"token_endpoint_auth_method": ["none"]}, "auth_method"),
        ({"redirect_uris": None}, "redirect_uri"),
        ({"redirect_uris": []}, "redirect_uri"),
        ({"redirect_uris": [7]}, "redirect_uris"),
        ({"redirect_uris": ["http://evil.example/cb"]}, "redirect_uri"),
        ({"redirect_uris": ["cursor://evil/cb", "javascript:alert(1)"]}, "redirect_uri"),
        ({"client_name": 7}, "client_name"),
        ({"client_name": "\u202eedualC"}, "invisible character"),
    ],
)
def test_a_document_that_says_the_wrong_things_is_refused_with_the_reason(
    changes: dict[str, Any], reason: str, vendor: Vendor, browser: Browser
) -> None:
    # publish() leaves a field out when it is None, and its raw form is used for the others.
    fields = {name: value for name, value in {**vendor.document(), **changes}.items() if value is not None}
    address = vendor.publish(raw=json.dumps(fields).encode())
    page = host_of(browser, address).begin()
    assert page.status_code == 400
    assert "Location" not in page
    assert "This app cannot be identified" in text_of(page) and reason in text_of(page)
    assert not Client.objects.exists()


def test_addresses_it_may_not_return_to_are_left_out_and_the_others_stay(vendor: Vendor, db: None) -> None:
    good = "https://vendor.example/callback"
    address = vendor.publish(redirect_uris=["vendor-app://cb", "http://vendor.example/cb", good, good])
    assert metadata_documents.resolve(address).redirect_uris == good


def test_an_address_it_did_not_name_is_refused(vendor: Vendor, browser: Browser, paper: Connection) -> None:
    page = host_of(browser, vendor.publish(), "https://vendor.example/other").begin()
    assert page.status_code == 400
    assert "asked to return to an address it did not register" in text_of(page)


def test_an_id_that_is_taken_otherwise_is_not_taken_over(vendor: Vendor, db: None) -> None:
    address = vendor.publish()
    Client.objects.create(client_id=address, name="Static", redirect_uris="https://mine.example/cb", kind="static")
    assert metadata_documents.resolve(address).name == "Static"
    assert vendor.asked == []


def test_a_refused_document_client_stays_refused(
    vendor: Vendor, browser: Browser, paper: Connection, operator: User
) -> None:
    host = host_of(browser, vendor.publish())
    tokens = host.connect(paper.pk)
    assert grants.refuse_client(Client.objects.get(), by=operator)
    _out_of_date()
    assert host.begin().status_code == 400
    assert host.refresh(tokens["refresh_token"]).json()["error"] == "invalid_client"


def test_an_unknown_address_at_the_token_endpoint_is_an_unknown_client(vendor: Vendor, db: None) -> None:
    host = host_of(Browser(), vendor.publish())
    refused = host.redeem("x")
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
    assert vendor.asked == [], "no stranger is asked inside a transaction"


def test_a_code_for_a_document_client_is_told_its_issuer(vendor: Vendor, browser: Browser, paper: Connection) -> None:
    told = location(host_of(browser, vendor.publish()).allow(paper.pk))
    assert told["iss"] == django_settings.ISSUER


def test_an_accepted_document_client_waits_for_review_again_when_its_document_changes(
    vendor: Vendor, settings: Settings, operator: User
) -> None:
    settings.SELF_REGISTRATION = "review"
    address = vendor.publish()
    client = metadata_documents.resolve(address)
    assert registration.accept(client, by=operator, seen=client.looks)
    _out_of_date()
    assert not metadata_documents.resolve(address).awaits_review, "the same document, read again"
    vendor.publish(redirect_uris=["https://vendor.example/elsewhere"])
    _out_of_date()
    assert metadata_documents.resolve(address).awaits_review
