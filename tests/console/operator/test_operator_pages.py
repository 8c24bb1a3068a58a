"""What an operator sees and does for the whole instance; to everybody else these pages do not exist."""

import re

import pytest
from django.test import Client as Browser

from console.accounts.models import User
from console.audit.models import Change
from console.clients import registration
from console.clients.models import Client, ReviewState
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.halts import services as halts
from console.keys import management_keys
from console.platforms import services as platforms
from console.scopes import Scope, Source
from tests.console.pages import text_of, words_of
from tests.console.present import present
from tests.plain_english import stiff_phrases

PAGES = [f"/operator/{page}/" for page in ("system", "clients", "grants", "connections", "halts", "grants/revoke-all")]


@pytest.fixture
def cursor(db: None) -> Client:
    return registration.register_dynamic(name="Cursor", redirect_uris=["https://cursor.example.com/cb"]).client


@pytest.fixture
def granted(owner: User, paper: Connection, cursor: Client) -> ConnectedApp:
    app = grants.grant(owner, paper, frozenset({Scope.READ}), source=Source.OAUTH, name="Cursor", client=cursor)
    grants.activate(app)
    return app


@pytest.fixture
def acts(owner: User, cursor: Client, granted: ConnectedApp) -> list[str]:
    return [
        f"/operator/clients/{cursor.pk}/block/",
        f"/operator/clients/{cursor.pk}/unblock/",
        "/operator/clients/prune/",
        f"/operator/grants/{granted.pk}/revoke/",
        "/operator/grants/revoke-all/",
        f"/operator/grants/revoke-all/person/{owner.pk}/",
        f"/operator/grants/revoke-all/client/{cursor.pk}/",
    ]


def test_nobody_but_an_operator_finds_any_of_it(browser: Browser, others_browser: Browser, acts: list[str]) -> None:
    for somebody in (browser, others_browser):
        assert {somebody.get(page).status_code for page in PAGES} == {404}
        assert {somebody.post(act).status_code for act in acts} == {404}
    assert Browser().get(PAGES[0])["Location"].startswith("/sign-in/")
    assert not ConnectedApp.objects.exclude(revoked_at=None).exists()


def test_every_page_shows_itself_in_plain_english(
    operators_browser: Browser, granted: ConnectedApp, paper: Connection, owner: User
) -> None:
    halts.halt_connection(paper, by=owner, reason="enough")
    for page in PAGES:
        shown = operators_browser.get(page)
        assert shown.status_code == 200, page
        assert stiff_phrases(words_of(shown)) == [], page
        assert not re.search(r"\sstyle\s*=|<style|\son[a-z]+\s*=", text_of(shown)), page


def test_no_page_tells_of_money_positions_orders_or_account_numbers(
    operators_browser: Browser, granted: ConnectedApp, paper: Connection, owner: User
) -> None:
    Connection.objects.filter(pk=paper.pk).update(equity="123456.78", default_account="U7654321")
    halts.halt_connection(paper, by=owner, account_id="U7654321", reason="BTC/USD fell")
    for page in PAGES:
        words = words_of(operators_browser.get(page))
        for private in ("123,456", "123456", "U7654321", "BTC/USD"):
            assert private not in words, page


def test_clients_that_registered_themselves_are_listed_with_their_people(
    operators_browser: Browser, granted: ConnectedApp
) -> None:
    words = words_of(operators_browser.get("/operator/clients/"))
    assert "Cursor" in words and "https://cursor.example.com/cb" in words and "Registered itself" in words
    assert "Cursor" in words_of(operators_browser.get("/operator/clients/?q=cursor.example"))
    assert "No client found" in words_of(operators_browser.get("/operator/clients/?q=zed"))


def test_a_blocked_client_ends_with_its_grants_and_comes_back_with_a_proof_but_without_them(
    operators_browser: Browser, operator: User, cursor: Client, granted: ConnectedApp
) -> None:
    operators_browser.post(f"/operator/clients/{cursor.pk}/block/")
    cursor.refresh_from_db()
    granted.refresh_from_db()
    assert (cursor.review, granted.revoked_at is None) == (ReviewState.REFUSED, False)
    assert "Blocked" in words_of(operators_browser.get("/operator/clients/"))
    asked = operators_browser.post(f"/operator/clients/{cursor.pk}/unblock/")
    assert b'name="proof-password"' in asked.content
    present(operators_browser).post(f"/operator/clients/{cursor.pk}/unblock/")
    cursor.refresh_from_db()
    granted.refresh_from_db()
    assert (cursor.review, granted.revoked_at is None) == (ReviewState.ACCEPTED, False)
    change = Change.objects.get(action="allowed again")
    assert (change.user_label, change.proof, change.before) == (operator.email, "password", {"review": "refused"})


def test_what_the_owner_set_on_an_app_binds_its_next_grant_though_an_operator_ended_it(
    operators_browser: Browser, cursor: Client, granted: ConnectedApp
) -> None:
    operators_browser.post(f"/operator/grants/{granted.pk}/revoke/")
    granted.refresh_from_db()
    assert (granted.revoked_reason, granted.still_binds) == ("Revoked by an operator", True)


def test_unused_clients_are_deleted_on_demand_and_the_others_stay(
    operators_browser: Browser, granted: ConnectedApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    unused = registration.register_dynamic(name="Abandoned", redirect_uris=["https://a.example.com/cb"]).client
    fresh = registration.register_dynamic(name="Fresh", redirect_uris=["https://b.example.com/cb"]).client
    Client.objects.filter(pk=unused.pk).update(created="2026-01-01T00:00:00Z")
    assert granted.client is not None
    Client.objects.filter(pk=granted.client.pk).update(created="2026-01-01T00:00:00Z")
    assert "Delete 1 unused" in words_of(operators_browser.get("/operator/clients/"))
    operators_browser.post("/operator/clients/prune/")
    assert set(Client.objects.values_list("name", flat=True)) == {"Cursor", fresh.name}
    assert Change.objects.get(action="unused clients deleted").times == 1


def test_all_grants_of_a_person_end_with_their_management_keys(
    operators_browser: Browser, owner: User, other: User, granted: ConnectedApp, trade_key: str
) -> None:
    key, _ = management_keys.mint(owner, name="CI", expires_at=None)
    others_key, _ = management_keys.mint(other, name="CI", expires_at=None)
    page = f"/operator/grants/revoke-all/person/{owner.pk}/"
    assert "3 grants end immediately" in words_of(operators_browser.get(page))
    assert ConnectedApp.objects.filter(revoked_at=None).count() == 3, "looking at it ends nothing"
    operators_browser.post(page)
    assert ConnectedApp.objects.filter(revoked_at=None).count() == 0
    key.refresh_from_db()
    others_key.refresh_from_db()
    assert (key.revoked_at is None, others_key.revoked_at is None) == (False, True)


def test_all_grants_of_a_client_end_and_those_of_others_stay(
    operators_browser: Browser, cursor: Client, granted: ConnectedApp, app: ConnectedApp
) -> None:
    operators_browser.post(f"/operator/grants/revoke-all/client/{cursor.pk}/")
    assert list(ConnectedApp.objects.exclude(revoked_at=None)) == [granted]


def test_everything_can_be_revoked_at_once(
    operators_browser: Browser, granted: ConnectedApp, app: ConnectedApp, read_key: str
) -> None:
    operators_browser.post("/operator/grants/revoke-all/")
    assert ConnectedApp.objects.filter(revoked_at=None).count() == 0


def test_everybodys_connections_are_shown_with_their_state(operators_browser: Browser, paper: Connection) -> None:
    Connection.objects.filter(pk=paper.pk).update(last_error="The broker is away.")
    words = words_of(operators_browser.get("/operator/connections/"))
    assert "Practice Paper olivia@example.com paper Error On" in words


def test_a_halt_of_somebody_else_is_shown_and_its_owner_lifts_it(
    operators_browser: Browser, owner: User, paper: Connection
) -> None:
    halts.halt_connection(paper, by=owner)
    words = words_of(operators_browser.get("/operator/halts/"))
    assert "Orders on Practice" in words and "Only its owner can lift it" in words


def test_users_of_platforms_are_no_people(operators_browser: Browser, operator: User) -> None:
    platform, _ = platforms.create_platform(operator, name="Embedder")
    platforms.provision_user(platform, reference="u1")
    words = words_of(operators_browser.get("/people/"))
    assert "platform.invalid" not in words and operator.email in words
    user = User.objects.get(platform_user__isnull=False)
    for act in ("make-operator", "disable"):
        assert operators_browser.get(f"/people/{user.pk}/{act}/").status_code == 404
    assert operators_browser.post(f"/people/{user.pk}/invite-again/").status_code == 404
