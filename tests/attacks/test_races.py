"""The short version of ``make races``, on both databases: redemptions, refreshes, and a user's answer, all at once."""

import os
import subprocess
import sys

import pytest

from tests.patience import at_most
from tests.serving import REPOSITORY

pytestmark = pytest.mark.long


def race(module: str, database: str, rounds: int) -> str:
    """What it says in the end; fails where it does."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("TRADELATCH_", "DJANGO_"))}
    ran = subprocess.run(
        [sys.executable, "-m", module, "--on", database, "--rounds", str(rounds)],
        cwd=REPOSITORY,
        env=clean,
        capture_output=True,
        text=True,
        timeout=at_most(50),
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
    return ran.stdout


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_parallel_redemptions_and_refreshes_leave_one_family(database: str) -> None:
    assert "one family each, no 500, no orphan" in race("tests.races", database, 2)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_an_app_that_confirms_while_its_users_answer_arrives_sends_nothing(database: str) -> None:
    assert "each sent once" in race("tests.question_race", database, 2)
