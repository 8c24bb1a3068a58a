"""Hosts that ask for the same thing at once: 8 redemptions of one code, 20 refreshes with one token, many rounds.

``python -m tests.races --on sqlite --rounds 50``; a home and a database of its own, gone afterwards. Ends with an
AssertionError at the first answer that is a 500, a second family or an orphan.
"""

import argparse
import contextlib
import multiprocessing
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import TYPE_CHECKING, Any

from tests import prepared
from tests.patience import at_most

if TYPE_CHECKING:
    from console.connections.models import Connection
    from tests.console.oauth.hosts import Host

REDEMPTIONS, REFRESHES = 8, 20


@contextlib.contextmanager
def instance(database: str) -> Iterator[None]:
    """Django set up on an empty, migrated database."""
    with contextlib.ExitStack() as ending:
        home = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="tradelatch-races-")))
        url = ending.enter_context(prepared.postgresql()) if database == "postgresql" else ""
        ending.enter_context(set_up(home, url))
        yield


@contextlib.contextmanager
def set_up(home: Path, database_url: str = "") -> Iterator[None]:
    """The same on that database of PostgreSQL, or a file in ``home``."""
    os.environ["TRADELATCH_HOME"] = str(home)
    os.environ["DJANGO_SETTINGS_MODULE"] = "console.settings"
    if database_url:
        os.environ["TRADELATCH_DATABASE_URL"] = database_url

    import django
    from django.db import connection, connections
    from django.test.utils import setup_test_environment

    django.setup()
    setup_test_environment()
    assert connection.vendor == ("postgresql" if database_url else "sqlite")
    prepared.migrate()
    try:
        yield
    finally:
        connections.close_all()
        if connection.vendor == "postgresql":
            connection.close_pool()  # type: ignore[attr-defined]  # PostgreSQL's has one


def processes() -> Any:
    """Where processes of a race come from: inside ``instance``, each with connections of its own, started at once.

    A fresh interpreter for each would import the project again, two seconds of a core before it does anything.
    """
    apart = multiprocessing.get_context("forkserver")
    apart.set_forkserver_preload(["tests.preloaded"])
    return apart


def at_once(times: int, act: Callable[[], Any]) -> list[Any]:
    from django.db import connection

    barrier = Barrier(times)

    def run(_: int) -> Any:
        try:
            barrier.wait(timeout=at_most(30))
            return act()
        finally:
            connection.close()

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(run, range(times)))


def one_round(host: "Host", account: "Connection") -> None:
    from console.oauth.models import AccessToken, Grant, RefreshToken
    from tests.console.oauth.hosts import allowed_apps

    code = host.code(account.pk)
    app = allowed_apps().last()
    redeemed = at_once(REDEMPTIONS, lambda: host.redeem(code))
    assert Counter(answer.status_code for answer in redeemed) == {200: 1, 400: REDEMPTIONS - 1}, redeemed
    assert AccessToken.objects.filter(app=app).count() == RefreshToken.objects.filter(app=app).count() == 1
    assert not Grant.objects.exists()

    used = next(answer.json() for answer in redeemed if answer.status_code == 200)["refresh_token"]
    refreshed = at_once(REFRESHES, lambda: host.refresh(used))
    assert [answer.status_code for answer in refreshed] == [200] * REFRESHES, refreshed
    assert len({answer.json()["refresh_token"] for answer in refreshed}) == REFRESHES
    assert RefreshToken.objects.filter(app=app, revoked=None).count() == REFRESHES
    assert AccessToken.objects.filter(app=app).count() == REFRESHES + 1

    # One family: the next grant of the same client to the same connection ends all of it.
    assert allowed_apps().filter(revoked_at=None).count() == 1
    assert not AccessToken.objects.filter(app=None).exists()
    assert host.refresh(refreshed[-1].json()["refresh_token"]).status_code == 200


def run(rounds: int) -> None:
    from django.test import Client as Browser

    from console.accounts.models import User
    from console.connections.models import Connection
    from tests.console.oauth.hosts import REGISTRATIONS, Host

    owner = User.objects.create_user("olivia@example.com", "correct horse battery")
    account = Connection.objects.create(owner=owner, name="Practice", broker="none", environment="paper")
    browser = Browser()
    browser.force_login(owner)
    host = Host.register(browser, REGISTRATIONS["claude"])
    for _ in range(rounds):
        one_round(host, account)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--on", choices=["sqlite", "postgresql"], required=True)
    asked.add_argument("--rounds", type=int, default=50)
    chosen = asked.parse_args()
    with instance(chosen.on):
        run(chosen.rounds)
    sys.stdout.write(
        f"{chosen.on}: {chosen.rounds} rounds of {REDEMPTIONS} redemptions and {REFRESHES} refreshes: "
        "one family each, no 500, no orphan\n"
    )


if __name__ == "__main__":
    main()
