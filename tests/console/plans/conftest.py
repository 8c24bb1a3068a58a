import pytest

from console.authority import bearer
from console.principal import Principal
from tests import clock as clocks
from tests import watched_broker
from tests.clock import Clock
from tests.console.orders.conftest import others_trader
from tests.console.plans.steps import switch_on
from tests.watched_broker import Watch

__all__ = ["others_trader"]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return clocks.install(monkeypatch)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    return watched_broker.install(monkeypatch)


@pytest.fixture
def trader(trade_key: str) -> Principal:
    """An app for which its owner has switched plans on."""
    switch_on(bearer.authenticate(trade_key).app_id)
    return bearer.authenticate(trade_key)
