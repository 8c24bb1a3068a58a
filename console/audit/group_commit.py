"""Group commit: one thread writes what all the others wait for.

It takes every row that waits and writes them in one statement, which is one transaction. While that commits the next
rows gather, so there is no timer: a single row is written at once, and under load a commit is shared.
"""

import atexit
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

import psycopg
from django.db import DatabaseError, DataError, Error, IntegrityError, close_old_connections, connection
from django.utils.functional import cached_property

from console.audit.models import Call

log = logging.getLogger(__name__)

Row = tuple[Any, ...]
Done = Callable[[DatabaseError | None], object]
"""Told once the row is committed, with None, or with why it is not. It must neither raise nor take long."""

_MOST = 200
"""Rows in one statement: SQLite takes 32,766 parameters, and a row has 27."""
_CLOSE_SECONDS = 20.0


class Insert:
    """The statement for the table of calls, and its values as the database wants them."""

    @cached_property
    def fields(self) -> list[Any]:
        return [field for field in Call._meta.concrete_fields if not field.primary_key]

    def run(self, rows: Sequence[Row]) -> None:
        """Insert all, in one statement, on this thread's connection. Raises django.db.Error."""
        values: list[Any] = []
        for row in rows:
            values += row
        self._adapt(values)
        sql = self._sql(len(rows))
        # Past Django's own cursors: they rewrite the statement and each value, which costs as much as the insert.
        with connection.cursor() as cursor, connection.wrap_database_errors:
            if connection.vendor == "sqlite":
                sqlite3.Cursor.execute(cursor.cursor, sql, values)
            else:
                psycopg.Cursor(connection.connection).execute(sql, values)

    def _adapt(self, values: list[Any]) -> None:
        """Times and JSON as the database wants them; it takes the rest as it is."""
        ops, step = connection.ops, len(self.fields)
        for place, kind in self._adapted:
            adapt = (
                ops.adapt_datetimefield_value
                if kind == "DateTimeField"
                else partial(ops.adapt_json_value, encoder=None)
            )
            values[place::step] = [adapt(value) for value in values[place::step]]

    @cached_property
    def _adapted(self) -> list[tuple[int, str]]:
        kinds = [field.get_internal_type() for field in self.fields]
        return [(place, kind) for place, kind in enumerate(kinds) if kind in ("DateTimeField", "JSONField")]

    def _sql(self, rows: int) -> str:
        known = self._statements.get((connection.vendor, rows))
        if known is None:
            quote = connection.ops.quote_name
            columns = ", ".join(quote(field.column) for field in self.fields)
            one = f"({', '.join(['?' if connection.vendor == 'sqlite' else '%s'] * len(self.fields))})"
            known = f"INSERT INTO {quote(Call._meta.db_table)} ({columns}) VALUES {', '.join([one] * rows)}"  # noqa: S608
            self._statements[connection.vendor, rows] = known
        return known

    @cached_property
    def _statements(self) -> dict[tuple[str, int], str]:
        return {}


class Writer:
    def __init__(self) -> None:
        self._insert = Insert()
        self._start_anew()
        # A thread does not survive a fork, and rows that wait here belong to the parent.
        os.register_at_fork(after_in_child=self._start_anew)
        atexit.register(self.close)

    def _start_anew(self) -> None:
        self._lock = threading.Lock()
        self._queue: SimpleQueue[tuple[Row, Done] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._handed_over, self._told = 0, 0
        self._is_settled = threading.Event()
        self._is_settled.set()

    def settle(self, seconds: float) -> None:
        """Return when all that was handed over is told of, or after ``seconds``.

        Who has more to do waits for this, so that what comes meanwhile is done, and committed, together.
        """
        self._is_settled.wait(seconds)

    def hand_over(self, row: Row, done: Done) -> None:
        """Return at once; ``done`` is called in the writer's thread."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="audit-log", args=[self._queue], daemon=True)
                self._thread.start()
            self._handed_over += 1
            self._is_settled.clear()
            self._queue.put((row, done))

    def write(self, row: Row) -> None:
        """Return when the row is committed. Raises django.db.DatabaseError."""
        if connection.in_atomic_block:
            # The caller's transaction decides; another connection could not even see the rows it speaks of.
            self._insert.run([row])
            return
        told = threading.Event()
        answers: list[DatabaseError | None] = []

        def done(error: DatabaseError | None) -> None:
            answers.append(error)
            told.set()

        self.hand_over(row, done)
        told.wait()
        if answers[0] is not None:
            raise answers[0]

    def close(self) -> None:
        """Write what waits, and end the thread. A later row starts another."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._queue.put(None)
            self._queue = SimpleQueue()
        if thread is not None:
            thread.join(_CLOSE_SECONDS)

    def _run(self, queue: "SimpleQueue[tuple[Row, Done] | None]") -> None:
        while (item := queue.get()) is not None:
            waiting = [item]
            last = False
            while len(waiting) < _MOST:
                try:
                    following = queue.get_nowait()
                except Empty:
                    break
                if following is None:
                    last = True
                    break
                waiting.append(following)
            self._commit(waiting)
            with self._lock:
                self._told += len(waiting)
                if self._told == self._handed_over:
                    self._is_settled.set()
            if last:
                break
        connection.close()

    def _commit(self, waiting: Sequence[tuple[Row, Done]]) -> None:
        error: DatabaseError | None = None
        try:
            self._insert.run([row for row, _ in waiting])
        except (DataError, IntegrityError) as raised:
            error = raised
            if len(waiting) > 1:
                # One row that cannot be stored must not cost the others theirs.
                for item in waiting:
                    self._commit([item])
                return
        except DatabaseError as raised:
            error = raised
        except Exception as raised:
            # Whoever waits must hear of it, in the one kind of error they know: the row is not there.
            log.exception("The audit log's writer failed")
            error = DatabaseError(f"The row was not written: {type(raised).__name__}.")
            if not isinstance(raised, Error):
                connection.close()
        try:
            close_old_connections()
        except Exception:  # what is committed is committed, and who waits must hear of it
            log.exception("The audit log's connection could not be given back")
        for _, done in waiting:
            try:
                done(error)
            except Exception:
                log.exception("Whoever waited for a row could not be told")


writer = Writer()
