"""Sign-ins, failed ones, sign-outs, second factors and recovery are rows of the record."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from console import request_origin
from console.accounts.models import User
from console.audit import queries, sign_ins
from console.audit.models import Change, ChangeCategory, FailedSignIns
from console.request_origin import ProofKind
from tests.conftest import PASSWORD
from tests.console import second_factors
from tests.console.accounts.steps import attempt
from tests.console.passkeys import Passkey

AT: dict[str, Any] = {"REMOTE_ADDR": "203.0.113.7"}


def rows(action: str) -> list[Change]:
    return list(Change.objects.filter(action=action).order_by("pk"))


def test_a_sign_in_tells_when_from_where_and_how(owner: User) -> None:
    attempt(Browser(), owner.email, PASSWORD, HTTP_USER_AGENT="Firefox/140", **AT)
    (row,) = rows(sign_ins.SIGNED_IN)
    assert (row.user_id, row.owner_id, row.category) == (owner.pk, owner.pk, ChangeCategory.SIGN_IN)
    assert (row.ip, row.user_agent, row.proof) == ("203.0.113.7", "Firefox/140", ProofKind.PASSWORD)


def test_a_sign_in_with_a_second_step_tells_both(owner: User) -> None:
    second_factors.give_app(owner)
    browser, _ = second_factors.sign_in(owner, PASSWORD)
    assert rows(sign_ins.SIGNED_IN) == []
    browser.post("/sign-in/second-step/", {"code": "000000"})
    browser.post("/sign-in/second-step/", {"code": second_factors.code()})
    (row,) = rows(sign_ins.SIGNED_IN)
    assert (row.proof, row.detail) == (ProofKind.PASSWORD_AND_CODE, {"first": "password", "second": "code"})
    (wrong,) = rows(sign_ins.FAILED)
    assert (wrong.owner_id, wrong.detail["tried"]) == (owner.pk, "code")


def test_a_passkey_is_told_as_one(owner: User) -> None:
    passkey = Passkey(owner)
    browser = Browser()
    asked = browser.get("/sign-in/passkey/").json()
    browser.post("/sign-in/passkey/", {"credential": passkey.answer(asked)})
    assert [row.proof for row in rows(sign_ins.SIGNED_IN)] == [ProofKind.PASSKEY]


def test_a_sign_out_is_a_row(browser: Browser, owner: User) -> None:
    browser.post("/sign-out/")
    assert [row.user_id for row in rows(sign_ins.SIGNED_OUT)] == [owner.pk]


def test_a_failed_sign_in_is_shown_to_the_account_and_done_by_nobody(owner: User, other: User) -> None:
    attempt(Browser(), owner.email, "guess", **AT)
    (row,) = rows(sign_ins.FAILED)
    assert (row.user_id, row.owner_id, row.target_label, row.ip) == (None, owner.pk, owner.email, "203.0.113.7")
    assert list(queries.own_changes(owner)) == [row]
    assert list(queries.own_changes(other)) == []


def test_an_address_that_nobody_has_is_on_record_for_the_operator(operator: User) -> None:
    attempt(Browser(), "nobody@example.com", "guess")
    assert [row.target_label for row in queries.visible_changes(operator, everyone=True)] == ["nobody@example.com"]


def test_a_flood_is_one_row_and_one_more_with_its_number(owner: User) -> None:
    for _ in range(4):
        attempt(Browser(), owner.email, "guess", **AT)
    assert [row.times for row in rows(sign_ins.FAILED)] == [1]
    assert sign_ins.count_failed() == 0, "its window is not over"
    FailedSignIns.objects.update(window=timezone.now() - timedelta(minutes=10))
    assert sign_ins.count_failed() == 1
    assert [row.times for row in rows(sign_ins.FAILED)] == [1, 3]
    assert rows(sign_ins.FAILED)[1].ip == "203.0.113.7"
    assert sign_ins.count_failed() == 0


def test_a_flood_of_made_up_addresses_is_bounded(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_ins, "SETS_IN_A_WINDOW", 3)
    for number in range(8):
        sign_ins.failed(f"user{number}@example.com", ProofKind.PASSWORD)
    assert len(rows(sign_ins.FAILED)) == 4
    assert FailedSignIns.objects.count() == 4
    assert FailedSignIns.objects.get(email="").times == 5


def test_made_up_addresses_hide_nothing_that_was_tried_on_an_account(
    owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sign_ins, "SETS_IN_A_WINDOW", 3)
    for number in range(8):
        sign_ins.failed(f"user{number}@example.com", ProofKind.PASSWORD)
    sign_ins.failed(owner.email, ProofKind.PASSWORD)
    assert [row.target_label for row in queries.own_changes(owner)] == [owner.email]


def test_from_many_networks_an_account_has_a_bounded_number_of_rows_that_stay_its_own(
    owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sign_ins, "SETS_OF_AN_ACCOUNT", 3)
    for number in range(8):
        with request_origin.coming_from(request_origin.Origin(ip=f"203.0.{number}.7")):
            sign_ins.failed(owner.email, ProofKind.PASSWORD)
    FailedSignIns.objects.update(window=timezone.now() - timedelta(minutes=10))
    sign_ins.count_failed()
    assert sorted(row.times for row in queries.own_changes(owner)) == [1, 1, 1, 1, 4]


def test_who_is_held_back_is_a_row_once_however_often_they_go_on(owner: User) -> None:
    for _ in range(12):
        attempt(Browser(), owner.email, "guess", **AT)
    assert len(rows(sign_ins.THROTTLED)) == 1


def test_recovery_is_on_record_whether_or_not_the_address_is_somebodys(owner: User, settings: Any) -> None:
    for email in (owner.email, "nobody@example.com"):
        Browser().post("/recover/", {"email": email}, **AT)
    assert [(row.owner_id, row.ip) for row in rows("recovery asked for")] == [
        (owner.pk, "203.0.113.7"),
        (None, "203.0.113.7"),
    ]


def test_a_wrong_proof_of_who_has_the_session_is_a_row(browser: Browser, owner: User) -> None:
    browser.post("/security/password/", {"password": "x" * 13, "again": "x" * 13, "proof-password": "guess"}, **AT)
    (row,) = rows(sign_ins.WRONG_PROOF)
    assert (row.owner_id, row.detail["tried"], row.ip) == (owner.pk, "password", "203.0.113.7")
