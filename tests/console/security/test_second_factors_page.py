"""Adding and removing second factors takes a proof of presence, is journalled, and concerns nobody else."""

import re
import time

import pytest
from django.core.cache import cache
from django.test import Client as Browser

from console.accounts import second_factors
from console.accounts.models import User
from console.accounts.second_factors import Factor
from console.audit.models import Change
from tests.conftest import PASSWORD
from tests.console.pages import submit, text_of, words_of
from tests.console.passkeys import Passkey
from tests.console.present import at_the_browser
from tests.console.second_factors import code, give_app, sealed_in, shown_codes, shown_secret

pytestmark = pytest.mark.django_db
ASKS = ("/security/app/", "/security/passkey/", "/security/codes/")


def actions(user: User) -> list[str]:
    return list(Change.objects.filter(user_id=user.pk).values_list("action", flat=True))


def test_an_app_is_added_by_the_code_it_shows(owner: User) -> None:
    browser = at_the_browser(owner)
    page = browser.post("/security/app/")
    assert "<svg" in text_of(page)
    answer = browser.post("/security/app/", {"sealed": sealed_in(page), "code": code(shown_secret(page))})
    assert len(shown_codes(answer)) == 10
    assert second_factors.has(owner, second_factors.APP)
    assert actions(owner) == ["second factor added"]


def test_a_wrong_code_adds_nothing_and_keeps_the_secret_on_the_page(owner: User) -> None:
    browser = at_the_browser(owner)
    page = browser.post("/security/app/")
    secret = shown_secret(page)
    answer = browser.post("/security/app/", {"sealed": sealed_in(page), "code": "000000"})
    assert "Check that your phone's clock is right." in words_of(answer).replace("&#x27;", "'")
    assert shown_secret(answer) == secret
    assert not second_factors.has_any(owner)


def test_the_secret_is_a_new_one_for_each_proof(owner: User) -> None:
    browser = at_the_browser(owner)
    assert shown_secret(browser.post("/security/app/")) != shown_secret(browser.post("/security/app/"))


def test_the_secret_of_somebody_else_or_of_an_hour_ago_adds_nothing(
    owner: User, other: User, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = at_the_browser(other).post("/security/app/")
    mine = at_the_browser(owner).post("/security/app/")
    now = time.time()
    for page, at in ((theirs, now), (mine, now + 3600)):
        monkeypatch.setattr("console.accounts.second_factors.time.time", lambda at=at: at)
        answer = browser.post("/security/app/", {"sealed": sealed_in(page), "code": code(shown_secret(page))})
        assert answer["Location"] == "/security/app/"
    assert not second_factors.has_any(owner)


def test_there_is_one_app_at_a_time(owner: User) -> None:
    give_app(owner)
    assert at_the_browser(owner).get("/security/app/")["Location"] == "/security/"


def test_recovery_codes_are_shown_once(owner: User) -> None:
    browser = at_the_browser(owner)
    page = browser.post("/security/app/")
    fields = {"sealed": sealed_in(page), "code": code(shown_secret(page))}
    shown = shown_codes(browser.post("/security/app/", fields))
    overview = text_of(browser.get("/security/"))
    assert "10 left" in overview
    assert not any(spare in overview for spare in shown)


def test_new_recovery_codes_end_the_old_ones_and_reload_makes_no_more(owner: User) -> None:
    give_app(owner)
    old = second_factors.new_codes(owner)
    browser = at_the_browser(owner)
    new = shown_codes(submit(browser, "/security/codes/", {}))
    assert len(new) == 10
    assert not set(new) & set(old)
    assert not second_factors.check_code(owner, old[0])
    assert second_factors.check_code(owner, new[0])
    assert actions(owner) == ["recovery codes replaced"]
    used = re.search(r'name="once" value="([^"]+)"', text_of(browser.get("/security/codes/")))
    assert used
    app = second_factors.list_factors(owner)[0]
    app.data.pop("used_step")  # as if half a minute had gone by: a code counts once
    app.save()
    cache.clear()
    assert shown_codes(browser.post("/security/codes/", {"once": used[1]}))
    assert browser.post("/security/codes/", {"once": used[1]})["Location"] == "/security/"


def test_without_a_factor_there_are_no_recovery_codes(owner: User) -> None:
    assert at_the_browser(owner).post("/security/codes/")["Location"] == "/security/"
    assert second_factors.codes_left(owner) == 0


def test_the_last_factor_takes_the_recovery_codes_along(owner: User) -> None:
    factor = give_app(owner)
    second_factors.new_codes(owner)
    browser = at_the_browser(owner)
    url = f"/security/factors/{factor.pk}/remove/"
    assert "your last one" in words_of(browser.get(url))
    browser.post(url)
    assert not second_factors.Factor.objects.filter(user=owner).exists()
    assert actions(owner) == ["second factor removed"]


@pytest.mark.parametrize("url", ASKS)
def test_each_change_takes_a_proof(browser: Browser, owner: User, url: str) -> None:
    give_app(owner)
    Factor.objects.filter(user=owner).delete() if url == "/security/app/" else None
    answer = browser.post(url, {"name": "Mine"})
    assert 'name="proof-password"' in text_of(answer)
    assert not shown_codes(answer) and "qr" not in text_of(answer) and "data-options" not in text_of(answer)


def test_removing_takes_a_proof(browser: Browser, owner: User) -> None:
    factor = give_app(owner)
    asked = browser.post(f"/security/factors/{factor.pk}/remove/")
    assert 'name="proof-code"' in text_of(asked), "the password alone is not enough for somebody with an app"
    browser.post(f"/security/factors/{factor.pk}/remove/", {"proof-password": PASSWORD})
    browser.post(f"/security/factors/{factor.pk}/remove/", {"proof-code": code()})
    assert second_factors.has_any(owner)
    browser.post(f"/security/factors/{factor.pk}/remove/", {"proof-password": PASSWORD, "proof-code": code()})
    assert not second_factors.has_any(owner)


def test_somebody_else_cannot_remove_it(owner: User, other: User, operator: User) -> None:
    factor = give_app(owner)
    for stranger in (other, operator):
        assert at_the_browser(stranger).post(f"/security/factors/{factor.pk}/remove/").status_code == 404
    assert second_factors.has_any(owner)


def test_a_browser_answer_that_was_not_asked_for_adds_no_passkey(owner: User) -> None:
    browser = at_the_browser(owner)
    for credential in ("{}", "null", '{"id": "AAAA", "rawId": "AAAA", "type": "public-key", "response": {}}'):
        answer = browser.post("/security/passkey/", {"name": "Mine", "credential": credential}, follow=True)
        assert "was not accepted" in words_of(answer)
    assert not second_factors.has_any(owner)


def test_guessing_the_code_is_throttled(browser: Browser, owner: User) -> None:
    give_app(owner)
    for _ in range(5):
        submit(browser, "/security/codes/", {"proof-password": PASSWORD, "proof-code": "000000"})
    answer = submit(browser, "/security/codes/", {"proof-password": PASSWORD, "proof-code": code()})
    assert "Too many attempts" in words_of(answer)
    cache.clear()
    assert shown_codes(submit(browser, "/security/codes/", {"proof-password": PASSWORD, "proof-code": code()}))


def test_somebody_whose_passkey_is_lost_mends_it_with_the_password_and_a_recovery_code(
    browser: Browser, owner: User
) -> None:
    lost = Passkey(owner).factor
    spare = second_factors.new_codes(owner)
    url = f"/security/factors/{lost.pk}/remove/"
    for fields in ({"proof-password": PASSWORD}, {"proof-code": spare[0]}):
        browser.post(url, fields)
        assert second_factors.has_any(owner), fields
    browser.post(url, {"proof-password": PASSWORD, "proof-code": spare[1]})
    assert not second_factors.has_any(owner)
