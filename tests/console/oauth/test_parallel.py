"""Hosts that ask for the same thing from several processes at once: one clear answer each, and no orphans."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser

from console.accounts.models import User
from console.connected_apps import grants
from console.connections.models import Connection
from console.oauth.models import AccessToken, Grant, RefreshToken
from tests.console.oauth.hosts import BOTH, REGISTRATIONS, Host, allowed_apps
from tests.patience import at_most

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def owner(transactional_db: None) -> User:
    return User.objects.create_user("olivia@example.com", "correct horse battery")


@pytest.fixture
def connected(owner: User) -> tuple[Host, Connection]:
    account = Connection.objects.create(owner=owner, name="Practice", broker="none", environment="paper")
    browser = Browser()
    browser.force_login(owner)
    return Host.register(browser, REGISTRATIONS["claude"]), account


def at_once(times: int, act: Callable[[int], Any]) -> list[Any]:
    barrier = Barrier(times)

    def run(number: int) -> Any:
        try:
            barrier.wait(timeout=at_most(20))
            return act(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(run, range(times)))


def test_eight_redemptions_of_one_code_give_one_pair(connected: tuple[Host, Connection]) -> None:
    host, account = connected
    code = host.code(account.pk)
    answers = at_once(8, lambda _: host.redeem(code))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7
    assert {answer.json()["error"] for answer in answers if answer.status_code == 400} == {"invalid_grant"}
    assert AccessToken.objects.count() == RefreshToken.objects.count() == 1
    assert not Grant.objects.exists()
    assert allowed_apps().get().revoked_at is None
    winner = next(answer.json() for answer in answers if answer.status_code == 200)
    assert host.refresh(winner["refresh_token"]).status_code == 200


def test_five_refreshes_with_one_token_each_give_a_pair_that_works(connected: tuple[Host, Connection]) -> None:
    host, account = connected
    used = host.connect(account.pk)["refresh_token"]
    answers = at_once(5, lambda _: host.refresh(used))
    assert [answer.status_code for answer in answers] == [200] * 5
    pairs = [answer.json() for answer in answers]
    assert len({pair["access_token"] for pair in pairs}) == len({pair["refresh_token"] for pair in pairs}) == 5
    assert RefreshToken.objects.filter(revoked=None).count() == 5
    for pair in pairs:
        assert host.refresh(pair["refresh_token"]).status_code == 200


def test_a_refresh_beside_a_revocation_leaves_nothing_that_opens(connected: tuple[Host, Connection]) -> None:
    host, account = connected
    tokens = host.connect(account.pk, BOTH)
    app = allowed_apps().get()

    def act(number: int) -> int:
        if number == 2:
            grants.revoke(app, by=None, reason="Taken back")
            return 0
        return int(host.refresh(tokens["refresh_token"]).status_code)

    assert set(at_once(4, act)) <= {0, 200, 400}
    assert not AccessToken.objects.filter(app__revoked_at=None).exists()
    assert host.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
