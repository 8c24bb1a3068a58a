"""A forgotten password: a letter with a link, an answer that tells nobody who has an account, and a day's rest."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.test import Client as Browser
from django.utils import timezone

from console.accounts.models import Link, User
from console.audit.models import Change
from console.outbox import tasks
from console.outbox.models import OutgoingMail
from tests.conftest import PASSWORD
from tests.console.pages import words_of
from tests.console.second_factors import code, give_app, sign_in

pytestmark = pytest.mark.django_db
NEW = "seven purple wardrobes"


def ask(email: str, **extra: Any) -> str:
    answer = words_of(Browser().post("/recover/", {"email": email}, **extra))
    tasks.send_due()
    return answer


def path_in_the_letter() -> str:
    found = re.search(r"http://localhost:\d+(/set-password/\S+/)", str(mail.outbox[-1].body))
    assert found is not None
    return found[1]


def set_password(path: str, browser: Browser | None = None) -> Any:
    return (browser or Browser()).post(path, {"password": NEW, "again": NEW})


def test_a_letter_brings_a_link_that_sets_the_password(owner: User) -> None:
    ask(owner.email.upper())
    assert mail.outbox[0].to == [owner.email]
    path = path_in_the_letter()
    assert owner.email in words_of(Browser().get(path))
    assert set_password(path)["Location"] == "/sign-in/"
    owner.refresh_from_db()
    assert owner.check_password(NEW)


def test_the_answer_is_the_same_for_a_stranger(owner: User) -> None:
    known, unknown = ask(owner.email), ask("nobody@example.com")
    assert known.replace(owner.email, "X") == unknown.replace("nobody@example.com", "X")
    assert len(mail.outbox) == 1


def test_the_page_writes_one_row_for_anybody_so_that_both_answers_take_as_long(owner: User) -> None:
    for email in (owner.email, "nobody@example.com"):
        Browser().post("/recover/", {"email": email})
    assert set(OutgoingMail.objects.values_list("user", "kind", "sealed")) == {
        (owner.pk, "recovery", ""),
        (None, "recovery", ""),
    }
    assert not Link.objects.exists(), "a link is made when its letter is sent"
    tasks.send_due()
    assert len(mail.outbox) == 1
    assert not OutgoingMail.objects.filter(user=None).exists()


def test_a_disabled_person_and_one_who_never_accepted_get_no_letter(owner: User, other: User) -> None:
    User.objects.filter(pk=owner.pk).update(is_active=False)
    other.set_unusable_password()
    other.save()
    ask(owner.email)
    ask(other.email)
    assert mail.outbox == []


def test_the_link_works_once(owner: User) -> None:
    ask(owner.email)
    path = path_in_the_letter()
    set_password(path)
    again = set_password(path)
    assert again.status_code == 404
    assert "does not work any more" in words_of(again)


def test_looking_at_the_link_uses_nothing_up(owner: User) -> None:
    ask(owner.email)
    path = path_in_the_letter()
    for _ in range(3):
        assert Browser().get(path).status_code == 200
    assert set_password(path).status_code == 302


def test_the_link_works_for_an_hour(owner: User) -> None:
    ask(owner.email)
    path = path_in_the_letter()
    link = Link.objects.get()
    assert timedelta(minutes=59) < link.expires_at - timezone.now() <= timedelta(hours=1)
    Link.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert set_password(path).status_code == 404


def test_a_newer_link_ends_the_older_one(owner: User) -> None:
    ask(owner.email)
    older = path_in_the_letter()
    ask(owner.email)
    assert set_password(older).status_code == 404
    assert set_password(path_in_the_letter()).status_code == 302


def test_a_weak_password_is_refused_and_the_link_stays(owner: User) -> None:
    ask(owner.email)
    path = path_in_the_letter()
    assert "at least 12 characters" in words_of(Browser().post(path, {"password": "short", "again": "short"}))
    assert set_password(path).status_code == 302


def test_the_link_is_kept_as_a_hash(owner: User) -> None:
    ask(owner.email)
    token = path_in_the_letter().split("/")[2]
    assert token not in Link.objects.get().digest
    assert not any(token in str(row) for row in Change.objects.values_list("detail", "target_label"))


def test_recovery_signs_out_everywhere_and_rests_live_trading_for_a_day(owner: User) -> None:
    before, _ = sign_in(owner, PASSWORD)
    ask(owner.email)
    set_password(path_in_the_letter())
    assert before.get("/").status_code == 302
    owner.refresh_from_db()
    assert owner.live_frozen_until is not None
    assert timedelta(hours=23, minutes=59) < owner.live_frozen_until - timezone.now() <= timedelta(hours=24)
    after, _ = sign_in(owner, NEW)
    assert "Live trading is frozen until" in words_of(after.get("/"))
    recovered = Change.objects.get(action="account recovered")
    assert recovered.user_id == owner.pk


def test_changing_the_password_oneself_rests_nothing(owner: User) -> None:
    browser, _ = sign_in(owner, PASSWORD)
    browser.post("/security/password/", {"current": PASSWORD, "password": NEW, "again": NEW})
    owner.refresh_from_db()
    assert owner.live_frozen_until is None


def test_the_second_factor_is_still_asked_for(owner: User) -> None:
    give_app(owner)
    ask(owner.email)
    set_password(path_in_the_letter())
    browser, answer = sign_in(owner, NEW)
    assert answer["Location"] == "/sign-in/second-step/"
    assert browser.post("/sign-in/second-step/", {"code": code()})["Location"] == "/"


def test_asking_is_throttled_for_known_and_unknown_alike(owner: User) -> None:
    for email in (owner.email, "nobody@example.com"):
        answers = [ask(email, REMOTE_ADDR=f"192.0.2.{number}") for number in range(6)]
        assert ["Too many attempts" in answer for answer in answers] == [False] * 5 + [True]


def test_guessing_links_is_throttled(db: None) -> None:
    answers = [Browser().get(f"/set-password/guess{number}/").status_code for number in range(11)]
    assert answers == [404] * 10 + [429]


def test_opening_a_real_link_is_no_failure(owner: User) -> None:
    ask(owner.email)
    path = path_in_the_letter()
    assert {Browser().get(path).status_code for _ in range(12)} == {200}
