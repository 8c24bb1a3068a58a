"""A version that meets the database of a newer one starts nothing, changes nothing, and says what to put back."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests import serving
from tests.patience import at_most

PORT = ["--port", "0"]
STARTS = {
    "run": ["manage.py", "run"],
    "quickstart": ["manage.py", "quickstart", "--json"],
    "migrate": ["manage.py", "migrate"],
    "the web server": ["-m", "uvicorn", "console.asgi:application", *PORT],
    "/mcp alone": ["-m", "uvicorn", "mcpserver.asgi:application", *PORT],
    "the console alone": ["-c", "import console.wsgi"],
    "worker": ["-m", "celery", "-A", "console", "worker", "--pool", "solo"],
    "beat": ["-m", "celery", "-A", "console", "beat", "--schedule", "schedule", "--pidfile", ""],
}
TOLD = (
    "The database is of a newer version than this one (0.1.0): it has the migration orders.0999_of_tomorrow and 1 "
    "more, which this version does not know. Nothing was changed."
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Used by today's version, then by tomorrow's."""
    home = tmp_path_factory.mktemp("newer") / "home"
    prepared, _ = serving._prepared()
    shutil.copytree(prepared, home)
    with closing(sqlite3.connect(home / "tradelatch.sqlite3")) as database:
        database.executemany(
            "INSERT INTO django_migrations (app, name, applied) VALUES (?, ?, ?)",
            [
                ("orders", "0999_of_tomorrow", "2031-05-06 07:08:09"),
                ("tomorrow", "0001_initial", "2031-05-06 07:08:10"),
            ],
        )
        database.commit()
    return home


def contents(home: Path) -> list[str]:
    with closing(sqlite3.connect(home / "tradelatch.sqlite3")) as database:
        return list(database.iterdump())


@pytest.mark.parametrize("what", STARTS)
def test_nothing_starts_on_it(home: Path, tmp_path: Path, what: str) -> None:
    before = contents(home)
    ran = subprocess.run(
        [sys.executable, *STARTS[what]],
        cwd=serving.REPOSITORY if STARTS[what][0] == "manage.py" else tmp_path,
        env=serving.environment(home, serving.free_port(), PYTHONPATH=os.fspath(serving.REPOSITORY)),
        capture_output=True,
        text=True,
        timeout=at_most(serving.READY_SECONDS),
        check=False,
    )
    said = ran.stdout + ran.stderr
    assert ran.returncode != 0, said
    assert TOLD in said
    assert f"put back a backup of the folder {home} from before 2031-05-06 07:08 UTC" in said
    if what != "the console alone":
        assert "Traceback" not in said
    assert contents(home) == before


def test_the_database_of_this_version_is_served(tmp_path: Path) -> None:
    prepared, _ = serving._prepared()
    shutil.copytree(prepared, tmp_path / "home")
    ran = serving.manage(tmp_path / "home", serving.free_port(), "migrate", "--verbosity", "0")
    assert (ran.returncode, ran.stderr) == (0, "")
