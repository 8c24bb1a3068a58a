"""SQLite plans by what it knows of its tables: the daily job tells it, and every open connection plans by that."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from console.audit.models import Call, CallOutcome
from console.operations import tasks
from tests import embedded

JOB = "console.operations.tasks.refresh_statistics"


@pytest.fixture
def file(tmp_path: Path, django_db_blocker: Any) -> Iterator[Path]:
    with django_db_blocker.unblock(), embedded.database(tmp_path) as file:
        yield file


def make_calls(count: int) -> None:
    """All by one person; one in fifty about an order."""
    before, now = Call.objects.count(), timezone.now()
    Call.objects.bulk_create(
        Call(
            request_id=f"req_{number:026d}",
            at=now,
            user_id=1,
            outcome=CallOutcome.OK,
            duration_us=0,
            order_id=f"ord_{number}" if number % 50 == 0 else "",
        )
        for number in range(before, before + count)
    )


def plan_of_an_orders_calls() -> str:
    return Call.objects.filter(user_id=1, order_id="ord_100").exclude(order_id="").order_by("-id")[:51].explain()


def test_the_schedule_asks_for_it_once_a_day() -> None:
    [entry] = [each for each in settings.CELERY_BEAT_SCHEDULE.values() if each["task"] == JOB]
    assert entry["schedule"] == 24 * 60 * 60
    assert tasks.refresh_statistics.name == JOB


def test_after_the_job_an_order_s_calls_are_found_by_the_order(file: Path) -> None:
    make_calls(2_000)
    assert "audit_call_order" not in plan_of_an_orders_calls()
    tasks.refresh_statistics()
    assert "USING INDEX audit_call_order (order_id=?" in plan_of_an_orders_calls()


def test_a_connection_that_was_open_before_plans_by_what_each_run_found(file: Path) -> None:
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE pairs (first, second)")
        cursor.execute("CREATE INDEX pairs_first ON pairs (first)")
        cursor.execute("CREATE INDEX pairs_second ON pairs (second)")
        for number, column in enumerate(("first", "second", "first")):
            cursor.execute("DELETE FROM pairs")
            rows = [(each, 1) if column == "first" else (1, each) for each in range(2_000)]
            cursor.executemany("INSERT INTO pairs VALUES (%s, %s)", rows)
            tasks.refresh_statistics()
            other.execute("SELECT count(*) FROM pairs").fetchall()  # a plan alone would not look at the schema again
            # Another text each time: the plan of a statement that is kept is not made again to be told.
            asked = f"EXPLAIN QUERY PLAN SELECT {number} FROM pairs WHERE first = 1 AND second = 1"  # noqa: S608
            [plan] = other.execute(asked).fetchall()
            assert plan[3] == f"SEARCH pairs USING INDEX pairs_{column} ({column}=?)"
