from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client as Browser
from django.utils import timezone

from console.accounts.models import User
from console.authority import call_quota
from console.connections.models import Connection
from console.journal.models import RoundTrip
from console.onboarding import connection_lifecycle
from console.practice import services as practice
from tests import clock as clocks
from tests import watched_broker
from tests.clock import Clock
from tests.console.api.rest import Rest
from tests.watched_broker import Watch


@pytest.fixture(autouse=True)
def nothing_called_yet() -> None:
    call_quota.reset()


def account_of(connection: Connection) -> str:
    """The main one of a paper connection."""
    return practice.accounts(connection)[0].account_id


def a_trade(connection: Connection) -> RoundTrip:
    """A closed round trip, as the audit log has it once it is worked out."""
    opened = timezone.now() - timedelta(hours=2)
    return RoundTrip.objects.create(
        public_id="trd_0123456789abcdef",
        connection=connection,
        account_id=account_of(connection),
        symbol="AAPL",
        currency="USD",
        side="long",
        opened_at=opened,
        closed_at=opened + timedelta(hours=1),
        fresh_start=True,
        quantity=Decimal(2),
        held=Decimal(0),
        entry_price=Decimal(100),
        exit_price=Decimal(103),
        realized=Decimal(6),
        fees=Decimal(2),
        fills=2,
        won=True,
    )


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return clocks.install(monkeypatch)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    return watched_broker.install(monkeypatch)


@pytest.fixture
def session(browser: Browser) -> Rest:
    """The owner's, who types the password when asked for it."""
    return Rest(browser, present=True)


@pytest.fixture
def copied_session(browser: Browser) -> Rest:
    """What somebody has who copied the owner's cookies."""
    return Rest(browser)


@pytest.fixture
def others_session(others_browser: Browser) -> Rest:
    return Rest(others_browser, present=True)


@pytest.fixture
def operators_session(operators_browser: Browser) -> Rest:
    return Rest(operators_browser, present=True)


@pytest.fixture
def trader(trade_key: str) -> Rest:
    return Rest(Browser(), trade_key)


@pytest.fixture
def reader(read_key: str) -> Rest:
    return Rest(Browser(), read_key)


@pytest.fixture
def others_paper(other: User) -> Connection:
    connection, _ = connection_lifecycle.open_paper(other, name="Oscar's", starting_cash=Decimal(1000))
    return connection
