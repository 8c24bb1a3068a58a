"""What a person decides about a group of errors. Whoever calls these has asked whether they may."""

from datetime import datetime

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from console.accounts.models import User
from console.audit import log as audit_log
from console.recent_errors.models import ErrorGroup


def resolve(group: ErrorGroup, *, by: User) -> bool:
    """It counts no longer, until it comes again. False when it was so already."""
    return _decide(
        group, by, "resolved", resolved_at=timezone.now(), regressed_at=None, muted_until=None, muted_to=None
    )


def reopen(group: ErrorGroup, *, by: User) -> bool:
    """Undo a resolution or a mute."""
    return _decide(group, by, "reopened", resolved_at=None, muted_until=None, muted_to=None)


def mute_until(group: ErrorGroup, at: datetime, *, by: User) -> bool:
    return _decide(group, by, "muted", resolved_at=None, muted_until=at, muted_to=None)


def mute_for_calls(group: ErrorGroup, more: int, *, by: User) -> bool:
    """Until so many more calls fail this way."""
    return _decide(group, by, "muted", resolved_at=None, muted_until=None, muted_to=F("calls") + more)


def _decide(group: ErrorGroup, by: User, action: str, **values: object) -> bool:
    with transaction.atomic():
        found = ErrorGroup.objects.filter(pk=group.pk)
        if action == "resolved":
            found = found.filter(resolved_at=None)
        if not found.update(**values):
            return False
        audit_log.record_change(by, action, "errors", group.pk, str(group), fingerprint=group.fingerprint)
    group.refresh_from_db()
    return True
