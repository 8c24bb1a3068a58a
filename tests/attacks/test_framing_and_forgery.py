"""Pages of the sign-in cannot be framed, and no other site can press their buttons."""

import pytest
from django.test import Client as Browser

from console.accounts.models import User
from console.clients.models import Client, ReviewState
from console.connections.models import Connection
from tests.console.oauth.hosts import Host, allowed_apps


def test_no_page_of_the_sign_in_can_be_framed_or_kept(host: Host, paper: Connection) -> None:
    pages = {
        "consent": host.open(),
        "ended": host.browser.get("/oauth/consent/unknown"),
        "unknown client": host.begin(client_id="nobody"),
        "wrong address": host.begin(redirect_uri="https://evil.example/"),
        "bad document": host.begin(client_id="https://127.0.0.1/c"),
        "sign-in": Browser().get("/sign-in/"),
        "proof": host.browser.post(
            host.page(), {"choice": "allow", "connection": paper.pk, "scope": "mcp:read mcp:trade"}
        ),
    }
    Client.objects.update(review=ReviewState.WAITING)
    pages["awaits review"] = host.open()
    for name, page in pages.items():
        assert "frame-ancestors 'none'" in page["Content-Security-Policy"], name
        assert page["X-Frame-Options"] == "DENY", name
        assert page["X-Content-Type-Options"] == "nosniff", name
        assert "no-store" in page["Cache-Control"], name
        assert "Access-Control-Allow-Origin" not in page, name


@pytest.mark.parametrize("choice", ["allow", "cancel", "switch"])
def test_another_site_cannot_press_a_button_of_the_consent_page(
    choice: str, host: Host, owner: User, paper: Connection
) -> None:
    strict = host.browser = Browser(enforce_csrf_checks=True)
    strict.force_login(owner)
    page = host.page()
    strict.get(page)
    fields = {"choice": choice, "connection": paper.pk, "scope": "mcp:read"}
    for forged in ({}, {"csrfmiddlewaretoken": ""}, {"csrfmiddlewaretoken": "x" * 64}):
        assert strict.post(page, fields | forged).status_code == 403
    own = strict.cookies["tradelatch_csrf"].value
    elsewhere = strict.post(page, fields | {"csrfmiddlewaretoken": own}, headers={"origin": "https://evil.example"})
    assert elsewhere.status_code == 403
    assert strict.get(page).status_code == 200, "still waiting, still signed in"
    assert not allowed_apps().exists()


def test_a_choice_in_an_address_chooses_nothing(host: Host, paper: Connection) -> None:
    chosen = f"choice=allow&connection={paper.pk}&scope=mcp:read"
    assert host.browser.get(f"{host.page()}?{chosen}").status_code == 200
    assert host.browser.get(f"{host.url()}&{chosen}").status_code in (302, 400)
    assert not allowed_apps().exists()


def test_the_authorization_endpoint_takes_no_form(host: Host, paper: Connection) -> None:
    answer = host.browser.post(host.url(), {"choice": "allow", "connection": paper.pk, "scope": "mcp:read"})
    assert answer.status_code == 405


def test_an_operators_decision_cannot_be_forged(host: Host, operator: User) -> None:
    client = Client.objects.get()
    strict = Browser(enforce_csrf_checks=True)
    strict.force_login(operator)
    for verb in ("accept", "refuse"):
        assert strict.post(f"/clients/{client.pk}/{verb}/").status_code == 403
        assert strict.get(f"/clients/{client.pk}/{verb}/").status_code in (403, 405)
