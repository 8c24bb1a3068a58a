"""How long what is kept: whole sealed ranges go, and a marker in the chain says that they did."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from console.audit import log as audit_log
from console.audit.models import ChangeCategory, Record, Seal, SealKind
from console.audit.seals import canonical, sealing

_AT_ONCE = 100
"""Seals whose rows go in one transaction."""


def kept_days(record: str) -> int:
    """0: for ever."""
    return int(settings.KEEP_DAYS[record])


def drop_old(now: datetime | None = None) -> int:
    """Delete the rows of seals that are older than the settings say. Returns how many rows went."""
    now, gone = now or timezone.now(), 0
    for record in Record:
        if days := kept_days(record):
            gone += _drop(record, now - timedelta(days=days), days)
    return gone


@transaction.atomic
def _drop(record: Record, before: datetime, days: int) -> int:
    mine = Seal.objects.filter(record=record).order_by("last_id")
    marker = mine.filter(kind=SealKind.DROPPED).last()
    first = 1 if marker is None else marker.last_id + 1
    last, through, seals = 0, None, 0
    following = mine.filter(kind=SealKind.ROWS, first_id__gte=first).defer("leaves")
    for seal in following[:_AT_ONCE]:
        if seal.through >= before:
            break
        last, through, seals = seal.last_id, seal.through, seals + 1
    if through is None:
        return 0
    rows = canonical.TABLES[record].objects.filter(pk__gte=first, pk__lte=last)
    count = rows.count()
    # The marker first: it is what lets the rows go.
    sealing.append_marker(
        record, first_id=first, last_id=last, rows=count, through=through, kept_days=days, seals=seals
    )
    rows.delete()
    audit_log.record_change(
        None,
        "old rows deleted",
        "record",
        record.value,
        record.label,
        category=ChangeCategory.SYSTEM,
        times=count,
        before={"rows": count, "first": first, "last": last},
        after={"rows": 0},
        kept_days=days,
    )
    return count
