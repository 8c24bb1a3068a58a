"""Every tool, declared once: what a model reads, what we check, what runs, what comes back.

The list, the documentation in the console, the table in README and the sizes an owner sees are all derived from here.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from brokers.types import Ability, AssetClass, BarSize, OrderType, Side, TimeInForce
from console.authority.throttle import Kind
from console.connections import reads
from console.errors import Code, Refusal
from console.principal import Principal
from console.scopes import Scope
from console.toolsets import WORDS, Toolset, switched_on
from mcpserver.arguments import Amount, Arg, Choice, Moment, Symbols, Text, Whole
from mcpserver.call import Call
from mcpserver.tools import accounts, core, market, orders


class Access(StrEnum):
    READ = "read"
    WRITE = "write"
    DESTRUCTIVE = "destructive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    name: str
    toolset: Toolset
    about: str
    run: Callable[[Call], dict[str, Any]]
    returns: Any = None
    """The TypedDict of its result, declared beside the handler; the gate adds ``context``. Not sent in the list."""
    args: tuple[Arg, ...] = ()
    access: Access = Access.READ
    throttle: Kind = Kind.READ
    ability: Ability | None = None
    """What the connection's broker must be able to do; None: every broker can."""
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
        ability=Ability.TRANSACTIONS,
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
        ability=Ability.BARS,
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
        ability=Ability.BARS,
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
        ability=Ability.ORDERS,
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
        ability=Ability.ORDERS,
        about="Submit a prepared order after the user agreed to its summary. Single use, expires in 120 s.",
        run=orders.confirm_trade,
        args=(Text(name="confirmation_id", required=True, longest=64),),
        access=Access.DESTRUCTIVE,
        throttle=Kind.TRADE,
    ),
    Tool(
        name="cancel_order",
        toolset=Toolset.TRADE,
        ability=Ability.ORDERS,
        about="Cancel a working order.",
        run=orders.cancel_order,
        args=(Text(name="order_id", required=True, longest=64),),
        access=Access.DESTRUCTIVE,
        throttle=Kind.CANCEL,
    ),
)

# Accepted when called, not listed: a second name costs every model's context.
ALIASES = {"create_order": "place_order"}

_BY_NAME = {tool.name: tool for tool in TOOLS}


def find(name: str) -> Tool | None:
    return _BY_NAME.get(ALIASES.get(name, name))


def visible(principal: Principal) -> tuple[Tool, ...]:
    """The tools this principal may use, in their one fixed order: by scope, broker and what its owner left on."""
    return _visible(principal.scopes, principal.toolsets, principal.broker)


@functools.lru_cache(maxsize=1024)
def _visible(scopes: frozenset[Scope], toolsets: frozenset[str] | None, broker: str) -> tuple[Tool, ...]:
    return tuple(
        tool for tool in TOOLS if tool.scope in scopes and switched_on(toolsets, tool.toolset) and can(broker, tool)
    )


def can(broker: str, tool: Tool) -> bool:
    """Whether a kind of broker can do what the tool does."""
    return tool.ability is None or tool.ability in reads.abilities(broker)


def check_offered(principal: Principal, tool: Tool) -> None:
    """A tool that is not in the principal's list cannot be called either. Raises Refusal."""
    if not switched_on(principal.toolsets, tool.toolset):
        raise Refusal(
            Code.TOOLSET_OFF,
            f"{tool.name} belongs to the set {WORDS[tool.toolset][0]!r} ({tool.toolset}), which this app's owner "
            "switched off. The owner can switch it on under Connected apps.",
        )
    if not can(principal.broker, tool):
        raise Refusal(
            Code.NOT_OFFERED_BY_BROKER,
            f"The broker of {principal.connection_label} cannot do {tool.name}.",
        )
