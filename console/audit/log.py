"""The one writer of the audit tables."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from django.utils import timezone

from brokers import upstream_request
from console import ids, request_origin
from console.accounts.models import User
from console.audit import call_counts
from console.audit.call_context import UNKNOWN, CallContext
from console.audit.group_commit import Done, Gathered, Row, writer
from console.audit.masking import mask, masked
from console.audit.models import CallOutcome, Change, ChangeCategory
from console.errors import Code
from console.principal import Manager, Principal
from console.scopes import Scope
from console.untrusted_text import escape_hidden, truncate

LONGEST_TOOL = 64
"""A name that no tool of ours has is the caller's own text: enough of it to know it again."""
LONGEST_UPSTREAM = 100
"""What is hidden in a broker's own text is longer once it is written out."""


@dataclass(slots=True, kw_only=True)
class Entry:
    """One call, as it is told to the audit log. Durations in microseconds."""

    request_id: str
    outcome: CallOutcome
    duration_us: int
    principal: Principal | Manager | None = None
    tool: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    code: Code | None = None
    message: str = ""
    order_id: str = ""
    ip: str = ""
    user_agent: str = ""
    confirmed_after_ms: int | None = None
    """Of a call that confirmed something: how long that had been shown."""
    context: CallContext = UNKNOWN


def record_call(entry: Entry) -> None:
    """Commit one row. Raises django.db.DatabaseError when it cannot: the caller's answer must not leave then."""
    writer.write(_row(entry))


def enqueue_call(entry: Entry, done: Done) -> None:
    """The same without waiting: ``done`` is told once the row is committed or cannot be, in the thread that does it.

    Not inside a transaction, which the row would not be part of.
    """
    writer.hand_over(_row(entry), done)


def gather() -> Gathered:
    """From here on, what this thread enqueues waits for the commit of what this returns."""
    gathered = Gathered(writer)
    writer.gather(gathered)
    return gathered


def _row(entry: Entry) -> Row:
    """The values of ``Call``, in the order of its fields."""
    # ``_value_``: to ask for ``value`` costs as much as three columns.
    outcome, code = entry.outcome._value_, entry.code._value_ if entry.code else ""
    call_counts.count(entry.tool if entry.code is not Code.UNKNOWN_TOOL else "unknown", outcome, entry.duration_us)
    who = entry.principal
    app = who if isinstance(who, Principal) else None
    upstream = upstream_request.last()
    return (
        entry.request_id,
        timezone.now(),
        who.user_id if who else None,
        who.user_label if who else "",
        who.source._value_ if who else "",
        who.credential_id if who else "",
        _scopes_text(who.scopes) if who else "",
        app.app_id if app else None,
        app.app_label if app else who.label if isinstance(who, Manager) else "",
        app.connection_id if app else None,
        app.connection_label if app else "",
        app.environment._value_ if app else "",
        masked(entry.tool[:400], LONGEST_TOOL),
        _bounded(entry.arguments),
        outcome,
        code,
        _without_accounts(mask(entry.message)[:500], app, entry.arguments),
        entry.order_id[:40],
        entry.duration_us,
        entry.ip[:45],
        masked(entry.user_agent[:400], 200),
        entry.confirmed_after_ms,
        *entry.context,
        truncate(mask(upstream), LONGEST_UPSTREAM) if upstream else None,
    )


def _without_accounts(message: str, app: Principal | None, arguments: Mapping[str, Any]) -> str:
    """Refusals name the account they are about."""
    if not message:
        return message
    numbers = {str(value) for name, value in arguments.items() if name in _ACCOUNTS and isinstance(value, (str, int))}
    if app is not None:
        numbers.add(app.account_id)
    for number in numbers:
        if len(number) > 4:
            message = message.replace(number, ids.mask_account(number))
    return message


@lru_cache(maxsize=16)
def _scopes_text(scopes: frozenset[Scope]) -> str:
    return " ".join(sorted(scopes))


Facts = Mapping[str, Any]
"""What something was, or became: the name of a field and its value."""


def record_change(
    user: User | None,
    action: str,
    target: object,
    target_id: object,
    target_label: str = "",
    *,
    before: Facts | None = None,
    after: Facts | None = None,
    owner_id: int | None = None,
    connection_id: int | None = None,
    category: ChangeCategory = ChangeCategory.CHANGE,
    times: int = 1,
    **detail: Any,
) -> None:
    """One change of who may do what; call it inside the transaction that makes the change.

    ``target`` is the kind of thing in a word ("key", "app", "connection", "client"). ``owner_id`` is whose it is, where
    that is not ``user``. Where it came from and how it was proved is known: see ``console.request_origin``.
    """
    origin = request_origin.current()
    if owner_id is None:
        owner_id = int(str(target_id)) if target == "user" else user.pk if user else None
    if connection_id is None and target == "connection":
        connection_id = int(str(target_id))
    Change.objects.create(
        at=timezone.now(),
        category=category,
        user_id=user.pk if user else None,
        user_label=user.email if user else "",
        owner_id=owner_id,
        action=action,
        target=str(target),
        target_id=str(target_id),
        target_label=escape_hidden(target_label)[:255],
        connection_id=connection_id,
        before=_bounded(before or {}),
        after=_bounded(after or {}),
        detail=_bounded(detail),
        times=times,
        proof=origin.proof.value,
        ip=origin.ip[:45],
        user_agent=masked(origin.user_agent[:400], 200),
        request_id=origin.request_id[:40],
        app_id=origin.app_id,
        app_label=origin.app_label[:255],
        credential_id=origin.credential_id[:64],
    )


def record_system_act(action: str, target: str, count: int, **detail: Any) -> None:
    """What a sweep did to many at once; nothing where it did nothing. Of one thing write ``record_change``."""
    if count:
        record_change(None, action, target, "", category=ChangeCategory.SYSTEM, times=count, **detail)


_ACCOUNTS = frozenset({"account", "account_id", "from_account", "to_account", "from_account_id", "to_account_id"})
"""What holds the number of an account at a broker: its end alone is kept."""
_DEEPEST = 4
"""Of the arguments themselves, which are 0: the legs of a batch's orders are objects this far in."""


_LEFT_OUT = "[the rest was left out]"
_MOST_KEPT = 32 * 1024
"""Characters of one value: twenty orders of four legs each, with notes, have fewer."""
_EACH = 8
"""What a value counts besides its characters: what stands between it and the next."""


@dataclass(slots=True)
class _Space:
    """How much more of a value is kept."""

    left: int = _MOST_KEPT

    def take(self, text: str) -> str:
        self.left -= len(text)
        return text


def _bounded(value: Any) -> Any:
    """A JSON value small enough to keep: whatever a caller sends, a row stays under some tens of kilobytes."""
    return _kept(value, 0, _Space())


def _kept(value: Any, depth: int, space: _Space) -> Any:
    space.left -= _EACH
    if type(value) is str:
        return space.take(truncate(mask(value[:400]), 200))
    if type(value) is dict or isinstance(value, Mapping):
        if depth > _DEEPEST:
            return space.take("[nested too deep]")
        kept = dict[str, Any]()
        for key, item in list(value.items())[:30]:
            if space.left <= 0:
                kept["…"] = _LEFT_OUT
                break
            name = space.take(masked(str(key)[:400], 60))
            if key in _ACCOUNTS and not (item is None or isinstance(item, (bool, Mapping, list, tuple))):
                # Some models send the number as one.
                kept[name] = space.take(ids.mask_account(str(item)[:64]))
            else:
                kept[name] = _kept(item, depth + 1, space)
        return kept
    if isinstance(value, (list, tuple)):
        if depth > _DEEPEST:
            return space.take("[nested too deep]")
        parts = list[Any]()
        for item in value[:30]:
            if space.left <= 0:
                parts.append(_LEFT_OUT)
                break
            parts.append(_kept(item, depth + 1, space))
        return parts
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) < 2**53:
        space.take(str(value))
        return value
    return space.take(truncate(mask(str(value)[:400]), 200))
