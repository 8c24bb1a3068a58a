"""The daily limit, and the day of a standing rule, under 50 orders at once, on both databases."""

import os
import subprocess
import sys

import pytest

from tests.patience import at_most
from tests.serving import REPOSITORY

pytestmark = pytest.mark.long


@pytest.mark.parametrize("by", ["limit", "rule"])
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_orders_at_once_from_four_processes_keep_the_daily_limit_exactly(database: str, by: str) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("TRADELATCH_", "DJANGO_"))}
    ran = subprocess.run(
        [sys.executable, "-m", "tests.limit_race", "--on", database, "--by", by],
        cwd=REPOSITORY,
        env=clean,
        capture_output=True,
        text=True,
        timeout=at_most(50),
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
    assert f"20 went, 30 did not; the {by} holds exactly" in ran.stdout
