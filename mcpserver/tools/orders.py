"""Orders: prepared here, confirmed here, and moved only by the desk."""

import logging
from typing import Any

from brokers.errors import BrokerError
from brokers.types import OrderType, Side, TimeInForce
from console.connections import reads
from console.connections.models import Policy
from console.errors import Code, Refusal
from console.orders import desk, sending, states
from console.orders.models import Order
from console.orders.terms import Terms
from mcpserver.call import Call
from mcpserver.tools import render
from mcpserver.tools.render import compact, moment

log = logging.getLogger(__name__)


def place_order(call: Call) -> dict[str, Any]:
    args = call.args
    terms = Terms(
        symbol=args["symbol"],
        side=Side(args["side"]),
        quantity=args["quantity"],
        order_type=OrderType(args.get("order_type", OrderType.MARKET.value)),
        tif=TimeInForce(args.get("tif", TimeInForce.DAY.value)),
        limit_price=args.get("limit_price"),
        stop_price=args.get("stop_price"),
    )
    prepared = desk.prepare(
        call.principal,
        terms,
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
        "estimate": compact(
            price=shown["price"],
            notional=shown["notional"],
            fee=shown["fee"],
            cash_effect=shown["cash_effect"],
            buying_power=shown["buying_power"],
            currency=shown["currency"],
            source=shown["priced_by"],
        ),
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
    order = desk.cancel(call.principal, call.args["order_id"], request_id=call.request_id)
    call.account_id, call.order_id = order.account_id, order.public_id
    return {"status": order.status, "order": render.order(order)}


def get_orders(call: Call) -> dict[str, Any]:
    args = call.args
    with reads.broker_for(call.principal) as broker:
        account = reads.choose_account(broker, args.get("account_id"), call.principal.account_id)
        call.account_id = account.account_id
        symbol = broker.instrument(args["symbol"]).symbol if "symbol" in args else None
    orders = desk.listing(
        call.principal,
        account.account_id,
        only_open=args.get("status", "open") == "open",
        symbol=symbol,
        limit=args.get("limit", 50),
    )
    return {"orders": [render.order(each) for each in orders]}


def get_order_status(call: Call) -> dict[str, Any]:
    args = call.args
    if ("order_id" in args) == ("client_order_id" in args):
        raise Refusal(Code.MISSING_ARGUMENT, "Give either order_id or client_order_id.", field="order_id")
    order = desk.find(call.principal, args.get("order_id") or args["client_order_id"])
    call.account_id, call.order_id = order.account_id, order.public_id
    try:
        sending.refresh(order)
    except BrokerError as error:
        log.warning("Order %s could not be refreshed: %s", order.public_id, error)
    return {"order": render.order(order), "fills": desk.fills(order), "history": _history(order)}


def _history(order: Order) -> list[dict[str, Any]]:
    return [compact(at=event.at, status=event.after, what=event.what) for event in order.events.all()]
