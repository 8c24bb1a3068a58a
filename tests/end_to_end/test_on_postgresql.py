"""What money depends on, once more on PostgreSQL and Redis; ``make test-postgresql`` runs the rest there too."""

import os
import subprocess
import sys

import pytest

from tests.patience import at_most
from tests.serving import REPOSITORY

pytestmark = pytest.mark.long
MONEY = (
    "orders/test_outcomes.py",
    "orders/test_confirmation.py",
    "orders/test_limits.py",
    "orders/test_daily_usage.py",
    "orders/test_amendments.py",
    "halts/test_halts.py",
    "audit/test_log.py",
    "audit/test_seals.py",
    "authority",
)


@pytest.mark.timeout(180)
def test_orders_limits_halts_revocation_and_the_audit_log_are_the_same_on_postgresql_and_redis() -> None:
    run = ["-q", "-p", "no:xdist", "-p", "no:cacheprovider", *(f"tests/console/{each}" for each in MONEY)]
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("TRADELATCH_", "DJANGO_", "PYTEST_"))
    }
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *run],
        cwd=REPOSITORY,
        env=kept | {"T_DATABASE": "postgresql"},
        capture_output=True,
        text=True,
        timeout=at_most(170),
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]
    assert " passed" in ran.stdout
