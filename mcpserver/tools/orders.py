"""Orders: prepared here, confirmed here, and moved only by the desk."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NotRequired

from django.utils import timezone
from typing_extensions import TypedDict

from brokers.errors import BrokerError
from brokers.types import MarginEffect, OrderChanges, OrderClass, OrderType, Side, TimeInForce
from console.connections import broker_access
from console.errors import Code, Refusal, Retry
from console.orders import actions as order_actions
from console.orders import max_order as sizing
from console.orders import prepare as preparing
from console.orders import preview as previewing
from console.orders import queries as order_queries
from console.orders import states, summary
from console.orders.execution import sync
from console.orders.execution.external_orders import AtBroker
from console.orders.largest.bounds import SizeBound
from console.orders.models import Action, Confirmation, Modification, Order, StandingRule
from console.orders.terms import Terms, spread_symbol
from console.orders.transitions import amendment_state, confirmations
from console.plans import deciding
from console.principal import Redeemer
from mcpserver import result_tables
from mcpserver.arguments.types import cursor
from mcpserver.context import ToolCall
from mcpserver.result_schemas import Instant, Number, Rows
from mcpserver.tools import plans, render
from mcpserver.tools.confirming import who_decides
from mcpserver.tools.render import compact, moment

log = logging.getLogger(__name__)


class OrderLegOut(TypedDict):
    symbol: str
    side: str
    ratio: int
    """Contracts for one unit of the order's quantity."""


class OrderOut(TypedDict):
    order_id: str
    client_order_id: str
    status: str
    symbol: str
    side: str
    order_type: str
    tif: str
    quantity: NotRequired[Number]
    """In units; absent for an order by ``notional``."""
    notional: NotRequired[Number]
    limit_price: NotRequired[Number]
    stop_price: NotRequired[Number]
    trail_amount: NotRequired[Number]
    trail_percent: NotRequired[Number]
    outside_rth: NotRequired[bool]
    reduce_only: NotRequired[bool]
    post_only: NotRequired[bool]
    order_class: NotRequired[str]
    spread: NotRequired[list["OrderLegOut"]]
    """Of several options in one order: what it does with each. Its ``side`` BUY pays ``limit_price``, SELL receives."""
    parent_order_id: NotRequired[str]
    """Of an exit: the order it belongs to."""
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
    """Of an order that waits: that of its limit or its stop."""
    last: NotRequired[Number]
    """The market then."""
    notional: Number
    fee: NotRequired[Number]
    """Absent where the broker gave no estimate."""
    cash_effect: Number
    buying_power: Number
    """Before the order."""
    currency: str
    source: str


class AmendmentOut(TypedDict):
    """A modification of an order: what was to be new, and what became of it."""

    status: str
    quantity: NotRequired[Number]
    limit_price: NotRequired[Number]
    stop_price: NotRequired[Number]
    trail_amount: NotRequired[Number]
    trail_percent: NotRequired[Number]
    tif: NotRequired[str]
    cancels: NotRequired[bool]
    """It takes the order back, once its owner lets it go; it changes none of its terms."""
    code: NotRequired[str]
    reason: NotRequired[str]
    at: Instant


class LeftOut(TypedDict):
    symbol: str
    code: str
    message: str


class Placed(TypedDict):
    status: str
    order: NotRequired[OrderOut]
    """Of several, the first. Absent of a plan alone."""
    plan: NotRequired[plans.PlanOut]
    orders: NotRequired[Rows[OrderOut]]
    legs: NotRequired[Rows[OrderOut]]
    modification: NotRequired[AmendmentOut]
    confirmation_id: NotRequired[str]
    approve_at: NotRequired[str]
    """Where only its owner can release it: the page of the console to do so."""
    rule: NotRequired[str]
    """Its owner releases orders there, and this standing rule of theirs does it for this one, once it is confirmed."""
    expires_at: NotRequired[Instant]
    summary: NotRequired[str]
    estimate: NotRequired[Estimate]
    execution: NotRequired[Literal["native", "synthesised"]]
    """Whether the broker does it as one, or we send several orders for it."""
    left_out: NotRequired[Rows[LeftOut]]
    """Positions that cannot be closed now."""
    next: NotRequired[str]
    note: NotRequired[str]
    confirmed_after_ms: NotRequired[int]
    """Where its user answered at once: how long it had been shown to them."""
    fills: NotRequired[Rows["FillOut"]]
    """With ``history``: how it stands after its owner was asked in the console."""
    history: NotRequired[Rows["OrderStep"]]


class Moved(TypedDict):
    status: str
    plan: NotRequired[plans.PlanOut]
    """Of a plan, instead of ``order``."""
    """Of several orders: ``mixed`` where they differ."""
    confirmed_after_ms: NotRequired[int]
    """Of a confirmation: how long it had been shown."""
    rule: NotRequired[str]
    """The owner's standing rule that released it, instead of an approval."""
    order: NotRequired[OrderOut]
    """Absent of a plan alone."""
    orders: NotRequired[Rows[OrderOut]]
    legs: NotRequired[Rows[OrderOut]]
    modification: NotRequired[AmendmentOut]
    next: NotRequired[str]


_AMOUNTS = (
    *("quantity", "notional", "limit_price", "stop_price", "trail_amount", "trail_percent"),
    *("take_profit", "stop_loss", "stop_loss_trail_percent"),
)


def _order_named(args: Mapping[str, Any]) -> str:
    """Our id of an order or the caller's own, whichever was given. Raises Refusal."""
    if ("order_id" in args) == ("client_order_id" in args):
        raise Refusal(Code.MISSING_ARGUMENT, "Give either order_id or client_order_id.", field="order_id")
    named: str = args.get("order_id") or args["client_order_id"]
    return named


def _terms(args: Mapping[str, Any]) -> Terms:
    side, legs = Side(args["side"]), args.get("legs")
    return Terms(
        symbol=spread_symbol(args["symbol"], side, legs) if legs else args["symbol"],
        side=side,
        order_type=OrderType(args.get("order_type", OrderType.MARKET.value)),
        tif=TimeInForce(args["tif"]) if "tif" in args else None,
        order_class=OrderClass(args.get("order_class", OrderClass.SIMPLE.value)),
        outside_rth=args.get("outside_rth", False),
        reduce_only=args.get("reduce_only", False),
        post_only=args.get("post_only", False),
        at_once=args.get("at_once", False),
        **{name: args.get(name) for name in _AMOUNTS},
    )


def _estimate(shown: Mapping[str, Any]) -> dict[str, Any]:
    return compact(
        price=shown["price"],
        last=shown.get("last"),
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


class MarginOut(TypedDict):
    """What the order does to the margin of the account, by the broker's own arithmetic."""

    currency: str
    available: Number
    """Free for initial margin, before the order."""
    initial_change: Number
    initial_after: Number
    maintenance_change: Number
    maintenance_after: Number


class Previewed(TypedDict):
    would_pass: bool
    """Whether place_order and the release after it would let it through as things stand."""
    summary: str
    estimate: Estimate
    execution: Literal["native", "synthesised"]
    buying_power_after: NotRequired[Number]
    margin: NotRequired[MarginOut]
    """Absent for a cash account."""
    not_reported: NotRequired[list[str]]
    """``margin``, where this broker does not report it before the order is sent."""
    checks: list[Verdict]
    warnings: NotRequired[list[str]]


def preview_order(call: ToolCall) -> dict[str, Any]:
    args = call.args
    seen = previewing.preview(
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
        execution="native",
        buying_power_after=seen.buying_power_after,
        margin=seen.margin and _margin(seen.margin),
        not_reported=None if seen.reports_margin else ["margin"],
        checks=[_verdict(each.name, each.refusal) for each in seen.checks],
        warnings=list(seen.warnings) or None,
    )


def _margin(margin: MarginEffect) -> dict[str, Any]:
    return compact(
        currency=margin.currency,
        available=margin.available,
        initial_change=margin.initial_change,
        initial_after=margin.initial_after,
        maintenance_change=margin.maintenance_change,
        maintenance_after=margin.maintenance_after,
    )


class LargestBy(TypedDict):
    """The largest order by one thing alone."""

    bound: str
    """``funds``, ``margin``, ``position`` or the name of a limit."""
    of: str
    quantity: NotRequired[Number]
    notional: NotRequired[Number]
    """Instead of ``quantity``, where the broker takes such an order by value alone."""
    has: NotRequired[Number]
    """Funds or margin available, units that can be sold, or the limit's value; in ``unit``."""
    unit: NotRequired[str]
    reserved: NotRequired[Number]
    """Of a position: what other open orders hold, not in ``has``."""
    refused_by: Literal["preview", "broker"]
    """Where one step more is refused: already when it is previewed, or when it is sent."""


class LargestOrder(TypedDict):
    summary: str
    quantity: NotRequired[Number]
    """Units, "0" where no size passes; absent where nothing that is known bounds it."""
    notional: NotRequired[Number]
    """Instead, money: the broker takes such an order by value alone."""
    step: Number
    bound_by: NotRequired[LargestBy]
    """What binds."""
    estimate: NotRequired[Estimate]
    """Of an order of that size."""
    bounds: Rows[LargestBy]
    approximate: NotRequired[bool]
    refused: NotRequired[list[Verdict]]
    """Checks that refuse an order of any size now."""
    not_reported: NotRequired[str]


def get_max_order(call: ToolCall) -> dict[str, Any]:
    args = call.args
    found = sizing.max_order(
        call.principal,
        args["symbol"],
        Side(args["side"]),
        order_type=OrderType(args.get("order_type", OrderType.MARKET.value)),
        limit_price=args.get("limit_price"),
        stop_price=args.get("stop_price"),
        account_id=args.get("account_id"),
    )
    call.account_id = found.account_id
    seen, size = found.preview, "notional" if found.by_value else "quantity"
    return compact(
        summary=found.summary,
        **{size: found.size},
        step=found.step,
        bound_by=found.bound and _size_bound(found.bound, size),
        estimate=seen
        and compact(
            price=seen.price,
            notional=seen.notional,
            fee=seen.fee,
            cash_effect=seen.cash_effect,
            buying_power=seen.buying_power,
            currency=seen.quote.currency,
            source=seen.quote.source,
        ),
        bounds=[_size_bound(each, size) for each in found.bounds],
        approximate=None if found.is_exact else True,
        refused=[_verdict(each.check.name, each.refusal) for each in found.refused] or None,
        not_reported=found.unknown or None,
    )


def _size_bound(bound: SizeBound, size: str) -> dict[str, Any]:
    return compact(
        bound=bound.bound,
        of=bound.of,
        **{size: bound.size},
        has=bound.has,
        unit=bound.unit,
        reserved=bound.reserved,
        refused_by="preview" if bound.is_checked else "broker",
    )


def _verdict(name: str, refusal: Refusal | None) -> dict[str, Any]:
    return compact(
        check=name, ok=refusal is None, code=refusal and refusal.code.value, message=refusal and str(refusal)
    )


def place_order(call: ToolCall) -> dict[str, Any]:
    args = call.args
    prepared = preparing.prepare(
        call.principal,
        _terms(args),
        account_id=args.get("account_id"),
        client_order_id=args.get("client_order_id"),
        request_id=call.request_id,
    )
    return _prepared(call, prepared)


def place_batch_orders(call: ToolCall) -> dict[str, Any]:
    args = call.args
    prepared = preparing.prepare_plan(
        call.principal,
        [
            preparing.PlanItem(terms=_terms(item), client_order_id=item.get("client_order_id"))
            for item in args["orders"]
        ],
        account_id=args.get("account_id"),
        action=Action.BATCH,
        all_or_none=args.get("all_or_none", True),
        request_id=call.request_id,
    )
    return _prepared(call, prepared)


def close_position(call: ToolCall) -> dict[str, Any]:
    args = call.args
    prepared = preparing.prepare_close(
        call.principal,
        args["symbol"],
        account_id=args.get("account_id"),
        quantity=args.get("quantity"),
        percent=args.get("percent"),
        order_type=OrderType(args.get("order_type", OrderType.MARKET.value)),
        limit_price=args.get("limit_price"),
        request_id=call.request_id,
    )
    return _prepared(call, prepared)


def reverse_position(call: ToolCall) -> dict[str, Any]:
    prepared = preparing.prepare_reverse(
        call.principal, call.args["symbol"], account_id=call.args.get("account_id"), request_id=call.request_id
    )
    return _prepared(call, prepared)


def flatten_account(call: ToolCall) -> dict[str, Any]:
    prepared, left_out = preparing.prepare_flatten(
        call.principal, account_id=call.args.get("account_id"), request_id=call.request_id
    )
    answer = _prepared(call, prepared)
    if left_out:
        answer["left_out"] = [
            {"symbol": each.symbol, "code": each.refusal.code.value, "message": str(each.refusal)} for each in left_out
        ]
    return answer


def modify_order(call: ToolCall) -> dict[str, Any]:
    args = call.args
    asked = OrderChanges(
        **{name: args.get(name) for name in amendment_state.PRICED},
        tif=TimeInForce(args["tif"]) if "tif" in args else None,
    )
    change = preparing.prepare_change(
        call.principal,
        _order_named(args),
        asked,
        account_id=args.get("account_id"),
        at_once=args.get("at_once", False),
        request_id=call.request_id,
    )
    call.account_id, call.order_id = change.order.account_id, change.order.public_id
    return {
        **_waits_for(call, change.order, change.confirmation),
        "modification": render.modification(change),
        "order": render.order(change.order),
        "execution": "native",
    }


def _prepared(call: ToolCall, prepared: preparing.Prepared) -> dict[str, Any]:
    order, confirmation = prepared.order, prepared.confirmation
    call.account_id, call.order_id = order.account_id, order.public_id
    orders = list(prepared.orders)
    if not any(each.state is states.Status.AWAITING for each in orders):
        return {
            "status": _together(orders),
            **_rows(orders),
            "note": "This client_order_id was already used.",
        }
    several = len(orders) > 1
    return compact(
        **_waits_for(call, order, confirmation),
        estimate=None if several else _estimate(confirmation.terms),
        execution="synthesised" if several or confirmation.action == Action.FLATTEN else "native",
        **_rows(orders),
    )


def _waits_for(call: ToolCall, order: Order, confirmation: Confirmation) -> dict[str, Any]:
    if confirmation.rule is not None and confirmation.decided_by(order.connection) is Redeemer.OWNER:
        return _waits_for_rule(confirmation, confirmation.rule)
    return who_decides(call, confirmation, order.connection, url=summary.approval_url(order))


def _waits_for_rule(confirmation: Confirmation, rule: StandingRule) -> dict[str, Any]:
    """The owner said yes beforehand, so nobody is asked in a client: the app's own confirmation releases it."""
    return {
        "status": "needs_confirmation",
        "confirmation_id": confirmation.public_id,
        "rule": rule.name,
        "expires_at": moment(confirmation.expires_at),
        "summary": confirmation.terms["summary"],
        "next": f"Nothing was sent. The owner's standing rule {rule.name} covers it: show the summary to the user, "
        "then call confirm_trade. If the rule does not release it by then, it waits for the owner in the console.",
    }


def _rows(orders: Sequence[Order]) -> dict[str, Any]:
    """The orders of a plan: the first, all where there are several, and what hangs on one alone."""
    rows: dict[str, Any] = {"order": render.order(orders[0])}
    if len(orders) > 1:
        rows["orders"] = [render.order(each) for each in orders]
    elif orders[0].has_legs:
        legs = orders[0].legs.select_related("parent").order_by("pk")
        rows |= compact(legs=[render.order(each) for each in legs] or None)
    return rows


def after_question(call: ToolCall, confirmation: Confirmation, note: str) -> dict[str, Any]:
    """What waits once the question about it is over without a yes or a no, ``note`` saying why."""
    if confirmation.starts_plan:
        return plans.after_question(call, deciding.of_confirmation(call.principal, confirmation.public_id), note)
    order = confirmation.order
    call.account_id, call.order_id = order.account_id, order.public_id
    if confirmation.is_about_an_order:
        change = confirmation.modification
        rows: dict[str, Any] = {"order": render.order(order), "modification": render.modification(change)}
        status, waits = change.status, change.state is states.AmendmentStatus.AWAITING
    else:
        orders = list(confirmation.orders.filter(parent=None).order_by("pk"))
        rows, status = _rows(orders), _together(orders)
        waits = any(each.state is states.Status.AWAITING for each in orders)
    if not waits or confirmation.expires_at <= timezone.now():
        return {"status": status, "note": note, **rows}
    asked = _waits_for(call, order, confirmation)
    return {"status": asked["status"], "note": f"{note} Nothing was sent.", **asked, **rows}


def _together(orders: Sequence[Order]) -> str:
    statuses = {each.status for each in orders}
    return statuses.pop() if len(statuses) == 1 else "mixed"


_ASKED = (
    "The broker has a question for the owner; nothing was placed or changed yet. Only the owner can answer, in "
    "the console at {url}; you cannot. Then call get_order_status."
)
_MAY_STAND = "The order may be open. Do not place it again; call get_order_status."


def confirm_trade(call: ToolCall) -> dict[str, Any]:
    if confirmations.is_of_a_plan(call.args["confirmation_id"]):
        return plans.confirm(call)
    released = order_actions.confirm_all(call.principal, call.args["confirmation_id"], request_id=call.request_id)
    orders, order = released.orders, released.orders[0]
    call.account_id, call.order_id = order.account_id, order.public_id
    call.confirmed_after_ms = released.confirmation.confirmed_after_ms
    if released.confirmation.is_about_an_order:
        return _changed(order, released.confirmation.modification, call.confirmed_after_ms)
    if len(orders) == 1 and order.state in (states.Status.REJECTED, states.Status.NOT_SENT):
        raise _confirmation_used(
            order.code, f"{order.reason} To try again, prepare it with a new client_order_id.", order
        )
    asked = next((each for each in orders if each.state is states.Status.ASKED), None)
    following = None if asked is None else _ASKED.format(url=summary.approval_url(asked))
    if any(each.state is states.Status.UNKNOWN for each in orders):
        following = _MAY_STAND
    return compact(
        status=_together(orders),
        confirmed_after_ms=call.confirmed_after_ms,
        rule=released.rule and released.rule.name,
        **_rows(orders),
        next=following,
    )


def _confirmation_used(code: str, message: str, order: Order) -> Refusal:
    """The confirmation is used up, so the same call cannot help, whatever the code."""
    return Refusal(Code(code), message, order_id=order.public_id, retry=Retry.AFTER_CHANGE)


def _changed(order: Order, change: Modification, after_ms: int | None) -> dict[str, Any]:
    if change.state in (states.AmendmentStatus.REJECTED, states.AmendmentStatus.NOT_SENT):
        raise _confirmation_used(
            change.code, f"The order was not changed: {change.reason} To try again, prepare it again.", order
        )
    order.refresh_from_db()
    following = None
    if change.state is states.AmendmentStatus.UNKNOWN:
        following = "The change may have been made. Do not request it again; call get_order_status."
    elif change.state is states.AmendmentStatus.ASKED:
        following = _ASKED.format(url=summary.approval_url(order))
    return compact(
        status=change.status,
        confirmed_after_ms=after_ms,
        order=render.order(order),
        modification=render.modification(change),
        next=following,
    )


_ENDED_WITH_IT = "The other orders under orders ended with it: check that what is held is still protected as meant."


def cancel_order(call: ToolCall) -> dict[str, Any]:
    order, *others = order_actions.cancel_with(
        call.principal, _order_named(call.args), account_id=call.args.get("account_id"), request_id=call.request_id
    )
    call.account_id, call.order_id = order.account_id, order.public_id
    told: dict[str, Any] = {"status": order.status, "order": render.order(order)}
    if others:
        told |= {"orders": [render.order(each) for each in (order, *others)], "next": _ENDED_WITH_IT}
    return told


class Cancelled(TypedDict):
    order_id: str
    status: str
    code: NotRequired[str]
    message: NotRequired[str]
    retry: NotRequired[str]


class AllCancelled(TypedDict):
    cancelled: int
    results: Rows[Cancelled]
    next: NotRequired[str]


def cancel_all_orders(call: ToolCall) -> dict[str, Any]:
    call.account_id, done = order_actions.cancel_all(
        call.principal,
        account_id=call.args.get("account_id"),
        symbol=call.args.get("symbol"),
        request_id=call.request_id,
    )
    return compact(
        cancelled=sum(each.order.state is states.Status.CANCELLED for each in done),
        results=[
            compact(
                order_id=each.order.public_id,
                status=each.order.status,
                code=each.refusal and each.refusal.code.value,
                message=each.refusal and str(each.refusal),
                retry=each.refusal and each.refusal.retry.value,
            )
            for each in done
        ],
        next="Call get_orders to see whether the others have ended."
        if any(each.order.state is not states.Status.CANCELLED for each in done)
        else None,
    )


class Pending(TypedDict):
    confirmation_id: str
    action: str
    expires_at: Instant
    summary: str
    order_id: str
    account_id: str


class Waiting(TypedDict):
    pending: Rows[Pending]
    next: NotRequired[str]


def get_pending_confirmations(call: ToolCall) -> dict[str, Any]:
    waiting = order_queries.pending_confirmations(call.principal, call.args.get("account_id"))
    return compact(
        pending=[
            {
                "confirmation_id": each.public_id,
                "action": each.action,
                "expires_at": moment(each.expires_at),
                "summary": each.terms["summary"],
                "order_id": each.order.public_id,
                "account_id": each.terms["account_id"],
            }
            for each in waiting
        ],
        next="Call confirm_trade only for what the user agreed to, and discard_confirmation for the rest."
        if waiting
        else None,
    )


def discard_confirmation(call: ToolCall) -> dict[str, Any]:
    if confirmations.is_of_a_plan(call.args["confirmation_id"]):
        return plans.discard(call)
    order = order_actions.discard(call.principal, call.args["confirmation_id"], request_id=call.request_id)
    call.account_id, call.order_id = order.account_id, order.public_id
    confirmation = order_queries.confirmation_of(call.principal, call.args["confirmation_id"])
    if confirmation.is_about_an_order:
        change = confirmation.modification
        return {"status": change.status, "order": render.order(order), "modification": render.modification(change)}
    orders = list(confirmation.orders.filter(parent=None).order_by("pk"))
    return {"status": _together(orders), **_rows(orders)}


LISTING = "orders"
"""The kind of cursor that ``get_orders`` gives."""


class External(TypedDict):
    """An order made elsewhere, in the broker's words: it cannot be changed or cancelled from here."""

    broker_order_id: str
    status: str
    symbol: NotRequired[str]
    side: NotRequired[str]
    order_type: NotRequired[str]
    tif: NotRequired[str]
    quantity: NotRequired[Number]
    limit_price: NotRequired[Number]
    stop_price: NotRequired[Number]
    trail_amount: NotRequired[Number]
    trail_percent: NotRequired[Number]
    filled_quantity: Number
    average_price: NotRequired[Number]
    currency: NotRequired[str]
    created_at: NotRequired[Instant]


class Orders(TypedDict):
    orders: Rows[OrderOut]
    external: NotRequired[Rows[External]]
    """Open orders of the account that were made elsewhere. With the first page of open or all orders."""
    external_unknown: NotRequired[str]
    """Why they could not be had."""
    not_known: NotRequired[list[str]]
    """What the broker listed and this version does not know, by its row."""
    next_cursor: NotRequired[str]
    """Only where there are more."""


STATUSES: dict[str, frozenset[states.Status] | None] = {"open": states.OPEN, "closed": states.ENDED, "all": None}


def get_orders(call: ToolCall) -> dict[str, Any]:
    args = call.args
    start, end = args.get("start"), args.get("end")
    if start and end and start >= end:
        raise Refusal(Code.INVALID_ARGUMENT, "start must be before end.", field="start")
    with broker_access.broker_for(call.principal) as broker:
        account = broker_access.choose_account(broker, args.get("account_id"), call.principal.account_id)
        call.account_id = account.account_id
        symbol = broker.instrument(args["symbol"]).symbol if "symbol" in args else None
        at_broker = AtBroker(broker, account.account_id)
    status = args.get("status", "open")
    wanted = order_queries.OrderQuery(
        statuses=STATUSES[status] if status in STATUSES else frozenset({states.Status(status)}),
        symbol=symbol,
        start=start,
        end=end,
    )
    found, following = order_queries.list_orders(
        call.principal, at_broker, wanted, limit=args.get("limit", 50), after=args.get("cursor")
    )
    shown = [render.order(each) for each in found]
    fit = result_tables.how_many_fit(shown, is_default="limit" not in args)
    if fit < len(shown):
        shown, following = shown[:fit], found[fit - 1].public_id
    return compact(
        orders=shown,
        **_external(call, at_broker, symbol) if status in ("open", "all") and "cursor" not in args else {},
        next_cursor=following and cursor(LISTING, following),
    )


def _external(call: ToolCall, at_broker: AtBroker, symbol: str | None) -> dict[str, Any]:
    try:
        found = order_queries.external_orders(call.principal, at_broker, symbol=symbol)
    except Refusal as refusal:
        return {"external_unknown": f"The broker did not list the orders made elsewhere: {refusal}"}
    unknown = render.not_known(at_broker.broker.unknown_words)
    return {"external": [render.external(each) for each in found] or None, **unknown}


class FillOut(TypedDict):
    symbol: NotRequired[str]
    """With ``side``, of several options in one order: which of them it was."""
    side: NotRequired[str]
    quantity: Number
    price: Number
    fee: Number
    currency: str
    priced_by: str
    filled_at: Instant


class OrderStep(TypedDict):
    at: Instant
    status: str
    what: str


class OneOrder(TypedDict):
    order: OrderOut
    legs: NotRequired[Rows[OrderOut]]
    modifications: NotRequired[Rows[AmendmentOut]]
    fills: Rows[FillOut]
    history: Rows[OrderStep]
    left_out: NotRequired[str]


MOST_FILLS = 40
MOST_STEPS = 30
_MOST_CHANGES = 10


def get_order_status(call: ToolCall) -> dict[str, Any]:
    args = call.args
    order = order_queries.find_order(call.principal, _order_named(args), args.get("account_id"))
    call.account_id, call.order_id = order.account_id, order.public_id
    try:
        sync.refresh(order)
    except BrokerError as error:
        log.warning("Order %s could not be refreshed: %s", order.public_id, error)
    fills = order_queries.fills(order)
    steps = [compact(at=event.at, status=event.after, what=event.what) for event in order.events.all()]
    changes = [render.modification(each) for each in order.modifications.order_by("pk")]
    earlier = [
        f"{len(all_) - most} earlier {what}"
        for all_, most, what in (
            (fills, MOST_FILLS, "fills (get_executions has them all)"),
            (steps, MOST_STEPS, "steps"),
            (changes, _MOST_CHANGES, "modifications"),
        )
        if len(all_) > most
    ]
    return compact(
        **_rows([order]),
        modifications=changes[-_MOST_CHANGES:] or None,
        fills=fills[-MOST_FILLS:],
        history=steps[-MOST_STEPS:],
        left_out=" and ".join(earlier),
    )
