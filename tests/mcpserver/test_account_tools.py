"""The account set through the MCP endpoint, checked against what was traded, to the last digit."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.mcpserver.wire import Wire
from tests.serving import Server

DEALS = (
    ("BUY", "2", "AAPL"),
    ("BUY", "4", "AAPL"),
    ("SELL", "3", "AAPL"),
    ("BUY", "0.12345678", "BTC/USD"),
    ("SELL", "0.12345678", "BTC/USD"),
)


@pytest.fixture
def trade(server: Server) -> Wire:
    return Wire(server.mcp_url, server.quickstart["paper_key_trade"])


@pytest.fixture
def read(server: Server) -> Wire:
    return Wire(server.mcp_url, server.quickstart["paper_key_read"])


@pytest.fixture
def dealt(server: Server, trade: Wire) -> list[dict[str, Any]]:
    """The executions of DEALS, oldest first; dealt once for the whole file."""
    if not trade.result("get_executions", {})["executions"]:
        for side, quantity, symbol in DEALS:
            prepared = trade.result("place_order", {"symbol": symbol, "side": side, "quantity": quantity})
            done = trade.result("confirm_trade", {"confirmation_id": prepared["confirmation_id"]})
            assert done["status"] == "filled", done
    executions: list[dict[str, Any]] = trade.result("get_executions", {})["executions"]
    return executions[::-1]


def total(rows: list[dict[str, Any]], name: str) -> Decimal:
    return sum((Decimal(row[name]) for row in rows), Decimal(0))


def pages(wire: Wire, tool: str, key: str, **arguments: object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    for _ in range(50):
        page = wire.result(tool, {"limit": 2, **arguments, **cursor})
        assert len(page[key]) <= 2
        found += page[key]
        if "next_cursor" not in page:
            return found
        cursor = {"cursor": page["next_cursor"]}
    raise AssertionError("the pages never end")


def test_executions_are_what_was_dealt_with_the_order_each_belongs_to(read: Wire, dealt: list[dict[str, Any]]) -> None:
    assert [(each["side"], each["quantity"], each["symbol"]) for each in dealt] == list(DEALS)
    for each in dealt:
        order = read.result("get_order_status", {"order_id": each["order_id"]})["order"]
        assert (order["average_price"], order["fees"]) == (each["price"], each["fee"])
        (only,) = read.result("get_executions", {"order_id": each["order_id"]})["executions"]
        assert only == each
    assert read.result("get_executions", {"symbol": "btc"})["executions"] == dealt[:2:-1]
    assert (
        read.result("get_executions", {"start": dealt[1]["at"], "end": dealt[3]["at"]})["executions"] == dealt[2:0:-1]
    )


def test_lists_page_by_cursor_without_a_gap_or_a_repeat(read: Wire, dealt: list[dict[str, Any]]) -> None:
    whole = read.result("get_executions", {})
    assert "next_cursor" not in whole
    assert pages(read, "get_executions", "executions") == whole["executions"] == dealt[::-1]
    ledger = read.result("get_transactions", {"limit": 200})["transactions"]
    assert pages(read, "get_transactions", "transactions") == ledger
    assert [row["type"] for row in ledger[-3:]] == ["fee", "trade", "deposit"]
    fees = pages(read, "get_transactions", "transactions", types=["fee"])
    assert fees == [row for row in ledger if row["type"] == "fee"]
    assert total(fees, "amount") == -total(dealt, "fee")
    assert read.result("get_transactions", {"types": ["dividend", "interest"]})["transactions"] == []


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "!!!!", "MQ", "dHJhbnNhY3Rpb25zOg", "dHJhbnNhY3Rpb25zOjk5OTk5OQ", "dHJhbnNhY3Rpb25zOi0x", "é", 7, ["a"]],
)
def test_a_cursor_nobody_was_given_is_refused(read: Wire, cursor: object) -> None:
    refused = read.refusal("get_transactions", {"cursor": cursor})
    assert (refused["code"], refused["field"]) == ("invalid_argument", "cursor")


def test_a_cursor_of_another_list_is_refused(read: Wire, dealt: list[dict[str, Any]]) -> None:
    cursor = read.result("get_transactions", {"limit": 1})["next_cursor"]
    refused = read.refusal("get_executions", {"cursor": cursor})
    assert (refused["code"], refused["field"]) == ("invalid_argument", "cursor")


def test_profit_and_loss_follow_from_the_executions(read: Wire, dealt: list[dict[str, Any]]) -> None:
    price = [Decimal(each["price"]) for each in dealt]
    fee = [Decimal(each["fee"]) for each in dealt]
    cent = Decimal("0.01")
    shares = 3 * price[2] - (2 * price[0] + 4 * price[1]) / 2
    coins = (price[4] - price[3]) * Decimal("0.12345678")
    for _ in range(3):  # the price may move between two answers, at the turn of a minute
        held = {row["symbol"]: row for row in read.result("get_positions", {})["positions"]}
        answer = read.result("get_pnl", {"group_by": "symbol"})
        if read.result("get_positions", {})["positions"] == list(held.values()):
            break
    (whole,) = answer["totals"]
    assert Decimal(whole["realized_pnl"]) == (shares + coins).quantize(cent)
    assert Decimal(whole["fees"]) == sum(fee, Decimal(0))
    assert Decimal(whole["net_realized_pnl"]) == (shares + coins - sum(fee, Decimal(0))).quantize(cent)
    assert whole["unrealized_pnl"] == held["AAPL"]["unrealized_pnl"]
    assert whole["fills"] == 5
    groups = {group["symbol"]: group for group in answer["groups"]}
    assert list(groups) == ["AAPL", "BTC/USD"]
    assert Decimal(groups["AAPL"]["realized_pnl"]) == shares.quantize(cent)
    assert Decimal(groups["BTC/USD"]["realized_pnl"]) == coins.quantize(cent)
    assert groups["AAPL"]["unrealized_pnl"] == held["AAPL"]["unrealized_pnl"]
    assert "unrealized_pnl" not in groups["BTC/USD"]
    assert "verage cost" in answer["method"]

    first = {"start": dealt[0]["at"], "end": dealt[1]["at"]}
    (early,) = read.result("get_pnl", first)["totals"]
    assert (early["fills"], Decimal(early["fees"]), early["realized_pnl"]) == (1, fee[0], "0")
    (month,) = read.result("get_pnl", {"group_by": "month"})["groups"]
    assert month["month"] == dealt[0]["at"][:7]
    assert read.refusal("get_pnl", {"start": "2026-02-01", "end": "2026-01-01"})["code"] == "invalid_argument"


def test_the_summary_earns_what_profit_and_loss_and_fees_say(read: Wire, dealt: list[dict[str, Any]]) -> None:
    for _ in range(3):
        summary = read.result("get_account_summary", {})
        (whole,) = read.result("get_pnl", {})["totals"]
        if summary["unrealized_pnl"] == whole["unrealized_pnl"]:
            break
    earned = Decimal(summary["total_pnl"]["amount"])
    # Cash is booked to the cent at each fill; the average is not.
    explained = Decimal(whole["net_realized_pnl"]) + Decimal(whole["unrealized_pnl"])
    assert abs(earned - explained) <= Decimal("0.02")
    assert Decimal(summary["equity"]) == 100_000 + earned
    assert Decimal(summary["cash"]) + Decimal(summary["positions_value"]) == Decimal(summary["equity"])
    assert summary["day_pnl"] == summary["total_pnl"]
    ledger = read.result("get_transactions", {"limit": 200})["transactions"]
    assert total(ledger, "amount") == Decimal(summary["cash"])


def test_cash_says_what_is_settled_and_reserved(read: Wire, dealt: list[dict[str, Any]]) -> None:
    (cash,) = read.result("get_cash", {})["cash"]
    assert Decimal(cash["settled"]) + Decimal(cash["unsettled"]) == Decimal(cash["total"])
    assert Decimal(cash["total"]) - Decimal(cash["reserved"]) == Decimal(cash["available"])


def test_positions_can_be_had_of_one_kind(read: Wire, dealt: list[dict[str, Any]]) -> None:
    (stock,) = read.result("get_positions", {"asset_class": "stock"})["positions"]
    assert (stock["symbol"], stock["quantity"]) == ("AAPL", "3")
    assert stock["delay_seconds"] < 120
    assert read.result("get_positions", {"asset_class": "crypto"})["positions"] == []


def test_fees_are_what_the_fills_paid(read: Wire, dealt: list[dict[str, Any]]) -> None:
    (crypto,) = read.result("get_trading_fees", {"symbol": "BTC/USD"})["fees"]
    assert (crypto["asset_class"], crypto["basis"], crypto["rate"]) == ("crypto", "notional", "0.0025")
    bought = dealt[3]
    notional = (Decimal(bought["price"]) * Decimal(bought["quantity"])).quantize(Decimal("0.01"))
    assert abs(Decimal(bought["fee"]) - notional * Decimal(crypto["rate"])) <= Decimal("0.005")
    (stock,) = read.result("get_trading_fees", {"symbol": "AAPL"})["fees"]
    assert Decimal(dealt[0]["fee"]) == max(Decimal(stock["minimum"]), 2 * Decimal(stock["rate"]))
    assert len(read.result("get_trading_fees", {})["fees"]) == 3


def test_history_and_watermarks_read_what_was_kept(server: Server, read: Wire, dealt: list[dict[str, Any]]) -> None:
    ((connection_id, account_id),) = server.query(
        "SELECT connection_id, account_id FROM connections_equitysnapshot WHERE currency = 'USD' LIMIT 1"
    )
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    kept = [(40, "100000"), (30, "150000.5"), (20, "60000.2"), (10, "130000")]
    for days, value in kept:
        at = (noon - timedelta(days=days)).strftime("%Y-%m-%d %H:%M:%S")
        server.query(
            "INSERT INTO connections_equitysnapshot"
            " (connection_id, account_id, currency, slot, grain, opened_at, opened, at, equity, high, low, cash)"
            " VALUES (?, ?, 'USD', ?, 300, ?, ?, ?, ?, ?, ?, '1')",
            *(connection_id, account_id, at, at, value, at, value, value, value),
        )
    server.query("DELETE FROM connections_equitymarks")  # as before there were any
    marks = read.result("get_watermarks", {})
    assert marks["high"] == {"equity": "150000.5", "at": f"{noon - timedelta(days=30):%Y-%m-%dT%H:%M:%S}.000Z"}
    assert marks["low"]["equity"] == "60000.2"
    fall = marks["max_drawdown"]
    assert (fall["peak"], fall["trough"], fall["amount"], fall["percent"]) == ("150000.5", "60000.2", "90000.3", "60")
    assert Decimal(marks["drawdown"]["amount"]) == Decimal("150000.5") - Decimal(marks["equity"])
    assert [day["close"] for day in marks["days"][:4]] == [value for _, value in kept]
    recent = read.result("get_watermarks", {"period": "1m"})
    assert recent["high"]["equity"] != "150000.5" or recent["days"][0]["day"] >= str(noon.date() - timedelta(days=30))

    history = read.result("get_portfolio_history", {"period": "all"})
    assert (history["bar"], history["points"][0]["equity"], history["since"][:10]) == (
        "1d",
        "100000",
        str(noon.date() - timedelta(days=40)),
    )
    assert Decimal(history["change"]) == Decimal(history["equity"]) - 100_000
    assert history["points"][-1]["equity"] == history["equity"]
    day = read.result("get_portfolio_history", {"period": "1d"})
    assert (day["bar"], day["points"][-1]["equity"]) == ("5m", day["equity"])
    server.query("DELETE FROM connections_equitysnapshot WHERE cash = '1'")
