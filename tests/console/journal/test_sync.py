"""The journal follows the broker bit by bit, and worked out anew it is the same."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from brokers.errors import BrokerUnavailable
from brokers.paper.adapter import PaperBroker
from brokers.types import BarSize
from console.accounts.models import User
from console.connections import pnl
from console.connections.models import Connection
from console.journal import matching, notes, sync
from console.journal.models import Execution, LedgerLine, Note, Progress, RoundTrip
from console.journal.sync import SyncBudget
from tests import clock as clocks
from tests.clock import Clock
from tests.console.journal.steps import deal

ONE_PAGE = SyncBudget(pages=1, symbols=1, measured=1)
DEALS = (
    *(("BUY", "2", "AAPL"), ("BUY", "0.5", "BTC/USD"), ("SELL", "1", "AAPL"), ("SELL", "0.5", "BTC/USD")),
    *(("BUY", "3", "AAPL"), ("SELL", "4", "AAPL"), ("BUY", "0.25", "BTC/USD")),
)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Two hours behind, because the broker's own clock stays where it is."""
    clock = clocks.install(monkeypatch)
    clock.advance(hours=-2)
    return clock


@pytest.fixture
def dealt(paper: Connection, clock: Clock) -> Connection:
    for side, quantity, symbol in DEALS:
        deal(paper, side, quantity, symbol, clock)
        clock.advance(minutes=7)
    return paper


def told() -> list[dict[str, Any]]:
    return [
        {name: value for name, value in row.items() if name != "id"}
        for row in RoundTrip.objects.order_by("opened_at", "public_id").values()
    ]


def finish(connection: Connection, bounds: SyncBudget = sync.PER_CALL) -> int:
    for calls in range(1, 100):
        if sync.sync_connection(connection, bounds):
            return calls
    raise AssertionError("the journal is never whole")


def test_fills_become_round_trips(dealt: Connection) -> None:
    finish(dealt)
    assert [(row["symbol"], row["closed_at"] is None) for row in told()] == [
        ("AAPL", False),
        ("BTC/USD", False),
        ("BTC/USD", True),
    ]
    apple = RoundTrip.objects.get(symbol="AAPL")
    assert (apple.side, apple.quantity, apple.fills, apple.holding_time) == ("long", 5, 4, timedelta(minutes=35))
    broker = PaperBroker.open(dealt.settings)
    earned = [each for each in pnl.realize(pnl.history(broker, dealt.default_account)) if each.fill.symbol == "AAPL"]
    assert apple.realized == sum((each.profit for each in earned), Decimal(0))
    assert apple.fees == sum((each.fill.fee for each in earned), Decimal(0))
    assert sum(Execution.objects.filter(symbol="AAPL").values_list("realized", flat=True)) == apple.realized


def test_one_page_a_call_comes_to_the_same(dealt: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    finish(dealt)
    at_once = told()
    sync.rebuild(dealt, by=dealt.owner)
    monkeypatch.setattr(sync, "_PAGE", 2)
    assert not sync.is_complete(dealt.pk, dealt.default_account)
    assert finish(dealt, ONE_PAGE) > 3
    assert sync.is_complete(dealt.pk, dealt.default_account)
    assert told() == at_once
    assert Execution.objects.count() == len(DEALS)


def test_nothing_is_told_before_the_first_fill_is_reached(dealt: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync, "_PAGE", 2)
    assert sync.sync_connection(dealt, ONE_PAGE) is False
    assert Execution.objects.count() == 2 and not RoundTrip.objects.exists()


def test_it_is_kept_as_trades_happen_and_is_the_same_worked_out_anew(paper: Connection, clock: Clock) -> None:
    for side, quantity, symbol in DEALS:
        deal(paper, side, quantity, symbol, clock)
        finish(paper)
        clock.advance(minutes=7)
    bit_by_bit = told()
    noted = notes.add(paper.pk, bit_by_bit[0]["public_id"], "In too early", ["timing"], by=paper.owner.email)
    sync.rebuild(paper, by=paper.owner)
    assert not RoundTrip.objects.exists()
    finish(paper)
    assert told() == bit_by_bit
    assert Note.objects.get(pk=noted.pk).about == bit_by_bit[0]["public_id"]


def test_looking_again_changes_nothing(dealt: Connection) -> None:
    finish(dealt)
    before, copied = told(), LedgerLine.objects.count()
    finish(dealt)
    assert told() == before and LedgerLine.objects.count() == copied


def test_a_fill_told_late_begins_the_trip_earlier_and_its_notes_come_along(dealt: Connection) -> None:
    finish(dealt)
    open_one = RoundTrip.objects.get(closed_at=None)
    noted = notes.add(dealt.pk, open_one.public_id, "A first piece", by=dealt.owner.email)
    Execution.objects.create(
        connection=dealt,
        account_id=dealt.default_account,
        fill_id="LATE-1",
        at=open_one.opened_at - timedelta(minutes=2),
        place=1,
        symbol="BTC/USD",
        currency="USD",
        side="BUY",
        quantity="0.1",
        price="9000",
        fee="1",
    )
    finish(dealt)
    now = RoundTrip.objects.get(closed_at=None)
    assert now.public_id != open_one.public_id and now.quantity == open_one.quantity + Decimal("0.1")
    assert Note.objects.get(pk=noted.pk).about == now.public_id


def test_a_closed_trip_is_measured_with_the_smallest_bars_there_are(dealt: Connection) -> None:
    finish(dealt)
    trip = RoundTrip.objects.get(symbol="BTC/USD", closed_at__isnull=False)
    assert trip.measured_by == "1m"
    bars = PaperBroker.open(dealt.settings).bars(
        "BTC/USD", BarSize.MINUTE, start=trip.opened_at, end=trip.closed_at, limit=100
    )
    assert trip.closed_at is not None
    inside = [bar for bar in bars if bar.start + timedelta(minutes=1) <= trip.closed_at]
    assert inside
    gains = [trip.quantity * (price - trip.entry_price) for bar in inside for price in (bar.high, bar.low)]
    assert trip.best == max(0, trip.realized, *gains)
    assert trip.worst == min(0, trip.realized, *gains)


def test_a_broker_that_does_not_answer_leaves_what_was_known(
    dealt: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish(dealt)
    before = told()

    def silent(*args: object, **more: object) -> None:
        raise BrokerUnavailable("The broker could not be reached.")

    monkeypatch.setattr(PaperBroker, "fills", silent)
    with pytest.raises(BrokerUnavailable):
        sync.sync_connection(dealt)
    assert sync.sync_all() == 1  # and says so in the log
    assert told() == before


def test_a_place_the_broker_no_longer_knows_is_begun_again_from_the_top(
    dealt: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "_PAGE", 2)
    sync.sync_connection(dealt, ONE_PAGE)
    Progress.objects.filter(what="fills").update(after="NOWHERE")
    finish(dealt, ONE_PAGE)
    assert Execution.objects.count() == len(DEALS) and RoundTrip.objects.count() == 3


def test_what_is_forgotten_while_it_is_read_is_not_half_remembered(
    dealt: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    fills = PaperBroker.fills

    def forgotten(self: PaperBroker, *args: Any, **more: Any) -> Any:
        rows = fills(self, *args, **more)
        sync.rebuild(dealt, by=dealt.owner)
        return rows

    with monkeypatch.context() as patch:
        patch.setattr(PaperBroker, "fills", forgotten)
        sync.sync_connection(dealt)
    assert not Execution.objects.exists()
    finish(dealt)
    assert RoundTrip.objects.count() == 3


def test_what_is_forgotten_while_it_is_matched_is_begun_again(
    dealt: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(matching, "multiplier_of", lambda *about: sync.rebuild(dealt, by=dealt.owner))
        assert not sync.sync_connection(dealt)
    assert not RoundTrip.objects.exists()
    finish(dealt)
    assert RoundTrip.objects.count() == 3


def test_who_forgets_a_journal_waits_for_whoever_writes_it(dealt: Connection) -> None:
    finish(dealt)
    with CaptureQueriesContext(connection) as asked:
        sync.rebuild(dealt, by=dealt.owner)
    gone = [query["sql"].split()[2] for query in asked if query["sql"].startswith("DELETE")]
    # Who copies or matches has the row of the progress locked.
    assert gone[0] == f'"{Progress._meta.db_table}"' and len(gone) == 5


def test_connections_that_waited_longest_come_first_and_closed_ones_never(owner: User, paper: Connection) -> None:
    assert sync.sync_all() == 1
    assert sync.sync_all(seconds=0) == 0
    Connection.objects.update(closed_at=timezone.now())
    assert sync.sync_all() == 0
