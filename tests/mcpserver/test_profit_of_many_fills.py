"""get_pnl answers from the journal's sums, and the same as from every fill of the broker."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from brokers.paper.adapter import PaperBroker
from console.accounts.models import User
from console.authority import call_quota
from console.connections.models import Connection
from console.journal import profit_rollups, realized_profit, sync
from console.journal.models import Execution
from console.keys import minting
from console.onboarding import connection_lifecycle
from console.scopes import Scope
from mcpserver import pipeline
from tests.console.journal.steps import ToldBroker
from tests.mcpserver.steps import call

START = datetime(2025, 12, 29, 9, 30, tzinfo=UTC)
OPTION = "AAPL  260117C00200000"


@pytest.fixture(autouse=True)
def _one_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "close_old_connections", lambda: None)
    # These are more calls than one user has in a minute.
    monkeypatch.setattr(call_quota, "check", lambda *about, **own: None)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> ToldBroker:
    broker = ToldBroker(monkeypatch)
    broker.multipliers = {OPTION: Decimal(100)}
    deals = (
        *(("BUY", 10, "AAPL", 100, 1), ("SELL", 15, "AAPL", "110.5", "1.5"), ("BUY", 2, OPTION, "1.50", "1.3")),
        *(("BUY", "0.5", "BTC/USD", 9000, 3), ("SELL", 2, OPTION, "2.10", "1.3"), ("BUY", 7, "AAPL", 99, 1)),
        *(("SELL", "0.3", "BTC/USD", 9100, 3), ("SELL", 1, OPTION, 2, "0.65"), ("BUY", 1, OPTION, "0.5", "0.65")),
    )
    for place, (side, quantity, symbol, price, fee) in enumerate(deals):
        broker.deal(START + timedelta(days=9 * place), side, quantity, symbol, price, fee)
    broker.move(START + timedelta(days=3), "split", "AAPL", 10)
    return broker


def answers(key: str) -> list[dict[str, Any]]:
    asked: list[dict[str, str]] = [{}, *({"group_by": by} for by in ("symbol", "day", "month"))]
    spans = [{}, {"start": "2026-01-08"}, {"start": "2026-01-16T09:30:00Z", "end": "2026-02-20T10:00:00Z"}]
    told = [call(key, "get_pnl", **(by | span)) for by in asked for span in spans]
    return [{name: value for name, value in each.items() if name != "context"} for each in told]


def test_sums_answer_what_every_fill_answers(
    paper: Connection, read_key: str, told: ToldBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_sums = answers(read_key)
    monkeypatch.setattr(realized_profit, "_bring_up", lambda *about: False)
    monkeypatch.setattr(profit_rollups, "totals", None)
    assert answers(read_key) == by_sums


def test_an_option_earns_for_all_the_units_of_its_contract(
    paper: Connection, read_key: str, told: ToldBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        groups = {row["symbol"]: row for row in call(read_key, "get_pnl", group_by="symbol")["groups"]}
        assert groups[OPTION]["realized_pnl"] == "270"  # 2 x 0.60 x 100, and 1 x 1.50 x 100 short
        monkeypatch.setattr(realized_profit, "_bring_up", lambda *about: False)


def test_a_fill_of_this_moment_is_in(paper: Connection, read_key: str, told: ToldBroker) -> None:
    before = call(read_key, "get_pnl")["totals"][0]
    told.deal(datetime.now(UTC), "SELL", "0.2", "BTC/USD", 9500, "2.5")
    after = call(read_key, "get_pnl")["totals"][0]
    assert after["fills"] == before["fills"] + 1
    assert Decimal(after["realized_pnl"]) == Decimal(before["realized_pnl"]) + 100


def test_only_what_is_new_is_asked_of_the_broker(
    paper: Connection, read_key: str, told: ToldBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "_PAGE", 4)
    call(read_key, "get_pnl")
    assert Execution.objects.count() == len(told.rows)
    rows = 0
    fills = PaperBroker.fills

    def counted(*args: Any, **named: Any) -> Any:
        nonlocal rows
        found = fills(*args, **named)
        rows += len(found)
        return found

    monkeypatch.setattr(PaperBroker, "fills", counted)
    call(read_key, "get_pnl", group_by="month")
    assert rows == 0


def test_somebody_else_is_told_nothing_of_it(paper: Connection, read_key: str, other: User, told: ToldBroker) -> None:
    mine = call(read_key, "get_pnl", group_by="symbol")
    assert len(mine["groups"]) == 3
    theirs, _ = connection_lifecycle.open_paper(other, name="Theirs", starting_cash=Decimal(5))
    _, key = minting.mint(other, theirs, frozenset({Scope.READ}), name="Theirs")
    told.rows.clear()
    assert call(key, "get_pnl", group_by="symbol")["groups"] == []
    assert call(key, "get_pnl", account_id=paper.default_account)["error"]["code"] == "unknown_account"


def test_a_corrected_price_changes_what_was_earned(paper: Connection, read_key: str, told: ToldBroker) -> None:
    call(read_key, "get_pnl")
    told.deal(datetime.now(UTC), "SELL", "0.2", "BTC/USD", 9500)
    first = call(read_key, "get_pnl")["totals"][0]["realized_pnl"]
    told.rows[-1] = replace(told.rows[-1], price=Decimal(9400))
    assert Decimal(call(read_key, "get_pnl")["totals"][0]["realized_pnl"]) == Decimal(first) - 20
