"""What the owner of a key should notice about it."""

from datetime import datetime, timedelta

from console.keys.models import ApiKey, ManagementKey

_UNUSED = timedelta(days=30)
_SOON = timedelta(days=14)


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
    if isinstance(key, ApiKey) and key.app_id is not None and _is_wide(key):
        found.append("Wide")
    return found


def _is_wide(key: ApiKey) -> bool:
    """Whoever finds it can prepare orders with real money from anywhere."""
    return key.app.can_trade and key.app.connection.is_live and not key.networks
