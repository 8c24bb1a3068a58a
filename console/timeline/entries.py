"""One line of the timeline, whatever it is made from, and what is known of it in full."""

from collections.abc import Collection, Iterable
from copy import copy
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from brokers.types import OrderRequest
from console.accounts.models import User
from console.audit import sign_ins
from console.audit.models import Call, CallOutcome, Change, ChangeCategory
from console.orders.models import Order, OrderEvent
from console.orders.states import STATUS_LABELS, Status
from console.orders.terms import describe
from console.outbox.models import OutgoingMail
from console.timeline.filters import EntryOutcome, Kind

REFUSED = (Status.DENIED, Status.REJECTED, Status.REJECTED_BY_OWNER, Status.UNANSWERED)
FAILED = (Status.UNKNOWN, Status.NOT_SENT, Status.NOT_FOUND)
BROKER = "broker"
"""Who an event is by that the broker reported."""
KINDS_OF_CHANGE = {
    ChangeCategory.CHANGE: Kind.CHANGE,
    ChangeCategory.SIGN_IN: Kind.SIGN_IN,
    ChangeCategory.SYSTEM: Kind.JOB,
}
FAILED_ACTIONS = (sign_ins.FAILED, sign_ins.THROTTLED, sign_ins.WRONG_PROOF)
CONTEXT = ("trace_id", "session_id", "client_name", "client_version", "upstream_request_id")
"""Of a call, where they are known."""
_MOST_SYMBOLS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryPosition:
    """Where an entry stands: newest first by time, then by source and id."""

    at: datetime
    rank: int
    id: int

    @property
    def key(self) -> tuple[datetime, int, int]:
        return (self.at, self.rank, self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEntry:
    position: EntryPosition
    source: str
    """``call``, ``event``, ``change`` or ``email``: with the id, its address."""
    kind: Kind
    title: str
    about: str = ""
    outcome: str = EntryOutcome.OK
    code: str = ""
    tool: str = ""
    person_id: int | None = None
    person: str = ""
    app_id: int | None = None
    app: str = ""
    connection_id: int | None = None
    connection: str = ""
    environment: str = ""
    credential_id: str = ""
    order_id: str = ""
    request_id: str = ""
    ip: str = ""
    row: Call | OrderEvent | Change | OutgoingMail

    @property
    def at(self) -> datetime:
        return self.position.at

    def as_json(self) -> dict[str, Any]:
        """Everything there is, for the drawer and for exports. Times in UTC."""
        known: dict[str, Any] = {
            "at": iso(self.at),
            "kind": self.kind.value,
            "id": self.position.id,
            "title": self.title,
            "about": self.about,
            "outcome": str(self.outcome),
            "code": self.code,
            "tool": self.tool,
            "person_id": self.person_id,
            "person": self.person,
            "app_id": self.app_id,
            "app": self.app,
            "connection_id": self.connection_id,
            "connection": self.connection,
            "environment": self.environment,
            "credential_id": self.credential_id,
            "order_id": self.order_id,
            "request_id": self.request_id,
            "ip": self.ip,
        }
        return {name: value for name, value in known.items() if value not in ("", None)} | _rest(self.row)


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _rest(row: Call | OrderEvent | Change | OutgoingMail) -> dict[str, Any]:
    if isinstance(row, Call):
        return {
            "arguments": row.arguments,
            "message": row.message,
            "source": row.source,
            "scopes": row.scopes,
            "duration_us": row.duration_us,
            "user_agent": row.user_agent,
        } | {name: value for name in CONTEXT if (value := getattr(row, name)) is not None}
    if isinstance(row, OrderEvent):
        return {"before": row.before, "after": row.after, "what": row.what, "data": row.data, "by": row.by}
    if isinstance(row, Change):
        return {
            "action": row.action,
            "target": row.target,
            "target_id": row.target_id,
            "before": row.before,
            "after": row.after,
            "detail": row.detail,
            "proof": row.proof,
            "times": row.times,
            "user_agent": row.user_agent,
        }
    return {
        "attempts": row.attempts,
        "sent_at": iso(row.sent_at) if row.sent_at else None,
        "failed_at": iso(row.failed_at) if row.failed_at else None,
        "failure": row.failure,
    }


def of_call(call: Call, rank: int) -> TimelineEntry:
    return TimelineEntry(
        position=EntryPosition(at=call.at, rank=rank, id=call.pk),
        source="call",
        kind=Kind.REFUSAL if call.outcome == CallOutcome.REFUSED else Kind.CALL,
        title=call.tool or "Call without a tool",
        about=subject(call.arguments),
        outcome=call.outcome,
        code=call.code,
        tool=call.tool,
        person_id=call.user_id,
        person=call.user_label,
        app_id=call.app_id,
        app=call.app_label,
        connection_id=call.connection_id,
        connection=call.connection_label,
        environment=call.environment,
        credential_id=call.credential_id,
        order_id=call.order_id,
        request_id=call.request_id,
        ip=call.ip,
        row=call,
    )


def of_event(event: OrderEvent, rank: int) -> TimelineEntry:
    """Of an event whose order, app and connection are read with it."""
    order = event.order
    return TimelineEntry(
        position=EntryPosition(at=event.at, rank=rank, id=event.pk),
        source="event",
        kind=Kind.BROKER if event.by == BROKER else Kind.ORDER,
        title=STATUS_LABELS[Status(event.after)],
        about=order_line(order),
        outcome=outcome_of(event.after),
        code=order.code if event.after == order.status else "",
        person_id=event.owner_id,
        person="" if event.by == BROKER else event.by,
        app_id=order.app_id,
        app="" if order.app.is_console else order.app.name,
        connection_id=order.connection_id,
        connection=order.connection.name,
        environment=order.connection.environment,
        order_id=order.public_id,
        request_id=event.request_id,
        row=event,
    )


def of_change(change: Change, rank: int) -> TimelineEntry:
    kind = KINDS_OF_CHANGE[ChangeCategory(change.category)]
    named = change.action if kind is Kind.SIGN_IN else _with_its_target(change.action, change.target)
    if change.times > 1:
        named = f"{named}, {change.times} times"
    return TimelineEntry(
        position=EntryPosition(at=change.at, rank=rank, id=change.pk),
        source="change",
        kind=kind,
        title=named[:1].upper() + named[1:],
        about=change.target_label or change.target_id,
        outcome=EntryOutcome.FAILED if change.action in FAILED_ACTIONS else EntryOutcome.OK,
        person_id=change.owner_id,
        person=change.user_label,
        app_id=change.app_id,
        app=change.app_label,
        connection_id=change.connection_id,
        credential_id=change.credential_id,
        request_id=change.request_id,
        order_id=change.target_id if change.target == "order" else "",
        ip=change.ip,
        row=change,
    )


def _with_its_target(action: str, target: str) -> str:
    """``minted key``, ``switched toolsets of app``; but ``policy changed``, which names itself what was changed."""
    names_itself = target in action or (" " in action and not action.endswith(" of"))
    return action if names_itself else f"{action} {target}"


def of_mail(mail: OutgoingMail, rank: int) -> TimelineEntry:
    state = "sent" if mail.sent_at else "not delivered" if mail.failed_at else "waiting to be sent"
    return TimelineEntry(
        position=EntryPosition(at=mail.created_at, rank=rank, id=mail.pk),
        source="email",
        kind=Kind.EMAIL,
        title=f"{'E-mail' if mail.channel_id is None else 'Message'} {state}",
        about="Notification" if mail.kind == OutgoingMail.Kind.NEWS else mail.get_kind_display(),
        outcome=EntryOutcome.FAILED if mail.failed_at else EntryOutcome.OK,
        person_id=mail.user_id,
        person=mail.user.email if mail.user else "",
        row=mail,
    )


def outcome_of(status: str) -> EntryOutcome:
    return EntryOutcome.REFUSED if status in REFUSED else EntryOutcome.FAILED if status in FAILED else EntryOutcome.OK


def order_line(order: Order) -> str:
    """The order itself in a line, without what is attached to it."""
    return describe(_alone(order), order.currency)


def _alone(order: Order) -> OrderRequest:
    if not order.has_legs:
        return order.request
    alone = copy(order)
    alone.parent_id = order.pk  # nothing is attached to what is attached itself
    return alone.request


def subject(arguments: Any) -> str:
    """What a call was about, by its arguments: an order in words, or the symbols it names."""
    if not isinstance(arguments, dict):
        return ""
    symbol = arguments.get("symbol")
    if not isinstance(symbol, str):
        several = arguments.get("symbols")
        if isinstance(several, list) and several:
            shown = ", ".join(str(each) for each in several[:_MOST_SYMBOLS])
            return f"{shown} and {len(several) - _MOST_SYMBOLS} more" if len(several) > _MOST_SYMBOLS else shown
        for name in ("order_id", "confirmation_id"):
            if isinstance(arguments.get(name), str):
                return str(arguments[name])
        return ""
    side = arguments.get("side")
    if not isinstance(side, str):
        return symbol
    size = arguments.get("quantity") or arguments.get("notional") or ""
    price = arguments.get("limit_price") or arguments.get("stop_price")
    line = " ".join(part for part in (side.capitalize(), str(size), symbol) if part)
    return f"{line} at {price}" if price else line


def with_orders(found: Iterable[TimelineEntry], user: User) -> list[TimelineEntry]:
    """Calls about an order of the person's own say that order in words."""
    entries = list(found)
    named = {each.order_id for each in entries if each.source in ("call", "change") and each.order_id}
    lines = order_lines(named, user)
    return [
        replace(each, about=lines[each.order_id]) if each.source != "event" and each.order_id in lines else each
        for each in entries
    ]


def order_lines(public_ids: Collection[str], user: User) -> dict[str, str]:
    if not public_ids:
        return {}
    orders = Order.objects.filter(public_id__in=public_ids, connection__owner=user)
    return {order.public_id: order_line(order) for order in orders}
