"""An instance of an older schema keeps every row through the upgrade, one of each table."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import commands, postgres
from tests.patience import at_most

pytestmark = [pytest.mark.long, pytest.mark.timeout(120)]


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_every_row_of_an_older_instance_is_there_after_the_upgrade(database: str, tmp_path: Path) -> None:
    variables = {"DJANGO_SETTINGS_MODULE": "console.settings"}
    if database == "sqlite":
        _upgrade(tmp_path, variables)
        return
    with postgres.running(fsync=False) as url:
        _upgrade(tmp_path, variables | {"TRADELATCH_DATABASE_URL": url})


def _upgrade(home: Path, variables: dict[str, str]) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.onboarding.upgraded"],
        cwd=commands.REPOSITORY,
        env=commands.environment(home, 8000, **variables) | {"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=at_most(100),
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["wrong"] == []
    assert {"orders_order", "paper_paperfill", "audit_call", "keys_apikey"} <= set(told["tables"])
