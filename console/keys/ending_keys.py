"""Telling people of API keys and management keys that end within a week, and again when a day is left."""

from datetime import timedelta

from django.utils import timezone

from console.accounts.models import User
from console.keys.models import ApiKey, ManagementKey
from console.notifications import news, wording
from console.notifications.models import NewsKind
from console.notifications.news import Told

STAGES = (timedelta(days=1), timedelta(days=7))


def tell_of_ends() -> int:
    """Returns how many people were told of how many keys, one by one."""
    now = timezone.now()
    told = 0
    soon = {"revoked_at": None, "expires_at__gt": now, "expires_at__lte": now + STAGES[-1]}
    keys = ApiKey.objects.filter(**soon, app__revoked_at=None, replaced_by=None, app__owner__is_active=True)
    for key in keys.select_related("app__owner", "app__connection"):
        where = f"It is the key of {wording.name(key.app.name)} on {wording.name(key.app.connection.name)}."
        told += _tell(key.app.owner, key, wording.name(key.app.name), where)
    for manager in ManagementKey.objects.filter(**soon, owner__is_active=True).select_related("owner"):
        told += _tell(manager.owner, manager, wording.name(manager.name), "It is a management key.")
    return told


def _tell(owner: User, key: ApiKey | ManagementKey, name: str, where: str) -> bool:
    assert key.expires_at is not None
    left = key.expires_at - timezone.now()
    stage = next(stage for stage in STAGES if left <= stage)
    made = Told(
        kind=NewsKind.KEY,
        source=f"key:{key.public_id}:{stage.days}:{key.expires_at:%Y%m%d}",
        title=f"A key ends within {'a day' if stage.days == 1 else f'{stage.days} days'}: {name}",
        text=f"{where} It ends on {key.expires_at:%Y-%m-%d %H:%M} UTC; nothing can use it after that.\n"
        "Replace it, or let it end.",
        path="/keys/",
        good_for=max(left, timedelta(minutes=1)),
    )
    return news.tell(owner, made)
