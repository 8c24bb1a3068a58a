"""A contract whose size the broker does not tell, or not now, is not taken for a single unit."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from brokers.errors import BrokerError, InvalidSymbol, RateLimited
from brokers.paper.adapter import PaperBroker
from console.connections.models import Connection
from console.journal import sync
from console.journal.models import Execution, RoundTrip
from console.journal.sync import SyncBudget
from tests.console.journal.steps import ToldBroker

START = datetime(2024, 3, 1, 15, tzinfo=UTC)
OPTION = "AAPL240315C00200000"
ALL = SyncBudget(pages=9, symbols=9, measured=0, seconds=60)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> ToldBroker:
    return ToldBroker(monkeypatch)


def answer(monkeypatch: pytest.MonkeyPatch, error: BrokerError) -> None:
    def refused(broker: PaperBroker, symbol: str) -> Any:
        raise error

    monkeypatch.setattr(PaperBroker, "instrument", refused)


@pytest.mark.parametrize(("symbol", "earned"), [(OPTION, 100), ("AAPL", 1)])
def test_an_option_that_expired_long_ago_earned_for_a_hundred_units(
    paper: Connection, told: ToldBroker, monkeypatch: pytest.MonkeyPatch, symbol: str, earned: int
) -> None:
    told.deal(START, "BUY", 1, symbol, 2)
    told.deal(START + timedelta(days=1), "SELL", 1, symbol, 3)
    answer(monkeypatch, InvalidSymbol(f"{symbol} cannot be traded any more."))
    assert sync.sync_connection(paper, ALL)
    assert RoundTrip.objects.get().realized == earned


def test_a_broker_that_is_asked_too_often_makes_no_wrong_sum(
    paper: Connection, told: ToldBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    told.multipliers["ESH4"] = Decimal(50)
    told.deal(START, "BUY", 1, "ESH4", 5000)
    told.deal(START + timedelta(days=1), "SELL", 1, "ESH4", 5001)
    with monkeypatch.context() as patch:
        answer(patch, RateLimited("Too many requests.", 1))
        with pytest.raises(RateLimited):
            sync.sync_connection(paper, ALL)
    assert not Execution.objects.filter(matched=True).exists()
    assert sync.sync_connection(paper, ALL)
    assert RoundTrip.objects.get().realized == 50
