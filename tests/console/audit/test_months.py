"""On PostgreSQL calls are kept by month: a table is divided without a copy, and what is too old goes by the month."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.patience import at_most
from tests.serving import REPOSITORY

pytestmark = pytest.mark.long

REFUSED = "The record cannot be changed: audit_call"
BEFORE = ["2027_01", "2027_02", "earlier", "rest"]


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("TRADELATCH_", "DJANGO_"))}
    ran = subprocess.run(
        [sys.executable, "-m", "tests.calls_by_month", "--on", "postgresql"],
        cwd=REPOSITORY,
        env=clean,
        capture_output=True,
        text=True,
        timeout=at_most(60),
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
    answer: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return answer


def test_rows_of_before_become_the_first_partition_and_are_not_copied(found: dict[str, Any]) -> None:
    assert (found["parts"], found["copied"], found["rows"]) == (BEFORE, False, 30)
    assert (found["left over"], found["invalid"]) == ([], [])


def test_ids_go_on_and_nothing_is_refused_for_want_of_a_partition(found: dict[str, Any]) -> None:
    assert (found["ids"], found["in no month"]) == (True, 1)


@pytest.mark.parametrize(
    "act", ["update", "update by the table", "delete", "delete of the earlier", "truncate", "truncate of the table"]
)
def test_each_partition_refuses_what_the_table_refuses(found: dict[str, Any], act: str) -> None:
    assert (found[act], found["missing triggers"]) == (REFUSED, [])


def test_a_request_id_is_there_once(found: dict[str, Any]) -> None:
    assert "duplicate key" in found["same request id"]


def test_a_month_is_asked_for_in_its_partition_alone(found: dict[str, Any]) -> None:
    assert found["plan"] == ["audit_call_2027_02"]


def test_the_newest_are_the_same_where_the_last_months_are_asked_first(found: dict[str, Any]) -> None:
    assert found["newest"] == [True, True, True, True, None, True, True]


def test_a_call_is_found_by_its_request_id_whether_that_says_a_time_or_not(found: dict[str, Any]) -> None:
    assert found["by request id"] == [60, 4, None]


def test_what_is_too_old_goes_row_by_row_while_the_earlier_rows_are_not_all_too_old(found: dict[str, Any]) -> None:
    assert found["halfway"] == [BEFORE, 46, 17, None]
    assert found["a month later"] == [BEFORE, 30, 33, None]


def test_then_by_the_month_and_the_record_stays_whole(found: dict[str, Any]) -> None:
    assert found["in February"] == [["2027_01", "2027_02", "rest"], 22, 41, None]
    assert (found["once more"], found["markers"]) == (found["in February"], [16, 32, 40])


def test_a_partition_that_somebody_dropped_is_named(found: dict[str, Any]) -> None:
    assert found["dropped by somebody"] == "Row 51 of the calls is missing (seal 7)."


def test_what_a_wrong_clock_wrote_does_not_take_what_is_younger_with_it(found: dict[str, Any]) -> None:
    november = ["2026_11", "2026_12", "2027_01", "2027_02", "rest"]
    assert found["after a wrong clock"] == [
        [november, 40, 1, None],
        [november, 32, 9, None],
        [november[1:], 8, 33, None],
    ]
