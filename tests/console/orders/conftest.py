from decimal import Decimal

import pytest

from brokers.types import OrderType, Side
from console.accounts.models import User
from console.authority import bearer
from console.connections import services as connections
from console.connections.models import Policy
from console.keys import minting
from console.onboarding import connection_lifecycle
from console.orders.terms import Terms
from console.principal import Principal
from console.scopes import Scope
from tests import clock as clocks
from tests import watched_broker
from tests.clock import Clock
from tests.watched_broker import Watch


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return clocks.install(monkeypatch)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    return watched_broker.install(monkeypatch)


@pytest.fixture
def trader(trade_key: str) -> Principal:
    return bearer.authenticate(trade_key)


def bitcoin(quantity: str = "0.1", side: Side = Side.BUY, limit: str | None = None) -> Terms:
    return Terms(
        symbol="BTC/USD",
        side=side,
        quantity=Decimal(quantity),
        order_type=OrderType.LIMIT if limit else OrderType.MARKET,
        limit_price=Decimal(limit) if limit else None,
    )


@pytest.fixture
def others_trader(other: User) -> Principal:
    """An app of somebody else, on a connection where its owner approves each order."""
    connection, _ = connection_lifecycle.open_paper(other, name="Theirs", starting_cash=Decimal(100_000))
    connections.set_policy(connection, Policy.OWNER_APPROVAL, by=other)
    _, raw = minting.mint(other, connection, frozenset({Scope.TRADE}), name="theirs")
    return bearer.authenticate(raw)
