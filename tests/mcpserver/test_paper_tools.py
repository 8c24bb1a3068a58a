"""Practice accounts through the pipeline: opened, copied, reset and tuned, and never a way round a limit."""

import uuid
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest

from brokers.paper.models import PaperAccount, PaperFill
from console.accounts.models import User
from console.audit.models import Change
from console.authority import bearer, call_quota
from console.connections import health
from console.connections import paper_linking as paper_connections
from console.connections import services as connections
from console.connections.models import Connection
from console.halts import services as halts
from console.keys import minting
from console.limits import Limits
from console.orders.models import Order
from console.practice import services as practice
from console.scopes import Scope
from mcpserver import catalog, pipeline

TOOLS = ("create_paper_account", "reset_paper_account", "set_paper_model")


@pytest.fixture(autouse=True)
def _one_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    # The pipeline is made for worker threads and lets connections go; the test's own must stay.
    monkeypatch.setattr(pipeline, "close_old_connections", lambda: None)
    # These are more calls than one user has in a minute; tests/mcpserver/test_call_limits.py is about that.
    monkeypatch.setattr(call_quota, "check", lambda *about, **more: None)


def call(key: str, tool: str, **arguments: Any) -> dict[str, Any]:
    return pipeline.call(bearer.authenticate(key), tool, arguments, request_id=uuid.uuid4().hex).content


def trade(key: str, side: str, quantity: str, symbol: str, **terms: str) -> dict[str, Any]:
    prepared = call(key, "place_order", symbol=symbol, side=side, quantity=quantity, **terms)
    return call(key, "confirm_trade", confirmation_id=prepared["confirmation_id"])


def summary(key: str, **arguments: str) -> dict[str, Any]:
    return call(key, "get_account_summary", **arguments)


def test_an_account_is_opened_and_traded_on(paper: Connection, trade_key: str) -> None:
    made = call(trade_key, "create_paper_account", name="Second", cash="5000", preset="frictionless")["account"]
    assert (made["starting_cash"], made["model"]["stamp"], made["currency"]) == ("5000", "frictionless/1", "USD")
    accounts = call(trade_key, "get_accounts")["accounts"]
    assert [(each["name"], each["current"]) for each in accounts] == [("Practice", True), ("Second", False)]
    assert trade(trade_key, "BUY", "0.1", "BTC/USD", account_id=made["account_id"])["status"] == "filled"
    assert "positions" in call(trade_key, "get_positions") and not call(trade_key, "get_positions")["positions"]
    again = call(trade_key, "create_paper_account", name="Second")
    assert (again["error"]["code"], again["error"].get("field")) == ("invalid_argument", "name")


def test_new_money_is_no_gain_of_the_day(paper: Connection, trade_key: str) -> None:
    health.check(paper)
    call(trade_key, "create_paper_account", name="Second", cash="900000")
    health.check(Connection.objects.get(pk=paper.pk))
    now = Connection.objects.get(pk=paper.pk)
    assert now.equity == 1_000_000 and now.day_equity == 1_000_000 and now.day_change_percent == 0


def test_a_copy_has_the_cash_and_positions_of_the_original(paper: Connection, trade_key: str) -> None:
    trade(trade_key, "BUY", "3", "AAPL")
    copy = call(trade_key, "create_paper_account", name="Copy", clone_account_id=paper.default_account)["account"]
    there = call(trade_key, "get_positions", account_id=copy["account_id"])["positions"]
    assert [(each["symbol"], each["quantity"]) for each in there] == [("AAPL", "3")]
    cash = [call(trade_key, "get_cash", **terms)["cash"] for terms in ({}, {"account_id": copy["account_id"]})]
    assert cash[0][0]["total"] == cash[1][0]["total"]
    trade(trade_key, "SELL", "3", "AAPL", account_id=copy["account_id"])
    (sold,) = call(trade_key, "get_journal_trades", account_id=copy["account_id"])["trades"]
    (total,) = call(trade_key, "get_pnl", account_id=copy["account_id"])["totals"]
    assert (sold["side"], sold["status"], sold["realized_pnl"]) == ("long", "closed", total["realized_pnl"])


def test_a_reset_takes_orders_back_and_begins_anew(paper: Connection, trade_key: str) -> None:
    trade(trade_key, "BUY", "3", "AAPL")
    resting = trade(trade_key, "BUY", "1", "BTC/USD", order_type="LMT", limit_price="1", tif="GTC")
    assert resting["status"] == "working"
    done = call(trade_key, "reset_paper_account", account_id=paper.default_account, cash="2500")
    assert (done["cancelled_orders"], done["account"]["starting_cash"]) == (1, "2500")
    assert Order.objects.get(order_type="LMT").status == "cancelled"
    assert call(trade_key, "get_positions")["positions"] == []
    assert summary(trade_key)["equity"] == "2500"
    (total,) = call(trade_key, "get_pnl")["totals"]
    assert (total["realized_pnl"], total["fills"]) == ("0", 0)
    (gone,) = call(trade_key, "get_journal_trades")["trades"]
    assert (gone["status"], gone["ended_by"], gone["realized_pnl"]) == ("closed", "reset", "0")
    assert Change.objects.get(action="account reset").detail["through"] == "Test key mcp:trade"
    assert len(call(trade_key, "get_portfolio_history", period="all")["points"]) == 1


def test_a_reset_does_not_undo_the_loss_of_the_day(paper: Connection, trade_key: str) -> None:
    health.check(paper)
    call(trade_key, "set_paper_model", account_id=paper.default_account, overrides={"taker_fee_percent": "10"})
    trade(trade_key, "BUY", "1", "BTC/USD")
    health.check(Connection.objects.get(pk=paper.pk))
    before = Connection.objects.get(pk=paper.pk)
    assert before.equity is not None and before.day_equity is not None
    call(trade_key, "reset_paper_account", account_id=paper.default_account)
    after = Connection.objects.get(pk=paper.pk)
    assert after.equity is not None and after.day_equity is not None
    assert after.equity == 100_000
    assert abs((after.day_equity - after.equity) - (before.day_equity - before.equity)) < 1


def test_fills_name_the_terms_they_were_made_under(paper: Connection, trade_key: str) -> None:
    tuned = call(
        trade_key,
        "set_paper_model",
        account_id=paper.default_account,
        preset="realistic",
        overrides={
            "taker_fee_percent": "1", "slippage_percent": 0, "volume_percent": "0", "latency_ms": 0, "margin": True
        },
    )["account"]["model"]  # fmt: skip
    assert (tuned["taker_fee_percent"], tuned["slippage_percent"], tuned["margin"]) == ("1", "0", True)
    assert "volume_percent" not in tuned and tuned["stamp"].startswith("realistic/2+")
    order = trade(trade_key, "BUY", "0.5", "BTC/USD")["order"]
    paid = Decimal(order["average_price"]) * Decimal("0.5")
    assert Decimal(order["fees"]) == (paid / 100).quantize(Decimal("0.01"), ROUND_HALF_UP)
    assert PaperFill.objects.get().model == tuned["stamp"]
    rules = call(trade_key, "get_trading_fees", symbol="BTC/USD")["fees"]
    assert rules[0]["rate"] == "0.01"
    assert (
        call(trade_key, "set_paper_model", account_id=paper.default_account, preset="thin")["account"]["model"]["stamp"]
        == "thin/1"
    )


def test_an_app_makes_the_owners_cancels_wait_two_seconds_at_most(paper: Connection, trade_key: str) -> None:
    account = paper.default_account
    refused = call(trade_key, "set_paper_model", account_id=account, overrides={"latency_ms": "60000"})["error"]
    assert (refused["code"], "at most 2000" in refused["message"]) == ("invalid_argument", True)
    most = call(trade_key, "set_paper_model", account_id=account, overrides={"latency_ms": "2000"})["account"]["model"]
    assert most["latency_ms"] == "2000"
    slowest = {"latency_ms": Decimal(60_000)}
    assert practice.set_model(paper, account, by=paper.owner, overrides=slowest).rates["latency_ms"] == 60_000


def test_an_order_and_its_cancel_are_on_their_way_for_as_long_as_the_model_says(
    paper: Connection, trade_key: str
) -> None:
    slow = {"latency_ms": Decimal(30_000)}
    assert (
        practice.set_model(paper, paper.default_account, by=paper.owner, overrides=slow).rates["latency_ms"] == 30_000
    )
    order = trade(trade_key, "BUY", "0.5", "BTC/USD")["order"]
    assert (order["status"], order["filled_quantity"]) == ("working", "0")
    cancelled = call(trade_key, "cancel_order", order_id=order["order_id"])
    assert cancelled["order"]["status"] == "working"
    # Starting again overtakes both.
    assert call(trade_key, "reset_paper_account", account_id=paper.default_account)["cancelled_orders"] == 1
    assert Order.objects.get().status == "cancelled"


@pytest.mark.parametrize(
    ("tool", "arguments", "field"),
    [
        ("create_paper_account", {"name": "X", "cash": "-1"}, ""),
        ("create_paper_account", {"name": "X", "cash": "0.001"}, ""),
        ("create_paper_account", {"name": "X", "currency": "EUR"}, "currency"),
        ("create_paper_account", {"name": "X", "preset": "generous"}, "preset"),
        ("reset_paper_account", {"cash": "0"}, ""),
        ("set_paper_model", {"overrides": {"luck": "1"}}, "overrides"),
        ("set_paper_model", {"overrides": {"slippage_percent": "11"}}, ""),
        ("set_paper_model", {"overrides": {"latency_ms": "2000.5"}}, "overrides.latency_ms"),
        ("set_paper_model", {"overrides": {"slippage_percent": True}}, "overrides.slippage_percent"),
        ("set_paper_model", {"overrides": ["margin"]}, "overrides"),
    ],
)
def test_what_cannot_be_is_refused(
    paper: Connection, trade_key: str, tool: str, arguments: dict[str, Any], field: str
) -> None:
    named = {} if tool == "create_paper_account" else {"account_id": paper.default_account}
    error = call(trade_key, tool, **named, **arguments)["error"]
    assert (error["code"], error.get("field", "")) == ("invalid_argument", field)
    assert PaperAccount.objects.count() == 1


def test_margin_stays_while_something_is_borrowed(paper: Connection, trade_key: str) -> None:
    account = paper.default_account
    call(trade_key, "set_paper_model", account_id=account, overrides={"margin": True})
    trade(trade_key, "SELL", "5", "AAPL")
    refused = call(trade_key, "set_paper_model", account_id=account, overrides={"margin": False})["error"]
    assert "short" in refused["message"]


def arguments_of(tool: str, account_id: str) -> dict[str, str]:
    return {"name": "X"} if tool == "create_paper_account" else {"account_id": account_id}


@pytest.mark.parametrize("tool", TOOLS)
def test_a_reader_and_somebody_else_are_refused(
    paper: Connection, read_key: str, other: User, tool: str, trade_key: str
) -> None:
    arguments = arguments_of(tool, paper.default_account)
    assert call(read_key, tool, **arguments)["error"]["code"] == "insufficient_scope"
    theirs = paper_connections.link_paper(other, name="Theirs", starting_cash=Decimal(5))
    _, key = minting.mint(other, theirs, frozenset({Scope.READ, Scope.TRADE}), name="Theirs")
    if tool != "create_paper_account":
        assert call(key, tool, **arguments)["error"]["code"] == "unknown_account"
    copied = call(key, "create_paper_account", name="Y", clone_account_id=paper.default_account)
    assert copied["error"]["code"] == "unknown_account"
    assert PaperAccount.objects.count() == 2


@pytest.mark.parametrize("tool", TOOLS)
def test_a_halt_and_trading_switched_off_stop_them(paper: Connection, trade_key: str, tool: str) -> None:
    arguments = arguments_of(tool, paper.default_account)
    connections.disable_trading(paper, by=paper.owner)
    assert call(trade_key, tool, **arguments)["error"]["code"] == "trading_disabled"
    connections.enable_trading(paper, by=paper.owner)
    halts.halt_connection(paper, by=paper.owner)
    assert call(trade_key, tool, **arguments)["error"]["code"] == "halted"


def test_no_app_widens_a_limit_with_simulated_money(paper: Connection, trade_key: str) -> None:
    connections.set_limits(paper, Limits(equity_share=Decimal(20)), by=paper.owner)
    for tool in TOOLS[:2]:
        refused = call(trade_key, tool, **arguments_of(tool, paper.default_account), cash="1000000")
        assert refused["error"]["code"] == "outside_limits"


def test_no_other_broker_lists_them() -> None:
    for tool in TOOLS:
        found = catalog.find(tool)
        assert found is not None
        assert catalog.can("paper", found) and not catalog.can("alpaca", found) and not catalog.can("nobody", found)
