import re

from django.core.cache import cache
from django.test import Client as Browser

from console.accounts.models import User
from tests.conftest import PASSWORD
from tests.console.accounts.steps import TOO_MANY, WRONG, attempt
from tests.console.pages import words_of


def test_every_page_asks_a_stranger_to_sign_in_and_leads_back(db: None) -> None:
    response = Browser().get("/keys/")
    assert response["Location"] == "/sign-in/?next=/keys/"


def test_the_right_password_leads_to_home_whatever_the_case_of_the_address(owner: User) -> None:
    assert attempt(Browser(), "Olivia@Example.com", PASSWORD) == "to /"


def test_a_wrong_password_and_an_unknown_address_get_the_same_sentence(owner: User) -> None:
    assert WRONG in attempt(Browser(), owner.email, "not it")
    assert WRONG in attempt(Browser(), "nobody@example.com", "not it")


def test_next_leads_back_here_and_never_to_another_site(owner: User) -> None:
    fields = {"username": owner.email, "password": PASSWORD}
    assert Browser().post("/sign-in/", {**fields, "next": "/keys/"})["Location"] == "/keys/"
    assert Browser().post("/sign-in/", {**fields, "next": "https://evil.example/"})["Location"] == "/"


def test_after_five_failures_the_account_waits_there_even_for_the_right_password(owner: User) -> None:
    for _ in range(5):
        assert WRONG in attempt(Browser(), owner.email, "guess", REMOTE_ADDR="192.0.2.1")
    assert TOO_MANY in attempt(Browser(), owner.email, PASSWORD, REMOTE_ADDR="192.0.2.1")


def test_after_ten_failures_from_one_address_every_account_waits_there(owner: User) -> None:
    for number in range(10):
        assert WRONG in attempt(Browser(), f"user{number}@example.com", "guess")
    assert TOO_MANY in attempt(Browser(), owner.email, PASSWORD)
    assert attempt(Browser(), owner.email, PASSWORD, REMOTE_ADDR="198.51.100.1") == "to /"


def test_the_wait_ends_when_the_five_minutes_are_over(owner: User) -> None:
    for _ in range(6):
        attempt(Browser(), owner.email, "guess")
    cache.clear()
    assert attempt(Browser(), owner.email, PASSWORD) == "to /"


def test_signing_in_is_no_failure_however_often_it_is_done(owner: User) -> None:
    for _ in range(12):
        assert attempt(Browser(), owner.email, PASSWORD) == "to /"


def test_signing_out_takes_a_post_and_ends_the_session(browser: Browser) -> None:
    assert browser.get("/sign-out/").status_code == 405
    assert browser.post("/sign-out/")["Location"] == "/sign-in/"
    assert browser.get("/").status_code == 302


def test_a_form_without_its_token_is_refused(owner: User) -> None:
    strict = Browser(enforce_csrf_checks=True)
    refused = strict.post("/sign-in/", {"username": owner.email, "password": PASSWORD})
    assert refused.status_code == 403
    assert "That is not allowed" in words_of(refused)


def test_the_password_field_never_comes_back_filled(owner: User) -> None:
    response = Browser().post("/sign-in/", {"username": owner.email, "password": "not it at all"})
    assert not re.search("not it at all", response.content.decode())
