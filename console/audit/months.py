"""Calls by month: on PostgreSQL each month is a partition of the table, so that one that is too old goes at once.

On SQLite there is one table, and nothing here does anything. Rows from before the table was divided are a partition of
their own, as they were. Rows of a month that has no partition, which a clock that is wrong can make, go to the one that
takes the rest: nothing is refused for want of a partition.
"""

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import OperationalError, connection, transaction
from django.utils import timezone

log = logging.getLogger(__name__)

TABLE = "audit_call"
EARLIER, REST = f"{TABLE}_earlier", f"{TABLE}_rest"
AHEAD = 3
"""Months that are made before they begin."""
_LOCK = 7_214_003
_LOCK_SECONDS = 5
_END = re.compile(r"TO \('([^']+)'\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    name: str
    until: datetime | None
    """The end, which is the beginning of the next; None: of ``REST``."""


def month_of(at: datetime) -> datetime:
    """When the month began, in UTC."""
    return at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def next_month(month: datetime) -> datetime:
    return month_of(month + timedelta(days=31))


def partitions() -> list[Partition]:
    """None where the table is not divided."""
    if connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, pg_get_expr(relpartbound, pg_class.oid) FROM pg_class JOIN pg_inherits ON oid = inhrelid "
            "WHERE inhparent = to_regclass(%s) ORDER BY relname",
            [TABLE],
        )
        found = cursor.fetchall()
    return [Partition(name=name, until=_end(bounds)) for name, bounds in found]


def _end(bounds: str) -> datetime | None:
    found = _END.search(bounds)
    return datetime.fromisoformat(found[1]).astimezone(UTC) if found else None


def make_ahead(now: datetime | None = None) -> int:
    """Make the partitions of this month and of the next ones. Returns how many were made."""
    month, wanted = month_of(now or timezone.now()), []
    for _ in range(AHEAD + 1):
        wanted.append(month)
        month = next_month(month)
    return make_for(wanted)


def make_for(times: Iterable[datetime]) -> int:
    """Make the partitions of these moments that are missing, but for those whose rows ``REST`` has already."""
    there = partitions()
    names = {each.name for each in there}
    earlier = next((each.until for each in there if each.name == EARLIER and each.until), None)
    months = sorted({month_of(each) for each in times})
    wanted = [each for each in months if _name(each) not in names and not (earlier and each < earlier)]
    made = 0
    for month in wanted if there else ():
        try:
            made += _make(month)
        except OperationalError as error:
            log.warning("The partition of %s cannot be made now: %s", _name(month), str(error).strip())
    return made


def _name(month: datetime) -> str:
    return f"{TABLE}_{month:%Y_%m}"


@transaction.atomic
def _make(month: datetime) -> int:
    name, until = _name(month), next_month(month)
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'")
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        cursor.execute("SELECT to_regclass(%s)", [name])
        if cursor.fetchone()[0] is not None:  # another process was first
            return 0
        bounds = (month.isoformat(), until.isoformat())
        cursor.execute(f"SELECT EXISTS (SELECT 1 FROM {REST} WHERE at >= %s AND at < %s)", bounds)  # noqa: S608  our own
        if cursor.fetchone()[0]:
            return 0
        _create(cursor, name, f"FOR VALUES FROM ('{bounds[0]}') TO ('{bounds[1]}')")
    return 1


def _create(cursor: Any, name: str, bounds: str) -> None:
    """Made first and attached then, so that whoever writes calls does not wait."""
    cursor.execute(f"CREATE TABLE {name} (LIKE {TABLE})")
    cursor.execute(f"CREATE UNIQUE INDEX {name}_request_id ON {name} (request_id)")
    cursor.execute("SELECT to_regproc('audit_refuse')")
    if cursor.fetchone()[0] is not None:  # else after the migration, with all the others
        cursor.execute(no_truncate(name))
    cursor.execute(f"ALTER TABLE {TABLE} ATTACH PARTITION {name} {bounds}")


def no_truncate(partition: str) -> str:
    """Rows of a partition are guarded by the triggers of the table; what concerns it as a whole is its own."""
    return (
        f"CREATE OR REPLACE TRIGGER {TABLE}_no_truncate BEFORE TRUNCATE ON {partition} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse('{TABLE}', 'calls')"
    )


def goes_by_month(until: datetime) -> bool:
    """Whether all that is older is in partitions that end by then.

    Else rows from before the table was divided stand beside younger ones, and go row by row.
    """
    there = partitions()
    return bool(there) and not any(each.name == EARLIER and each.until and each.until > until for each in there)


def drop_until(until: datetime) -> list[str]:
    """Drop each partition whose months all end by then. Returns their names. Raises django.db.OperationalError.

    Call it in the transaction that says so in the chain of seals.
    """
    names = [each.name for each in partitions() if each.until is not None and each.until <= until]
    with connection.cursor() as cursor:
        # It keeps out whoever writes calls: not for long, and never behind somebody who reads for an hour.
        cursor.execute(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'")
        for name in names:
            cursor.execute(f"DROP TABLE {name}")
    return names


def rows_in_no_month() -> int:
    """How many rows are in ``REST``, at most 1,000."""
    if connection.vendor != "postgresql" or not any(each.name == REST for each in partitions()):
        return 0
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM (SELECT 1 FROM {REST} LIMIT 1000) AS found")  # noqa: S608  our own
        return int(cursor.fetchone()[0])


# -- dividing the table --------------------------------------------------------------------------------------


def divide(now: datetime | None = None) -> None:
    """Make the table one of partitions; what it has becomes the first of them, without being copied.

    What takes long (a unique index of id and time, and a check of the bounds) is done while others read and write. Then
    the table is locked for as long as it takes to rename it. A second run goes on where the first one died.
    """
    if connection.vendor != "postgresql" or partitions():
        return
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT MAX(at) FROM {TABLE}")  # noqa: S608  our own
        (newest,) = cursor.fetchone()
        now = now or timezone.now()
        # Calls go on, and no row may come behind the end until the table has its new form.
        until = next_month(month_of(max(newest or now, now) + timedelta(days=1)))
        if newest is not None:
            cursor.execute(f"ALTER TABLE {TABLE} DROP CONSTRAINT IF EXISTS {EARLIER}_at")
            cursor.execute(f"DROP INDEX IF EXISTS {EARLIER}_pkey")
            cursor.execute(
                f"ALTER TABLE {TABLE} ADD CONSTRAINT {EARLIER}_at CHECK (at < '{until.isoformat()}') NOT VALID"
            )
            cursor.execute(f"ALTER TABLE {TABLE} VALIDATE CONSTRAINT {EARLIER}_at")
            cursor.execute(f"CREATE UNIQUE INDEX CONCURRENTLY {EARLIER}_pkey ON {TABLE} (id, at)")
        with transaction.atomic():
            cursor.execute(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'")
            cursor.execute(f"LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE")
            _swap(cursor, until if newest is not None else None)
    make_ahead(now)


def _swap(cursor: Any, until: datetime | None) -> None:
    """``until``: the end of what is there; None: nothing is."""
    indexes = _indexes(cursor)
    cursor.execute("SELECT pg_get_serial_sequence(%s, 'id')", [TABLE])
    (sequence,) = cursor.fetchone()
    cursor.execute(f"SELECT last_value, is_called FROM {sequence}")  # noqa: S608  the database's own name
    last = cursor.fetchone()
    cursor.execute(f"ALTER TABLE {TABLE} ALTER COLUMN id DROP IDENTITY")
    for act in ("update", "delete", "truncate"):
        cursor.execute(f"DROP TRIGGER IF EXISTS {TABLE}_no_{act} ON {TABLE}")
    cursor.execute(f"ALTER TABLE {TABLE} RENAME TO {EARLIER}")
    cursor.execute(f"ALTER TABLE {EARLIER} DROP CONSTRAINT {TABLE}_pkey")
    for place, (name, definition) in enumerate(indexes):
        if definition is None:
            cursor.execute(f"DROP INDEX {name}")
        else:
            cursor.execute(f"ALTER INDEX {name} RENAME TO {EARLIER}_{place}")
    cursor.execute(f"CREATE TABLE {TABLE} (LIKE {EARLIER}) PARTITION BY RANGE (at)")
    # Not an identity: before PostgreSQL 17 a table of partitions has none.
    cursor.execute(f"CREATE SEQUENCE {TABLE}_id_seq OWNED BY {TABLE}.id")
    cursor.execute("SELECT setval(%s, %s, %s)", [f"{TABLE}_id_seq", *last])
    cursor.execute(f"ALTER TABLE {TABLE} ALTER COLUMN id SET DEFAULT nextval('{TABLE}_id_seq')")
    cursor.execute(f"ALTER TABLE {TABLE} ADD CONSTRAINT {TABLE}_pkey PRIMARY KEY (id, at)")
    for _, definition in indexes:
        if definition is not None:
            cursor.execute(definition)
    if until is None:
        cursor.execute(f"DROP TABLE {EARLIER}")
    else:
        cursor.execute(f"ALTER TABLE {EARLIER} ADD CONSTRAINT {EARLIER}_pkey PRIMARY KEY USING INDEX {EARLIER}_pkey")
        cursor.execute(
            f"ALTER TABLE {TABLE} ATTACH PARTITION {EARLIER} FOR VALUES FROM (MINVALUE) TO ('{until.isoformat()}')"
        )
        cursor.execute(f"ALTER TABLE {EARLIER} DROP CONSTRAINT {EARLIER}_at")
    _create(cursor, REST, "DEFAULT")


def _indexes(cursor: Any) -> list[tuple[str, str | None]]:
    """Those of no constraint: name and definition; None for the copy that Django makes for LIKE, which nothing uses."""
    cursor.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema() AND tablename = %s "
        "AND indexname NOT IN (SELECT conname FROM pg_constraint WHERE conrelid = to_regclass(%s)) "
        "AND indexname <> %s ORDER BY indexname",
        [TABLE, TABLE, f"{EARLIER}_pkey"],
    )
    return [(name, None if name.endswith("_like") else definition) for name, definition in cursor.fetchall()]
