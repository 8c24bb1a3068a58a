"""Everyday requests find the right tool among the first three, in the tool searches of Codex and Claude Code.

Both show their model the names of tools alone and let it search: what a search does not find is never called.
"""

from typing import Any

import pytest

from mcpserver import catalog, server
from tests.mcpserver import tool_searches

REQUESTS: dict[str, tuple[str, ...]] = {
    # money
    "account balance": ("get_account_summary", "get_cash", "get_portfolio"),
    "how much money do I have": ("get_cash", "get_account_summary"),
    "buying power": ("get_account_summary", "get_cash"),
    "available cash": ("get_cash",),
    "deposits and withdrawals": ("get_transactions",),
    "fees and commission": ("get_trading_fees",),
    # positions
    "what do I own": ("get_positions", "get_portfolio"),
    "my holdings": ("get_positions", "get_portfolio"),
    "open positions": ("get_positions",),
    "portfolio value": ("get_portfolio", "get_portfolio_history", "get_account_summary"),
    # prices
    "stock price": ("get_quote",),
    "current price of bitcoin": ("get_quote",),
    "quote": ("get_quote",),
    "bid ask spread": ("get_quote", "get_order_book"),
    "market depth": ("get_order_book",),
    "find ticker symbol": ("search_security",),
    "exchange rate": ("get_exchange_rate",),
    "is the market open": ("get_market_hours",),
    "top gainers": ("get_movers",),
    "stock screener": ("screen_securities",),
    # charts
    "candles OHLC": ("get_history",),
    "price history": ("get_history",),
    "chart": ("get_history",),
    "RSI moving average": ("get_indicators",),
    "price change this week": ("get_change",),
    # buy and sell
    "buy stock": ("place_order",),
    "sell shares": ("place_order", "close_position"),
    "place an order": ("place_order",),
    "sell position": ("close_position", "place_order"),
    "stop loss take profit": ("place_order",),
    "how much would it cost": ("preview_order",),
    "how much can I buy": ("get_max_order",),
    "max size": ("get_max_order",),
    "confirm the order": ("confirm_trade",),
    # stop and cancel
    "cancel order": ("cancel_order", "cancel_all_orders"),
    "change limit price of order": ("modify_order",),
    "sell everything": ("flatten_account",),
    "stop trading": ("halt_trading",),
    # history and profit
    "order status": ("get_order_status",),
    "past trades": ("get_journal_trades", "get_executions", "get_transactions"),
    "profit and loss": ("get_pnl",),
    # what may I do
    "what am I allowed to do": ("get_capabilities", "get_risk_status"),
}


@pytest.fixture(scope="module")
def listed() -> list[dict[str, Any]]:
    tools = [tool for tool in catalog.TOOLS if catalog.can("paper", tool)]
    return [server.listed(tool).model_dump(by_alias=True, exclude_none=True) for tool in tools]


def test_every_request_is_for_tools_that_exist() -> None:
    assert {name for names in REQUESTS.values() for name in names} <= {tool.name for tool in catalog.TOOLS}


@pytest.mark.parametrize("request_", REQUESTS)
def test_codex_finds_the_tool(listed: list[dict[str, Any]], request_: str) -> None:
    found = tool_searches.codex(request_, listed, server.INSTRUCTIONS)
    assert set(found[:3]) & set(REQUESTS[request_]), found[:6]


@pytest.mark.parametrize("request_", REQUESTS)
def test_claude_code_finds_the_tool(listed: list[dict[str, Any]], request_: str) -> None:
    found = tool_searches.claude_code(request_, listed)
    assert set(found[:3]) & set(REQUESTS[request_]), found[:6]


@pytest.mark.parametrize(
    ("tool", "told"),
    [
        ("place_order", ("Sends nothing", "show its summary", "confirm_trade")),
        ("confirm_trade", ("user agreed", "120 s", "Outcome unknown: get_order_status")),
        ("get_order_status", ("outcome is unknown", "never place again")),
        ("get_capabilities", ("paper or live", "who confirms")),
        ("get_risk_status", ("who confirms",)),
        *((name, ("confirm_trade",)) for name in ("modify_order", "close_position", "reverse_position")),
        *((name, ("confirm_trade",)) for name in ("flatten_account", "place_batch_orders")),
    ],
)
def test_what_matters_in_the_instructions_is_in_the_tools_too(
    listed: list[dict[str, Any]], tool: str, told: tuple[str, ...]
) -> None:
    """Half of the hosts never show a server's instructions."""
    (about,) = (each["description"] for each in listed if each["name"] == tool)
    assert [words for words in told if words not in about] == []


def test_amounts_are_told_to_be_text_where_orders_are_placed(listed: list[dict[str, Any]]) -> None:
    (order,) = (each["inputSchema"]["properties"] for each in listed if each["name"] == "place_order")
    assert "decimal text" in order["quantity"]["description"]
    assert {order[name]["type"] for name in ("quantity", "notional", "limit_price", "stop_price")} == {"string"}


def test_the_instructions_hold_no_word_that_a_request_is_made_of() -> None:
    """Codex adds them to every tool's text, where they would make all of them alike."""
    told = {word.strip("`.,:;").lower() for word in server.INSTRUCTIONS.split()}
    asked = {"account", "order", "orders", "price", "trade", "buy", "sell", "money", "cash", "history", "profit"}
    assert not told & asked
