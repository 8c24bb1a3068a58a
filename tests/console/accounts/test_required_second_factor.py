"""Where the operator requires a second factor, nobody does anything without one."""

import pytest
from django.conf import LazySettings
from django.test import Client as Browser

from console.accounts import second_factors
from console.accounts.models import User
from console.connections.models import Connection
from console.keys import minting
from console.scopes import Scope
from tests.conftest import PASSWORD
from tests.console.pages import words_of
from tests.console.present import at_the_browser, present
from tests.console.second_factors import code, give_app, sealed_in, shown_codes, shown_secret, sign_in


@pytest.fixture(autouse=True)
def required(settings: LazySettings, db: None) -> None:
    settings.REQUIRE_SECOND_FACTOR = True


@pytest.mark.parametrize("url", ["/", "/keys/", "/orders/", "/people/", "/oauth/authorize", "/security/codes/"])
def test_every_page_leads_to_setting_one_up(owner: User, url: str) -> None:
    browser, _ = sign_in(owner, PASSWORD)
    assert browser.get(url)["Location"] == "/security/"
    assert browser.post(url)["Location"] == "/security/"


def test_the_security_page_says_why(owner: User) -> None:
    browser, _ = sign_in(owner, PASSWORD)
    assert "Everyone here needs a second factor" in words_of(browser.get("/security/"))


def test_once_it_is_set_up_the_person_goes_on_to_where_they_were_going(owner: User) -> None:
    browser, _ = sign_in(owner, PASSWORD, next="/keys/new/?from=mail")
    browser.get("/keys/new/?from=mail")
    page = present(browser).post("/security/app/")
    answer = browser.post("/security/app/", {"sealed": sealed_in(page), "code": code(shown_secret(page))})
    assert len(shown_codes(answer)) == 10
    assert 'href="/keys/new/?from=mail"' in answer.content.decode()
    assert browser.get("/keys/new/").status_code == 200


def test_signing_out_is_always_possible(owner: User) -> None:
    browser, _ = sign_in(owner, PASSWORD)
    assert browser.post("/sign-out/")["Location"] == "/sign-in/"


def test_whoever_has_one_notices_nothing(owner: User) -> None:
    give_app(owner)
    browser = Browser()
    browser.force_login(owner)
    assert browser.get("/").status_code == 200


def test_the_last_one_cannot_be_removed(owner: User) -> None:
    factor = give_app(owner)
    browser = at_the_browser(owner)
    browser.post(f"/security/factors/{factor.pk}/remove/")
    assert "Add another before you remove this one" in words_of(browser.get("/security/"))
    assert second_factors.has_any(owner)


def test_by_default_nobody_is_asked(owner: User, settings: LazySettings) -> None:
    settings.REQUIRE_SECOND_FACTOR = False
    browser, _ = sign_in(owner, PASSWORD)
    assert browser.get("/").status_code == 200


@pytest.mark.parametrize("url", ["/api/v1/orders", "/api/v1/keys"])
def test_the_rest_api_says_so_to_a_session_in_its_own_words(owner: User, url: str) -> None:
    browser, _ = sign_in(owner, PASSWORD)
    answer = browser.get(url)
    assert answer.status_code == 403
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "not_permitted"
    assert "second factor" in answer.json()["detail"]


def test_a_key_works_on_without_one(owner: User, paper: Connection) -> None:
    _, raw = minting.mint(owner, paper, frozenset({Scope.READ}), name="script")
    answer = Browser().get("/api/v1/orders", headers={"Authorization": f"Bearer {raw}"})
    assert answer.status_code == 200
