"""How long what is kept: whole sealed ranges go, and a marker in the chain says that they did.

Where calls are kept by month, whole months go, once all of a month is old enough and sealed: its partition is dropped,
which costs the same for a thousand calls and for millions. Elsewhere rows are deleted, a few seals at a time.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, OperationalError, transaction
from django.db.models import Count, Max
from django.utils import timezone

from console.audit import log as audit_log
from console.audit import months
from console.audit.models import Call, ChangeCategory, Record, Seal, SealKind
from console.audit.seals import canonical, sealing

log = logging.getLogger(__name__)

_AT_ONCE = 20
"""Seals whose rows are deleted in one transaction, which on SQLite keeps other writers waiting."""
_ROUNDS = 50


def kept_days(record: str) -> int:
    """0: for ever."""
    return int(settings.KEEP_DAYS[record])


def drop_old(now: datetime | None = None) -> int:
    """Delete the rows of seals that are older than the settings say. Returns how many rows went."""
    now, gone = now or timezone.now(), 0
    for record in Record:
        days = kept_days(record)
        for _ in range(_ROUNDS if days else 0):
            try:
                went = _drop(record, now, days)
            except OperationalError as error:  # somebody reads what is to go, or writes
                log.warning("Old rows of the record of %s stay for now: %s", record, str(error).strip())
                break
            if not went:
                break
            gone += went
    return gone


@dataclass(frozen=True, slots=True, kw_only=True)
class _Range:
    """What goes at once: the rows of whole seals."""

    first: int
    last: int
    through: datetime
    seals: int
    months_until: datetime | None = None
    """Partitions that end by then go as a whole."""


@transaction.atomic
def _drop(record: Record, now: datetime, days: int) -> int:
    due = _due(record, now - timedelta(days=days), now)
    if due is None:
        return 0
    rows = canonical.TABLES[record].objects.filter(pk__gte=due.first, pk__lte=due.last)
    count = rows.count()
    # The marker first: it is what lets the rows go.
    try:
        sealing.append_marker(
            record,
            first_id=due.first,
            last_id=due.last,
            rows=count,
            through=due.through,
            kept_days=days,
            seals=due.seals,
        )
    except IntegrityError:  # another process made a seal of this number: the next run is soon enough
        log.info("Another process is sealing; old rows of the record of %s stay until the next run", record)
        return 0
    if due.months_until is not None:
        months.drop_until(due.months_until)
    rows.delete()
    audit_log.record_change(
        None,
        "old rows deleted",
        "record",
        record.value,
        record.label,
        category=ChangeCategory.SYSTEM,
        times=count,
        before={"rows": count, "first": due.first, "last": due.last},
        after={"rows": 0},
        kept_days=days,
    )
    return count


def _due(record: Record, before: datetime, now: datetime) -> _Range | None:
    mine = Seal.objects.filter(record=record).order_by("last_id")
    marker = mine.filter(kind=SealKind.DROPPED).last()
    first = 1 if marker is None else marker.last_id + 1
    following = mine.filter(kind=SealKind.ROWS, first_id__gte=first).defer("leaves")
    month = months.month_of(before)
    if record == Record.CALLS and months.goes_by_month(month):
        top = Call.objects.filter(pk__gte=first, at__lt=month).aggregate(top=Max("pk"))["top"]
        young = following.filter(through__gte=before, through__lte=now).first()
        # A clock that was wrong for a while wrote, after young rows, some that look old: then no month goes as a whole.
        if top is None or young is None or top <= young.last_id:
            last = None if top is None else following.filter(last_id__gte=top).first()
            if last is None or last.through >= before:
                return None
            seals = following.filter(last_id__lte=last.last_id).aggregate(seals=Count("pk"))["seals"]
            return _Range(first=first, last=last.last_id, through=last.through, seals=seals, months_until=month)
    found = None
    for number, seal in enumerate(following[:_AT_ONCE], start=1):
        if seal.through >= before:
            break
        found = _Range(first=first, last=seal.last_id, through=seal.through, seals=number)
    return found
