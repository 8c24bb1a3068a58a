"""Last used: of the app, and of the very key."""

import threading
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from console.audit import masking
from console.connected_apps.models import ConnectedApp
from console.keys import minting
from console.keys.models import ApiKey, ManagementKey
from console.principal import Manager, Principal
from console.scopes import Source


class _UsesHere(threading.local):
    gathered: dict[tuple[int, str], Principal] | None = None


_here = _UsesHere()


def record(who: Principal | Manager) -> None:
    """Call it once per call that was let in; it writes at most once a minute, and not yet after ``gather``."""
    if isinstance(who, Manager):
        _record_management_key(who.credential_id, ip=who.ip)
    elif who.is_use_on_record:
        return
    elif _here.gathered is not None:
        _here.gathered[who.app_id, who.credential_id] = who
    else:
        _write([who])


def gather() -> None:
    """From here on this thread keeps the uses that ``record`` is told of until ``write_gathered``."""
    _here.gathered = {}


def write_gathered() -> None:
    """Those of calls that this thread answers together, in one transaction. Raises django.db.DatabaseError."""
    if _here.gathered:
        uses, _here.gathered = list(_here.gathered.values()), {}
        _write(uses)


# "Last used" is for a person's eye: a write a minute is enough, and a busy app costs no write per call.
_APP_EVERY = timedelta(seconds=60)


def _write(uses: Sequence[Principal]) -> None:
    """Those from one address with one program are one statement for the apps and one for the keys."""
    of_keys = [who.credential_id for who in uses if who.source is Source.API_KEY]
    if of_keys:
        fresh = ApiKey.objects.filter(public_id__in=of_keys, last_used_at=None).values_list("public_id", flat=True)
        for public_id in sorted(fresh):
            minting.start_grace(public_id)
    now = timezone.now()
    with transaction.atomic():
        for (ip, agent), some in groupby(sorted(uses, key=_whence), _whence):
            these = list(some)
            _due(ConnectedApp, now - _APP_EVERY, ip).filter(pk__in=sorted({who.app_id for who in these})).update(
                last_used_at=now, last_used_ip=ip[:45], last_used_agent=masking.mask(agent)[:200]
            )
            keys = sorted({who.credential_id for who in these if who.source is Source.API_KEY})
            if keys:
                _due(ApiKey, now - _KEY_EVERY, ip).filter(public_id__in=keys).update(
                    last_used_at=now, last_used_ip=ip[:45]
                )


def _whence(who: Principal) -> tuple[str, str]:
    return who.ip, who.user_agent


# As for apps: a person needs the minute, and a busy key must not cost a write per call.
_KEY_EVERY = timedelta(seconds=60)


def are_recent(uses: Iterable[tuple[datetime | None, str]], ip: str) -> bool:
    """Whether ``record`` would have nothing to write for a use now, from ``ip``: ``uses`` are those on record, each
    with where it came from."""
    since, here = timezone.now() - _KEY_EVERY, ip[:45]
    return not [1 for at, where in uses if at is None or at < since or where != here]


def _record_management_key(public_id: str, *, ip: str) -> None:
    now = timezone.now()
    _due(ManagementKey, now - _KEY_EVERY, ip).filter(public_id=public_id).update(last_used_at=now, last_used_ip=ip[:45])


def _due(
    model: type[ConnectedApp] | type[ApiKey] | type[ManagementKey], before: datetime, ip: str
) -> QuerySet[Any, Any]:
    return model._default_manager.filter(Q(last_used_at=None) | Q(last_used_at__lt=before) | ~Q(last_used_ip=ip[:45]))
