"""Group commit: one thread writes what all the others wait for.

It takes every row that waits and writes them in one statement, which is one transaction. While that commits the next
rows gather, so there is no timer: a single row is written at once, and under load a commit is shared. A thread that
answers several calls together keeps their rows, and writes them itself: see ``Gathered``.
"""

import atexit
import logging
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from queue import Empty, SimpleQueue
from typing import Any

import orjson
from django.db import (
    DEFAULT_DB_ALIAS,
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    close_old_connections,
    connection,
    connections,
)
from django.utils.functional import cached_property

from console.audit.models import Call

log = logging.getLogger(__name__)

Row = tuple[Any, ...]
Done = Callable[[DatabaseError | None], object]
"""Told once the row is committed, with None, or with why it is not. It must neither raise nor take long."""

_MOST = 200
"""Rows in one statement: SQLite takes 32,766 parameters, and a row has 27."""
_MOST_STATEMENTS = 512
_CLOSE_SECONDS = 20.0


class Insert:
    """The statement for the table of calls, and its values as the database wants them."""

    @cached_property
    def fields(self) -> list[Any]:
        return [field for field in Call._meta.concrete_fields if not field.primary_key]

    def run(self, rows: Sequence[Row]) -> None:
        """Insert all, in one statement, on this thread's connection. Raises django.db.Error."""
        database = connections[DEFAULT_DB_ALIAS]
        database.ensure_connection()
        database.validate_no_broken_transaction()
        # Past Django's own cursors: they rewrite the statement and each value, which costs as much as the insert.
        with database.wrap_database_errors:
            client: Any = database.connection
            if database.vendor == "sqlite":
                given = self._given(rows)
                client.execute(self._sql(len(rows), given), self._values(rows, given))
            else:
                # The driver is the backend's own: where the database is SQLite, nobody needs to load it.
                database.Database.Cursor(client).execute(self._from_json, [self._json(rows)])  # type: ignore[attr-defined]

    def _json(self, rows: Sequence[Row]) -> str:
        """All rows as one text: its client takes longer for each value than the database for a row."""
        names = [field.column for field in self.fields]
        return orjson.dumps([dict(zip(names, row, strict=True)) for row in rows]).decode()

    @cached_property
    def _from_json(self) -> str:
        table, columns = connection.ops.quote_name(Call._meta.db_table), self._columns
        return f"INSERT INTO {table} ({columns}) SELECT {columns} FROM json_populate_recordset(NULL::{table}, %s::json)"  # noqa: S608

    @cached_property
    def _columns(self) -> str:
        return ", ".join(connection.ops.quote_name(field.column) for field in self.fields)

    @staticmethod
    def _given(rows: Sequence[Row]) -> tuple[int, ...]:
        """The places of columns that some row has a value for. For each NULL its client looks for an adapter, which
        takes as long as four values do: the others are left to their default, which is none."""
        return tuple([place for place, values in enumerate(zip(*rows, strict=True)) if values.count(None) < len(rows)])

    def _values(self, rows: Sequence[Row], given: Sequence[int]) -> list[Any]:
        """Those of the columns ``given``, times and JSON as SQLite wants them; it takes the rest as it is."""
        pick = itemgetter(*given)
        values: list[Any] = []
        for row in rows:
            values += pick(row)
        step = len(given)
        for place, adapt in self._adapted:
            if place in given:
                at = given.index(place)
                values[at::step] = [adapt(value) for value in values[at::step]]
        return values

    @cached_property
    def _adapted(self) -> list[tuple[int, Callable[[Any], Any]]]:
        kinds = {"DateTimeField": _time_text, "JSONField": _json_text}
        found = [(place, field.get_internal_type()) for place, field in enumerate(self.fields)]
        return [(place, kinds[kind]) for place, kind in found if kind in kinds]

    def _sql(self, rows: int, given: tuple[int, ...]) -> str:
        known = self._statements.get((rows, given))
        if known is None:
            if len(self._statements) >= _MOST_STATEMENTS:
                self._statements.clear()
            quote = connection.ops.quote_name
            columns = ", ".join(quote(self.fields[place].column) for place in given)
            one = f"({', '.join(['?'] * len(given))})"
            known = f"INSERT INTO {quote(Call._meta.db_table)} ({columns}) VALUES {', '.join([one] * rows)}"  # noqa: S608
            self._statements[rows, given] = known
        return known

    @cached_property
    def _statements(self) -> dict[tuple[int, tuple[int, ...]], str]:
        return {}


def _time_text(value: datetime) -> str:
    """As Django's SQLite keeps a time: in UTC, and without saying so."""
    return orjson.dumps(value.astimezone(UTC))[1:-7].decode().replace("T", " ")


def _json_text(value: Any) -> str:
    return orjson.dumps(value).decode()


class _GatheredHere(threading.local):
    gathered: "Gathered | None" = None


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
        self._here = _GatheredHere()
        self._gathered = weakref.WeakSet[Gathered]()

    def hand_over(self, row: Row, done: Done) -> None:
        """Return at once; ``done`` is called in the writer's thread, or in this one where it gathers rows."""
        gathered = self._here.gathered
        if gathered is not None:
            gathered.rows.append((row, done))
        else:
            self.enqueue(row, done)

    def enqueue(self, row: Row, done: Done) -> None:
        """For the writer's thread, whatever this one gathers."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="audit-log", args=[self._queue], daemon=True)
                self._thread.start()
            self._queue.put((row, done))

    def gather(self, gathered: "Gathered") -> None:
        """From here on this thread's rows go there."""
        self._gathered.add(gathered)
        self._here.gathered = gathered

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

        self.enqueue(row, done)
        told.wait()
        if answers[0] is not None:
            raise answers[0]

    def close(self) -> None:
        """Write what waits, and end the thread. A later row starts another."""
        for gathered in list(self._gathered):
            gathered.hand_on()
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
            self.commit(waiting)
            if last:
                break
        connection.close()

    def commit(self, waiting: Sequence[tuple[Row, Done]], *, keeps_connection: bool = False) -> None:
        """Write these rows in this thread and tell of them. Never raises.

        ``keeps_connection``: this thread has more to do, and gives its connection back itself.
        """
        error: DatabaseError | None = None
        is_odd = False
        try:
            self._insert.run([row for row, _ in waiting])
        except (DataError, IntegrityError, TypeError, ValueError) as raised:
            error = raised if isinstance(raised, DatabaseError) else _not_written(raised)
            if len(waiting) > 1:
                # One row that cannot be stored must not cost the others theirs.
                for item in waiting:
                    self.commit([item], keeps_connection=keeps_connection)
                return
        except DatabaseError as raised:
            error = raised
        except Exception as raised:
            # Whoever waits must hear of it, in the one kind of error they know: the row is not there.
            log.exception("The audit log's writer failed")
            error, is_odd = _not_written(raised), not isinstance(raised, Error)
        try:
            if is_odd:
                connection.close()
            elif not keeps_connection or error is not None:
                close_old_connections()
        except Exception:  # what is committed is committed, and who waits must hear of it
            log.exception("The audit log's connection could not be given back")
        for _, done in waiting:
            try:
                done(error)
            except Exception:
                log.exception("Whoever waited for a row could not be told")


def _not_written(error: Exception) -> DatabaseError:
    return DatabaseError(f"The row was not written: {type(error).__name__}.")


class Gathered:
    """Rows that one thread keeps while it answers calls that came together. Where one of those takes long, others hand
    on what there is by then."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self.rows = deque[tuple[Row, Done]]()

    def commit(self) -> None:
        """In the thread that gathers them."""
        while waiting := self._taken():
            self._writer.commit(waiting, keeps_connection=True)

    def hand_on(self) -> None:
        """Give them to the writer's thread: in any thread."""
        while waiting := self._taken():
            for row, done in waiting:
                self._writer.enqueue(row, done)

    def _taken(self) -> list[tuple[Row, Done]]:
        """Each row is taken once, whoever takes it."""
        taken = list[tuple[Row, Done]]()
        try:
            while len(taken) < _MOST:
                taken.append(self.rows.popleft())
        except IndexError:
            pass
        return taken


writer = Writer()
