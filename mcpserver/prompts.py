"""Requests a person can pick instead of typing. Each says which tools answer it, and never to trade unasked.

MCP server/prompts. What a prompt takes is checked like a tool's arguments.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from console.orders import queries as order_queries
from console.toolsets import Toolset
from mcpserver.arguments.base import Arg, Text
from mcpserver.context import ToolCall


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    name: str
    title: str
    about: str
    run: Callable[[ToolCall], dict[str, Any]]
    """The ``messages`` of the prompt, as they go over the wire."""
    toolset: Toolset = Toolset.CORE
    """What its owner switches off with the tools that tell the same."""
    args: tuple[Arg, ...] = ()


def _message(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": {"type": "text", "text": text}}]}


def _morning_brief(call: ToolCall) -> dict[str, Any]:
    watched = f" and for {call.args['symbols']}" if "symbols" in call.args else ""
    return _message(
        "Give me a short briefing on my account before the day begins. Call get_portfolio, get_orders, and get_change "
        f"with period 1d for what I hold{watched}. Tell me, in this order: what the account is worth and how much cash "
        "is free; the three positions that moved most since yesterday, in percent and in money; each open order and "
        "how far its price is from the last quote. Say whether this is paper or live money, and from when the prices "
        "are. Do not place, change or cancel anything."
    )


def _explain_order(call: ToolCall) -> dict[str, Any]:
    order = order_queries.find_order(call.principal, call.args["order_id"])
    call.account_id, call.order_id = order.account_id, order.public_id
    return _message(
        f"Explain order {order.public_id} to me in plain words. Call get_order_status with this order_id, and "
        "get_quote for its symbol. Tell me what I asked for, what has happened to it step by step and when, what was "
        "filled at which price and what it cost, and what can still happen. If it was refused or rejected, say why and "
        "what would have to change. Do not place, change or cancel anything."
    )


def _rebalance_plan(call: ToolCall) -> dict[str, Any]:
    targets = call.args["targets"]
    return _message(
        f"Plan how to bring my account to these targets: {targets}. Call get_portfolio for what I hold and "
        "get_quote for the prices. Show a table: instrument, value and share now, share wanted, and the order that "
        "closes the gap, with its quantity, about what it costs, and what cash is left at the end. Sell before "
        "buying, keep to whole lots, and leave out orders too small to matter. If the targets do not add up to 100%, "
        "ask me. This is a plan: place no order until I have picked one, and then prepare each with place_order and "
        "let me confirm it."
    )


def _review_week(call: ToolCall) -> dict[str, Any]:
    return _message(
        "Review the last seven days with me. Call get_transactions from seven days ago, get_orders with status all, "
        "get_portfolio, and get_change with period 1w for what I hold. Tell me what I traded and why it seems I did, "
        "what it earned or cost with fees, which orders were refused or lapsed and the reason, and how the account "
        "changed. Name the figures you could not find instead of guessing them. End with two questions I should ask "
        "myself before next week. Do not place, change or cancel anything."
    )


PROMPTS: tuple[Prompt, ...] = (
    Prompt(
        name="morning_brief",
        title="Morning brief",
        about="What the account is worth, what moved, and which orders are open.",
        run=_morning_brief,
        args=(Text(name="symbols", about="More instruments to include, separated by commas."),),
    ),
    Prompt(
        name="explain_order",
        title="Explain this order",
        about="What an order was for, what happened to it, and what can still happen.",
        run=_explain_order,
        toolset=Toolset.TRADE_READ,
        args=(Text(name="order_id", required=True, longest=64, about="An order_id from get_orders."),),
    ),
    Prompt(
        name="rebalance_plan",
        title="Rebalance plan",
        about="The orders that would bring the account to your target shares. Places none.",
        run=_rebalance_plan,
        args=(Text(name="targets", required=True, about='Shares in percent, such as "60% SPY, 40% BTC/USD".'),),
    ),
    Prompt(
        name="review_week",
        title="Review my week",
        about="What was traded in the last seven days, what it earned and cost, and what was refused.",
        run=_review_week,
    ),
)
