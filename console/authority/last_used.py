"""Last used: of the app, and of the very key."""

from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from console.audit import masking
from console.connected_apps.models import ConnectedApp
from console.keys import minting
from console.keys.models import ApiKey, ManagementKey
from console.principal import Manager, Principal
from console.scopes import Source


def record(who: Principal | Manager) -> None:
    """Call it once per call that was let in; it writes at most once a minute."""
    if isinstance(who, Manager):
        _record_key(ManagementKey, who.credential_id, ip=who.ip)
        return
    if who.is_use_on_record:
        return
    _record_app(who.app_id, ip=who.ip, user_agent=who.user_agent)
    if who.source is Source.API_KEY:
        _record_key(ApiKey, who.credential_id, ip=who.ip)


# "Last used" is for a person's eye: a write a minute is enough, and a busy app costs no write per call.
_APP_EVERY = timedelta(seconds=60)


def _record_app(app_id: int, *, ip: str, user_agent: str) -> None:
    now = timezone.now()
    ConnectedApp.objects.filter(
        Q(last_used_at=None) | Q(last_used_at__lt=now - _APP_EVERY) | ~Q(last_used_ip=ip[:45]), pk=app_id
    ).update(last_used_at=now, last_used_ip=ip[:45], last_used_agent=masking.mask(user_agent)[:200])


# As for apps: a person needs the minute, and a busy key must not cost a write per call.
_KEY_EVERY = timedelta(seconds=60)


def is_recent(at: datetime | None, where: str, ip: str) -> bool:
    """Whether ``_record_key`` would have nothing to write for a use now, from ``ip``."""
    return at is not None and at >= timezone.now() - _KEY_EVERY and where == ip[:45]


def _record_key(model: type[ApiKey] | type[ManagementKey], public_id: str, *, ip: str) -> None:
    now = timezone.now()
    if model is ApiKey and ApiKey.objects.filter(public_id=public_id, last_used_at=None).exists():
        minting.start_grace(public_id)
    model.objects.filter(
        Q(last_used_at=None) | Q(last_used_at__lt=now - _KEY_EVERY) | ~Q(last_used_ip=ip[:45]), public_id=public_id
    ).update(last_used_at=now, last_used_ip=ip[:45])
