"""Who may introduce an app is the operator's choice, and discovery tells hosts the truth about it."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.test import Client as Browser
from django.utils import timezone
from pytest_django import Settings

from console.accounts.models import User
from console.audit.models import Change
from console.clients.models import Client, ClientKind, ReviewState
from console.connected_apps import grants
from console.connections.models import Connection
from console.oauth import tasks
from console.scopes import Scope, Source
from tests.console.oauth.hosts import REGISTRATIONS, Host, allowed_apps, location, register
from tests.console.oauth.steps import text_of
from tests.console.present import at_the_browser
from tests.serving import manage

SERVER = "/.well-known/oauth-authorization-server"
READ = frozenset({Scope.READ})
CLAUDE = "https://claude.ai/oauth/mcp-oauth-client-metadata"


@pytest.fixture(autouse=True)
def nothing_counted() -> None:
    cache.clear()


@pytest.fixture
def browser(owner: User) -> Browser:
    browser = Browser()
    browser.force_login(owner)
    return browser


@pytest.fixture
def operators(operator: User) -> Browser:
    return at_the_browser(operator)


def manage_own(method: str, told: dict[str, Any], body: object = None) -> Any:
    return Browser().generic(
        method,
        f"/oauth/register/{told['client_id']}",
        json.dumps(body).encode(),
        content_type="application/json",
        headers={"authorization": f"Bearer {told['registration_access_token']}"},
    )


def test_off_means_that_discovery_offers_no_way_and_none_is_open(
    browser: Browser, paper: Connection, settings: Settings
) -> None:
    before = Host.register(browser, REGISTRATIONS["claude"])
    settings.SELF_REGISTRATION = "off"
    told = Browser().get(SERVER).json()
    assert "registration_endpoint" not in told
    assert told["client_id_metadata_document_supported"] is False
    refused = register(REGISTRATIONS["codex"])
    assert (refused.status_code, refused.json()["error"]) == (403, "access_denied")
    assert "Its operator registers them by hand" in refused.json()["error_description"]
    page = Host(browser, CLAUDE, "https://claude.ai/api/mcp/auth_callback").begin()
    assert page.status_code == 400
    assert "apps cannot register themselves on this server" in text_of(page)
    assert Client.objects.count() == 1
    assert before.connect(paper.pk)["scope"] == "mcp:read", "who is known already stays"


def test_off_still_lets_a_client_remove_itself_but_not_become_another(settings: Settings, db: None) -> None:
    told = register(REGISTRATIONS["claude"]).json()
    settings.SELF_REGISTRATION = "off"
    assert manage_own("PUT", told, told).status_code == 403
    assert manage_own("GET", told).status_code == 200
    assert manage_own("DELETE", told).status_code == 204


@pytest.mark.parametrize("kind", ["dynamic", "document"])
def test_under_review_an_app_is_made_and_waits_for_an_operator(
    kind: str, browser: Browser, operators: Browser, paper: Connection, settings: Settings
) -> None:
    settings.SELF_REGISTRATION = "review"
    told = Browser().get(SERVER).json()
    assert told["registration_endpoint"].endswith("/oauth/register")
    assert told["client_id_metadata_document_supported"] is True
    if kind == "dynamic":
        host = Host.register(browser, REGISTRATIONS["claude"])
    else:
        host = Host(browser, CLAUDE, "https://claude.ai/api/mcp/auth_callback")
    page = host.page()
    shown = browser.get(page)
    assert shown.status_code == 403
    assert "Claude has to be reviewed first" in text_of(shown)
    assert "Ask an operator of this server" in text_of(shown)
    assert host.choose(page, "allow", connection=paper.pk, scope="mcp:read").status_code == 403
    assert not allowed_apps().exists()
    assert location(host.choose(page, "cancel"))["error"] == "access_denied"

    listed = text_of(operators.get("/clients/review/"))
    assert "Claude" in listed and "https://claude.ai/api/mcp/auth_callback" in listed
    client = Client.objects.get()
    assert operators.post(f"/clients/{client.pk}/accept/", {"seen": client.looks})["Location"] == "/clients/review/"
    page = text_of(host.open())
    assert "nobody has reviewed it" not in page
    assert host.connect(paper.pk)["scope"] == "mcp:read"
    assert Change.objects.filter(action="accepted", target="client").count() == 1
    assert operators.post(f"/clients/{client.pk}/accept/", {"seen": client.looks}).status_code == 302
    assert Change.objects.filter(action="accepted", target="client").count() == 1, "once"


def test_a_refused_app_is_unknown_and_what_came_through_it_ends(
    browser: Browser, operators: Browser, paper: Connection, settings: Settings
) -> None:
    settings.SELF_REGISTRATION = "review"
    host = Host.register(browser, REGISTRATIONS["claude"])
    client = Client.objects.get()
    operators.post(f"/clients/{client.pk}/accept/", {"seen": client.looks})
    tokens = host.connect(paper.pk)
    waiting = host.page()
    assert operators.post(f"/clients/{client.pk}/refuse/").status_code == 302
    assert allowed_apps().get().revoked_reason == "Its client was refused by an operator"
    assert host.refresh(tokens["refresh_token"]).json()["error"] == "invalid_client"
    assert host.begin().status_code == 400
    assert host.choose(waiting, "allow", connection=paper.pk, scope="mcp:read").status_code == 400
    assert "Refused by an operator" in text_of(operators.get("/clients/review/"))


def test_an_accepted_app_that_changes_itself_is_reviewed_again(
    browser: Browser, operators: Browser, paper: Connection, settings: Settings
) -> None:
    settings.SELF_REGISTRATION = "review"
    told = register(REGISTRATIONS["claude"]).json()
    operators.post(f"/clients/{Client.objects.get().pk}/accept/", {"seen": Client.objects.get().looks})
    changed = {**REGISTRATIONS["claude"], "client_id": told["client_id"], "redirect_uris": ["https://other.example/"]}
    assert manage_own("PUT", told, changed).status_code == 200
    assert Host(browser, told["client_id"], "https://other.example/").open().status_code == 403


def test_an_operator_who_connects_an_app_is_led_to_the_list(
    operators: Browser, browser: Browser, settings: Settings
) -> None:
    settings.SELF_REGISTRATION = "review"
    assert 'href="/clients/review/"' in Host.register(operators, REGISTRATIONS["claude"]).open().content.decode()


def test_only_operators_see_the_list_and_decide(browser: Browser, settings: Settings) -> None:
    settings.SELF_REGISTRATION = "review"
    register(REGISTRATIONS["claude"])
    client = Client.objects.get()
    assert browser.get("/clients/review/").status_code == 404
    for verb in ("accept", "refuse"):
        assert browser.post(f"/clients/{client.pk}/{verb}/").status_code == 404
    client.refresh_from_db()
    assert client.awaits_review


def test_a_word_that_is_no_choice_stops_the_start(tmp_path: Any) -> None:
    ran = manage(tmp_path / "home", 8000, "check", TRADELATCH_SELF_REGISTRATION="opne")
    assert ran.returncode != 0
    assert "TRADELATCH_SELF_REGISTRATION must be open, review or off, not 'opne'" in ran.stderr


@pytest.mark.parametrize("url", ["http://mail.example", "smtp:mail.example", "mail.example:25"])
def test_a_mail_server_that_is_not_named_properly_stops_the_start(url: str, tmp_path: Any) -> None:
    ran = manage(tmp_path / "home", 8000, "check", TRADELATCH_SMTP_URL=url)
    assert "TRADELATCH_SMTP_URL must look like" in ran.stderr


def test_an_app_that_changed_while_the_operator_looked_is_not_accepted(operators: Browser) -> None:
    client = Client.objects.create(
        name="Nice Notes",
        kind=ClientKind.DYNAMIC,
        review=ReviewState.WAITING,
        redirect_uris="https://notes.example/cb",
        client_type=Client.CLIENT_PUBLIC,
        authorization_grant_type=Client.GRANT_AUTHORIZATION_CODE,
    )
    seen = client.looks
    Client.objects.filter(pk=client.pk).update(redirect_uris="https://evil.example/cb")
    operators.post(f"/clients/{client.pk}/accept/", {"seen": seen})
    client.refresh_from_db()
    assert client.awaits_review


def test_what_has_run_out_is_forgotten_and_nothing_else(owner: User) -> None:
    browser = Browser()
    browser.force_login(owner)
    Session.objects.create(session_key="over", session_data="x", expire_date=timezone.now() - timedelta(days=1))
    tasks.forget()
    assert Session.objects.count() == 1
    assert browser.get("/").status_code == 200


def test_a_client_nobody_ever_allowed_is_forgotten_after_30_days_and_one_that_was_never(
    owner: User, paper: Connection
) -> None:
    def client(name: str, days: int) -> Client:
        made = Client.objects.create(
            name=name,
            kind=ClientKind.DYNAMIC,
            redirect_uris="https://notes.example/cb",
            client_type=Client.CLIENT_PUBLIC,
            authorization_grant_type=Client.GRANT_AUTHORIZATION_CODE,
        )
        Client.objects.filter(pk=made.pk).update(created=timezone.now() - timedelta(days=days))
        return made

    client("unused", 31)
    client("new", 29)
    app = grants.grant(owner, paper, READ, source=Source.OAUTH, name="used", client=client("used", 400))
    grants.revoke(app, by=owner, reason="test")
    tasks.forget()
    assert set(Client.objects.values_list("name", flat=True)) == {"new", "used"}


def test_iss_can_be_kept_out_of_discovery_for_hosts_that_drop_it(client: Browser, settings: Settings) -> None:
    settings.ADVERTISE_ISS = False
    assert "authorization_response_iss_parameter_supported" not in client.get(SERVER).json()
