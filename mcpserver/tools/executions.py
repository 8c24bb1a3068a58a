"""What happened on an account: its ledger, its fills, and what they cost."""

from typing import Any, NotRequired

from typing_extensions import TypedDict

from brokers.types import Fill
from console.connections import broker_access
from console.orders import queries as order_queries
from console.orders.models import Order
from mcpserver import result_tables
from mcpserver.arguments.types import cursor
from mcpserver.context import ToolCall
from mcpserver.result_schemas import Instant, Number, Rows
from mcpserver.tools import render
from mcpserver.tools.render import check_span, compact

TRANSACTION_TYPES = ("deposit", "withdrawal", "transfer", "trade", "fee", "dividend", "interest")
TRANSACTIONS, EXECUTIONS = "transactions", "executions"
"""What their cursors are of."""
_USUAL = 50


class TransactionOut(TypedDict):
    transaction_id: str
    at: Instant
    type: str
    currency: str
    amount: Number
    symbol: NotRequired[str]
    quantity: NotRequired[Number]
    price: NotRequired[Number]


class Transactions(TypedDict):
    transactions: Rows[TransactionOut]
    next_cursor: NotRequired[str]


class ExecutionOut(TypedDict):
    execution_id: str
    order_id: NotRequired[str]
    at: Instant
    symbol: str
    side: str
    quantity: Number
    price: Number
    fee: Number
    currency: str
    source: str


class Executions(TypedDict):
    executions: Rows[ExecutionOut]
    next_cursor: NotRequired[str]


class FeeOut(TypedDict):
    asset_class: str
    basis: str
    rate: Number
    minimum: NotRequired[Number]
    words: str


class Fees(TypedDict):
    symbol: NotRequired[str]
    fees: list[FeeOut]


def get_transactions(call: ToolCall) -> dict[str, Any]:
    args = call.args
    check_span(args)
    limit = args.get("limit", _USUAL)
    with broker_access.account_for(call.principal, args.get("account_id")) as (broker, account):
        call.account_id = account.account_id
        rows = broker.transactions(
            account.account_id,
            start=args.get("start"),
            end=args.get("end"),
            limit=limit + 1,
            kinds=args.get("types", ()),
            after=args.get("cursor", ""),
        )
    shown = [render.transaction(each) for each in rows[:limit]]
    shown = shown[: result_tables.how_many_fit(shown, is_default="limit" not in args)]
    going_on = cursor(TRANSACTIONS, rows[len(shown) - 1].transaction_id) if len(rows) > len(shown) else None
    return {"transactions": shown, **compact(next_cursor=going_on)}


def get_executions(call: ToolCall) -> dict[str, Any]:
    args = call.args
    check_span(args)
    limit = args.get("limit", _USUAL)
    order = order_queries.find_order(call.principal, args["order_id"]) if "order_id" in args else None
    account_id = args.get("account_id") or (order.account_id if order else None)
    with broker_access.account_for(call.principal, account_id) as (broker, account):
        call.account_id = account.account_id
        rows = broker.fills(
            account.account_id,
            client_order_id=order.wire_id if order else "",
            symbol=broker.instrument(args["symbol"]).symbol if "symbol" in args else "",
            start=args.get("start"),
            end=args.get("end"),
            limit=limit + 1,
            after=args.get("cursor", ""),
        )
    named = _order_ids(call, rows[:limit])
    shown = [_execution(each, named.get(each.client_order_id)) for each in rows[:limit]]
    shown = shown[: result_tables.how_many_fit(shown, is_default="limit" not in args)]
    going_on = cursor(EXECUTIONS, rows[len(shown) - 1].fill_id) if len(rows) > len(shown) else None
    return {"executions": shown, **compact(next_cursor=going_on)}


def get_trading_fees(call: ToolCall) -> dict[str, Any]:
    with broker_access.account_for(call.principal, call.args.get("account_id")) as (broker, account):
        call.account_id = account.account_id
        instrument = broker.instrument(call.args["symbol"]) if "symbol" in call.args else None
        rules = broker.fees(account.account_id)
    return compact(symbol=instrument.symbol if instrument else None) | {
        "fees": [
            compact(
                asset_class=rule.asset_class.value,
                basis=rule.basis,
                rate=rule.rate,
                minimum=rule.minimum or None,
                words=rule.words,
            )
            for rule in rules
            if instrument is None or rule.asset_class is instrument.asset_class
        ]
    }


def _order_ids(call: ToolCall, fills: list[Fill]) -> dict[str, str]:
    """Our public order id by the id the broker saw; a fill of an order made elsewhere has none."""
    seen = {fill.client_order_id for fill in fills}
    orders = Order.objects.filter(connection_id=call.principal.connection_id, wire_id__in=seen)
    return dict(orders.values_list("wire_id", "public_id"))


def _execution(fill: Fill, order_id: str | None) -> dict[str, Any]:
    return compact(
        execution_id=fill.fill_id,
        order_id=order_id,
        at=fill.filled_at,
        symbol=fill.symbol,
        side=fill.side.value,
        quantity=fill.quantity,
        price=fill.price,
        fee=fill.fee,
        currency=fill.currency,
        source=fill.source,
    )
