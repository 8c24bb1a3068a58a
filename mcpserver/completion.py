"""What may be meant by the first letters of an argument (MCP server/utilities/completion).

Only what the caller's own connection knows is ever offered.
"""

from collections.abc import Callable, Mapping

from console.connections import broker_access
from console.orders import event_queries as order_events
from console.toolsets import Toolset, switched_on
from mcpserver.context import ToolCall

_MOST = 20
"""Values in one answer; the protocol allows 100."""


def _order_ids(call: ToolCall, typed: str) -> list[str]:
    return order_events.ids_starting_with(call.principal, typed, limit=_MOST)


def _symbol(call: ToolCall, typed: str) -> list[str]:
    with broker_access.broker_for(call.principal) as broker:
        if not typed and not switched_on(call.principal.toolsets, Toolset.ACCOUNT):
            return []
        if not typed:
            account = broker_access.choose_account(broker, None, call.principal.account_id)
            return [held.symbol for held in broker.positions(account.account_id)][:_MOST]
        return [found.symbol for found in broker.find_instruments(typed, limit=_MOST)]


def _symbols(call: ToolCall, typed: str) -> list[str]:
    before, comma, last = typed.rpartition(",")
    return [f"{before}{comma}{symbol}" for symbol in _symbol(call, last.strip())]


TOOLSETS = {"order_id": Toolset.TRADE_READ, "symbol": Toolset.MARKET, "symbols": Toolset.MARKET}
"""Which toolset what is offered for an argument belongs to."""

_BY_ARGUMENT: Mapping[str, Callable[[ToolCall, str], list[str]]] = {
    "order_id": _order_ids,
    "symbol": _symbol,
    "symbols": _symbols,
}


def values(call: ToolCall, argument: str, typed: str) -> list[str]:
    """Best first; none for an argument that takes free text."""
    complete = _BY_ARGUMENT.get(argument)
    if complete and not switched_on(call.principal.toolsets, TOOLSETS[argument]):
        return []
    usable = len(typed) <= 200 and (not typed or typed.isprintable())
    return complete(call, typed) if complete and usable else []
