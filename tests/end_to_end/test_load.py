"""``make load`` in small: two of each process, one of each killed, Redis and PostgreSQL restarted, half a minute."""

import os
import subprocess
import sys

import pytest

from tests.patience import at_most
from tests.serving import REPOSITORY

pytestmark = pytest.mark.long


@pytest.mark.timeout(150)
def test_nothing_is_lost_or_doubled_while_processes_are_killed_and_both_servers_restart() -> None:
    few = [
        "--few",
        "--minutes",
        "0.35",
        "--each",
        "2",
        "--people",
        "4",
        "--apps",
        "12",
        "--callers",
        "6",
        "--speed",
        "0",
    ]
    ran = subprocess.run(
        [sys.executable, "-m", "tests.load", *few],
        cwd=REPOSITORY,
        env={name: value for name, value in os.environ.items() if not name.startswith(("TRADELATCH_", "DJANGO_"))},
        capture_output=True,
        text=True,
        timeout=at_most(140),
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-4000:]
    for what in ("killed web1, mcp1, worker1", "Redis was away", "PostgreSQL restarted", "0 lost\n0 doubled\n"):
        assert what in ran.stdout
