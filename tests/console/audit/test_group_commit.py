"""Rows of the audit log are written together: each is committed before its caller hears so, whatever happens."""

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

import pytest
from django.db import DatabaseError, OperationalError, connection, transaction

from console.audit import group_commit
from console.audit import log as audit_log
from console.audit.group_commit import Gathered, Insert, Writer
from console.audit.models import Call, CallOutcome
from tests import serving
from tests.patience import at_most


def row(request_id: str) -> tuple[Any, ...]:
    return audit_log._row(audit_log.Entry(request_id=request_id, outcome=CallOutcome.OK, duration_us=1, tool="t"))


class Gate(Insert):
    """Statements wait here until they are let through, and can be made to fail."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.arrived = threading.Event()
        self.sizes: list[int] = []
        self.error: Exception | None = None

    def run(self, rows: Any) -> None:
        self.sizes.append(len(rows))
        self.arrived.set()
        assert self.open.wait(at_most(20))
        if self.error is not None:
            raise self.error
        super().run(rows)


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def writer(gate: Gate, transactional_db: None) -> Iterator[Writer]:
    made = Writer()
    made._insert = gate
    yield made
    gate.open.set()
    made.close()


class Told:
    def __init__(self) -> None:
        self.answers: list[DatabaseError | None] = []
        self._more = threading.Semaphore(0)

    def __call__(self, error: DatabaseError | None) -> None:
        self.answers.append(error)
        self._more.release()

    def wait_for(self, times: int) -> None:
        for _ in range(times):
            assert self._more.acquire(timeout=at_most(20))


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=-5))])
@pytest.mark.parametrize("microsecond", [0, 7, 120_000])
@pytest.mark.django_db
def test_each_row_keeps_what_it_has_and_nothing_of_its_neighbours(microsecond: int, zone: tzinfo) -> None:
    at = datetime(2026, 11, 30, 23, 59, 58, microsecond, tzinfo=UTC).astimezone(zone)
    names = [field.attname for field in Insert().fields]
    bare = dict(zip(names, row("req_bare"), strict=True)) | {"at": at}
    full = bare | {"request_id": "req_full", "user_id": 7, "confirmed_after_ms": 0, "trace_id": "ab" * 16}
    other = bare | {"request_id": "req_other", "session_id": "s", "arguments": {"symbols": ["AAPL", "Ωé"], "n": None}}
    told = [bare, full, other]
    Insert().run([tuple(each.values()) for each in told])
    found = list(Call.objects.order_by("pk").values(*names))
    assert found == told
    assert list(Call.objects.filter(at=at).order_by("pk").values_list("request_id", flat=True)) == [
        each["request_id"] for each in told
    ]


def test_what_gathers_during_a_commit_is_written_in_one_statement(writer: Writer, gate: Gate) -> None:
    told = Told()
    writer.hand_over(row("req_0"), told)
    assert gate.arrived.wait(at_most(20))
    for number in range(1, 31):
        writer.hand_over(row(f"req_{number}"), told)
    assert told.answers == [], "nobody is told before the commit"
    gate.open.set()
    told.wait_for(31)
    assert gate.sizes == [1, 30]
    assert told.answers == [None] * 31
    assert Call.objects.count() == 31


def test_a_row_is_there_for_everybody_when_its_writer_returns(transactional_db: None) -> None:
    seen: list[int] = []

    def write(number: int) -> None:
        try:
            audit_log.record_call(audit_log.Entry(request_id=f"req_{number}", outcome=CallOutcome.OK, duration_us=1))
            seen.append(Call.objects.filter(request_id=f"req_{number}").count())
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=[number]) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(at_most(20))
    assert seen == [1] * 20


def test_when_the_database_refuses_everybody_who_waits_hears_it(writer: Writer, gate: Gate) -> None:
    told = Told()
    gate.error = OperationalError("disk full")
    writer.hand_over(row("req_0"), told)
    assert gate.arrived.wait(at_most(20))
    for number in range(1, 4):
        writer.hand_over(row(f"req_{number}"), told)
    gate.open.set()
    told.wait_for(4)
    assert [str(error) for error in told.answers] == ["disk full"] * 4
    gate.error = None
    writer.write(row("req_9"))
    assert list(Call.objects.values_list("request_id", flat=True)) == ["req_9"]


def test_a_failure_that_is_not_the_databases_leaves_nobody_waiting(writer: Writer, gate: Gate) -> None:
    gate.error = ZeroDivisionError()
    gate.open.set()
    with pytest.raises(DatabaseError, match="not written"):
        writer.write(row("req_0"))


def test_nobody_is_left_waiting_where_the_connection_cannot_be_closed_either(
    writer: Writer, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def close() -> None:
        raise OperationalError("the pool takes nothing back")

    told, gathered = Told(), Gathered(writer)
    gate.open.set()
    gate.error = ZeroDivisionError()
    writer.gather(gathered)
    for number in range(3):
        writer.hand_over(row(f"req_{number}"), told)
    with monkeypatch.context() as patched:
        patched.setattr(connection, "close", close)
        gathered.commit()
    assert [type(error) for error in told.answers] == [DatabaseError] * 3


def test_one_row_that_cannot_be_stored_does_not_cost_the_others_theirs(writer: Writer, gate: Gate) -> None:
    told, refused = Told(), Told()
    writer.hand_over(row("req_0"), told)
    assert gate.arrived.wait(at_most(20))
    writer.hand_over(row("req_1"), told)
    writer.hand_over(row("req_0"), refused)
    writer.hand_over(row("req_2"), told)
    gate.open.set()
    told.wait_for(3)
    refused.wait_for(1)
    assert told.answers == [None] * 3
    assert isinstance(refused.answers[0], DatabaseError)
    assert sorted(Call.objects.values_list("request_id", flat=True)) == ["req_0", "req_1", "req_2"]


def test_inside_a_transaction_the_row_is_part_of_it(transactional_db: None) -> None:
    with transaction.atomic():
        audit_log.record_call(audit_log.Entry(request_id="req_1", outcome=CallOutcome.OK, duration_us=1))
        transaction.set_rollback(True)
    assert not Call.objects.exists()


def test_a_row_that_waits_at_the_end_is_written_all_the_same(writer: Writer, gate: Gate) -> None:
    told = Told()
    for number in range(3):
        writer.hand_over(row(f"req_{number}"), told)
    gate.open.set()
    writer.close()
    assert told.answers == [None] * 3
    writer.write(row("req_later"))
    assert Call.objects.count() == 4


def test_a_child_that_was_forked_has_a_writer_of_its_own(transactional_db: None) -> None:
    audit_log.record_call(audit_log.Entry(request_id="req_parent", outcome=CallOutcome.OK, duration_us=1))
    assert group_commit.writer._thread is not None
    before = group_commit.writer._thread
    child = os.fork()
    if child == 0:
        alone = group_commit.writer._thread is None
        os._exit(0 if alone else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert group_commit.writer._thread is before


AT_THE_END = """
import django
django.setup()
from console.audit import log
from console.audit.models import CallOutcome
for number in range(50):
    log.enqueue_call(
        log.Entry(request_id=f"req_{number}", outcome=CallOutcome.OK, duration_us=1), lambda error: None
    )
"""


def test_a_process_that_ends_writes_what_it_was_handed(server: serving.Server) -> None:
    environment = serving.environment(server.home, server.port) | {"DJANGO_SETTINGS_MODULE": "console.settings"}
    ran = subprocess.run(
        [sys.executable, "-c", AT_THE_END],
        cwd=serving.REPOSITORY,
        env=environment,
        timeout=at_most(60),
        capture_output=True,
    )
    assert ran.returncode == 0, ran.stderr
    found = sqlite3.connect(server.home / "tradelatch.sqlite3").execute("SELECT count(*) FROM audit_call").fetchone()
    assert found == (50,)


def test_a_thread_that_answers_several_calls_writes_their_rows_itself_and_together(writer: Writer, gate: Gate) -> None:
    told, gathered = Told(), Gathered(writer)
    gate.open.set()
    writer.gather(gathered)
    for number in range(3):
        writer.hand_over(row(f"req_{number}"), told)
    assert (gate.sizes, told.answers) == ([], []), "nobody is told before the commit"
    gathered.commit()
    assert (gate.sizes, told.answers) == ([3], [None] * 3)
    assert writer._thread is None
    writer.write(row("req_9"))
    assert Call.objects.count() == 4, "who waits for a row of its own is not kept waiting for the others"


def test_rows_of_a_thread_whose_next_call_takes_long_are_written_without_it(writer: Writer, gate: Gate) -> None:
    told, gathered = Told(), Gathered(writer)
    gate.open.set()
    writer.gather(gathered)
    for number in range(3):
        writer.hand_over(row(f"req_{number}"), told)
    somebody = threading.Thread(target=gathered.hand_on)
    somebody.start()
    told.wait_for(3)
    somebody.join(at_most(20))
    gathered.commit()
    assert told.answers == [None] * 3, "each is told once"
    assert Call.objects.count() == 3


def test_gathered_rows_that_wait_at_the_end_are_written_all_the_same(writer: Writer, gate: Gate) -> None:
    told, gathered = Told(), Gathered(writer)
    gate.open.set()
    writer.gather(gathered)
    writer.hand_over(row("req_0"), told)
    writer.close()
    assert told.answers == [None]
    assert Call.objects.count() == 1


def test_a_gathered_row_that_cannot_be_stored_does_not_cost_the_others_theirs(writer: Writer, gate: Gate) -> None:
    told, refused, gathered = Told(), Told(), Gathered(writer)
    gate.open.set()
    writer.gather(gathered)
    for number, whose in ((0, told), (0, refused), (1, told)):
        writer.hand_over(row(f"req_{number}"), whose)
    gathered.commit()
    assert told.answers == [None] * 2
    assert isinstance(refused.answers[0], DatabaseError)
    assert Call.objects.count() == 2
