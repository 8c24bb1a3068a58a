"""Whoever has a second factor is not signed in by the password alone."""

import json
import time

import pytest
from django.core.cache import cache
from django.test import Client as Browser

from console.accounts import second_factors
from console.accounts.models import User
from tests.conftest import PASSWORD
from tests.console.pages import words_of
from tests.console.second_factors import code, give_app, sign_in

pytestmark = pytest.mark.django_db
STEP = "/sign-in/second-step/"


def half_way(owner: User, next_: str = "/keys/") -> Browser:
    give_app(owner)
    browser, answer = sign_in(owner, PASSWORD, next=next_)
    assert answer["Location"] == STEP
    return browser


def test_the_password_alone_opens_nothing(owner: User) -> None:
    browser = half_way(owner)
    assert browser.get("/keys/")["Location"].startswith("/sign-in/")


def test_the_code_of_the_app_finishes_the_way_in(owner: User) -> None:
    browser = half_way(owner)
    before = browser.session.session_key
    assert browser.post(STEP, {"code": code()})["Location"] == "/keys/"
    assert browser.get("/keys/").status_code == 200
    assert browser.session.session_key != before
    assert browser.session.get_expiry_age() > 86400


def test_a_code_is_forgiven_its_blanks_and_half_a_minute(owner: User) -> None:
    late = code(ago=1)
    assert half_way(owner).post(STEP, {"code": f"{late[:3]} {late[3:]}"})["Location"] == "/keys/"


def test_a_code_works_once(owner: User) -> None:
    seen = code()
    half_way(owner).post(STEP, {"code": seen})
    onlooker, _ = sign_in(owner, PASSWORD)
    assert "Wrong code, or it was already used" in words_of(onlooker.post(STEP, {"code": seen}))
    assert onlooker.get("/").status_code == 302


def test_a_recovery_code_works_once_in_place_of_the_app(owner: User) -> None:
    browser = half_way(owner)
    spare = second_factors.new_codes(owner)[3]
    assert browser.post(STEP, {"code": spare})["Location"] == "/keys/"
    assert second_factors.codes_left(owner) == 9
    cache.clear()
    again, _ = sign_in(owner, PASSWORD)
    assert again.post(STEP, {"code": spare}).status_code == 200


def test_guessing_codes_is_throttled_over_all_addresses(owner: User) -> None:
    browser = half_way(owner)
    for number in range(5):
        browser.post(STEP, {"code": "000000"}, REMOTE_ADDR=f"192.0.2.{number}")
    assert "Too many attempts" in words_of(browser.post(STEP, {"code": code()}, REMOTE_ADDR="198.51.100.1"))


def test_nobody_waits_at_the_step_without_a_password_first(owner: User) -> None:
    give_app(owner)
    browser = Browser()
    assert browser.get(STEP)["Location"] == "/sign-in/"
    assert browser.post(STEP, {"code": code()})["Location"] == "/sign-in/"


def test_the_step_waits_ten_minutes(owner: User) -> None:
    browser = half_way(owner)
    session = browser.session
    session["half_way_in"] = {**session["half_way_in"], "at": time.time() - 601}
    session.save()
    assert browser.post(STEP, {"code": code()})["Location"] == "/sign-in/"


def test_a_new_password_sends_back_whoever_waits_at_the_step(owner: User) -> None:
    browser = half_way(owner)
    owner.set_password("another long password")
    owner.save()
    assert browser.post(STEP, {"code": code()})["Location"] == "/sign-in/"


def test_disabling_sends_back_whoever_waits_at_the_step(owner: User) -> None:
    browser = half_way(owner)
    User.objects.filter(pk=owner.pk).update(is_active=False)
    assert browser.post(STEP, {"code": code()})["Location"] == "/sign-in/"


def test_somebody_elses_code_does_not_do(owner: User, other: User) -> None:
    browser = half_way(owner)
    theirs = second_factors.new_codes(other)[0]
    assert browser.post(STEP, {"code": theirs}).status_code == 200


def test_the_step_leads_nowhere_else(owner: User) -> None:
    browser = half_way(owner, next_="https://evil.example/")
    assert browser.post(STEP, {"code": code()})["Location"] == "/"


@pytest.mark.parametrize("credential", ["", "null", "[]", "{}", '{"id": 1}', '{"response": null}', "not json"])
def test_nonsense_in_place_of_a_passkey_is_refused_politely(owner: User, credential: str) -> None:
    browser = half_way(owner)
    browser.get(STEP + "?options")
    assert "is not registered here" in words_of(browser.post(STEP, {"credential": credential}))


@pytest.mark.parametrize("handle", ["", "AAAA", "enp6enp6enp6enp6enp6eg", None, 7, {}])
def test_a_passkey_of_nobody_opens_nothing(db: None, handle: object) -> None:
    browser = Browser()
    browser.get("/sign-in/passkey/?options")
    fields = {"clientDataJSON": "e30", "authenticatorData": "AAAA", "signature": "AAAA", "userHandle": handle}
    credential = json.dumps({"id": "AAAA", "rawId": "AAAA", "type": "public-key", "response": fields})
    answer = browser.post("/sign-in/passkey/", {"credential": credential, "next": "/keys/"})
    assert answer["Location"] == "/sign-in/?next=%2Fkeys%2F"
    assert "is not registered here" in words_of(browser.get(answer["Location"]))


def test_passkeys_are_throttled_by_address(db: None) -> None:
    browser = Browser()
    for _ in range(10):
        browser.post("/sign-in/passkey/", {"credential": "{}"})
    browser.get("/sign-in/")
    browser.post("/sign-in/passkey/", {"credential": "{}"})
    assert "Too many attempts" in words_of(browser.get("/sign-in/"))


def test_the_session_of_somebody_not_signed_in_yet_is_kept_for_minutes(db: None) -> None:
    browser = Browser()
    browser.get("/sign-in/passkey/?options")
    assert browser.session.get_expiry_age() <= 600
