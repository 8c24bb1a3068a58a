"""Practice accounts: open one more, start again, set what it trades under. Simulated money alone."""

from decimal import Decimal
from typing import Any, NotRequired

from typing_extensions import TypedDict

from console.practice import services as practice
from console.practice.services import KNOBS, PRESETS, ModelSettings
from mcpserver.context import ToolCall
from mcpserver.result_schemas import Number
from mcpserver.tools.calling_app import app_of
from mcpserver.tools.render import compact

__all__ = ["KNOBS", "PRESETS", "create_paper_account", "reset_paper_account", "set_paper_model"]


class Model(TypedDict):
    preset: str
    stamp: str
    margin: bool
    maker_fee_percent: Number
    taker_fee_percent: Number
    fee_per_share: Number
    minimum_fee: Number
    slippage_percent: Number
    volume_percent: NotRequired[Number]
    borrow_percent: Number
    interest_percent: Number
    latency_ms: Number


class PaperAccountOut(TypedDict):
    account_id: str
    name: str
    currency: str
    starting_cash: Number
    model: Model


class Opened(TypedDict):
    account: PaperAccountOut
    left_out: NotRequired[list[str]]
    next: str


class Reset(TypedDict):
    account: PaperAccountOut
    cancelled_orders: int
    equity_before: Number
    note: str


class Tuned(TypedDict):
    account: PaperAccountOut
    note: str


def create_paper_account(call: ToolCall) -> dict[str, Any]:
    app, args = app_of(call), call.args
    made = practice.open_account(
        app.connection,
        name=args["name"],
        by=app,
        cash=args.get("cash"),
        currency=args.get("currency"),
        preset=args.get("preset"),
        # Of this connection alone: an app may not look into another one.
        clone_of=(app.connection, args["clone_account_id"]) if "clone_account_id" in args else None,
    )
    call.account_id = made.terms.account_id
    return {
        "account": _account(made.terms),
        "next": "Pass it as account_id, or select it with set_current_account.",
        **compact(left_out=made.left_out or None),
    }


def reset_paper_account(call: ToolCall) -> dict[str, Any]:
    app, args = app_of(call), call.args
    call.account_id = args["account_id"]
    done = practice.reset_account(
        app.connection, args["account_id"], by=app, cash=args.get("cash"), request_id=call.request_id
    )
    return {
        "account": _account(done.terms),
        **compact(cancelled_orders=done.cancelled, equity_before=done.before),
        "note": "Orders were cancelled and positions written off. Profit and loss and the equity curve start again; "
        "the ledger and the journal keep their history.",
    }


def set_paper_model(call: ToolCall) -> dict[str, Any]:
    app, args = app_of(call), call.args
    call.account_id = args["account_id"]
    changes = dict(args["overrides"]) if "overrides" in args else None
    margin = changes.pop("margin", None) if changes else None
    made = practice.set_model(
        app.connection,
        args["account_id"],
        by=app,
        preset=args.get("preset"),
        overrides=None if changes is None else {name: Decimal(value) for name, value in changes.items()},
        margin=margin,
    )
    return {"account": _account(made), "note": "In effect now; each fill names its model."}


def _account(terms: ModelSettings) -> dict[str, Any]:
    return compact(
        account_id=terms.account_id,
        name=terms.name,
        currency=terms.currency,
        starting_cash=terms.starting_cash,
        model=compact(preset=terms.preset, stamp=terms.stamp, margin=terms.margin, **terms.rates),
    )
