"""Wrong passwords from anywhere keep neither their person nor a neighbour out, and guessing stays slow."""

import pytest
from django.test import Client as Browser

from console.accounts import known_browsers, throttle
from console.accounts.models import Link, User
from console.accounts.password_links import make
from tests.conftest import PASSWORD
from tests.console.accounts.steps import TOO_MANY, WRONG, attempt

pytestmark = pytest.mark.django_db


def guess(email: str, times: int, *, net: str = "192.0.2", browser: Browser | None = None) -> list[str]:
    """From as many addresses."""
    return [
        attempt(browser or Browser(), email, "guess", REMOTE_ADDR=f"{net}.{number}") for number in range(1, times + 1)
    ]


def known_browser(user: User) -> Browser:
    browser = Browser()
    assert attempt(browser, user.email, PASSWORD) == "to /"
    browser.post("/sign-out/")
    return browser


def test_five_wrong_passwords_from_five_addresses_keep_nobody_out(owner: User) -> None:
    guess(owner.email, 5)
    assert attempt(Browser(), owner.email, PASSWORD, REMOTE_ADDR="198.51.100.1") == "to /"


def test_ever_more_computers_get_twenty_guesses_in_five_minutes_together(owner: User) -> None:
    told = guess(owner.email, throttle.FAILURES_OF_STRANGERS + 5)
    assert sum(WRONG in each for each in told) == throttle.FAILURES_OF_STRANGERS == 20
    assert TOO_MANY in attempt(Browser(), owner.email, PASSWORD, REMOTE_ADDR="198.51.100.1")


def test_a_browser_that_is_known_passes_meanwhile(owner: User) -> None:
    mine = known_browser(owner)
    guess(owner.email, 30)
    assert attempt(mine, owner.email, PASSWORD, REMOTE_ADDR="198.51.100.1") == "to /"


def test_it_passes_in_a_neighbourhood_where_others_guess(owner: User) -> None:
    mine = known_browser(owner)
    for number in range(throttle.FAILURES_PER_IP + 1):
        attempt(Browser(), f"user{number}@example.com", "guess")
    assert TOO_MANY in attempt(Browser(), owner.email, PASSWORD)
    assert attempt(mine, owner.email, PASSWORD) == "to /"


def test_a_known_browser_has_five_guesses_and_then_those_of_strangers(owner: User) -> None:
    mine = known_browser(owner)
    guess(owner.email, 25)
    told = guess(owner.email, 7, net="203.0.113", browser=mine)
    assert sum(WRONG in each for each in told) == throttle.FAILURES_PER_KNOWN_BROWSER == 5
    assert TOO_MANY in attempt(mine, owner.email, PASSWORD, REMOTE_ADDR="198.51.100.1")


def test_a_browser_known_for_one_person_is_a_stranger_to_another(owner: User, other: User) -> None:
    theirs = known_browser(other)
    guess(owner.email, 20)
    assert TOO_MANY in attempt(theirs, owner.email, PASSWORD, REMOTE_ADDR="198.51.100.1")
    assert attempt(theirs, other.email, PASSWORD, REMOTE_ADDR="198.51.100.1") == "to /"


@pytest.mark.parametrize("forged", ["", "x", "e30:1abcde:AAAA", "{}"])
def test_the_cookie_cannot_be_made_up(forged: str, owner: User) -> None:
    browser = Browser()
    browser.cookies[known_browsers.COOKIE] = forged
    guess(owner.email, 20)
    assert TOO_MANY in attempt(browser, owner.email, PASSWORD, REMOTE_ADDR="198.51.100.1")


def test_the_cookie_opens_nothing_and_no_script_reads_it(owner: User) -> None:
    mine = known_browser(owner)
    assert mine.get("/keys/").status_code == 302
    cookie = mine.cookies[known_browsers.COOKIE]
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
    assert owner.email not in cookie.value


def test_whoever_sets_a_new_password_by_their_letter_passes(owner: User) -> None:
    browser = Browser()
    guess(owner.email, 20)
    path = make(owner, Link.Purpose.RECOVERY).split("/", 3)[3]
    new = "another long password 7"
    assert browser.post(f"/{path}", {"password": new, "again": new})["Location"] == "/sign-in/"
    assert attempt(browser, owner.email, new, REMOTE_ADDR="198.51.100.1") == "to /"


def test_guesses_count_nobody_out_of_the_passkey(owner: User) -> None:
    guess(owner.email, 25)
    assert TOO_MANY in attempt(Browser(), owner.email, PASSWORD, REMOTE_ADDR="198.51.100.1")
    answer = Browser().get("/sign-in/passkey/?options", REMOTE_ADDR="198.51.100.1")
    assert "publicKey" in answer.json()


def test_a_neighbours_noise_keeps_no_known_browser_from_its_passkey(owner: User) -> None:
    mine = known_browser(owner)
    for _ in range(throttle.FAILURES_PER_IP + 2):
        Browser().get("/sign-in/passkey/?options")
    assert Browser().get("/sign-in/passkey/?options").status_code == 429
    assert mine.get("/sign-in/passkey/?options").status_code == 200
