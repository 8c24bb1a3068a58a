"""The journal set through the pipeline: round trips, notes in a model's own words, and what this client did."""

import uuid
from decimal import Decimal
from typing import Any

import pytest

from brokers.paper.adapter import PaperBroker
from console.accounts.models import User
from console.authority import bearer
from console.connections.models import Connection
from console.journal.models import Note
from console.keys import minting
from console.onboarding import connection_lifecycle
from console.scopes import Scope
from mcpserver import pipeline
from tests.brokers.paper.support import order


@pytest.fixture(autouse=True)
def _one_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    # The pipeline is made for worker threads and lets connections go; the test's own must stay.
    monkeypatch.setattr(pipeline, "close_old_connections", lambda: None)


def call(key: str, tool: str, **arguments: Any) -> dict[str, Any]:
    return pipeline.call(bearer.authenticate(key), tool, arguments, request_id=uuid.uuid4().hex).content


@pytest.fixture
def traded(paper: Connection) -> Connection:
    broker = PaperBroker.open(paper.settings)
    for side, quantity, symbol in (("BUY", "2", "AAPL"), ("SELL", "2", "AAPL"), ("BUY", "1", "SPY")):
        broker.submit(paper.default_account, order(side, quantity, symbol))
    return paper


def test_round_trips_are_there_as_soon_as_they_are_asked_for(traded: Connection, read_key: str) -> None:
    told = call(read_key, "get_journal_trades")
    assert told["complete"] is True and "next_cursor" not in told
    spy, apple = told["trades"]
    assert (spy["symbol"], spy["status"], spy["held"]) == ("SPY", "open", "1")
    assert (apple["symbol"], apple["status"], apple["side"], apple["quantity"]) == ("AAPL", "closed", "long", "2")
    pnl = call(read_key, "get_pnl", group_by="symbol")["groups"]
    (same,) = [group for group in pnl if group["symbol"] == "AAPL"]
    assert (apple["realized_pnl"], apple["fees"]) == (same["realized_pnl"], same["fees"])
    assert Decimal(apple["net_pnl"]) == Decimal(same["net_realized_pnl"])
    assert Decimal(apple["mfe"]) >= 0 >= Decimal(apple["mae"])


def test_the_list_goes_on_by_cursor_and_is_narrowed(traded: Connection, read_key: str) -> None:
    first = call(read_key, "get_journal_trades", limit=1)
    second = call(read_key, "get_journal_trades", limit=1, cursor=first["next_cursor"])
    assert [each["trades"][0]["symbol"] for each in (first, second)] == ["SPY", "AAPL"]
    assert "next_cursor" not in second
    assert len(call(read_key, "get_journal_trades", symbol="aapl")["trades"]) == 1
    assert call(read_key, "get_journal_trades", end="2020-01-01")["trades"] == []
    assert call(read_key, "get_journal_trades", symbol="NOPE")["error"]["code"] == "unknown_symbol"


def test_a_note_is_kept_once_as_the_words_of_the_app(traded: Connection, trade_key: str, read_key: str) -> None:
    trade = call(trade_key, "get_journal_trades")["trades"][0]
    for tags in (["plan"], ["plan", "Dip"]):
        noted = call(trade_key, "add_journal_note", id=trade["trade_id"], text="Bought the dip", tags=tags)
        assert noted["note"]["by"] == "Test key mcp:trade"
    (note,) = call(read_key, "get_journal_trades")["trades"][0]["notes"]
    assert (note["text"], note["tags"]) == ("Bought the dip", ["plan", "dip"])
    assert Note.objects.get().app_id is not None


def test_a_reader_writes_no_note(traded: Connection, read_key: str) -> None:
    trade = call(read_key, "get_journal_trades")["trades"][0]["trade_id"]
    assert call(read_key, "add_journal_note", id=trade, text="Mine")["error"]["code"] == "insufficient_scope"
    assert not Note.objects.exists()


def test_there_is_an_end_to_notes(traded: Connection, trade_key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.journal.notes.MOST", 2)
    trade = call(trade_key, "get_journal_trades")["trades"][0]["trade_id"]
    codes = [
        call(trade_key, "add_journal_note", id=trade, text=f"Note {number}").get("error", {}).get("code")
        for number in range(3)
    ]
    assert codes == [None, None, "invalid_request"]


def test_somebody_else_finds_no_trade_and_notes_none(traded: Connection, read_key: str, other: User) -> None:
    theirs, _ = connection_lifecycle.open_paper(other, name="Theirs", starting_cash=Decimal(5))
    _, key = minting.mint(other, theirs, frozenset({Scope.READ, Scope.TRADE}), name="Theirs")
    mine = call(read_key, "get_journal_trades", limit=1)
    assert call(key, "get_journal_trades")["trades"] == []
    for refused in (
        call(key, "get_journal_trades", account_id=traded.default_account),
        call(key, "get_journal_trades", cursor=mine["next_cursor"]),
        call(key, "add_journal_note", id=mine["trades"][0]["trade_id"], text="Not mine"),
    ):
        assert refused["error"]["code"] in ("unknown_account", "invalid_argument")
    assert not Note.objects.exists()


def test_a_client_reads_what_it_did_itself_and_nobody_else(traded: Connection, read_key: str, trade_key: str) -> None:
    call(trade_key, "get_cash")
    call(read_key, "get_quote", symbols=["AAPL"])
    call(read_key, "get_quote", symbols=["NOPE"])
    told = call(read_key, "get_activity_log")["calls"]
    assert [(each["tool"], each["status"]) for each in told] == [("get_quote", "refused"), ("get_quote", "ok")]
    assert told[0]["code"] == "unknown_symbol" and told[1]["arguments"] == {"symbols": ["AAPL"]}
    assert [each["tool"] for each in call(trade_key, "get_activity_log")["calls"]] == ["get_cash"]
    refused = call(read_key, "get_activity_log", status="refused")["calls"]
    assert [each["code"] for each in refused] == ["unknown_symbol"]


def test_the_log_goes_on_by_cursor(traded: Connection, read_key: str) -> None:
    for _ in range(3):
        call(read_key, "get_cash")
    first = call(read_key, "get_activity_log", limit=2)
    second = call(read_key, "get_activity_log", limit=2, cursor=first["next_cursor"])
    assert [each["tool"] for each in first["calls"] + second["calls"]] == ["get_cash"] * 3
    assert call(read_key, "get_activity_log", start="2020-01-02", end="2020-01-01")["error"]["field"] == "start"
