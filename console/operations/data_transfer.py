"""Every row of an instance into one file, and from it into an empty database of either kind.

The file is one JSON value a line: what it is, then for each table its columns, its rows as arrays, and how many they
were with their digest; at last the number of tables. Nothing is held in memory but a few hundred rows.
"""

import base64
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import IO, Any
from uuid import UUID

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import Error, connection, models, transaction
from django.db.migrations.recorder import MigrationRecorder
from django.utils.duration import duration_string

from console.accounts.models import User
from console.audit import months
from console.audit.models import Call, Change, Seal
from console.config import table_statistics
from console.onboarding import migrate
from console.operations.backup_error import BackupError
from console.operations.models import Lease, WorkerSeen

_FORMAT = 1
_AT_ONCE = 200
_LEFT_OUT = (Lease, WorkerSeen)
"""What says something of processes, which are others afterwards."""
_PEOPLES = (User, Call, Change, Seal)
"""A database that has none of them has only what its migrations put there."""
_MODULUS = 1 << 256


@dataclass(frozen=True, slots=True)
class Transferred:
    tables: int
    rows: int


class _Digest:
    """Of rows in any order: databases sort text in their own ways."""

    def __init__(self) -> None:
        self.rows, self._sum = 0, 0

    def add(self, row: list[Any]) -> None:
        line = json.dumps([_whole(each) for each in row], sort_keys=True).encode()
        self._sum = (self._sum + int.from_bytes(hashlib.sha256(line).digest(), "big")) % _MODULUS
        self.rows += 1

    def told(self) -> dict[str, Any]:
        return {"rows": self.rows, "digest": f"{self._sum:064x}"}


def export(file: Path) -> Transferred:
    """Write every row into a new file. The instance must not run. Raises BackupError; then there is no file."""
    migrate.refuse_newer()
    try:
        with migrate.instance_lock(settings.HOME), _new_private(file) as out:
            try:
                return _export(out)
            except BaseException:
                file.unlink()
                raise
    except FileExistsError as error:
        raise BackupError(f"{file} is there already: name a new file.") from error
    except BlockingIOError as error:
        raise BackupError(f"Tradelatch is running with {settings.HOME}: stop it first.") from error
    except OSError as error:
        raise BackupError(f"{file} cannot be written: {error.strerror}.") from error
    except Error as error:
        raise BackupError(f"The database does not answer: {str(error).strip()}") from error


def load(file: Path) -> Transferred:
    """Read such a file into a database that nobody has used, all of it or nothing. Raises BackupError."""
    migrate.migrate()
    used = [each._meta.verbose_name_plural for each in _PEOPLES if each._base_manager.exists()]
    if used:
        raise BackupError(f"The database is in use: it has {used[0]}. Name an empty one in TRADELATCH_DATABASE_URL.")
    try:
        with migrate.instance_lock(settings.HOME), file.open(encoding="utf-8") as lines, transaction.atomic():
            loaded = _load(_values(lines, file))
            table_statistics.refresh()
            return loaded
    except BlockingIOError as error:
        raise BackupError(f"Tradelatch is running with {settings.HOME}: stop it first.") from error
    except OSError as error:
        raise BackupError(f"{file} cannot be read: {error.strerror}.") from error
    except (TypeError, ValueError, ArithmeticError, LookupError, ValidationError) as error:
        raise BackupError(f"{file} is damaged: {error}.") from error
    except Error as error:
        raise BackupError(f"The database did not take the data: {str(error).strip()}") from error


def _new_private(file: Path) -> IO[str]:
    """Sessions, password hashes and sealed credentials are rows too: nobody else may read them. Raises OSError."""
    return os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8")


def _export(out: IO[str]) -> Transferred:
    rows = 0
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        head = {
            "format": _FORMAT,
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "version": settings.VERSION,
            "migrations": _applied(),
        }
        out.write(json.dumps(head) + "\n")
        tables = _models()
        for model in tables:
            label, digest = model._meta.label_lower, _Digest()
            out.write(json.dumps({"table": label, "columns": [each.attname for each in _fields(model)]}) + "\n")
            for row in _rows(model):
                out.write(json.dumps(row) + "\n")
                digest.add(row)
            out.write(json.dumps({"end": label, "sequence": _sequence(model), **digest.told()}) + "\n")
            rows += digest.rows
        out.write(json.dumps({"tables": len(tables)}) + "\n")
    return Transferred(len(tables), rows)


def _load(values: Iterator[Any]) -> Transferred:
    head = next(values)
    if head["format"] != _FORMAT or sorted(head["migrations"]) != sorted(_applied()):
        raise BackupError(
            f"The file is of version {head['version']} and another state of the tables than this version's "
            f"({settings.VERSION}): export and import with the same version, after manage.py migrate."
        )
    known = {each._meta.label_lower: each for each in _models()}
    with connection.cursor() as cursor:
        for model in reversed(known.values()):
            if model._base_manager.exists():
                cursor.execute(f"DELETE FROM {connection.ops.quote_name(model._meta.db_table)}")  # noqa: S608  our own
    told: dict[str, dict[str, Any]] = {}
    while "table" in (table := next(values)):
        model = known[table["table"]]
        told[table["table"]] = _load_table(model, table["columns"], values)
    if table["tables"] != len(told) or told.keys() != known.keys():
        raise BackupError("The file is damaged: it lacks tables.")
    for label, end in told.items():
        digest = _Digest()
        for row in _rows(known[label]):
            digest.add(row)
        if digest.told() != {"rows": end["rows"], "digest": end["digest"]}:
            raise BackupError(
                f"The rows of {label} are not in the database what they are in the file. Nothing was kept."
            )
        if end["sequence"]:
            _set_sequence(known[label], end["sequence"])
    return Transferred(len(told), sum(each["rows"] for each in told.values()))


def _load_table(model: type[models.Model], columns: list[str], values: Iterator[Any]) -> dict[str, Any]:
    """Returns the line at its end."""
    fields = _fields(model)
    if [each.attname for each in fields] != columns:
        raise BackupError(f"The file is damaged: {model._meta.label_lower} has other columns.")
    end: dict[str, Any] = {}

    def rows() -> Iterator[list[Any]]:
        for value in values:
            if isinstance(value, dict):
                end.update(value)
                return
            yield value

    waiting, digest = rows(), _Digest()
    while some := list(islice(waiting, _AT_ONCE)):
        made = []
        for row in some:
            digest.add(row)
            values_of_row = [_read(field, value) for field, value in zip(fields, row, strict=True)]
            made.append(model.from_db(connection.alias, columns, values_of_row))
        if model is Call:
            months.make_for(read.at for read in made if isinstance(read, Call))
        # Raw: as they are, without what saving would set anew.
        model._base_manager.all()._insert(made, fields=fields, using=connection.alias, raw=True)  # type: ignore[attr-defined]
    if digest.told() != {"rows": end["rows"], "digest": end["digest"]}:
        raise BackupError(f"The file is damaged: the rows of {model._meta.label_lower} are not what was saved.")
    return end


def _values(lines: Iterable[str], file: Path) -> Iterator[Any]:
    for line in lines:
        yield json.loads(line)
    raise BackupError(f"{file} is not complete: its end is missing.")


def _models() -> list[type[models.Model]]:
    found = apps.get_models(include_auto_created=True)
    return [each for each in found if each._meta.managed and not each._meta.proxy and each not in _LEFT_OUT]


def _fields(model: type[models.Model]) -> list[Any]:
    return [each for each in model._meta.local_concrete_fields if not each.generated]


def _rows(model: type[models.Model]) -> Iterator[list[Any]]:
    names = [each.attname for each in _fields(model)]
    for row in model._base_manager.values_list(*names).iterator(chunk_size=_AT_ONCE):
        yield [_written(each) for each in row]


def _written(value: Any) -> Any:
    """As JSON has it, without any loss: Django's own encoder cuts microseconds."""
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return duration_string(value)
    if isinstance(value, Decimal | UUID):
        return str(value)
    if isinstance(value, bytes | memoryview):
        return base64.b64encode(value).decode()
    return value


def _read(field: Any, value: Any) -> Any:
    return value if isinstance(field, models.JSONField) else field.to_python(value)


def _whole(value: Any) -> Any:
    """PostgreSQL's jsonb knows no difference between 1e3 and 1000."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _whole(each) for name, each in value.items()}
    return [_whole(each) for each in value] if isinstance(value, list) else value


def _applied() -> list[str]:
    return sorted(f"{app}.{name}" for app, name in MigrationRecorder(connection).applied_migrations())


def _sequence(model: type[models.Model]) -> int:
    """The last number given out, which may be that of a row that is gone; 0 where none was."""
    table, key = model._meta.db_table, model._meta.pk
    if not isinstance(key, models.AutoField):
        return 0
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = %s", [table])
            found = cursor.fetchone()
            return int(found[0]) if found else 0
        cursor.execute("SELECT pg_get_serial_sequence(%s, %s)", [f'"{table}"', key.column])
        cursor.execute(f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {cursor.fetchone()[0]}")  # noqa: S608  the database's own name
        return int(cursor.fetchone()[0])


def _set_sequence(model: type[models.Model], last: int) -> None:
    table, key = model._meta.db_table, model._meta.pk
    assert key is not None
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("DELETE FROM sqlite_sequence WHERE name = %s", [table])
            cursor.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (%s, %s)", [table, last])
        else:
            cursor.execute("SELECT setval(pg_get_serial_sequence(%s, %s), %s)", [f'"{table}"', key.column, last])
