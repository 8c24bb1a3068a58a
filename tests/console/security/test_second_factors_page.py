"""Adding and removing second factors takes a recent proof, is journalled, and concerns nobody else."""

import re

import pytest
from django.core.cache import cache
from django.test import Client as Browser

from console.accounts import factors
from console.accounts.models import User
from console.audit.models import Change
from tests.conftest import PASSWORD
from tests.console.pages import submit, text_of, words_of
from tests.console.second_factors import code, give_app, just_proved, shown_codes, shown_secret

pytestmark = pytest.mark.django_db
ASKS = ("/security/app/", "/security/passkey/", "/security/codes/")


def actions(user: User) -> list[str]:
    return list(Change.objects.filter(user_id=user.pk).values_list("action", flat=True))


def test_an_app_is_added_by_the_code_it_shows(owner: User) -> None:
    browser = just_proved(owner)
    page = browser.get("/security/app/")
    assert "<svg" in text_of(page)
    answer = browser.post("/security/app/", {"code": code(shown_secret(page))})
    assert len(shown_codes(answer)) == 10
    assert factors.has(owner, factors.APP)
    assert actions(owner) == ["second factor added"]


def test_a_wrong_code_adds_nothing_and_keeps_the_secret_on_the_page(owner: User) -> None:
    browser = just_proved(owner)
    secret = shown_secret(browser.get("/security/app/"))
    answer = browser.post("/security/app/", {"code": "000000"})
    assert "Is the phone's clock right?" in words_of(answer).replace("&#x27;", "'")
    assert shown_secret(answer) == secret
    assert not factors.has_any(owner)


def test_the_secret_is_a_new_one_each_time_the_page_is_opened(owner: User) -> None:
    browser = just_proved(owner)
    assert shown_secret(browser.get("/security/app/")) != shown_secret(browser.get("/security/app/"))


def test_there_is_one_app_at_a_time(owner: User) -> None:
    give_app(owner)
    assert just_proved(owner).get("/security/app/")["Location"] == "/security/"


def test_recovery_codes_are_shown_once(owner: User) -> None:
    browser = just_proved(owner)
    shown = shown_codes(browser.post("/security/app/", {"code": code(shown_secret(browser.get("/security/app/")))}))
    page = text_of(browser.get("/security/"))
    assert "10 left" in page
    assert not any(spare in page for spare in shown)


def test_new_recovery_codes_end_the_old_ones_and_reload_makes_no_more(owner: User) -> None:
    give_app(owner)
    old = factors.new_codes(owner)
    browser = just_proved(owner)
    new = shown_codes(submit(browser, "/security/codes/", {}))
    assert len(new) == 10
    assert not set(new) & set(old)
    assert not factors.check_code(owner, old[0])
    assert factors.check_code(owner, new[0])
    assert actions(owner) == ["recovery codes replaced"]
    used = re.search(r'name="once" value="([^"]+)"', text_of(browser.get("/security/codes/")))
    assert used
    assert shown_codes(browser.post("/security/codes/", {"once": used[1]}))
    assert browser.post("/security/codes/", {"once": used[1]})["Location"] == "/security/"


def test_without_a_factor_there_are_no_recovery_codes(owner: User) -> None:
    assert just_proved(owner).post("/security/codes/")["Location"] == "/security/"
    assert factors.codes_left(owner) == 0


def test_the_last_factor_takes_the_recovery_codes_along(owner: User) -> None:
    factor = give_app(owner)
    factors.new_codes(owner)
    browser = just_proved(owner)
    url = f"/security/factors/{factor.pk}/remove/"
    assert "your last one" in words_of(browser.get(url))
    browser.post(url)
    assert not factors.Factor.objects.filter(user=owner).exists()
    assert actions(owner) == ["second factor removed"]


@pytest.mark.parametrize("url", ASKS)
def test_each_change_takes_a_recent_proof(browser: Browser, owner: User, url: str) -> None:
    for answer in (browser.get(url), browser.post(url, {"code": "1"})):
        assert answer["Location"].startswith("/re-authenticate/")


def test_removing_takes_a_recent_proof(browser: Browser, owner: User) -> None:
    factor = give_app(owner)
    assert browser.post(f"/security/factors/{factor.pk}/remove/")["Location"].startswith("/re-authenticate/")
    assert factors.has_any(owner)


def test_somebody_else_cannot_remove_it(owner: User, other: User, operator: User) -> None:
    factor = give_app(owner)
    for stranger in (other, operator):
        assert just_proved(stranger).post(f"/security/factors/{factor.pk}/remove/").status_code == 404
    assert factors.has_any(owner)


def test_a_code_of_the_app_is_proof_of_presence_too(browser: Browser, owner: User) -> None:
    give_app(owner)
    assert "Continue with a code" in words_of(browser.get("/re-authenticate/?next=/security/codes/"))
    assert browser.post("/re-authenticate/", {"code": "000000"}).status_code == 200
    assert browser.get("/security/codes/").status_code == 302
    answer = browser.post("/re-authenticate/", {"code": code(), "next": "/security/codes/"})
    assert answer["Location"] == "/security/codes/"
    assert browser.get("/security/codes/").status_code == 200


def test_a_browser_answer_that_was_not_asked_for_adds_no_passkey(owner: User) -> None:
    browser = just_proved(owner)
    for credential in ("", "{}", "null", '{"id": "AAAA", "rawId": "AAAA", "type": "public-key", "response": {}}'):
        answer = browser.post("/security/passkey/", {"name": "Mine", "credential": credential})
        assert "does not fit" in words_of(answer)
    assert not factors.has_any(owner)


def test_guessing_the_code_of_presence_is_throttled(browser: Browser, owner: User) -> None:
    give_app(owner)
    for _ in range(5):
        browser.post("/re-authenticate/", {"code": "000000"})
    assert "Too many attempts" in words_of(browser.post("/re-authenticate/", {"code": code()}))
    cache.clear()
    assert browser.post("/re-authenticate/", {"password": PASSWORD})["Location"] == "/"
