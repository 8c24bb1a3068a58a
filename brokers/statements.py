"""An ORM query compiled once, for the few that run on every request.

Building and compiling a query set costs several times what the database needs to answer it.
"""

import threading
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, TypeVar, cast

from django.db import connection
from django.db.models import QuerySet

T = TypeVar("T")
Value = str | int | datetime


class _Here(threading.local):
    shared: dict[Any, Any] | None = None


_here = _Here()


def share_reads() -> None:
    """From here on this thread answers ``shared`` from what it reads now; what it read before is forgotten.

    For requests that wait together: a read after the last of them came is a fresh read for each.
    """
    _here.shared = {}


def stop_sharing() -> None:
    _here.shared = None


def shared(key: Any, read: Callable[[], T]) -> T:
    """What ``read`` gives: for requests that this thread answers together once, and without ``share_reads`` each time.

    What it raises is not kept. ``key`` is equal for equal reads alone.
    """
    known = _here.shared
    if known is None:
        return read()
    if key in known:
        return cast(T, known[key])
    found = known[key] = read()
    return found


class Statement:
    """A ``values_list`` query with parameters. ``build`` makes the query set for given values."""

    def __init__(self, build: Callable[..., QuerySet[Any, tuple[Any, ...]]]) -> None:
        self._build = build
        self._compiled: dict[str, tuple[str, Any, dict[int, Any]]] = {}

    def rows(self, *values: Value) -> list[tuple[Any, ...]]:
        """All rows, their values as the ORM would give them. Raises django.db.DatabaseError."""
        compiled = self._compiled.get(connection.vendor)
        if compiled is None:
            compiled = self._compiled[connection.vendor] = self._compile(values)
        sql, compiler, converters = compiled
        with connection.cursor() as cursor:
            cursor.execute(sql, {f"p{place}": _adapted(value) for place, value in enumerate(values)} or None)
            found = cursor.fetchall()
        return [tuple(row) for row in compiler.apply_converters(found, converters)] if converters else found

    def first(self, *values: Value) -> tuple[Any, ...] | None:
        found = self.rows(*values)
        return found[0] if found else None

    def shared(self, *values: Value) -> list[tuple[Any, ...]]:
        """As ``rows``, but read once for requests that this thread answers together."""
        return shared((self, values), partial(self.rows, *values))

    def _compile(self, values: tuple[Value, ...]) -> tuple[str, Any, dict[int, Any]]:
        compiler = self._build(*values).query.get_compiler(connection=connection)
        sql, parameters = compiler.as_sql()
        if tuple(parameters) != tuple(_adapted(value) for value in values):
            raise ValueError(f"This query has other parameters than its values: {parameters!r}.")
        # Django's SQLite cursor searches the whole text for places without a name, each time.
        for place in range(len(values)):
            sql = sql.replace("%s", f"%(p{place})s", 1)
        return sql, compiler, compiler.get_converters([column for column, _, _ in compiler.select])


def _adapted(value: Value) -> Any:
    return connection.ops.adapt_datetimefield_value(value) if isinstance(value, datetime) else value
