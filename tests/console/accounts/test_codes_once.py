"""A code of the authenticator app is good for one time, in whatever way it is written, wherever codes are taken."""

import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from allauth.mfa.totp.internal import auth as totp
from django.core.cache import cache
from django.db import connection
from django.test import Client as Browser

from console.accounts import second_factors
from console.accounts.models import User
from tests.conftest import PASSWORD
from tests.console.pages import text_of
from tests.console.present import at_the_browser
from tests.console.second_factors import SECRET, code, give_app, sealed_in, shown_codes, shown_secret, sign_in

STEP = "/sign-in/second-step/"
PROOF = "/security/codes/"
WRITTEN: dict[str, Callable[[str], str]] = {
    "as it is": lambda digits: digits,
    "with a dash": lambda digits: f"{digits[:3]}-{digits[3:]}",
    "with a minus sign": lambda digits: f"{digits[:3]}\u2212{digits[3:]}",
    "with blanks": lambda digits: f" {digits[:3]}\u00a0{digits[3:]} ",
    "in full width": lambda digits: digits.translate({48 + number: 0xFF10 + number for number in range(10)}),
    "in Arabic digits": lambda digits: digits.translate({48 + number: 0x660 + number for number in range(10)}),
    "with a character that hides": lambda digits: f"{digits[:3]}\u200b{digits[3:]}",
}
written = pytest.mark.parametrize("way", WRITTEN)


def at_the_step(owner: User) -> Browser:
    browser, _ = sign_in(owner, PASSWORD)
    return browser


def takes(browser: Browser, endpoint: str, typed: str) -> bool:
    """Whether the endpoint takes the code: the second step of signing in, or a proof of presence."""
    if endpoint == STEP:
        return bool(browser.post(STEP, {"code": typed}).status_code == 302)
    fields = {"once": once_of(browser.get(PROOF)), "proof-password": PASSWORD, "proof-code": typed}
    return bool(shown_codes(browser.post(PROOF, fields)))


def once_of(page: Any) -> str:
    found = re.search(r'name="once" value="([^"]+)"', text_of(page))
    assert found is not None
    return found[1]


def half_a_minute_later(monkeypatch: pytest.MonkeyPatch, user: User, seen: str) -> None:
    """For whoever checks codes; what the phone showed is still taken then, and allauth's own mark of it is gone."""
    cache.delete(f"allauth.mfa.totp.used?user={user.pk}&code={seen}")
    now = int(time.time()) // 30
    step = next(each for each in range(now, now - 10, -1) if totp.hotp_value(SECRET, each) == int(seen))
    monkeypatch.setattr(totp, "yield_hotp_counters_from_time", lambda: iter((step, step + 1, step + 2)))


@pytest.mark.django_db
@written
def test_every_way_of_writing_it_signs_in(way: str, owner: User) -> None:
    give_app(owner)
    assert at_the_step(owner).post(STEP, {"code": WRITTEN[way](code())})["Location"] == "/"


@pytest.mark.django_db
@written
@pytest.mark.parametrize("endpoint", [STEP, PROOF])
def test_a_used_code_is_not_taken_half_a_minute_later(
    endpoint: str, way: str, owner: User, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_app(owner)
    seen = code()
    assert takes(at_the_step(owner), STEP, seen)
    half_a_minute_later(monkeypatch, owner, seen)
    assert not takes(browser if endpoint == PROOF else at_the_step(owner), endpoint, WRITTEN[way](seen))


@pytest.mark.django_db
def test_a_code_used_for_presence_does_not_sign_in(
    owner: User, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_app(owner)
    seen = code()
    assert takes(browser, PROOF, f"{seen[:3]} {seen[3:]}")
    half_a_minute_later(monkeypatch, owner, seen)
    assert not takes(at_the_step(owner), STEP, seen)


@pytest.mark.django_db
def test_the_code_that_set_the_app_up_is_used(owner: User) -> None:
    browser = at_the_browser(owner)
    page = browser.post("/security/app/")
    shown = code(shown_secret(page))
    sent = {"sealed": sealed_in(page), "code": f"{shown[:3]}-{shown[3:]}"}
    assert browser.post("/security/app/", sent).status_code == 200
    assert second_factors.has(owner, second_factors.APP)
    assert at_the_step(owner).post(STEP, {"code": shown}).status_code == 200


@pytest.mark.django_db
def test_an_older_code_that_was_never_used_ends_with_a_newer_one(owner: User) -> None:
    give_app(owner)
    older = code(ago=1)
    assert second_factors.check_code(owner, code())
    assert not second_factors.check_code(owner, older)


@pytest.mark.django_db
def test_no_full_cache_and_no_restart_forgets_a_used_code(owner: User) -> None:
    give_app(owner)
    seen = code()
    assert second_factors.check_code(owner, seen)
    cache.clear()
    assert not second_factors.check_code(owner, seen)


@pytest.mark.django_db
@written
def test_a_recovery_code_is_good_for_one_time_in_any_writing(way: str, owner: User) -> None:
    give_app(owner)
    spare = second_factors.new_codes(owner)[0]
    assert second_factors.check_code(owner, spare)
    assert not second_factors.check_code(owner, WRITTEN[way](spare))


@pytest.mark.django_db
def test_a_code_one_person_used_is_still_anothers(owner: User, other: User) -> None:
    give_app(owner)
    give_app(other)
    assert second_factors.check_code(owner, code())
    assert second_factors.check_code(other, code())


@pytest.mark.django_db(transaction=True)
def test_of_five_that_come_at_once_with_one_code_one_is_taken(owner: User) -> None:
    give_app(owner)
    shown = code(SECRET)

    def use(_: int) -> bool:
        try:
            return second_factors.check_code(owner, shown)
        finally:
            connection.close()

    with ThreadPoolExecutor(5) as pool:
        assert sorted(pool.map(use, range(5))) == [False, False, False, False, True]
