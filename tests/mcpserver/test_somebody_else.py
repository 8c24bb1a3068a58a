"""Accounts, orders and cursors of another user are refused like those that do not exist."""

import uuid
from decimal import Decimal
from typing import Any

import pytest

from brokers.paper.adapter import PaperBroker
from brokers.paper.models import LedgerEntry, PaperAccount
from console.accounts.models import User
from console.authority import bearer
from console.connections.models import Connection
from console.onboarding import open_connection
from mcpserver import catalog, gate
from mcpserver.kinds import cursor
from mcpserver.tools.records import EXECUTIONS, TRANSACTIONS
from tests.brokers.paper.support import order

ACCOUNT_TOOLS = [
    tool.name
    for tool in catalog.TOOLS
    if tool.toolset in ("account", "trade_read")
    and "account_id" in {arg.name for arg in tool.args}
    and not {arg.name for arg in tool.args if arg.required}
]


@pytest.fixture(autouse=True)
def _one_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    # The gate is made for worker threads and lets connections go; the test's own must stay.
    monkeypatch.setattr(gate, "close_old_connections", lambda: None)


@pytest.fixture
def theirs(other: User) -> str:
    """The read key of the other user."""
    _, key = open_connection.open_paper(other, name="Theirs", starting_cash=Decimal(5))
    return key


def call(key: str, tool: str, **arguments: Any) -> dict[str, Any]:
    return gate.call(bearer.authenticate(key), tool, arguments, request_id=uuid.uuid4().hex).content


@pytest.mark.parametrize("tool", [name for name in ACCOUNT_TOOLS if name != "get_order_status"])
def test_an_account_of_somebody_else_is_one_that_does_not_exist(paper: Connection, theirs: str, tool: str) -> None:
    refused = call(theirs, tool, account_id=paper.default_account)["error"]
    unknown = call(theirs, tool, account_id="NOBODY22")["error"]
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


def test_the_executions_of_an_order_of_somebody_else_are_refused(
    paper: Connection, trade_key: str, theirs: str
) -> None:
    made = call(trade_key, "place_order", symbol="BTC/USD", side="BUY", quantity="0.1")["order"]["order_id"]
    assert call(trade_key, "get_executions", order_id=made)["executions"] == []
    assert call(theirs, "get_executions", order_id=made)["error"]["code"] == "unknown_order"


def test_each_sees_their_own_equity_alone(paper: Connection, read_key: str, theirs: str) -> None:
    assert call(read_key, "get_watermarks")["high"]["equity"] == "100000"
    assert call(theirs, "get_watermarks")["high"]["equity"] == "5"
    assert call(theirs, "get_account_summary")["total_pnl"]["amount"] == "0"
