import time
from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client as Browser

from console.accounts.models import User
from console.authority import throttle
from console.connections.models import Connection
from console.onboarding import open_connection
from tests import clock as clocks
from tests import watched_broker
from tests.clock import Clock
from tests.console.api.rest import Rest
from tests.watched_broker import Watch


@pytest.fixture(autouse=True)
def nothing_called_yet() -> None:
    throttle.reset()


def proved(browser: Browser, *, ago: timedelta = timedelta()) -> Browser:
    session = browser.session
    session["proved_at"] = time.time() - ago.total_seconds()
    session.save()
    return browser


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return clocks.install(monkeypatch)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    return watched_broker.install(monkeypatch)


@pytest.fixture
def session(browser: Browser) -> Rest:
    """The owner's, who has just entered the password."""
    return Rest(proved(browser))


@pytest.fixture
def stale_session(browser: Browser) -> Rest:
    return Rest(proved(browser, ago=timedelta(minutes=6)))


@pytest.fixture
def others_session(others_browser: Browser) -> Rest:
    return Rest(proved(others_browser))


@pytest.fixture
def operators_session(operators_browser: Browser) -> Rest:
    return Rest(proved(operators_browser))


@pytest.fixture
def trader(trade_key: str) -> Rest:
    return Rest(Browser(), trade_key)


@pytest.fixture
def reader(read_key: str) -> Rest:
    return Rest(Browser(), read_key)


@pytest.fixture
def others_paper(other: User) -> Connection:
    connection, _ = open_connection.open_paper(other, name="Oscar's", starting_cash=Decimal(1000))
    return connection
