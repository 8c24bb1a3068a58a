"""Plans: orders that go by themselves at their times, once the whole was shown and confirmed."""

from collections.abc import Mapping
from typing import Any, NotRequired

from django.conf import settings
from typing_extensions import TypedDict

from brokers.types import Side
from console.plans import deciding, preparing, queries
from console.plans.calendars import Every
from console.plans.models import AtRefusal, PlanChild, PlanKind, TradingPlan, WhenSilent
from console.plans.preparing import PlanWish
from console.plans.states import ChildStatus, PlanStatus
from mcpserver.context import ToolCall
from mcpserver.result_schemas import Instant, Number, Rows
from mcpserver.tools.confirming import who_decides
from mcpserver.tools.render import compact

KINDS = tuple(each.value for each in PlanKind)
EVERY = tuple(each.value for each in Every)
AT_REFUSAL = tuple(each.value for each in AtRefusal)
WHEN_SILENT = tuple(each.value for each in WhenSilent)
MOST_ORDERS, MOST_LEVELS, LONGEST_MINUTES = preparing.MOST_ORDERS, preparing.MOST_LEVELS, preparing.LONGEST_MINUTES
KINDS_LEFT = preparing.KINDS_LEFT
"""Which kinds there are not, in the words of the tool."""


class PlanOrderOut(TypedDict):
    """One order of a plan."""

    number: int
    at: NotRequired[Instant]
    after_seconds: NotRequired[int]
    """From the beginning of a plan that starts when it is confirmed."""
    side: str
    order_type: str
    quantity: NotRequired[Number]
    """Absent with ``notional``, and of an exit that closes all there is."""
    notional: NotRequired[Number]
    limit_price: NotRequired[Number]
    value: NotRequired[Number]
    """What it comes to, as far as that can be told now."""
    fee: NotRequired[Number]
    status: str
    order_id: NotRequired[str]
    filled_quantity: NotRequired[Number]
    average_price: NotRequired[Number]
    code: NotRequired[str]
    reason: NotRequired[str]


class PlanOut(TypedDict):
    plan_id: str
    kind: str
    status: str
    reason: NotRequired[str]
    symbol: str
    currency: str
    account_id: str
    summary: str
    orders_sent: int
    most_orders: int
    value_sent: Number
    """The most that the orders sent so far could come to, in the connection's currency."""
    most_value: Number
    started_at: NotRequired[Instant]
    ends_at: NotRequired[Instant]
    next_at: NotRequired[Instant]
    at_refusal: str
    silent_minutes: NotRequired[int]
    when_silent: NotRequired[str]


class PlanPrepared(TypedDict):
    status: str
    plan: PlanOut
    confirmation_id: NotRequired[str]
    approve_at: NotRequired[str]
    """Where only its owner can start it."""
    expires_at: NotRequired[Instant]
    summary: NotRequired[str]
    orders: NotRequired[Rows[PlanOrderOut]]
    could_stop: NotRequired[list[str]]
    next: NotRequired[str]
    note: NotRequired[str]


class Plans(TypedDict):
    plans: NotRequired[Rows[PlanOut]]
    plan: NotRequired[PlanOut]
    """With ``plan_id``: that one, and its orders."""
    orders: NotRequired[Rows[PlanOrderOut]]
    history: NotRequired[Rows["PlanStep"]]


class PlanStep(TypedDict):
    at: Instant
    what: str
    by: str
    number: NotRequired[int]


class PlanMoved(TypedDict):
    status: str
    plan: PlanOut
    confirmed_after_ms: NotRequired[int]
    note: NotRequired[str]


def prepare_plan(call: ToolCall) -> dict[str, Any]:
    args = call.args
    plan = preparing.prepare_plan(call.principal, _wish(args), account_id=args.get("account_id"))
    call.account_id = plan.account_id
    return {
        **_waits_for(call, plan),
        "plan": _plan(plan),
        "orders": _orders(plan),
        "could_stop": plan.confirmation.terms["could_stop"],
    }


def _wish(args: Mapping[str, Any]) -> PlanWish:
    names = (
        *("quantity", "notional", "limit_price", "orders", "start", "minutes", "every", "at", "lower", "upper"),
        *("levels", "most_value", "most_orders", "silent_minutes"),
    )
    return PlanWish(
        kind=PlanKind(args["kind"]),
        symbol=args["symbol"],
        side=Side(args["side"]) if "side" in args else None,
        at_refusal=AtRefusal(args.get("at_refusal", AtRefusal.SKIP.value)),
        when_silent=WhenSilent(args.get("when_silent", WhenSilent.PAUSE.value)),
        **{name: args.get(name) for name in names},
    )


def _waits_for(call: ToolCall, plan: TradingPlan) -> dict[str, Any]:
    return who_decides(
        call,
        plan.confirmation,
        plan.connection,
        url=f"{settings.PUBLIC_URL}/plans/{plan.public_id}/",
        what="the whole plan",
        effect="starts it",
        following="get_plans",
    )


def after_question(call: ToolCall, plan: TradingPlan, note: str) -> dict[str, Any]:
    """What waits once the question about it is over without a yes or a no."""
    call.account_id = plan.account_id
    if plan.state is not PlanStatus.AWAITING:
        return {"status": plan.status, "note": note, "plan": _plan(plan)}
    return {**_waits_for(call, plan), "plan": _plan(plan), "note": f"{note} Nothing was sent."}


def confirm(call: ToolCall) -> dict[str, Any]:
    plan = deciding.confirm(call.principal, call.args["confirmation_id"])
    call.account_id = plan.account_id
    call.confirmed_after_ms = plan.confirmation.confirmed_after_ms
    return compact(
        status=plan.status,
        confirmed_after_ms=call.confirmed_after_ms,
        plan=_plan(plan),
        next="The plan runs by itself. get_plans shows what it did; pause_plan and cancel_plan stop it.",
    )


def discard(call: ToolCall) -> dict[str, Any]:
    plan = deciding.discard(call.principal, call.args["confirmation_id"])
    call.account_id = plan.account_id
    return {"status": plan.status, "plan": _plan(plan)}


def get_plans(call: ToolCall) -> dict[str, Any]:
    args = call.args
    if "plan_id" not in args:
        found = queries.of_app(call.principal, over=args.get("over", False), limit=args.get("limit", 20))
        return {"plans": [_plan(each) for each in found]}
    plan = deciding.own(call.principal, args["plan_id"])
    call.account_id = plan.account_id
    steps = queries.events(plan, 50)
    return {
        "plan": _plan(plan),
        "orders": _orders(plan),
        "history": [compact(at=each.at, what=each.what, by=each.by, number=each.number) for each in steps],
    }


def pause_plan(call: ToolCall) -> dict[str, Any]:
    plan = deciding.own(call.principal, call.args["plan_id"])
    call.account_id = plan.account_id
    paused = deciding.pause(plan, by=call.principal.app_label)
    note = f"{_CANCELLED} Only the owner can resume it, in the console."
    return {"status": plan.status, "plan": _plan(plan), "note": note if paused else _not_moved(plan)}


def cancel_plan(call: ToolCall) -> dict[str, Any]:
    plan = deciding.own(call.principal, call.args["plan_id"])
    call.account_id = plan.account_id
    ended = deciding.cancel(plan, by=call.principal.app_label)
    note = f"{_CANCELLED} What it bought or sold stays."
    return {"status": plan.status, "plan": _plan(plan), "note": note if ended else _not_moved(plan)}


_CANCELLED = (
    "Its open orders are being cancelled; where the owner approves orders, those that guard a position stay, and only "
    "the owner cancels them."
)


def _not_moved(plan: TradingPlan) -> str:
    return f"Nothing was changed: the plan is {plan.status_words.lower()}."


def _plan(plan: TradingPlan) -> dict[str, Any]:
    waiting = plan.children.filter(status=ChildStatus.WAITING).order_by("due_at", "number")
    following = None if plan.is_over else waiting.first()
    return compact(
        plan_id=plan.public_id,
        kind=plan.kind,
        status=plan.status,
        reason=plan.reason or None,
        symbol=plan.symbol,
        currency=plan.currency,
        account_id=plan.account_id,
        summary=plan.heading,
        orders_sent=plan.released_orders,
        most_orders=plan.most_orders,
        value_sent=plan.released_value,
        most_value=plan.most_value,
        started_at=plan.confirmed_at,
        ends_at=plan.ends_at,
        next_at=following and following.due_at,
        at_refusal=plan.at_refusal,
        silent_minutes=plan.silent_minutes,
        when_silent=None if plan.silent_minutes is None else plan.when_silent,
    )


def _orders(plan: TradingPlan) -> list[dict[str, Any]]:
    shown = {each["number"]: each for each in plan.confirmation.terms["children"]}
    return [_order(child, shown.get(child.number, {})) for child in queries.children(plan)]


def _order(child: PlanChild, shown: Mapping[str, Any]) -> dict[str, Any]:
    order = child.order
    return compact(
        number=child.number,
        at=child.due_at,
        after_seconds=child.after_seconds if child.due_at is None else None,
        side=child.side,
        order_type=child.order_type,
        quantity=child.quantity,
        notional=child.notional,
        limit_price=child.limit_price,
        value=shown.get("value"),
        fee=shown.get("fee"),
        status=child.status if order is None else order.status,
        order_id=order and order.public_id,
        filled_quantity=order and order.filled_quantity,
        average_price=order and order.average_price,
        code=child.code or None,
        reason=child.reason or None,
    )
