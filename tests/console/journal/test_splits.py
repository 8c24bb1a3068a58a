"""A split however it is told: as more units, as old units that leave and new ones that come, or as all that leave."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from brokers.paper.adapter import PaperBroker
from console.connections import pnl
from console.connections.models import Connection
from console.journal import performance, sync
from console.journal.models import RoundTrip
from console.journal.sync import SyncBudget
from tests.console.journal.steps import ToldBroker

START = datetime(2024, 3, 1, 15, tzinfo=UTC)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> ToldBroker:
    return ToldBroker(monkeypatch)


def earned(connection: Connection) -> Decimal:
    """By the journal, and the same by every fill of the broker."""
    while not sync.sync_connection(connection, SyncBudget(pages=9, symbols=9, measured=0)):
        pass
    broker = PaperBroker.open(connection.settings)
    by_fills = sum((each.profit for each in pnl.realize(pnl.history(broker, connection.default_account))), Decimal(0))
    ((row,), _) = performance.profit(connection, connection.default_account, "symbol")
    assert row.realized == by_fills
    return row.realized


@pytest.mark.parametrize("pieces", [("-10", "1"), ("1", "-10"), ("-9",)])
def test_a_reverse_split_told_in_two_pieces_is_one(
    paper: Connection, told: ToldBroker, pieces: tuple[str, ...]
) -> None:
    told.deal(START, "BUY", 10, "AAPL", 100)
    for piece in pieces:
        told.move(START + timedelta(days=1), "split", "AAPL", piece)
    told.deal(START + timedelta(days=2), "SELL", 1, "AAPL", 1200)
    assert earned(paper) == 200
    assert RoundTrip.objects.get().entry_price == 1000


def test_a_split_that_leaves_nothing_ends_the_round_trip_and_the_next_one_begins(
    paper: Connection, told: ToldBroker
) -> None:
    told.deal(START, "BUY", 10, "AAPL", 100)
    told.move(START + timedelta(days=1), "split", "AAPL", "-10")
    told.deal(START + timedelta(days=2), "BUY", 1, "AAPL", 50)
    told.deal(START + timedelta(days=3), "SELL", 1, "AAPL", 70)
    assert earned(paper) == 20
    gone, traded = RoundTrip.objects.order_by("opened_at")
    assert (gone.closed_at, gone.realized, gone.exit_price) == (START + timedelta(days=1), 0, None)
    assert traded.realized == 20


def test_the_first_of_many_splits_counts_too(
    paper: Connection, told: ToldBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pnl, "_PAGE", 2)
    told.deal(START, "BUY", 1, "AAPL", 16)
    for day, added in enumerate((1, 2, 4, 8), 1):
        told.move(START + timedelta(days=day), "split", "AAPL", added)
    told.deal(START + timedelta(days=9), "SELL", 16, "AAPL", 3)
    assert earned(paper) == 32


def test_what_is_transferred_out_beyond_what_is_held_is_short_at_its_own_price(
    paper: Connection, told: ToldBroker
) -> None:
    told.deal(START, "BUY", 1, "AAPL", 100)
    told.move(START + timedelta(days=1), "transfer", "AAPL", "-3", "80")
    told.deal(START + timedelta(days=2), "BUY", 2, "AAPL", 50)
    assert earned(paper) == 60
