"""Orders: prepared here, confirmed here, and moved only by the desk."""

import logging
from collections.abc import Mapping
from typing import Any, NotRequired

from typing_extensions import TypedDict

from brokers.errors import BrokerError
from brokers.types import OrderType, Side, TimeInForce
from console.connections import reads
from console.connections.models import Policy
from console.errors import Code, Refusal
from console.orders import desk, sending, states
from console.orders.terms import Terms
from mcpserver.call import Call
from mcpserver.kinds import cursor
from mcpserver.shapes import Instant, Number
from mcpserver.tools import render
from mcpserver.tools.render import compact, moment

log = logging.getLogger(__name__)


class OrderOut(TypedDict):
    order_id: str
    client_order_id: str
    status: str
    symbol: str
    side: str
    order_type: str
    tif: str
    quantity: Number
    limit_price: NotRequired[Number]
    stop_price: NotRequired[Number]
    filled_quantity: Number
    average_price: NotRequired[Number]
    fees: Number
    currency: str
    account_id: str
    code: NotRequired[str]
    reason: NotRequired[str]
    created_at: Instant
    updated_at: Instant


class Estimate(TypedDict):
    """In ``currency``: the price of one unit, the whole, and the signed change of cash with the fee in it."""

    price: Number
    notional: Number
    fee: Number
    cash_effect: Number
    buying_power: Number
    """Before the order."""
    currency: str
    source: str


class Placed(TypedDict):
    status: str
    order: OrderOut
    confirmation_id: NotRequired[str]
    approve_at: NotRequired[str]
    """Where only its owner can release it: the page of the console to do so."""
    expires_at: NotRequired[Instant]
    summary: NotRequired[str]
    estimate: NotRequired[Estimate]
    next: NotRequired[str]
    note: NotRequired[str]
    fills: NotRequired[list["FillOut"]]
    """With ``history``: how it stands after its owner was asked in the console."""
    history: NotRequired[list["Step"]]


class Moved(TypedDict):
    status: str
    order: OrderOut
    next: NotRequired[str]


def _terms(args: Mapping[str, Any]) -> Terms:
    return Terms(
        symbol=args["symbol"],
        side=Side(args["side"]),
        quantity=args["quantity"],
        order_type=OrderType(args.get("order_type", OrderType.MARKET.value)),
        tif=TimeInForce(args.get("tif", TimeInForce.DAY.value)),
        limit_price=args.get("limit_price"),
        stop_price=args.get("stop_price"),
    )


def _estimate(shown: Mapping[str, Any]) -> dict[str, Any]:
    return compact(
        price=shown["price"],
        notional=shown["value"],
        fee=shown["fee"],
        cash_effect=shown["cash_effect"],
        buying_power=shown["buying_power"],
        currency=shown["currency"],
        source=shown["priced_by"],
    )


class Verdict(TypedDict):
    check: str
    ok: bool
    code: NotRequired[str]
    message: NotRequired[str]


class Previewed(TypedDict):
    would_pass: bool
    """Whether place_order and the release after it would let it through as things stand."""
    summary: str
    estimate: Estimate
    buying_power_after: NotRequired[Number]
    checks: list[Verdict]
    warnings: NotRequired[list[str]]


def preview_order(call: Call) -> dict[str, Any]:
    args = call.args
    seen = desk.preview(
        call.principal,
        _terms(args),
        account_id=args.get("account_id"),
        client_order_id=args.get("client_order_id"),
    )
    call.account_id = seen.account_id
    return compact(
        would_pass=all(each.refusal is None for each in seen.checks),
        summary=seen.shown["summary"],
        estimate=_estimate(seen.shown),
        buying_power_after=seen.buying_power_after,
        checks=[
            compact(
                check=each.name,
                ok=each.refusal is None,
                code=each.refusal and each.refusal.code.value,
                message=each.refusal and str(each.refusal),
            )
            for each in seen.checks
        ],
        warnings=list(seen.warnings) or None,
    )


def place_order(call: Call) -> dict[str, Any]:
    args = call.args
    prepared = desk.prepare(
        call.principal,
        _terms(args),
        account_id=args.get("account_id"),
        client_order_id=args.get("client_order_id"),
        request_id=call.request_id,
    )
    order, confirmation = prepared.order, prepared.confirmation
    call.account_id, call.order_id = order.account_id, order.public_id
    if order.state is not states.Status.AWAITING:
        return {
            "status": order.status,
            "order": render.order(order),
            "note": "This client_order_id was used before.",
        }
    shown = confirmation.terms
    if order.connection.policy == Policy.TWO_STEP:
        waits_for = {"status": "needs_confirmation", "confirmation_id": confirmation.public_id}
        following = "Nothing was sent. Show the summary to the user; only after they agree, call confirm_trade."
    else:
        waits_for = {"status": "needs_approval", "approve_at": desk.approval_url(order)}
        following = (
            f"Nothing was sent. The owner must approve it in the console at {desk.approval_url(order)} before it "
            "expires; you cannot confirm it. Then ask get_order_status."
        )
    return {
        **waits_for,
        "expires_at": moment(confirmation.expires_at),
        "summary": shown["summary"],
        "estimate": _estimate(shown),
        "order": render.order(order),
        "next": following,
    }


def confirm_trade(call: Call) -> dict[str, Any]:
    order = desk.confirm(call.principal, call.args["confirmation_id"], request_id=call.request_id)
    call.account_id, call.order_id = order.account_id, order.public_id
    answer: dict[str, Any] = {"status": order.status, "order": render.order(order)}
    if order.state is states.Status.UNKNOWN:
        answer["next"] = "The order may stand. Do not place it again; ask get_order_status."
    elif order.state in (states.Status.REJECTED, states.Status.NOT_SENT):
        raise Refusal(Code(order.code), order.reason, order_id=order.public_id)
    return answer


def cancel_order(call: Call) -> dict[str, Any]:
    order = desk.cancel(
        call.principal, call.args["order_id"], account_id=call.args.get("account_id"), request_id=call.request_id
    )
    call.account_id, call.order_id = order.account_id, order.public_id
    return {"status": order.status, "order": render.order(order)}


class Pending(TypedDict):
    confirmation_id: str
    expires_at: Instant
    summary: str
    order_id: str
    account_id: str


class Waiting(TypedDict):
    pending: list[Pending]
    next: NotRequired[str]


def get_pending_confirmations(call: Call) -> dict[str, Any]:
    waiting = desk.pending(call.principal, call.args.get("account_id"))
    return compact(
        pending=[
            {
                "confirmation_id": order.confirmation.public_id,
                "expires_at": moment(order.confirmation.expires_at),
                "summary": order.confirmation.terms["summary"],
                "order_id": order.public_id,
                "account_id": order.account_id,
            }
            for order in waiting
        ],
        next="Call confirm_trade only for what the user agreed to; discard_confirmation for the rest."
        if waiting
        else None,
    )


def discard_confirmation(call: Call) -> dict[str, Any]:
    order = desk.discard(call.principal, call.args["confirmation_id"], request_id=call.request_id)
    call.account_id, call.order_id = order.account_id, order.public_id
    return {"status": order.status, "order": render.order(order)}


LISTING = "orders"
"""The kind of cursor that ``get_orders`` gives."""


class Orders(TypedDict):
    orders: list[OrderOut]
    next_cursor: NotRequired[str]
    """Only where there are more."""


STATUSES: dict[str, frozenset[states.Status] | None] = {"open": states.OPEN, "closed": states.ENDED, "all": None}


def get_orders(call: Call) -> dict[str, Any]:
    args = call.args
    start, end = args.get("start"), args.get("end")
    if start and end and start >= end:
        raise Refusal(Code.INVALID_ARGUMENT, "start must be before end.", field="start")
    with reads.broker_for(call.principal) as broker:
        account = reads.choose_account(broker, args.get("account_id"), call.principal.account_id)
        call.account_id = account.account_id
        symbol = broker.instrument(args["symbol"]).symbol if "symbol" in args else None
    status = args.get("status", "open")
    wanted = desk.Wanted(
        statuses=STATUSES[status] if status in STATUSES else frozenset({states.Status(status)}),
        symbol=symbol,
        start=start,
        end=end,
    )
    found, following = desk.listing(
        call.principal, account.account_id, wanted, limit=args.get("limit", 50), after=args.get("cursor")
    )
    return compact(orders=[render.order(each) for each in found], next_cursor=following and cursor(LISTING, following))


class FillOut(TypedDict):
    quantity: Number
    price: Number
    fee: Number
    currency: str
    priced_by: str
    filled_at: Instant


class Step(TypedDict):
    at: Instant
    status: str
    what: str


class OneOrder(TypedDict):
    order: OrderOut
    fills: list[FillOut]
    history: list[Step]
    left_out: NotRequired[str]


MOST_FILLS = 100
MOST_STEPS = 50


def get_order_status(call: Call) -> dict[str, Any]:
    args = call.args
    if ("order_id" in args) == ("client_order_id" in args):
        raise Refusal(Code.MISSING_ARGUMENT, "Give either order_id or client_order_id.", field="order_id")
    order = desk.find(call.principal, args.get("order_id") or args["client_order_id"], args.get("account_id"))
    call.account_id, call.order_id = order.account_id, order.public_id
    try:
        sending.refresh(order)
    except BrokerError as error:
        log.warning("Order %s could not be refreshed: %s", order.public_id, error)
    fills = desk.fills(order)
    steps = [compact(at=event.at, status=event.after, what=event.what) for event in order.events.all()]
    earlier = [
        f"{len(all_) - most} earlier {what}"
        for all_, most, what in ((fills, MOST_FILLS, "fills"), (steps, MOST_STEPS, "steps"))
        if len(all_) > most
    ]
    return compact(
        order=render.order(order),
        fills=fills[-MOST_FILLS:],
        history=steps[-MOST_STEPS:],
        left_out=" and ".join(earlier),
    )
