"""What came to the signal addresses of the connection, and what was prepared of it."""

from typing import Any, NotRequired

from typing_extensions import TypedDict

from console.audit import paging
from console.errors import Code, Refusal
from console.signals import history
from console.signals.models import Signal, SignalOutcome
from mcpserver import result_tables
from mcpserver.arguments.types import cursor
from mcpserver.context import ToolCall
from mcpserver.result_schemas import Instant, Number, Rows
from mcpserver.tools.render import check_span, compact

SIGNALS = "signals"
"""What its cursors are of."""
OUTCOMES = tuple(outcome.value for outcome in SignalOutcome)
_USUAL = 50


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
    limit = args.get("limit", _USUAL)
    found = history.of_connection(call.principal.connection_id)
    if "start" in args:
        found = found.filter(at__gte=args["start"])
    if "end" in args:
        found = found.filter(at__lt=args["end"])
    if "status" in args:
        found = found.filter(outcome=args["status"])
    page = paging.page(found, _place(args["cursor"]) if "cursor" in args else "", size=limit)
    shown = [_signal(row) for row in page.rows]
    shown = shown[: result_tables.how_many_fit(shown, is_default="limit" not in args)]
    following = page.rows[len(shown) - 1].pk if len(shown) < len(page.rows) else page.next_before
    return {"signals": shown, **compact(next_cursor=cursor(SIGNALS, str(following)) if following else None)}


def _place(text: str) -> str:
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise Refusal(
            Code.INVALID_ARGUMENT, "cursor must be the next_cursor from this tool's last answer.", field="cursor"
        )
    return text


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
