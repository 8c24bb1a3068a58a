"""Sealing what was written: a sweep does it, seconds later, and no call waits for it."""

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from django.conf import settings
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from console.audit.models import Call, Change, Record, Seal, SealKind
from console.audit.seals import canonical, copies, signing

log = logging.getLogger(__name__)

SIZE = 1000
"""Rows in one seal, at most."""
LATEST = timedelta(seconds=60)
"""After this time a row is sealed, however few there are."""
_AT_ONCE = 100
"""Seals of one sweep."""
_LOCK_MILLISECONDS = 200


def has_work() -> bool:
    """Whether any row waits for its seal, or a file for copies: one short look, for the scheduler."""
    if settings.AUDIT_COPY_FILE:  # what became of the file is not in the database
        return True
    return any(canonical.TABLES[record].objects.filter(pk__gt=last_sealed(record)).exists() for record in Record)


def seal_due(now: datetime | None = None) -> int:
    """Seal what is due. Returns how many seals that made."""
    now = now or timezone.now()
    made = 0
    for record in Record:
        try:
            while made < _AT_ONCE and _seal_next(record, now) is not None:
                made += 1
        except IntegrityError:  # another worker made the same one
            log.info("Another process is sealing the record of %s", record)
    copies.append_missing()
    return made


def last_sealed(record: str) -> int:
    """The id up to which the record is sealed; 0 where nothing is."""
    found = Seal.objects.filter(record=record, kind=SealKind.ROWS).order_by("-last_id").values_list("last_id").first()
    return found[0] if found else 0


def _seal_next(record: Record, now: datetime) -> Seal | None:
    table, after = canonical.TABLES[record], last_sealed(record)
    if not table.objects.filter(pk__gt=after).exists():
        return None
    through = _settled(table)
    fields = canonical.FIELDS[canonical.FORM][record]
    waiting = table.objects.filter(pk__gt=after, pk__lte=through).order_by("pk").values_list("pk", *fields)
    rows = list(waiting[:SIZE])
    if not rows or (len(rows) < SIZE and rows[0][1 + fields.index("at")] > now - LATEST):
        return None
    return _append(
        SealKind.ROWS,
        record,
        first_id=after + 1,
        last_id=rows[-1][0],
        leaves=[canonical.leaf(record, canonical.FORM, row[1:]) for row in rows],
        gaps=list(_gaps(after, [row[0] for row in rows])),
        through=max(row[1 + fields.index("at")] for row in rows),
        now=now,
    )


def append_marker(record: Record, *, first_id: int, last_id: int, rows: int, through: datetime, **detail: Any) -> Seal:
    """Say in the chain that the rows of whole seals are deleted; call it in the transaction that deletes them."""
    return _append(
        SealKind.DROPPED, record, first_id=first_id, last_id=last_id, rows=rows, through=through, detail=detail
    )


@transaction.atomic
def _append(
    kind: SealKind,
    record: Record,
    *,
    first_id: int,
    last_id: int,
    through: datetime,
    leaves: Sequence[bytes] = (),
    rows: int | None = None,
    gaps: Sequence[list[int]] = (),
    detail: dict[str, Any] | None = None,
    now: datetime | None = None,
) -> Seal:
    key = signing.private_key()
    newest = Seal.objects.order_by("-number").values_list("number", "digest").first()
    seal = Seal(
        number=newest[0] + 1 if newest else 1,
        kind=kind,
        record=record,
        form=canonical.FORM,
        first_id=first_id,
        last_id=last_id,
        rows=len(leaves) if rows is None else rows,
        gaps=list(gaps),
        leaves=b"".join(leaves),
        root=canonical.root(leaves),
        detail=detail or {},
        through=through,
        sealed_at=now or timezone.now(),
        previous=newest[1] if newest else "",
        public_key=signing.text_of(key.public_key()),
    )
    content = canonical.body(seal)
    seal.digest, seal.signature = canonical.digest(content), signing.sign(content, key)
    seal.save(force_insert=True)
    return seal


def _gaps(after: int, ids: Sequence[int]) -> Iterator[list[int]]:
    for one, following in pairwise([after, *ids]):
        if following > one + 1:
            yield [one + 1, following - 1]


def _settled(table: type[Call] | type[Change]) -> int:
    """The id up to which no row can come any more.

    SQLite gives ids and commits in one order. PostgreSQL gives an id to a transaction that may commit after a later
    one: for a moment the lock lets none be between the two.
    """
    newest = table.objects.order_by("-pk").values_list("pk")
    if connection.vendor != "postgresql":
        return int((newest.first() or (0,))[0])
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = {_LOCK_MILLISECONDS}")
            # ONLY: whoever writes locks the table itself, whatever its partitions.
            cursor.execute(f"LOCK TABLE ONLY {connection.ops.quote_name(table._meta.db_table)} IN SHARE MODE")
            return int((newest.first() or (0,))[0])
    except DatabaseError as error:
        log.warning("Nothing is sealed now, a transaction writes to %s: %s", table._meta.db_table, error)
        return 0
