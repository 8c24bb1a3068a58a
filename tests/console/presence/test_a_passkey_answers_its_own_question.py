"""A new passkey is made for the question that a proof brought, and for no other that the session may hold."""

import html
import json
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client as Browser

from console.accounts import second_factors
from console.accounts.models import User
from tests.console.pages import text_of
from tests.console.passkeys import Passkey
from tests.console.presence.steps import STATE, Thief
from tests.console.present import Person, challenge

PAGE = "/security/passkey/"
QUESTIONS: dict[str, Callable[[Browser], dict[str, Any]]] = {
    "of signing in": lambda thief: thief.get("/sign-in/passkey/?options").json(),
    "about another act": lambda thief: challenge(thief, "/keys/manage/new/", {"name": "x", "expiry": "30"}),
    "about adding one": lambda thief: challenge(thief, PAGE, {"name": "Mine"}),
}


@pytest.fixture
def fresh(owner: User) -> Passkey:
    """A passkey that is not registered."""
    passkey = Passkey(owner, "Not yet")
    passkey.factor.delete()
    return passkey


@pytest.mark.parametrize("asked", QUESTIONS)
def test_a_copied_cookie_adds_no_passkey_with_a_question_that_anybody_may_ask(
    person: Person, owner: User, fresh: Passkey, asked: str
) -> None:
    own, thief = Passkey(owner).factor, Thief(person)
    credential = fresh.made(QUESTIONS[asked](thief))
    told = thief.post(PAGE, {"name": "Mine", "credential": credential}, follow=True)
    assert "was not accepted" in text_of(told)
    assert [each.pk for each in second_factors.list_factors(owner)] == [own.pk]


def test_somebody_without_a_passkey_gets_none_by_it_either(person: Person, owner: User, fresh: Passkey) -> None:
    thief = Thief(person)
    credential = fresh.made(QUESTIONS["of signing in"](thief))
    thief.post(PAGE, {"name": "Mine", "credential": credential})
    assert not second_factors.has_any(owner)


def question_of(answer: Any) -> dict[str, Any]:
    found = re.search(r'data-options="([^"]+)"', text_of(answer))
    assert found is not None
    told: dict[str, Any] = json.loads(html.unescape(found[1]))
    return told


def test_after_a_proof_the_browser_adds_it_once_and_in_five_minutes(
    person: Person, owner: User, fresh: Passkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    late = fresh.made(question_of(person.post(PAGE, {"name": "Mine"})))
    monkeypatch.setattr("console.accounts.second_factors.time.time", lambda: now + 310)
    Browser.post(person, PAGE, {"name": "Mine", "credential": late})
    assert not second_factors.has_any(owner)
    monkeypatch.undo()
    made = fresh.made(question_of(person.post(PAGE, {"name": "Mine"})))
    question = person.session[STATE]
    Browser.post(person, PAGE, {"name": "Mine", "credential": made})
    assert len(second_factors.list_factors(owner)) == 1
    session = person.session
    session[STATE] = question
    session.save()
    Browser.post(person, PAGE, {"name": "Mine", "credential": made})
    assert len(second_factors.list_factors(owner)) == 1
