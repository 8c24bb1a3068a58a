"""Every tool, declared once: what a model reads, what we check, what runs."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from brokers.types import AssetClass, BarSize, OrderType, Side, TimeInForce
from console.authority.throttle import Kind
from console.principal import Principal
from console.scopes import Scope
from mcpserver.arguments import Amount, Arg, Choice, Moment, Symbols, Text, Whole
from mcpserver.call import Call
from mcpserver.tools import accounts, core, market, orders, risk


class Access(StrEnum):
    READ = "read"
    WRITE = "write"
    DESTRUCTIVE = "destructive"


class Toolset(StrEnum):
    """What an owner switches on and off for an app, so that a model sees only what it needs."""

    CORE = "core"
    ACCOUNT = "account"
    MARKET = "market"
    TRADE_READ = "trade_read"
    TRADE = "trade"
    PAPER = "paper"
    RISK = "risk"
    JOURNAL = "journal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    name: str
    toolset: Toolset
    about: str
    run: Callable[[Call], dict[str, Any]]
    args: tuple[Arg, ...] = ()
    access: Access = Access.READ
    throttle: Kind = Kind.READ
    asks: bool = False
    """May answer with a question to the user, where the client can ask one."""
    reports: bool = False
    """Takes long enough to report progress."""

    @property
    def scope(self) -> Scope:
        return Scope.READ if self.access is Access.READ else Scope.TRADE


ACCOUNT = Text(name="account_id", longest=64)
LIMIT = Whole(name="limit", most=200)
SYMBOL = Text(name="symbol", required=True, longest=40)
SYMBOLS = Symbols(name="symbols", required=True)

TOOLS: tuple[Tool, ...] = (
    Tool(
        name="get_capabilities",
        toolset=Toolset.CORE,
        about="What this client may do here: paper or live, scopes, limits, confirmation policy.",
        run=core.get_capabilities,
    ),
    Tool(
        name="get_accounts",
        toolset=Toolset.CORE,
        about="Accounts this client may see, with environment.",
        run=accounts.get_accounts,
    ),
    Tool(
        name="get_current_account",
        toolset=Toolset.CORE,
        about="Account used when account_id is omitted.",
        run=accounts.get_current_account,
    ),
    Tool(
        name="set_current_account",
        toolset=Toolset.CORE,
        about="Set the account used when account_id is omitted, for this client.",
        run=accounts.set_current_account,
        args=(Text(name="account_id", required=True, longest=64),),
        access=Access.WRITE,
    ),
    Tool(
        name="get_portfolio",
        toolset=Toolset.ACCOUNT,
        about="Positions, cash and totals in one call.",
        run=accounts.get_portfolio,
        args=(ACCOUNT,),
    ),
    Tool(
        name="get_positions",
        toolset=Toolset.ACCOUNT,
        about="Open positions with cost, value and P&L.",
        run=accounts.get_positions,
        args=(ACCOUNT, Text(name="symbol", longest=40)),
    ),
    Tool(
        name="get_cash",
        toolset=Toolset.ACCOUNT,
        about="Cash by currency: total, reserved for open orders, available.",
        run=accounts.get_cash,
        args=(ACCOUNT,),
    ),
    Tool(
        name="get_transactions",
        toolset=Toolset.ACCOUNT,
        about="Ledger, newest first: deposits, trades, fees.",
        run=accounts.get_transactions,
        args=(ACCOUNT, Moment(name="start"), Moment(name="end"), LIMIT),
    ),
    Tool(
        name="search_security",
        toolset=Toolset.MARKET,
        about="Find instruments by ticker or name.",
        run=market.search_security,
        args=(
            Text(name="query", required=True),
            Choice(name="asset_class", choices=tuple(each.value for each in AssetClass)),
            Whole(name="limit", most=50),
        ),
    ),
    Tool(
        name="get_quote",
        toolset=Toolset.MARKET,
        about="Last, bid, ask, day range and change; each with its time and source.",
        run=market.get_quote,
        args=(SYMBOLS,),
    ),
    Tool(
        name="get_history",
        toolset=Toolset.MARKET,
        about="OHLCV bars, oldest first.",
        run=market.get_history,
        args=(
            SYMBOL,
            Choice(name="bar", choices=tuple(each.value for each in BarSize), about="Default 1d."),
            Choice(name="period", choices=tuple(market.PERIODS)),
            Moment(name="start"),
            Moment(name="end"),
            Whole(name="limit", most=market.MOST_BARS),
        ),
    ),
    Tool(
        name="get_change",
        toolset=Toolset.MARKET,
        about="Percent change over a period.",
        run=market.get_change,
        args=(SYMBOLS, Choice(name="period", choices=tuple(market.PERIODS), about="Default 1d.")),
    ),
    Tool(
        name="get_orders",
        toolset=Toolset.TRADE_READ,
        about="Orders, newest first; open ones by default.",
        run=orders.get_orders,
        args=(
            ACCOUNT,
            Choice(name="status", choices=("open", "all")),
            Text(name="symbol", longest=40),
            LIMIT,
        ),
    ),
    Tool(
        name="get_order_status",
        toolset=Toolset.TRADE_READ,
        about="One order with fills and history, by order_id or client_order_id.",
        run=orders.get_order_status,
        args=(Text(name="order_id", longest=64), Text(name="client_order_id", longest=64)),
    ),
    Tool(
        name="place_order",
        toolset=Toolset.TRADE,
        about=(
            "Prepare an order. Sends nothing: returns a summary to show the user and a confirmation_id for "
            "confirm_trade."
        ),
        run=orders.place_order,
        asks=True,
        args=(
            SYMBOL,
            Choice(name="side", required=True, choices=tuple(each.value for each in Side)),
            Amount(name="quantity", required=True, about='Units as decimal text, e.g. "0.1".'),
            Choice(
                name="order_type",
                choices=tuple(each.value for each in OrderType),
                also={
                    "MARKET": "MKT",
                    "LIMIT": "LMT",
                    "STOP": "STP",
                    "STP_LMT": "STP_LIMIT",
                    "STOP_LIMIT": "STP_LIMIT",
                },
                about="Default MKT.",
            ),
            Amount(name="limit_price"),
            Amount(name="stop_price"),
            Choice(name="tif", choices=tuple(each.value for each in TimeInForce), about="Default DAY."),
            Text(name="client_order_id", longest=64, about="Your id; repeating it returns the same order."),
            ACCOUNT,
        ),
        access=Access.DESTRUCTIVE,
        throttle=Kind.TRADE,
    ),
    Tool(
        name="confirm_trade",
        toolset=Toolset.TRADE,
        about="Submit a prepared order after the user agreed to its summary. Single use, expires in 120 s.",
        run=orders.confirm_trade,
        args=(Text(name="confirmation_id", required=True, longest=64),),
        access=Access.DESTRUCTIVE,
        throttle=Kind.TRADE,
    ),
    Tool(
        name="cancel_order",
        toolset=Toolset.TRADE,
        about="Cancel a working order.",
        run=orders.cancel_order,
        args=(Text(name="order_id", required=True, longest=64),),
        access=Access.DESTRUCTIVE,
        throttle=Kind.CANCEL,
    ),
    Tool(
        name="get_risk_status",
        toolset=Toolset.RISK,
        about="Limits, used today, headroom, halts and who confirms orders. Ask before planning trades.",
        run=risk.get_risk_status,
        args=(ACCOUNT,),
    ),
    Tool(
        name="halt_trading",
        toolset=Toolset.RISK,
        about=(
            "Stop all order entry on this connection now, for every app, or on one account of it. Only a person in the "
            "console can lift it. Cancels still work."
        ),
        run=risk.halt_trading,
        args=(ACCOUNT, Text(name="reason", longest=300, about="Shown to the owner as your words.")),
        access=Access.DESTRUCTIVE,
        throttle=Kind.CANCEL,
    ),
)

# Accepted when called, not listed: a second name costs every model's context.
ALIASES = {"create_order": "place_order"}

_BY_NAME = {tool.name: tool for tool in TOOLS}


def find(name: str) -> Tool | None:
    return _BY_NAME.get(ALIASES.get(name, name))


def visible(principal: Principal) -> list[Tool]:
    """The tools this principal may use, in their one fixed order."""
    return [tool for tool in TOOLS if tool.scope in principal.scopes]
