"""The short version of ``make races``: parallel redemptions and refreshes, on both databases."""

import os
import subprocess
import sys

import pytest

from tests.serving import REPOSITORY


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_parallel_redemptions_and_refreshes_leave_one_family(database: str) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("TRADELATCH_", "DJANGO_"))}
    ran = subprocess.run(
        [sys.executable, "-m", "tests.races", "--on", database, "--rounds", "2"],
        cwd=REPOSITORY,
        env=clean,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
    assert "one family each, no 500, no orphan" in ran.stdout
