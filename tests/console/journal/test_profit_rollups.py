"""Sums by day, month and year say what the fills say, to the last digit, however and whenever those were told."""

import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib import import_module
from io import StringIO

import pytest
from django.apps import apps
from django.core.management import call_command

from brokers.errors import BrokerUnavailable
from brokers.paper.adapter import PaperBroker
from brokers.types import Account
from console.connections.models import Connection
from console.journal import matching, performance, profit_rollups, queries, sync
from console.journal.models import Execution, LedgerLine, ProfitRollup, RoundTrip
from console.journal.profit_rollups import ProfitSum
from console.journal.round_trips import PositionStep, TripMatcher
from console.journal.sync import SyncBudget
from tests.console.journal.steps import ToldBroker

START = datetime(2023, 11, 20, 9, 30, tzinfo=UTC)
ALL = SyncBudget(pages=100, symbols=100, measured=0, seconds=60)
SYMBOLS = {"AAPL": "USD", "BTC/USD": "USD", "SAP": "EUR", "AAPL  260117C00200000": "USD"}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> ToldBroker:
    broker = ToldBroker(monkeypatch)
    broker.multipliers = {"AAPL  260117C00200000": Decimal(100)}
    return broker


def copy(connection: Connection) -> None:
    for _ in range(200):
        if sync.sync_connection(connection, ALL):
            return
    raise AssertionError("the copy is never through")


def everything_again(connection: Connection) -> None:
    """As the first walk: from the first fill on."""
    connection.journal_progress.update(whole_at=None, began_at=None)
    copy(connection)


Key = Callable[[Execution], str]
KEYS: dict[str, Key] = {
    "symbol": lambda row: row.symbol,
    "day": lambda row: f"{row.at:%Y-%m-%d}",
    "month": lambda row: f"{row.at:%Y-%m}",
}


def plain_sums(by: str, start: datetime | None, end: datetime | None) -> dict[tuple[str, str], list[Decimal]]:
    """Name and currency → realized, fees and fills, added up one by one, since the last reset."""
    reset = max(LedgerLine.objects.filter(kind="reset").values_list("at", flat=True), default=None)
    found: dict[tuple[str, str], list[Decimal]] = defaultdict(lambda: [Decimal(0)] * 3)
    for row in Execution.objects.all():
        if (reset is None or row.at > reset) and (start is None or row.at >= start) and (end is None or row.at < end):
            sums = found[KEYS[by](row), row.currency]
            for place, value in enumerate((row.realized, row.fee, Decimal(1))):
                sums[place] += value
    return dict(found)


def check(connection: Connection, rng: random.Random) -> None:
    first, last = START - timedelta(days=5), START + timedelta(days=800)
    spans: list[tuple[datetime | None, datetime | None]] = [(None, None)]
    for _ in range(2):
        one, other = (first + (last - first) * rng.random() for _ in range(2))
        spans += [(min(one, other), max(one, other)), (one, None), (None, one), (one, one + timedelta(hours=7))]
    midnight = START.replace(hour=0, minute=0)
    spans += [(midnight, midnight + timedelta(days=45)), (midnight.replace(month=1, day=1), None)]
    for start, end in spans:
        for by in KEYS:
            rows, whole = performance.profit(connection, connection.default_account, by, start=start, end=end)
            assert whole
            assert {
                (row.name, row.currency): [row.realized, row.fees, Decimal(row.fills)] for row in rows
            } == plain_sums(by, start, end), (by, start, end)
    assert profit_rollups.rebuild(connection.pk, connection.default_account) == 0
    assert_trips(connection)


def assert_trips(connection: Connection) -> None:
    closed = RoundTrip.objects.filter(closed_at__isnull=False)
    assert queries.all_totals([connection.pk]) == queries.totals(closed)
    for symbol in SYMBOLS:
        assert queries.all_totals([connection.pk], symbol.lower()) == queries.totals(closed.filter(symbol=symbol))


def test_sums_are_those_of_the_fills_when_some_come_late_and_some_are_corrected(
    paper: Connection, told: ToldBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "_PAGE", 90)
    monkeypatch.setattr(matching, "BLOCK", 7)
    rng = random.Random(1)  # noqa: S311  the same at every run
    late = []
    for turn in range(3):
        for _ in range(45):
            at = START + timedelta(days=260 * (turn + rng.random()))
            symbol = rng.choice(list(SYMBOLS))
            fill = told.deal(
                at.replace(microsecond=0),
                rng.choice(["BUY", "SELL"]),
                rng.choice(["1", "2", "0.333", "7"]),
                symbol,
                Decimal(rng.randrange(1, 10**6)) / 1000,
                Decimal(rng.randrange(300)) / 100,
                currency=SYMBOLS[symbol],
            )
            if rng.random() < 0.15:
                late.append(fill)
                told.rows.remove(fill)
                told.rows.append(replace(fill, fill_id=f"placeholder-{len(told.rows)}-{turn}"))
        told.move(START + timedelta(days=200 * turn + 3), "split", "AAPL", "2")
        told.move(START + timedelta(days=200 * turn + 9), "transfer", "SAP", "5", "101.5")
        everything_again(paper)
        check(paper, rng)
    told.rows += [replace(fill, fill_id=f"late-{place}") for place, fill in enumerate(late)]
    everything_again(paper)
    check(paper, rng)
    for place in rng.sample(range(len(told.rows)), 15):
        told.rows[place] = replace(
            told.rows[place], fee=Decimal("4.44"), price=told.rows[place].price + 1, quantity=Decimal(3)
        )
    everything_again(paper)
    check(paper, rng)
    assert Execution.objects.filter(fee="4.44").count() == 15
    bit_by_bit = trips()
    sync.rebuild(paper, by=paper.owner)
    assert not ProfitRollup.objects.exists()
    copy(paper)
    assert trips() == bit_by_bit
    check(paper, rng)
    told.move(START + timedelta(days=300, hours=5), "reset", "AAPL", "-1")
    everything_again(paper)
    check(paper, rng)


def trips() -> list[tuple[object, ...]]:
    names = ("public_id", "side", "quantity", "held", "entry_price", "exit_price", "realized", "fees", "fills", "won")
    return list(RoundTrip.objects.order_by("public_id").values_list(*names, "opened_at", "closed_at", "fresh_start"))


def test_a_commission_that_is_told_later_counts_from_then_on(paper: Connection, told: ToldBroker) -> None:
    told.deal(START, "BUY", 2, "AAPL", 100)
    told.deal(START + timedelta(minutes=5), "SELL", 2, "AAPL", 110)
    copy(paper)
    told.rows[1] = replace(told.rows[1], fee=Decimal("1.25"))
    everything_again(paper)
    ((row,), _) = performance.profit(paper, paper.default_account, "day")
    assert (row.realized, row.fees, row.fills) == (Decimal(20), Decimal("1.25"), 2)
    assert RoundTrip.objects.get().fees == Decimal("1.25")


def test_a_fee_of_more_digits_than_are_kept_is_not_corrected_each_time(
    paper: Connection, told: ToldBroker, caplog: pytest.LogCaptureFixture
) -> None:
    told.deal(START, "BUY", 2, "ETH/USD", "2000.123456789", "0.00000012345678901250001")
    told.move(START, "transfer", "ETH/USD", "0.10000000000000000049", "1999.99999999999999999951")
    with caplog.at_level("INFO"):
        for _ in range(2):
            everything_again(paper)
    assert "other values" not in caplog.text
    kept = {Execution.objects.get().fee, *LedgerLine.objects.values_list("quantity", "price").get()}
    assert kept == {Decimal("0.000000123456789013"), Decimal("0.1"), Decimal(2000)}


def test_the_first_look_of_a_day_goes_back_a_week_and_the_others_an_hour() -> None:
    noon = datetime(2026, 3, 2, 12, tzinfo=UTC)
    assert sync.floor(noon, noon + timedelta(minutes=1)) == noon - timedelta(hours=1)
    assert sync.floor(noon, noon + timedelta(hours=12)) == noon - timedelta(days=7)
    assert sync.floor(None, noon) is None


def test_one_more_fill_is_one_more_step_however_long_the_position_is_open(
    paper: Connection, told: ToldBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in range(60):
        told.deal(START + timedelta(minutes=place), ("BUY", "SELL")[place % 2], 1 + place % 2 * 2, "AAPL", 100 + place)
        told.deal(START + timedelta(minutes=place), "BUY", "0.1", "BTC/USD", 100 + place)
    copy(paper)
    at_once = trips()
    steps = 0
    take = TripMatcher.take

    def counted(self: TripMatcher, step: PositionStep) -> object:
        nonlocal steps
        steps += 1
        return take(self, step)

    monkeypatch.setattr(TripMatcher, "take", counted)
    told.deal(START + timedelta(hours=2), "SELL", "0.05", "BTC/USD", 300)
    everything_again(paper)
    assert steps == 1
    assert trips() != at_once
    gone_on = trips()
    sync.rebuild(paper, by=paper.owner)
    copy(paper)
    assert trips() == gone_on


def test_the_operator_sums_anew_and_is_told_what_differed(paper: Connection, told: ToldBroker) -> None:
    told.deal(START, "BUY", 2, "AAPL", 100, 1)
    copy(paper)
    right = rollups()
    ProfitRollup.objects.filter(symbol="AAPL", grain="year").update(fees=7)
    ProfitRollup.objects.filter(symbol="", grain="day").delete()
    out = StringIO()
    call_command("rebuild_rollups", stdout=out)
    assert "Accounts summed again: 1. Sums that differed and are right now: 2." in out.getvalue()
    assert rollups() == right
    call_command("rebuild_rollups", stdout=out)
    assert out.getvalue().endswith("right now: 0.\n")


def rollups() -> set[tuple[object, ...]]:
    names = ("symbol", "currency", "grain", "start", "realized", "fees", "fills", "trips", "won", "trips_net")
    return set(ProfitRollup.objects.values_list(*names))


def test_an_upgrade_sums_what_was_copied_before(paper: Connection, told: ToldBroker) -> None:
    for place in range(20):
        told.deal(START + timedelta(days=19 * place), ("BUY", "SELL")[place % 2], 1 + place % 3, "AAPL", 100 + place, 1)
    copy(paper)
    right = rollups()
    ProfitRollup.objects.all().delete()
    import_module("console.journal.migrations.0003_fill_profit_rollups").fill(apps, None)
    assert rollups() == right


def test_a_broker_that_does_not_answer_is_not_the_first_of_all_again(
    paper: Connection, told: ToldBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy(paper)
    paper.journal_progress.update(looked_at=None)

    def silent(broker: PaperBroker) -> list[Account]:
        raise BrokerUnavailable("The broker could not be reached.")

    monkeypatch.setattr(PaperBroker, "accounts", silent)
    with pytest.raises(BrokerUnavailable):
        sync.sync_connection(paper, ALL)
    assert not paper.journal_progress.filter(looked_at=None).exists()


def test_sums_that_do_not_fit_are_made_anew_and_hold_up_nothing(paper: Connection, told: ToldBroker) -> None:
    told.deal(START, "BUY", 2, "AAPL", 100, 1)
    copy(paper)
    ProfitRollup.objects.all().delete()
    told.rows[0] = replace(told.rows[0], fee=Decimal(3))
    everything_again(paper)
    totals = profit_rollups.totals(paper.pk, paper.default_account, None, None)
    assert totals == {"USD": ProfitSum(Decimal(0), Decimal(3), 1)}
