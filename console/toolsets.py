"""The sets of tools an owner switches for an app, and what the layer above says is in them.

The console may not import ``mcpserver``, so ``mcpserver.asgi``, which ``console.asgi`` composes with the console, calls
``provide`` once at start. Where ``/mcp`` is not served (the console alone, under WSGI) there are no tools to tell of.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from console.scopes import Scope


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
    DERIVATIVES = "derivatives"
    FUNDING = "funding"
    EARN = "earn"
    ALERTS = "alerts"
    SIGNALS = "signals"
    ALGO = "algo"


ALWAYS = Toolset.CORE
"""Without it an assistant could not tell where it is, so no owner switches it off."""

OFF_BY_DEFAULT = frozenset({Toolset.ALERTS, Toolset.SIGNALS, Toolset.ALGO})
"""What an app has only after its owner switched it on: the others it has until its owner switches them off."""

ON_BY_DEFAULT = frozenset(Toolset) - OFF_BY_DEFAULT

# The name a person reads, and what the set lets an assistant do.
LABELS: dict[Toolset, tuple[str, str]] = {
    Toolset.CORE: ("Basics", "What it can do here, which connection and accounts it has, and whether they work."),
    Toolset.ACCOUNT: ("Account", "Balances, positions, cash and account activity."),
    Toolset.MARKET: ("Market", "Prices, price history and instrument search."),
    Toolset.TRADE_READ: ("Orders (read)", "Your orders and their fills, and what an order would cost."),
    Toolset.TRADE: ("Orders (trade)", "Prepare, confirm, change and cancel orders."),
    Toolset.PAPER: ("Practice accounts", "Open, reset and configure practice accounts with simulated money."),
    Toolset.RISK: ("Limits", "Your limits, how much of them is used, and the halt of all trading."),
    Toolset.JOURNAL: ("Journal", "Its own calls and refusals, and the record of trades."),
    Toolset.DERIVATIVES: ("Options and futures", "Option chains, contract months and funding rates of perpetuals."),
    Toolset.FUNDING: (
        "Deposits and withdrawals",
        "Deposits, withdrawals and deposit addresses. It cannot send anything.",
    ),
    Toolset.EARN: ("Staking and savings", "The broker's offers and what you have in them. It cannot change either."),
    Toolset.ALERTS: (
        "Alerts",
        "Set alerts on prices, positions and accounts, and send you messages. They notify you and never trade.",
    ),
    Toolset.SIGNALS: ("Signals", "What came to your signal addresses, and what was prepared of it."),
    Toolset.ALGO: (
        "Plans",
        "Orders that go by themselves at their times, within bounds, once the whole was confirmed: TWAP, VWAP, "
        "recurring orders, grids, exits at a time.",
    ),
}


def switched_on(kept: Collection[str] | None, toolset: Toolset) -> bool:
    """Whether an app with ``kept`` (None: as by default) has the set."""
    if kept is None:
        return toolset not in OFF_BY_DEFAULT
    return toolset is ALWAYS or toolset.value in kept


def stored(on: Collection[Toolset]) -> list[str] | None:
    """``on`` as it is stored of an app. None: the sets of the default, also those that later versions add to it."""
    return None if frozenset(on) == ON_BY_DEFAULT else [each.value for each in Toolset if each in on]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolField:
    """An argument a tool takes or a value its result has."""

    name: str
    kind: str
    """"text", "decimal text", "whole number from 1 to 50", ..."""
    always: bool
    """An argument that must be given; a value that is never absent."""
    about: str = ""
    depth: int = 0
    """How deep in the result it sits: 0 for the top."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolInfo:
    """One tool as the console tells of it."""

    name: str
    toolset: Toolset
    scope: Scope
    about: str
    access: str
    """"read", "write" or "destructive"."""
    takes: tuple[ToolField, ...]
    gives: tuple[ToolField, ...]
    output_schema: str
    """JSON Schema of the result, indented."""
    listed_bytes: int
    """What the tool adds to the list an assistant reads, in bytes of JSON."""
    brokers: frozenset[str]
    """Names of the brokers that can do it."""


def listed(
    tools: Iterable[ToolInfo], scopes: Collection[Scope], kept: Collection[str] | None, broker: str
) -> list[ToolInfo]:
    """Those that an app with these scopes and sets is shown on a connection of this broker."""
    return [
        tool for tool in tools if tool.scope in scopes and switched_on(kept, tool.toolset) and broker in tool.brokers
    ]


def size(tools: Iterable[ToolInfo]) -> int:
    """Bytes of JSON that a list of these adds to what an assistant reads."""
    return sum(tool.listed_bytes for tool in tools)


_describe: Callable[[], Iterable[ToolInfo]] = tuple


def provide(describe: Callable[[], Iterable[ToolInfo]]) -> None:
    """Say which tools there are, in the order they are listed. Called once, by who serves them.

    ``describe`` is called when somebody first asks: to describe them all takes a tenth of a start.
    """
    global _describe
    _describe = describe
    provided.cache_clear()


@cache
def provided() -> tuple[ToolInfo, ...]:
    return tuple(_describe())
