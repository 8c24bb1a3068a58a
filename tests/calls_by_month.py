"""A table of calls of before it was kept by month: divided, sealed, and a year later too old. PostgreSQL.

``python -m tests.calls_by_month --on postgresql``; a home and a database of its own, gone afterwards. It prints what
was found, as JSON.
"""

import argparse
import json
import re
import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

from tests.races import instance

NOW = datetime(2026, 11, 30, 23, 50, tzinfo=UTC)
ROWS = 30
"""Before the table is divided: one each three days, the last one now."""


def run() -> dict[str, Any]:
    from django.conf import settings
    from django.db import DatabaseError, connection, transaction

    from console import ids
    from console.audit import months, newest
    from console.audit.models import Call, CallOutcome, Seal
    from console.audit.seals import retention, sealing, signing, triggers, verifying

    sealing.SIZE = 8
    found: dict[str, Any] = {}

    def ask(sql: str) -> Any:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else None

    def refused(statement: str) -> str:
        try:
            with transaction.atomic():
                ask(statement)
        except DatabaseError as error:
            return str(error).splitlines()[0]
        return "allowed"

    def write(at: datetime, number: int, request_id: str = "") -> None:
        named = request_id or f"req_{number}"
        Call.objects.create(request_id=named, at=at, outcome=CallOutcome.OK, duration_us=1500)

    def names() -> list[str]:
        return [each.name.removeprefix("audit_call_") for each in months.partitions()]

    def verdict() -> Any:
        return verifying.verify(signing.own_public_keys()).problem

    # As the table was: made by Django for the model, and not divided.
    ask("DROP TABLE audit_call")
    with connection.schema_editor() as editor:
        editor.create_model(Call)
    triggers.install()
    for number in range(ROWS):
        write(NOW - timedelta(days=3) * (ROWS - 1 - number), number)
    [(file,)] = ask("SELECT pg_relation_filenode('audit_call')")
    months.divide(NOW)
    months.divide(NOW)  # again does nothing
    triggers.install()
    found["parts"] = names()
    found["copied"] = ask("SELECT pg_relation_filenode('audit_call_earlier')") != [(file,)]
    found["rows"] = Call.objects.count()
    found["missing triggers"] = triggers.missing()
    found["left over"] = ask("SELECT conname FROM pg_constraint WHERE conname LIKE 'audit_call_earlier_at'")
    found["invalid"] = ask("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid")

    # The next month begins between two calls of one seal, and ids are not all in the order of time.
    for number in range(ROWS, 2 * ROWS - 1):
        write(NOW + timedelta(days=3) * (number - ROWS + 1), number)
    with patch("time.time_ns", return_value=int((NOW + timedelta(days=90)).timestamp() * 1e9)):
        made = ids.new("req")
    write(NOW + timedelta(days=90), 0, made)
    write(NOW + timedelta(days=70), 2 * ROWS)
    write(datetime(2099, 1, 1, tzinfo=UTC), 2 * ROWS + 1)
    found["ids"] = list(Call.objects.order_by("id").values_list("id", flat=True)) == list(range(1, 2 * ROWS + 3))
    found["in no month"] = months.rows_in_no_month()
    found["same request id"] = refused(
        "INSERT INTO audit_call SELECT (jsonb_populate_record(NULL::audit_call, to_jsonb(c) || '{\"id\": 999}')).* "
        "FROM audit_call c WHERE request_id = 'req_31'"
    )
    for act, statement in (
        ("update", "UPDATE audit_call_2027_01 SET tool = 'x'"),
        ("update by the table", "UPDATE audit_call SET tool = 'x' WHERE id = 31"),
        ("delete", "DELETE FROM audit_call_2027_01"),
        ("delete of the earlier", "DELETE FROM audit_call_earlier WHERE id = 1"),
        ("truncate", "TRUNCATE audit_call_2027_01"),
        ("truncate of the table", "TRUNCATE audit_call"),
    ):
        found[act] = refused(statement)
    february = "user_id = 1 AND at >= '2027-02-01' AND at < '2027-03-01'"
    plan = ask(f"EXPLAIN SELECT * FROM audit_call WHERE {february}")  # noqa: S608  our own
    found["plan"] = sorted(set(re.findall(r"audit_call_\d{4}_\d\d", str(plan))))

    # What lists ask of the last months first is what they would find among all.
    everything, future = Call.objects.all(), datetime(2099, 1, 1, tzinfo=UTC)
    found["newest"] = [
        newest.by_id(everything, 40, back_from=future) == list(everything.order_by("-pk")[:40]),
        newest.by_id(everything, 99, back_from=NOW) == list(everything.order_by("-pk")),
        newest.by_id(everything, 3, back_from=NOW) == list(everything.order_by("-pk")[:3]),
        newest.row_at(everything, 20, back_from=NOW) == everything.order_by("-at")[20],
        newest.row_at(everything, 99, back_from=NOW),
        newest.by_time(newest.until(everything, NOW).order_by("-at"), 50)
        == list(everything.filter(at__lt=NOW).order_by("-at")),
        newest.time_at(everything.order_by("-at"), 5) == everything.order_by("-at")[5].at,
    ]
    asked = {name: newest.of_request(everything, name) for name in (made, "req_3", ids.new("req"))}
    found["by request id"] = [row.pk if row else None for row in asked.values()]

    sealing.seal_due(datetime(2099, 1, 2, tzinfo=UTC))
    settings.KEEP_DAYS["calls"] = 30

    def drop(now: datetime) -> tuple[list[str], int, int, Any]:
        retention.drop_old(now)
        return names(), Call.objects.count(), Call.objects.order_by("id").values_list("id", flat=True)[0], verdict()

    # Half of what is earlier is too old: row by row, whole seals.
    found["halfway"] = drop(datetime(2026, 11, 25, tzinfo=UTC))
    # All of it is, and the middle of December: January has begun long ago.
    found["a month later"] = drop(datetime(2027, 1, 20, tzinfo=UTC))
    found["in February"] = drop(datetime(2027, 2, 20, tzinfo=UTC))
    found["once more"] = drop(datetime(2027, 2, 20, tzinfo=UTC))
    found["markers"] = list(Seal.objects.filter(kind="dropped").order_by("number").values_list("last_id", flat=True))
    ask("DROP TABLE audit_call_2027_02")
    found["dropped by somebody"] = verdict().words

    # A clock is wrong for eight calls, which are a seal of their own: what was written before them is not as old.
    triggers.remove()
    Seal.objects.all().delete()
    ask("DROP TABLE audit_call")
    with connection.schema_editor() as editor:
        editor.create_model(Call)
    months.divide(NOW)
    triggers.install()
    for number in range(40):
        wrong = 24 <= number < 32
        write(datetime(2020, 1, 1, tzinfo=UTC) if wrong else NOW - timedelta(days=23 - number), number)
    sealing.seal_due(datetime(2099, 1, 2, tzinfo=UTC))
    found["after a wrong clock"] = [drop(NOW + timedelta(days=days)) for days in (1, 15, 40)]
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--on", choices=["postgresql"], required=True)
    with instance(parser.parse_args().on):
        sys.stdout.write(json.dumps(run()) + "\n")


if __name__ == "__main__":
    main()
