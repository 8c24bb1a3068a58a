"""An ORM query compiled once, for the few that run on every request.

Building and compiling a query set costs several times what the database needs to answer it.
"""

import threading
from collections.abc import Callable
from typing import Any

from django.db import connection
from django.db.models import QuerySet


class _Shared(threading.local):
    rows: dict[Any, list[tuple[Any, ...]]] | None = None


_here = _Shared()


def share_reads() -> None:
    """From here on this thread answers ``Statement.shared`` from what it reads now; what it read before is forgotten.

    For requests that wait together: a read after the last of them came is a fresh read for each.
    """
    _here.rows = {}


def stop_sharing() -> None:
    _here.rows = None


class Statement:
    """A ``values_list`` query with parameters. ``build`` makes the query set for given values."""

    def __init__(self, build: Callable[..., QuerySet[Any, tuple[Any, ...]]]) -> None:
        self._build = build
        self._compiled: dict[str, tuple[str, Any, dict[int, Any]]] = {}

    def rows(self, *values: str | int) -> list[tuple[Any, ...]]:
        """All rows, their values as the ORM would give them. Raises django.db.DatabaseError."""
        compiled = self._compiled.get(connection.vendor)
        if compiled is None:
            compiled = self._compiled[connection.vendor] = self._compile(values)
        sql, compiler, converters = compiled
        with connection.cursor() as cursor:
            cursor.execute(sql, {f"p{place}": value for place, value in enumerate(values)} if values else None)
            found = cursor.fetchall()
        return [tuple(row) for row in compiler.apply_converters(found, converters)] if converters else found

    def first(self, *values: str | int) -> tuple[Any, ...] | None:
        found = self.rows(*values)
        return found[0] if found else None

    def shared(self, *values: str | int) -> list[tuple[Any, ...]]:
        """As ``rows``, but requests that this thread answers together read once; without ``share_reads``, each anew."""
        known = _here.rows
        if known is None:
            return self.rows(*values)
        key = (self, values)
        found = known.get(key)
        if found is None:
            found = known[key] = self.rows(*values)
        return found

    def shared_first(self, *values: str | int) -> tuple[Any, ...] | None:
        found = self.shared(*values)
        return found[0] if found else None

    def _compile(self, values: tuple[str | int, ...]) -> tuple[str, Any, dict[int, Any]]:
        compiler = self._build(*values).query.get_compiler(connection=connection)
        sql, parameters = compiler.as_sql()
        if tuple(parameters) != values:
            raise ValueError(f"This query has other parameters than its values: {parameters!r}.")
        # Django's SQLite cursor searches the whole text for places without a name, each time.
        for place in range(len(values)):
            sql = sql.replace("%s", f"%(p{place})s", 1)
        return sql, compiler, compiler.get_converters([column for column, _, _ in compiler.select])
