"""Accounts, orders and cursors of another user are refused like those that do not exist."""

import uuid
from decimal import Decimal
from typing import Any

import pytest

from brokers.paper.adapter import PaperBroker
from brokers.paper.models import LedgerEntry, PaperAccount
from console.accounts.models import User
from console.authority import bearer, call_quota
from console.connections.models import Connection
from console.keys import minting
from console.onboarding import connection_lifecycle
from console.scopes import Scope
from mcpserver import catalog, pipeline
from mcpserver.arguments.types import cursor
from mcpserver.tools.executions import EXECUTIONS, TRANSACTIONS
from tests.brokers.paper.support import order

# What a tool needs beside the id that is tried.
NEEDED: dict[str, dict[str, str]] = {
    "preview_order": {"symbol": "BTC/USD", "side": "BUY", "quantity": "0.1"},
    "get_max_order": {"symbol": "BTC/USD", "side": "BUY"},
}
READERS = [tool for tool in catalog.TOOLS if tool.access is catalog.ToolAccess.READ and catalog.can("paper", tool)]
# An order is looked for before its account is; what waits is the app's own, whatever the account.
ACCOUNT_TOOLS = [
    tool.name
    for tool in READERS
    if "account_id" in {arg.name for arg in tool.args}
    and tool.name not in ("get_order_status", "get_pending_confirmations")
]
ORDER_TOOLS = [
    (tool.name, arg.name)
    for tool in READERS
    for arg in tool.args
    if arg.name in ("order_id", "client_order_id") and tool.name != "preview_order"
]


@pytest.fixture(autouse=True)
def _one_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    # The pipeline is made for worker threads and lets connections go; the test's own must stay.
    monkeypatch.setattr(pipeline, "close_old_connections", lambda: None)
    call_quota.reset()


@pytest.fixture
def theirs(other: User) -> str:
    """A key of the other user that may trade, and so read whatever there is to be read."""
    connection, _ = connection_lifecycle.open_paper(other, name="Theirs", starting_cash=Decimal(5))
    return minting.mint(other, connection, frozenset({Scope.READ, Scope.TRADE}), name="Theirs")[1]


def call(key: str, tool: str, **arguments: Any) -> dict[str, Any]:
    return pipeline.call(bearer.authenticate(key), tool, arguments, request_id=uuid.uuid4().hex).content


@pytest.mark.parametrize("tool", ACCOUNT_TOOLS)
def test_an_account_of_somebody_else_is_one_that_does_not_exist(paper: Connection, theirs: str, tool: str) -> None:
    needed = NEEDED.get(tool, {})
    refused = call(theirs, tool, account_id=paper.default_account, **needed)["error"]
    unknown = call(theirs, tool, account_id="NOBODY22", **needed)["error"]
    assert refused["code"] == unknown["code"] == "unknown_account"
    assert refused["message"].replace(paper.default_account, "NOBODY22") == unknown["message"]


def test_a_cursor_from_the_list_of_somebody_else_is_refused(paper: Connection, read_key: str, theirs: str) -> None:
    account = PaperAccount.objects.get(key=paper.default_account)
    PaperBroker.open(paper.settings).submit(account.key, order("BUY", "1", "BTC/USD"))
    entry = LedgerEntry.objects.filter(account=account).earliest("pk")
    fill = call(read_key, "get_executions")["executions"][0]["execution_id"]
    for tool, of, row in (
        ("get_transactions", TRANSACTIONS, str(entry.pk)),
        ("get_executions", EXECUTIONS, fill),
    ):
        assert "error" not in call(read_key, tool, cursor=cursor(of, row))
        refused = call(theirs, tool, cursor=cursor(of, row))["error"]
        assert (refused["code"], refused["field"]) == ("invalid_argument", "cursor")


@pytest.mark.parametrize(("tool", "argument"), ORDER_TOOLS)
def test_an_order_of_somebody_else_is_one_that_does_not_exist(
    paper: Connection, trade_key: str, theirs: str, tool: str, argument: str
) -> None:
    made = call(trade_key, "place_order", symbol="BTC/USD", side="BUY", quantity="0.1", client_order_id="mine-1")
    told = made["order"][argument]
    assert "error" not in call(trade_key, tool, **{argument: told})
    refused, unknown = (call(theirs, tool, **{argument: each})["error"] for each in (told, "ord_nobodys"))
    assert refused["code"] == unknown["code"] == "unknown_order"
    assert refused["message"].replace(told, "ord_nobodys") == unknown["message"]


def test_a_page_of_orders_does_not_go_on_after_an_order_of_somebody_else(
    paper: Connection, trade_key: str, theirs: str
) -> None:
    for _ in range(2):
        call(trade_key, "place_order", symbol="BTC/USD", side="BUY", quantity="0.1")
    first = call(trade_key, "get_orders", status="all", limit=1)
    assert len(call(trade_key, "get_orders", status="all", limit=1, cursor=first["next_cursor"])["orders"]) == 1
    refused = call(theirs, "get_orders", status="all", cursor=first["next_cursor"])["error"]
    assert (refused["code"], refused["field"]) == ("invalid_argument", "cursor")


def test_a_confirmation_and_a_client_order_id_of_somebody_else_say_nothing(
    paper: Connection, trade_key: str, theirs: str
) -> None:
    made = call(trade_key, "place_order", symbol="BTC/USD", side="BUY", quantity="0.1", client_order_id="mine-1")
    for asked in ({}, {"account_id": paper.default_account}):
        assert call(theirs, "get_pending_confirmations", **asked)["pending"] == []
    for tool in ("confirm_trade", "discard_confirmation"):
        refused, unknown = (
            call(theirs, tool, confirmation_id=each)["error"] for each in (made["confirmation_id"], "cnf_nobodys")
        )
        assert (refused["code"], refused["message"]) == (unknown["code"], unknown["message"])
    # The same name is free for the other person's own order.
    terms = {"symbol": "BTC/USD", "side": "BUY", "quantity": "0.0001", "client_order_id": "mine-1"}
    assert not any("mine-1" in each for each in call(theirs, "preview_order", **terms).get("warnings", []))


def test_each_sees_their_own_equity_alone(paper: Connection, read_key: str, theirs: str) -> None:
    assert call(read_key, "get_watermarks")["high"]["equity"] == "100000"
    assert call(theirs, "get_watermarks")["high"]["equity"] == "5"
    assert call(theirs, "get_account_summary")["total_pnl"]["amount"] == "0"
