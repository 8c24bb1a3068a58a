from typing import Any

from django.test import Client as Browser

from console.accounts.models import User
from console.clients import registration
from console.clients.models import Client
from console.scopes import Scope
from tests.console.pages import submit, text_of, words_of

FIELDS: dict[str, Any] = {
    "name": "Rebalancer",
    "redirect_uris": "https://rebalancer.example.com/cb\r\n\r\nhttp://127.0.0.1/cb\r\n",
    "scope": "read",
}


def test_the_empty_list_says_who_needs_a_client(browser: Browser) -> None:
    assert "No client registered" in words_of(browser.get("/clients/"))


def test_a_public_client_is_registered_with_each_line_as_an_address(browser: Browser, owner: User) -> None:
    made = submit(browser, "/clients/new/", FIELDS)
    client = Client.objects.get(user=owner)
    assert client.redirect_uris.split() == ["https://rebalancer.example.com/cb", "http://127.0.0.1/cb"]
    assert client.scopes == "mcp:read"
    words = words_of(made)
    assert client.client_id in words
    assert "secret now" not in words


def test_the_secret_of_a_confidential_client_is_shown_once(browser: Browser, owner: User) -> None:
    made = submit(browser, "/clients/new/", {**FIELDS, "confidential": "on"})
    secret = text_of(made).split('secret"><code>')[1].split("<")[0]
    assert len(secret) > 30
    assert "no-store" in made["Cache-Control"]
    client = Client.objects.get(user=owner)
    for url in ("/clients/", f"/clients/{client.pk}/"):
        assert secret not in text_of(browser.get(url))
    again = browser.post("/clients/new/", made.wsgi_request.POST.dict(), follow=True)
    assert secret not in text_of(again)
    assert Client.objects.filter(user=owner).count() == 1


def test_an_address_that_cannot_be_used_is_refused_at_the_field(browser: Browser) -> None:
    response = submit(browser, "/clients/new/", {**FIELDS, "redirect_uris": "http://example.com/cb"})
    assert 'id="id_redirect_uris_error"' in text_of(response)
    assert not Client.objects.exists()


def test_deleting_ends_it_for_everybody(browser: Browser, owner: User) -> None:
    client, _ = registration.register_static(
        owner, name="Widget", redirect_uris=["https://widget.example.com/cb"], scopes=frozenset({Scope.READ})
    )
    words = words_of(browser.post(f"/clients/{client.pk}/delete/", follow=True))
    assert "Widget is deleted." in words
    assert "No client registered" in words
    assert browser.get(f"/clients/{client.pk}/").status_code == 404


def test_clients_that_registered_themselves_are_nobodys_to_delete(browser: Browser) -> None:
    client = registration.register_dynamic(name="Claude", redirect_uris=["https://claude.ai/cb"]).client
    assert browser.post(f"/clients/{client.pk}/delete/").status_code == 404
