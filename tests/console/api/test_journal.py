"""The audit log over REST: round trips, notes, profit, the equity curve and its marks, each to its owner alone."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client as Browser
from django.utils import timezone

from console.accounts.models import User
from console.connections import equity
from console.connections.models import Connection
from console.journal import notes, sync
from console.journal.models import RoundTrip
from console.keys import minting
from console.scopes import Scope
from tests import clock as clocks
from tests.clock import Clock
from tests.console.api.conftest import a_trade, account_of
from tests.console.api.rest import Rest
from tests.console.journal.steps import deal


@pytest.fixture
def traded(paper: Connection, monkeypatch: pytest.MonkeyPatch) -> tuple[Clock, RoundTrip]:
    """AAPL there and back, and BTC/USD that is still held, worked out from the paper broker's own fills."""
    clock = clocks.install(monkeypatch)
    clock.advance(hours=-2)
    for side in ("BUY", "SELL"):
        deal(paper, side, "2", "AAPL", clock)
        clock.advance(minutes=40)
    deal(paper, "BUY", "0.1", "BTC/USD", clock)
    while not sync.sync_connection(paper):
        pass
    return clock, RoundTrip.objects.get(symbol="AAPL")


def test_round_trips_are_told_with_their_fills_and_what_they_earned(
    trader: Rest, reader: Rest, session: Rest, traded: tuple[Clock, RoundTrip]
) -> None:
    trip = traded[1]
    for rest in (trader, reader, session):
        held, closed = rest.get("/journal/trades")["items"]
        assert (held["symbol"], held["closed_at"], held["exit_price"]) == ("BTC/USD", None, None)
        assert (closed["id"], closed["environment"], closed["quantity"]) == (trip.public_id, "paper", "2")
        assert Decimal(closed["net_pnl"]) == trip.realized - trip.fees
        told = rest.get(f"/journal/trades/{trip.public_id}")
        assert [each["side"] for each in told["executions"]] == ["BUY", "SELL"]
        assert sum(Decimal(each["realized_pnl"]) for each in told["executions"]) == trip.realized


def test_round_trips_are_filtered_and_paged(session: Rest, traded: tuple[Clock, RoundTrip]) -> None:
    clock, trip = traded
    won = "won" if trip.won else "lost"
    for query, symbols in (
        ("result=open", ["BTC/USD"]),
        (f"result={won}", ["AAPL"]),
        ("symbol=aapl", ["AAPL"]),
        (f"connection_id={trip.connection_id}&account_id={trip.account_id}", ["BTC/USD", "AAPL"]),
        ("account_id=elsewhere", []),
        (f"start={clock.now + timedelta(minutes=1):%Y-%m-%dT%H:%M:%SZ}", []),
        (f"end={trip.opened_at:%Y-%m-%d}T00:00:00Z", []),
    ):
        assert [each["symbol"] for each in session.get(f"/journal/trades?{query}")["items"]] == symbols, query
    page = session.get("/journal/trades?limit=1")
    assert [each["symbol"] for each in page["items"]] == ["BTC/USD"]
    second = session.get(page["next"])
    assert ([each["symbol"] for each in second["items"]], second["next"]) == (["AAPL"], None)


@pytest.mark.parametrize("query", ["cursor=bm93aGVyZQ", "cursor=YmVmb3JlOnRyZF9ub3doZXJl", "start=2026-11-02T15:00:00"])
def test_a_place_or_a_time_that_means_nothing_is_refused(session: Rest, query: str) -> None:
    assert session.refused("GET", f"/journal/trades?{query}")["code"] == "invalid_argument"


def test_notes_are_kept_with_who_wrote_them(trader: Rest, session: Rest, paper: Connection) -> None:
    trip = a_trade(paper)
    path = f"/journal/trades/{trip.public_id}/notes"
    assert session.get(path) == {"notes": []}
    session.post(path, {"text": "Sold too soon", "tags": ["Patience"]}, status=201)
    [mine, theirs] = trader.post(path, {"text": "The spread was wide"}, status=201)["notes"]
    assert (mine["by"], mine["app_id"], mine["tags"]) == ("olivia@example.com", None, ["patience"])
    assert theirs["app_id"] is not None
    assert session.get(f"/journal/trades/{trip.public_id}")["notes"] == [mine, theirs]
    for wrong in ({"text": ""}, {"text": "x" * (notes.LONGEST + 1)}, {"text": "x", "tags": "one"}, {}):
        assert session.refused("POST", path, wrong)["status"] == 400


def test_an_order_takes_notes_too(trader: Rest, session: Rest) -> None:
    order = trader.post("/orders", {"symbol": "BTC/USD", "side": "BUY", "quantity": "0.1"}, status=201)["order"]
    path = f"/orders/{order['id']}/notes"
    trader.post(path, {"text": "Because of the breakout"}, status=201)
    assert [note["text"] for note in session.get(path)["notes"]] == ["Because of the breakout"]


def test_profit_adds_up_to_the_round_trips_however_it_is_grouped(
    session: Rest, traded: tuple[Clock, RoundTrip]
) -> None:
    clock, trip = traded
    path = f"/connections/{trip.connection_id}/profit"
    rows = {row["name"]: row for row in session.get(path)["rows"]}
    assert Decimal(rows["AAPL"]["net_pnl"]) == trip.realized - trip.fees
    assert (rows["BTC/USD"]["realized_pnl"], rows["BTC/USD"]["fills"]) == ("0", 1)
    for by, written in (("month", f"{trip.closed_at:%Y-%m}"), ("day", f"{trip.closed_at:%Y-%m-%d}")):
        told = session.get(f"{path}?by={by}")
        assert (told["by"], told["complete"], told["truncated"]) == (by, True, False)
        assert written in [row["name"] for row in told["rows"]]
        assert sum(Decimal(row["net_pnl"]) for row in told["rows"]) == sum(
            Decimal(row["net_pnl"]) for row in rows.values()
        )
    later = (clock.now + timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert session.get(f"{path}?start={later}")["rows"] == []


def test_equity_is_told_as_it_was_read_with_its_marks(session: Rest, reader: Rest, paper: Connection) -> None:
    account, now = account_of(paper), timezone.now()
    equity.forget(paper.pk, account)
    for hours, worth in ((5, "100"), (4, "150"), (3, "100"), (2, "120")):
        equity.record(
            paper,
            account,
            currency="USD",
            equity=Decimal(worth),
            cash=Decimal(10),
            now=now - timedelta(hours=hours),
        )
    for rest in (session, reader):
        curve = rest.get(f"/connections/{paper.pk}/equity?period=1w&bar=5m&account_id={account}")
        assert [point["equity"] for point in curve["points"]] == ["100", "150", "100", "120"]
        assert (curve["currency"], curve["bar"], curve["truncated"]) == ("USD", "5m", False)
        told = rest.get(f"/connections/{paper.pk}/performance")
        assert (told["equity"], told["high"]["equity"], told["low"]["equity"]) == ("120", "150", "100")
        assert told["total_pnl"] == {"amount": "20", "percent": "20"}
        assert told["drawdown"] == {"amount": "30", "percent": "20"}
        assert (told["max_drawdown"]["amount"], told["max_drawdown"]["percent"]) == ("50", "33.33")


def test_an_account_nothing_is_known_of_is_not_there(session: Rest, paper: Connection) -> None:
    equity.forget(paper.pk, account_of(paper))
    for what in ("performance", "profit", "equity"):
        assert session.refused("GET", f"/connections/{paper.pk}/{what}")["code"] == "not_found"
        assert session.refused("GET", f"/connections/{paper.pk}/{what}?account_id=none")["code"] == "not_found"


def test_nobody_else_reads_the_journal_or_writes_into_it(
    others_session: Rest, operators_session: Rest, other: User, others_paper: Connection, paper: Connection
) -> None:
    trip = a_trade(paper)
    _, raw = minting.mint(other, others_paper, frozenset({Scope.TRADE}), name="script")
    for stranger in (others_session, operators_session, Rest(Browser(), raw)):
        assert stranger.get("/journal/trades")["items"] == []
        assert stranger.get(f"/journal/trades?connection_id={paper.pk}")["items"] == []
        for path in (f"/journal/trades/{trip.public_id}", f"/journal/trades/{trip.public_id}/notes"):
            assert stranger.refused("GET", path)["code"] == "not_found"
        told = stranger.refused("POST", f"/journal/trades/{trip.public_id}/notes", {"text": "Mine"})
        assert told["code"] == "not_found"
        for what in ("performance", "profit", "equity"):
            assert stranger.refused("GET", f"/connections/{paper.pk}/{what}")["code"] == "not_found"
    assert not trip.connection.notes.exists()


def test_a_key_reaches_no_other_connection_of_its_owner(owner: User, trader: Rest, others_paper: Connection) -> None:
    Connection.objects.filter(pk=others_paper.pk).update(owner=owner)
    trip = a_trade(others_paper)
    assert trader.get("/journal/trades")["items"] == []
    assert trader.refused("GET", f"/journal/trades/{trip.public_id}")["code"] == "not_found"
    assert trader.refused("GET", f"/connections/{others_paper.pk}/profit")["code"] == "not_found"
