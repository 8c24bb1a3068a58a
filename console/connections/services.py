"""What is done with a connection that is linked: pausing, trading on and off, limits, policy, unlinking."""

from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from brokers.types import ConnectionInfo, Environment
from console import limits as bounds
from console.accounts.models import User
from console.audit import log as audit_log
from console.audit.models import ChangeCategory
from console.connections import limit_name_checks
from console.connections.models import (
    LONGEST_APPROVAL_WAIT,
    LONGEST_CONFIRMATION_DELAY,
    SHORTEST_APPROVAL_WAIT,
    Connection,
    Policy,
)
from console.errors import Code, Refusal
from console.limits import LIVE_NEEDS, TITLES, Limits


def close(connection: Connection, *, by: User) -> bool:
    """End it for good and shred its credentials. False when it had ended."""
    return _change(
        connection, by, "unlinked", Q(), closed_at=timezone.now(), trading_enabled=False, sealed="", settings={}
    )


def note_key(connection: Connection, info: ConnectionInfo) -> None:
    """Keep what the broker says of the key now. Where it may withdraw, or no longer trade, trading is switched off."""
    with transaction.atomic():
        mine = Connection.objects.select_for_update().get(pk=connection.pk)
        of_key = key_facts(info)
        for field, value in of_key.items():
            setattr(mine, field, value)
        mine.save(update_fields=list(of_key))
        if mine.trading_enabled and mine.why_read_only:
            Connection.objects.filter(pk=mine.pk).update(trading_enabled=False)
            audit_log.record_change(
                None,
                "trading disabled",
                "connection",
                mine.pk,
                mine.name,
                category=ChangeCategory.SYSTEM,
                owner_id=mine.owner_id,
                before={"trading_enabled": True},
                after={"trading_enabled": False},
                why=mine.why_read_only,
            )


def key_facts(info: ConnectionInfo) -> dict[str, Any]:
    return {
        "key_can_trade": info.can_trade,
        "key_can_withdraw": info.can_withdraw,
        "key_expires": info.key_expires,
        "key_note": info.note[:300],
        "key_checked_at": timezone.now(),
    }


def check_required_limits(environment: Environment, limits: Limits) -> None:
    if environment is Environment.PAPER:
        return
    if missing := [name for name in LIVE_NEEDS if getattr(limits, name) is None]:
        named = " and ".join(TITLES[name].lower() for name in missing)
        raise Refusal(Code.LIMITS_REQUIRED, f"A live connection always needs a limit for: {named}.", field=missing[0])


_UNTOLD = frozenset({"sealed", "settings"})
"""What is nobody's to read: credentials, and where the account lies."""


def _change(connection: Connection, by: User, action: str, condition: Q, **fields: object) -> bool:
    with transaction.atomic():
        mine = Connection.objects.select_for_update().get(pk=connection.pk)
        if not Connection.objects.filter(condition, pk=connection.pk, closed_at=None).update(**fields):
            return False
        told = [name for name in fields if name not in _UNTOLD]
        audit_log.record_change(
            by,
            action,
            "connection",
            connection.pk,
            connection.name,
            before={name: getattr(mine, name) for name in told},
            after={name: fields[name] for name in told},
            owner_id=mine.owner_id,
        )
    connection.refresh_from_db()
    return True


def pause(connection: Connection, *, by: User) -> bool:
    return _change(connection, by, "paused", Q(paused_at=None), paused_at=timezone.now())


def resume(connection: Connection, *, by: User) -> bool:
    return _change(connection, by, "resumed", Q(paused_at__isnull=False), paused_at=None)


def enable_trading(connection: Connection, *, by: User) -> bool:
    """Raises Refusal while the key may withdraw, or may not trade."""
    connection.refresh_from_db(fields=["key_can_trade", "key_can_withdraw"])
    if connection.why_read_only:
        raise Refusal(Code.TRADING_DISABLED, connection.why_read_only)
    return _change(connection, by, "trading enabled", Q(trading_enabled=False), trading_enabled=True)


def disable_trading(connection: Connection, *, by: User) -> bool:
    return _change(connection, by, "trading disabled", Q(trading_enabled=True), trading_enabled=False)


def set_limits(connection: Connection, limits: Limits, *, by: User, may_widen: bool = False) -> bool:
    """False when nothing changed. ``may_widen``: the owner has just proved, for this, who they are.

    Raises Refusal when it would allow anything more without that, when it would leave a live connection without what
    it needs, and for a symbol that names nothing at the broker.
    """
    limit_name_checks.check_names(connection, limits, connection.limited)
    with transaction.atomic():
        mine = Connection.objects.select_for_update().get(pk=connection.pk)
        before = mine.limited
        if limits == before:
            return False
        check_required_limits(Environment(mine.environment), limits)
        if not may_widen and not bounds.is_tighter_or_equal(limits, before):
            raise Refusal(
                Code.RE_AUTHENTICATION_REQUIRED,
                "This allows more than before, so it needs the owner's proof of presence. Nothing was changed.",
            )
        Connection.objects.filter(pk=mine.pk).update(limits=limits.stored())
        audit_log.record_change(
            by,
            "limits changed",
            "connection",
            mine.pk,
            mine.name,
            before=before.as_text(),
            after=limits.as_text(),
            owner_id=mine.owner_id,
        )
    connection.refresh_from_db()
    return True


def set_confirmation_delay(connection: Connection, seconds: int, *, by: User, may_shorten: bool = False) -> bool:
    """How long after it was shown an app may confirm an order by itself, at the earliest. False when it was so already.

    ``may_shorten``: the owner has just proved, for this, who they are. Raises Refusal when it would become shorter
    without that, and for more than LONGEST_CONFIRMATION_DELAY.
    """
    if not 0 <= seconds <= LONGEST_CONFIRMATION_DELAY:
        raise Refusal(
            Code.INVALID_ARGUMENT,
            f"Write whole seconds from 0 to {LONGEST_CONFIRMATION_DELAY}.",
            field="confirmation_delay_seconds",
        )
    with transaction.atomic():
        mine = Connection.objects.select_for_update().get(pk=connection.pk)
        before = mine.least_confirmation_seconds
        if seconds == before:
            return False
        if not may_shorten and seconds < before:
            raise Refusal(
                Code.RE_AUTHENTICATION_REQUIRED,
                "This lets orders be confirmed sooner after they were shown, so it takes the owner's proof of "
                "presence. Nothing was changed.",
            )
        Connection.objects.filter(pk=mine.pk).update(confirmation_delay=seconds)
        audit_log.record_change(
            by,
            "confirmation delay changed",
            "connection",
            mine.pk,
            mine.name,
            before={"seconds": before},
            after={"seconds": seconds},
        )
    connection.refresh_from_db()
    return True


def set_approval_wait(connection: Connection, seconds: int, *, by: User, may_lengthen: bool = False) -> bool:
    """How long what waits for its owner waits, from the next one on. False when it was so already.

    ``may_lengthen``: the owner has just proved, for this, who they are. Raises Refusal when it would become longer
    without that, and outside SHORTEST_APPROVAL_WAIT to LONGEST_APPROVAL_WAIT.
    """
    if not SHORTEST_APPROVAL_WAIT <= seconds <= LONGEST_APPROVAL_WAIT:
        raise Refusal(Code.INVALID_ARGUMENT, "Choose a time from 2 minutes to 24 hours.", field="approval_seconds")
    with transaction.atomic():
        mine = Connection.objects.select_for_update().get(pk=connection.pk)
        before = mine.approval_seconds
        if seconds == before:
            return False
        if not may_lengthen and seconds > before:
            raise Refusal(
                Code.RE_AUTHENTICATION_REQUIRED,
                "This lets an order be approved longer after it was prepared, so it needs the owner's proof of "
                "presence. Nothing was changed.",
            )
        Connection.objects.filter(pk=mine.pk).update(approval_wait=seconds)
        audit_log.record_change(
            by,
            "time to approve changed",
            "connection",
            mine.pk,
            mine.name,
            before={"seconds": before},
            after={"seconds": seconds},
        )
    connection.refresh_from_db()
    return True


_LOOSENESS = list(Policy)


def set_policy(connection: Connection, policy: Policy, *, by: User, may_loosen: bool = False) -> bool:
    """False when it was so already. ``may_loosen``: the owner has just proved, for this, who they are.

    No token leads here. Raises Refusal when it would let orders go with less of the owner's own approval, without that.
    """
    with transaction.atomic():
        mine = Connection.objects.select_for_update().get(pk=connection.pk)
        before = Policy(mine.policy)
        if policy is before:
            return False
        if not may_loosen and _LOOSENESS.index(policy) < _LOOSENESS.index(before):
            raise Refusal(
                Code.RE_AUTHENTICATION_REQUIRED,
                "This lets orders go out without the owner's approval, so it needs the owner's proof of presence. "
                "Nothing was changed.",
            )
        Connection.objects.filter(pk=mine.pk).update(policy=policy, policy_set_at=timezone.now())
        audit_log.record_change(
            by,
            "policy changed",
            "connection",
            mine.pk,
            mine.name,
            before={"policy": before.value},
            after={"policy": policy.value},
        )
    connection.refresh_from_db()
    return True
