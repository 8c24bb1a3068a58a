"""Somebody with the database's password changes the record: each way is refused, and named once it is done."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.patience import at_most
from tests.serving import REPOSITORY

pytestmark = pytest.mark.long

WHOLE = "The record is whole"
NAMED = {
    "changed": "Broken. Row 15 of the calls is not what was sealed (seal 2).",
    "changed JSON": "Broken. Row 15 of the changes and sign-ins is not what was sealed (seal 5).",
    "unreadable": "Broken. Row 16 of the calls is not what was sealed (seal 2).",
    "removed": "Broken. Row 7 of the changes and sign-ins is missing (seal 4).",
    "removed last of its seal": "Broken. Row 10 of the calls is missing (seal 1).",
    "inserted": "Broken. Row 23 of the calls was not there when its range was sealed (seal 3).",
    "inserted before": "Broken. Row -1 of the calls stands where seal 1 says that there is none.",
    "replaced": "Broken. Row 3 of the calls is not what was sealed (seal 1).",
    "reordered": "Broken. Row 12 of the changes and sign-ins holds what was row 14 when it was sealed (seal 5).",
    "seal changed": "Broken. Seal 3 is not what was signed.",
    "seal removed": "Broken. Seal 2 is missing: after seal 1 comes seal 3.",
    "hashes changed": "Broken. Seal 1 has other hashes of its rows than those that were signed.",
    "newest removed, with copies": "Broken. Seal 6 was copied out, and is missing here.",
    "marker removed": "Broken. Row 1 of the calls is missing (seal 1).",
    "back again": "Broken. Row 4 of the calls stands where seal 7 says that there is none.",
}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def found(request: pytest.FixtureRequest) -> dict[str, Any]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("TRADELATCH_", "DJANGO_"))}
    ran = subprocess.run(
        [sys.executable, "-m", "tests.tampering", "--on", request.param],
        cwd=REPOSITORY,
        env=clean,
        capture_output=True,
        text=True,
        timeout=at_most(50),
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
    answer: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return answer


def test_a_record_that_nobody_touched_is_whole(found: dict[str, Any]) -> None:
    assert (found["seals"], found["whole"], found["missing triggers"]) == (6, WHOLE, [])


def test_the_database_refuses_to_change_and_to_delete(found: dict[str, Any]) -> None:
    acts = {"update": "audit_call", "delete": "audit_change", "unsealing": "audit_seal"}
    if "truncate" in found:
        acts["truncate"] = "audit_call"
    assert {act: found[act] for act in acts} == {
        act: f"The record cannot be changed: {table}" for act, table in acts.items()
    }


def test_the_first_row_that_was_tampered_with_is_named_with_its_seal(found: dict[str, Any]) -> None:
    assert {name: found[name] for name in NAMED} == NAMED


def test_who_has_no_key_cannot_seal_the_record_anew(found: dict[str, Any]) -> None:
    assert found["sealed anew with another key"].startswith("Broken. Seal 1 is signed with another key")


def test_the_newest_seals_can_go_with_their_rows_unless_they_were_copied_out(found: dict[str, Any]) -> None:
    assert found["newest removed with its rows"] == found["with copies"] == WHOLE
    assert "copied out" in found["newest removed, with copies"]


def test_what_the_retention_deletes_is_said_in_the_chain_and_the_rest_stays_whole(found: dict[str, Any]) -> None:
    assert (found["dropped"], found["calls left"], found["told"]) == (29, 0, 29)
    assert found["after retention"] == WHOLE
