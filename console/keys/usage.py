"""When each key was last used, and what its owner should notice about it."""

from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from console.keys.models import ApiKey, ManagementKey

# As for apps: a person needs the minute, and a busy key must not cost a write per call.
_EVERY = timedelta(seconds=60)
_UNUSED = timedelta(days=30)
_SOON = timedelta(days=14)


def is_recent(at: datetime | None, where: str, ip: str) -> bool:
    """Whether ``record`` would have nothing to write for a use now, from ``ip``."""
    return at is not None and at >= timezone.now() - _EVERY and where == ip[:45]


def record(model: type[ApiKey] | type[ManagementKey], public_id: str, *, ip: str) -> None:
    now = timezone.now()
    model.objects.filter(
        Q(last_used_at=None) | Q(last_used_at__lt=now - _EVERY) | ~Q(last_used_ip=ip[:45]), public_id=public_id
    ).update(last_used_at=now, last_used_ip=ip[:45])


def badges(key: ApiKey | ManagementKey, now: datetime) -> list[str]:
    """In a word each: what may be forgotten, and what is about to stop."""
    found = []
    if key.last_used_at is None:
        found.append("Never used")
    elif key.last_used_at < now - _UNUSED:
        found.append("Unused for 30 days")
    if isinstance(key, ApiKey) and key.replaced_by_id is not None:
        found.append("Replaced")
    elif key.expires_at is not None and key.expires_at < now + _SOON:
        found.append("Ends soon")
    return found
