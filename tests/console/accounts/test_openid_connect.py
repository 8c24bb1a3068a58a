"""Google or another provider opens the account that has the address it verified, and never makes one."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.exceptions import ImproperlyConfigured
from django.test import Client as Browser

from console.accounts.models import User
from console.config import oidc
from console.config.oidc import Provider
from tests.console.accounts import provider as providers
from tests.console.accounts.provider import CLIENT_ID, CLIENT_SECRET, OpenIdProvider
from tests.console.pages import words_of
from tests.console.second_factors import give_app

pytestmark = pytest.mark.django_db
START = "/sign-in/with/oidc/"


@pytest.fixture(scope="module")
def server() -> Iterator[OpenIdProvider]:
    with providers.running() as started:
        yield started


@pytest.fixture
def provider(server: OpenIdProvider, settings: LazySettings) -> OpenIdProvider:
    server.claims = {"email": "olivia@example.com", "email_verified": True}
    server.sign_with, server.algorithm, server.metadata, server.token_status = server.key, "RS256", {}, 200
    settings.IDENTITY_PROVIDERS = {"oidc": Provider("oidc", "Acme", server.issuer, CLIENT_ID, CLIENT_SECRET)}
    return server


def come_back(provider: OpenIdProvider, next_: str = "/keys/") -> tuple[Browser, Any]:
    browser = Browser()
    sent = browser.get(START, {"next": next_})
    assert sent["Location"].startswith(f"{provider.issuer}/authorize?"), sent["Location"]
    return browser, browser.get(provider.authorize(sent["Location"]))


def refused(browser: Browser, answer: Any) -> str:
    assert answer["Location"] == "/sign-in/"
    assert browser.get("/keys/").status_code == 302
    return words_of(browser.get("/sign-in/"))


def test_a_verified_address_opens_the_account_that_has_it(provider: OpenIdProvider, owner: User) -> None:
    provider.claims["email"] = "Olivia@Example.com"
    browser, answer = come_back(provider)
    assert answer["Location"] == "/keys/"
    assert browser.get("/keys/").status_code == 200
    assert browser.session["_auth_user_id"] == str(owner.pk)


def test_a_provider_that_wants_the_secret_in_the_form_gets_it_there(provider: OpenIdProvider, owner: User) -> None:
    provider.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    _, answer = come_back(provider)
    assert answer["Location"] == "/keys/"


def test_nobody_is_ever_made(provider: OpenIdProvider, owner: User) -> None:
    provider.claims["email"] = "stranger@example.com"
    assert "There is no account for stranger@example.com" in refused(*come_back(provider))
    assert User.objects.count() == 1


def test_a_disabled_account_stays_closed(provider: OpenIdProvider, owner: User) -> None:
    User.objects.update(is_active=False)
    assert "There is no account for" in refused(*come_back(provider))


def test_the_second_factor_is_still_asked_for(provider: OpenIdProvider, owner: User) -> None:
    give_app(owner)
    browser, answer = come_back(provider)
    assert answer["Location"] == "/sign-in/second-step/"
    assert browser.get("/keys/").status_code == 302


@pytest.mark.parametrize(
    "lie",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "another"},
        {"aud": [CLIENT_ID, "another"], "azp": "another"},
        {"iss": "https://evil.example"},
        {"exp": 1},
        {"exp": None},
        {"iat": 2**33},
        {"email_verified": False},
        {"email_verified": "true"},
        {"email_verified": None},
        {"email": None},
        {"email": ""},
        {"email": ["olivia@example.com"]},
    ],
    ids=str,
)
def test_an_id_token_that_lies_opens_nothing(provider: OpenIdProvider, owner: User, lie: dict[str, Any]) -> None:
    provider.claims |= lie
    refused(*come_back(provider))


def test_an_id_token_somebody_else_signed_opens_nothing(provider: OpenIdProvider, owner: User) -> None:
    provider.sign_with = provider.strangers_key
    assert "not valid" in refused(*come_back(provider))


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_an_id_token_without_the_providers_signature_opens_nothing(
    provider: OpenIdProvider, owner: User, algorithm: str
) -> None:
    provider.algorithm = algorithm
    assert "not valid" in refused(*come_back(provider))


def test_a_provider_that_names_another_issuer_is_not_asked(provider: OpenIdProvider, owner: User) -> None:
    provider.metadata = {"issuer": "https://evil.example"}
    browser = Browser()
    assert browser.get(START)["Location"] == "/sign-in/"


def test_a_provider_that_fails_is_said_to_have_failed(provider: OpenIdProvider, owner: User) -> None:
    provider.token_status = 500
    assert "could not be reached" in refused(*come_back(provider))


def test_an_answer_needs_the_browser_that_asked(provider: OpenIdProvider, owner: User) -> None:
    callback = provider.authorize(Browser().get(START)["Location"])
    browser = Browser()
    assert "was started elsewhere" in refused(browser, browser.get(callback))


def test_an_answer_with_another_state_is_refused(provider: OpenIdProvider, owner: User) -> None:
    browser = Browser()
    callback = provider.authorize(browser.get(START)["Location"])
    assert "was started elsewhere" in refused(browser, browser.get(callback + "x"))


def test_an_answer_counts_once(provider: OpenIdProvider, owner: User) -> None:
    browser = Browser()
    callback = provider.authorize(browser.get(START)["Location"])
    assert browser.get(callback)["Location"] == "/"
    browser.post("/sign-out/")
    refused(browser, browser.get(callback))


def test_an_answer_of_another_issuer_is_refused(provider: OpenIdProvider, owner: User) -> None:
    browser = Browser()
    callback = provider.authorize(browser.get(START)["Location"])
    assert "did not come from Acme" in refused(browser, browser.get(callback + "&iss=https://evil.example"))


def test_whoever_says_no_at_the_provider_is_back_at_the_sign_in_page(provider: OpenIdProvider, owner: User) -> None:
    browser = Browser()
    callback = provider.authorize(browser.get(START)["Location"])
    state = callback.partition("state=")[2]
    answer = browser.get(f"{START}callback/?error=access_denied&state={state}")
    assert "did not sign you in" in refused(browser, answer)


def test_it_leads_nowhere_else(provider: OpenIdProvider, owner: User) -> None:
    _, answer = come_back(provider, next_="https://evil.example/")
    assert answer["Location"] == "/"


def test_a_button_is_there_only_for_what_is_configured(provider: OpenIdProvider, settings: LazySettings) -> None:
    page = words_of(Browser().get("/sign-in/"))
    assert "Sign in with Acme" in page
    assert "Google" not in page
    assert Browser().get("/sign-in/with/google/").status_code == 404
    settings.IDENTITY_PROVIDERS = {}
    assert "Acme" not in words_of(Browser().get("/sign-in/"))
    assert Browser().get(START).status_code == 404
    assert Browser().get(f"{START}callback/").status_code == 404


def test_the_environment_configures_both_or_says_what_is_missing() -> None:
    google = {"TRADELATCH_GOOGLE_CLIENT_ID": "a", "TRADELATCH_GOOGLE_CLIENT_SECRET": "b"}
    other = {
        "TRADELATCH_OIDC_ISSUER": "https://id.example.com",
        "TRADELATCH_OIDC_CLIENT_ID": "c",
        "TRADELATCH_OIDC_CLIENT_SECRET": "d",
    }
    assert oidc.providers({}) == {}
    found = oidc.providers(google | other)
    assert [(one.slug, one.name, one.issuer) for one in found.values()] == [
        ("google", "Google", "https://accounts.google.com"),
        ("oidc", "id.example.com", "https://id.example.com"),
    ]
    assert "'d'" not in repr(found)
    assert oidc.providers(other | {"TRADELATCH_OIDC_NAME": "Acme"})["oidc"].name == "Acme"
    for half in ({"TRADELATCH_GOOGLE_CLIENT_ID": "a"}, other | {"TRADELATCH_OIDC_ISSUER": ""}):
        with pytest.raises(ImproperlyConfigured, match="Set all of"):
            oidc.providers(half)
    with pytest.raises(ImproperlyConfigured, match="https"):
        oidc.providers(other | {"TRADELATCH_OIDC_ISSUER": "http://id.example.com"})
