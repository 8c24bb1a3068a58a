"""An ORM query compiled once, for the few that run on every request.

Building and compiling a query set costs several times what the database needs to answer it.
"""

from collections.abc import Callable
from typing import Any

from django.db import connection
from django.db.models import QuerySet


class Statement:
    """A ``values_list`` query with one parameter. ``build`` makes the query set for a value."""

    def __init__(self, build: Callable[[Any], QuerySet[Any, tuple[Any, ...]]]) -> None:
        self._build = build
        self._compiled: dict[str, tuple[str, Any, dict[int, Any]]] = {}

    def first(self, value: str | int) -> tuple[Any, ...] | None:
        """The first row, its values as the ORM would give them. Raises django.db.DatabaseError."""
        compiled = self._compiled.get(connection.vendor)
        if compiled is None:
            compiled = self._compiled[connection.vendor] = self._compile(value)
        sql, compiler, converters = compiled
        with connection.cursor() as cursor:
            cursor.execute(sql, (value,))
            rows = cursor.fetchmany(1)
        for row in compiler.apply_converters(rows, converters):
            return tuple(row)
        return None

    def _compile(self, value: str | int) -> tuple[str, Any, dict[int, Any]]:
        compiler = self._build(value)[:1].query.get_compiler(connection=connection)
        sql, parameters = compiler.as_sql()
        if parameters != (value,):
            raise ValueError(f"This query has other parameters than its one value: {parameters!r}.")
        return sql, compiler, compiler.get_converters([column for column, _, _ in compiler.select])
