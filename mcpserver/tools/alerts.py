"""Alerts that notify the owner, and messages of the app to them. Nothing here trades."""

from typing import Any, NotRequired

from typing_extensions import TypedDict

from console.alerts import intake, services
from console.alerts.models import Alert, AlertEvent, AlertKind, Condition
from console.alerts.terms import BARS, WINDOWS
from console.errors import Code, Refusal
from mcpserver.context import ToolCall
from mcpserver.result_schemas import Instant, Number, Rows
from mcpserver.tools.calling_app import app_of
from mcpserver.tools.listing import listed
from mcpserver.tools.render import compact

KINDS = tuple(each.value for each in AlertKind)
CONDITIONS = tuple(each.value for each in Condition)
WINDOW_NAMES = tuple(WINDOWS)
BAR_NAMES = BARS
ALERTS, HISTORY = "alerts", "alert_history"
"""What their cursors are of."""
_NAMES = {"repeat": "repeats", "expires": "expires_at"}
"""Of our arguments, where a service calls them otherwise."""


class AlertOut(TypedDict):
    alert_id: str
    condition: str
    """In words, such as ``AAPL is above 200 USD``."""
    kind: str
    symbol: NotRequired[str]
    account_id: NotRequired[str]
    value: Number
    status: str
    repeats: bool
    cooldown_minutes: NotRequired[int]
    last_seen: NotRequired[str]
    seen_at: NotRequired[Instant]
    trouble: NotRequired[str]
    """Why there is nothing to compare with at present."""
    fired: int
    fired_at: NotRequired[Instant]
    expires_at: Instant
    note: NotRequired[str]


class OneAlert(TypedDict):
    alert: AlertOut
    now: NotRequired[str]
    already_met: bool
    remark: NotRequired[str]


class Alerts(TypedDict):
    alerts: Rows[AlertOut]
    next_cursor: NotRequired[str]


class CancelledAlert(TypedDict):
    alert: AlertOut


class AlertEventRow(TypedDict):
    at: Instant
    alert_id: NotRequired[str]
    title: str
    text: NotRequired[str]
    value: NotRequired[Number]
    value_at: NotRequired[Instant]


class AlertHistory(TypedDict):
    events: Rows[AlertEventRow]
    next_cursor: NotRequired[str]


class SentMessage(TypedDict):
    sent_at: Instant
    text: str
    note: str


def create_alert(call: ToolCall) -> dict[str, Any]:
    app = app_of(call)
    taken = intake.create(app.connection, _given(call), app=app, current_account=call.principal.account_id)
    return _taken(call, taken)


def get_alerts(call: ToolCall) -> dict[str, Any]:
    found = services.of_app(app_of(call))
    if "active" in call.args:
        found = services.active(found) if call.args["active"] else services.over(found)
    return listed("alerts", ALERTS, found, _alert, call.args)


def update_alert(call: ToolCall) -> dict[str, Any]:
    app, given = app_of(call), _given(call)
    if len(given) == 1:
        raise Refusal(Code.MISSING_ARGUMENT, "Give what to change, such as value or expires.", field="value")
    alert = services.find(services.of_app(app), given.pop("alert_id"))
    return _taken(call, intake.change(alert, given, app=app))


def cancel_alert(call: ToolCall) -> dict[str, Any]:
    app = app_of(call)
    return {"alert": _alert(services.cancel(services.find(services.of_app(app), call.args["alert_id"]), app=app))}


def get_alert_history(call: ToolCall) -> dict[str, Any]:
    app = app_of(call)
    found = services.events_of_app(app)
    if "alert_id" in call.args:
        found = found.filter(alert=services.find(services.of_app(app), call.args["alert_id"]))
    return listed("events", HISTORY, found, _event, call.args)


def emit_alert(call: ToolCall) -> dict[str, Any]:
    event = services.emit(app_of(call), call.args["text"])
    note = "The owner is notified by the channels they chose, and reads that this app wrote it."
    return {**compact(sent_at=event.at), "text": event.text, "note": note}


def _given(call: ToolCall) -> dict[str, Any]:
    return {_NAMES.get(name, name): value for name, value in call.args.items()}


def _taken(call: ToolCall, taken: intake.Taken) -> dict[str, Any]:
    call.account_id = taken.alert.watched.account_id
    return {
        "alert": _alert(taken.alert),
        "already_met": taken.is_met,
        **compact(now=taken.now, remark=taken.remark),
    }


def _alert(alert: Alert) -> dict[str, Any]:
    watched = alert.watched
    return compact(
        alert_id=alert.public_id,
        condition=services.in_words(alert),
        kind=watched.kind,
        symbol=watched.symbol,
        account_id=watched.account_id,
        value=alert.value,
        status=services.status_now(alert),
        repeats=alert.repeats,
        cooldown_minutes=alert.cooldown_minutes if alert.repeats else None,
        last_seen=services.last_seen(alert),
        seen_at=watched.at,
        trouble=services.trouble(alert),
        fired=alert.fired_count,
        fired_at=alert.fired_at,
        expires_at=alert.expires_at,
        note=alert.note,
    )


def _event(event: AlertEvent) -> dict[str, Any]:
    return compact(
        at=event.at,
        alert_id=event.alert.public_id if event.alert is not None else None,
        title=event.title,
        text=event.text,
        value=event.value,
        value_at=event.value_at,
    )
