"""What came to the signal addresses of the connection, and what was prepared of it."""

from typing import Any, NotRequired

from typing_extensions import TypedDict

from console.signals import history
from console.signals.models import Signal, SignalOutcome
from mcpserver.context import ToolCall
from mcpserver.result_schemas import Instant, Number, Rows
from mcpserver.tools.listing import listed
from mcpserver.tools.render import check_span, compact

SIGNALS = "signals"
"""What its cursors are of."""
OUTCOMES = tuple(outcome.value for outcome in SignalOutcome)


class SignalOut(TypedDict):
    signal_id: str
    at: Instant
    by: str
    """The name of its address."""
    status: str
    symbol: NotRequired[str]
    side: NotRequired[str]
    quantity: NotRequired[Number]
    limit_price: NotRequired[Number]
    sent_at: NotRequired[Instant]
    code: NotRequired[str]
    message: NotRequired[str]
    order_id: NotRequired[str]
    order_status: NotRequired[str]


class Signals(TypedDict):
    signals: Rows[SignalOut]
    next_cursor: NotRequired[str]


def get_signals(call: ToolCall) -> dict[str, Any]:
    args = call.args
    check_span(args)
    found = history.of_connection(call.principal.connection_id)
    if "start" in args:
        found = found.filter(at__gte=args["start"])
    if "end" in args:
        found = found.filter(at__lt=args["end"])
    if "status" in args:
        found = found.filter(outcome=args["status"])
    return listed("signals", SIGNALS, found, _signal, args)


def _signal(row: Signal) -> dict[str, Any]:
    wanted, order = row.wanted, row.order
    return compact(
        signal_id=row.public_id,
        at=row.at,
        by=row.address.app.name,
        status=row.outcome,
        symbol=wanted.get("symbol"),
        side=wanted.get("side"),
        quantity=wanted.get("quantity"),
        limit_price=wanted.get("limit_price"),
        sent_at=row.sent_at,
        code=row.code,
        message=row.message,
        order_id="" if order is None else order.public_id,
        order_status="" if order is None else order.status,
    )
