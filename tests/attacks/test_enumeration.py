"""Who and what exists here cannot be told from an answer, nor from the work it takes."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from console.accounts.models import User
from console.audit.models import FailedSignIns
from console.connections.models import Connection
from tests.console.oauth.hosts import REGISTRATIONS, Host
from tests.console.pages import words_of


class CountingHasher(MD5PasswordHasher):
    """Stands for the slow hash of production: the number of times it runs is what could be timed."""

    algorithm = "counting"
    runs = 0

    def encode(self, password: str, salt: str) -> str:
        type(self).runs += 1
        return str(super().encode(password, salt))


def measured(act: Callable[[], Any]) -> tuple[Any, int]:
    with CaptureQueriesContext(connection) as queries:
        answer = act()
    return answer, len(queries)


def test_signing_in_answers_and_works_alike_for_everybody(owner: User, other: User, settings: Settings) -> None:
    settings.PASSWORD_HASHERS = [f"{__name__}.CountingHasher"]
    for person in (owner, other):
        person.set_password("correct horse battery")
        person.save()
    User.objects.filter(pk=other.pk).update(is_active=False)
    seen = []
    for email, password in (
        (owner.email, "wrong"),
        ("nobody@example.com", "wrong"),
        (other.email, "wrong"),
        (other.email, "correct horse battery"),
    ):
        CountingHasher.runs = 0
        FailedSignIns.objects.all().delete()  # the second failure in a window is only counted, with any address
        answer, queries = measured(
            lambda email=email, password=password: Browser().post(  # type: ignore[misc]  # bound now
                "/sign-in/", {"username": email, "password": password}
            )
        )
        text = words_of(answer).replace(email, "")
        seen.append((answer.status_code, text, CountingHasher.runs, queries))
    assert len(set(seen)) == 1, seen


def test_the_token_endpoint_answers_alike_for_unknown_and_foreign_codes_and_tokens(
    host: Host, connect_host: Callable[..., Host], paper: Connection
) -> None:
    stranger = connect_host("codex")
    code = host.code(paper.pk)
    tokens = host.connect(paper.pk)
    answers = [
        *(stranger.redeem(each) for each in (code, "unknown", "")),
        *(stranger.refresh(each) for each in (tokens["refresh_token"], tokens["access_token"], "unknown")),
    ]
    assert {(answer.status_code, answer.json()["error"]) for answer in answers if answer.json()} <= {
        (400, "invalid_grant"),
        (400, "invalid_request"),
    }
    foreign, cost = measured(lambda: stranger.redeem(code))
    unknown, same = measured(lambda: stranger.redeem("unknown"))
    assert (foreign.content, cost) == (unknown.content, same)
    foreign, cost = measured(lambda: stranger.refresh(tokens["refresh_token"]))
    unknown, same = measured(lambda: stranger.refresh("unknown"))
    assert (foreign.content, cost) == (unknown.content, same)
    foreign, cost = measured(lambda: stranger.revoke(tokens["refresh_token"]))
    unknown, same = measured(lambda: stranger.revoke("unknown"))
    assert (foreign.status_code, foreign.content, cost) == (unknown.status_code, unknown.content, same)
    assert host.refresh(tokens["refresh_token"]).status_code == 200


def test_a_wrong_secret_and_an_unknown_client_get_the_same_answer(browser: Browser, paper: Connection) -> None:
    host = Host.register(browser, REGISTRATIONS["copilot-studio"])
    host.secret = "wrong"
    known = host.redeem("x")
    unknown = host.redeem("x", client_id="nobody")
    assert (known.status_code, known.content) == (unknown.status_code, unknown.content)
    assert known.json()["error"] == "invalid_client"


@pytest.mark.parametrize("path", ["/apps/{}/", "/connections/{}/", "/clients/{}/"])
def test_anothers_page_is_as_absent_as_one_that_never_was(
    path: str, host: Host, paper: Connection, other: User
) -> None:
    host.connect(paper.pk)
    stranger = Browser()
    stranger.force_login(other)
    answers = [stranger.get(path.format(number)) for number in (1, paper.pk, 10**9)]
    assert {answer.status_code for answer in answers} == {404}
    assert len({words_of(answer) for answer in answers}) == 1
