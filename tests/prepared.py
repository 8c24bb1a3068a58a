"""What many tests begin with, made once in a run and copied: migrated databases, and an instance after quickstart.

All processes of a run find it by one folder: the workers of xdist, and what a test starts. Whoever wants a thing first
makes it, the others wait. Without that folder, in ``make races`` and its like, everything is made on the spot.
"""

import atexit
import contextlib
import fcntl
import json
import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests import postgres
from tests.commands import manage

_FOLDER = "TESTS_PREPARED"
"""The name of the environment variable that leads to it."""
_DATABASE = "tradelatch.sqlite3"


def share() -> None:
    """Called by every process of a run; the first one makes the folder, and takes it away when it ends."""
    if _FOLDER not in os.environ:
        os.environ[_FOLDER] = tempfile.mkdtemp(prefix="tradelatch-prepared-")
        atexit.register(shutil.rmtree, os.environ[_FOLDER], ignore_errors=True)
        # The user that PostgreSQL runs as goes through it.
        Path(os.environ[_FOLDER]).chmod(0o711)


def shared() -> bool:
    """Whether this process belongs to a run of tests."""
    return _FOLDER in os.environ


def once(name: str, make: Callable[[Path], None]) -> Path:
    """The folder ``name`` of this run, filled by ``make`` unless another process has done so."""
    share()
    folder = Path(os.environ[_FOLDER])
    place = folder / name
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            making = folder / f"{name}.making"
            shutil.rmtree(making, ignore_errors=True)
            making.mkdir()
            make(making)
            making.rename(place)
    return place


def instance() -> tuple[Path, dict[str, str]]:
    """A home on which quickstart ran, to be copied, and what quickstart printed."""
    place = once("instance", _make_instance)
    answer: dict[str, str] = json.loads((place / "quickstart.json").read_text())
    return place / "home", answer


def database() -> Path:
    """A file of SQLite with every table and no row of anybody's, to be copied."""
    return once("migrated", _make_migrated) / "home" / _DATABASE


def cluster() -> Path:
    """The folder of a PostgreSQL that is stopped and has every table, to be copied with its owner."""
    return once("postgresql", _make_cluster) / "pg"


def _make_migrated(folder: Path) -> None:
    ran = manage(folder / "home", 8000, "migrate", "--verbosity", "0")
    assert ran.returncode == 0, ran.stderr


def _make_instance(folder: Path) -> None:
    home = folder / "home"
    shutil.copytree(once("migrated", _make_migrated) / "home", home)
    ran = manage(home, 8000, "quickstart", "--json")
    assert ran.returncode == 0, ran.stderr
    (folder / "quickstart.json").write_text(ran.stdout)
    # Most servers of the tests are a web server alone, and are to look like an instance that has its worker.
    with contextlib.closing(sqlite3.connect(home / _DATABASE)) as connection, connection:
        connection.execute(
            "INSERT INTO operations_workerseen (name, at) VALUES ('worker@tests', '2099-01-01 00:00:00')"
        )


def _make_cluster(folder: Path) -> None:
    folder.chmod(0o711)
    with postgres.database(folder / "pg", fsync=False) as url:
        ran = manage(folder / "home", 8000, "migrate", "--verbosity", "0", TRADELATCH_DATABASE_URL=url)
    assert ran.returncode == 0, ran.stderr


def migrate() -> None:
    """Give the database of the settings its tables; Django is set up, and nothing has been read."""
    from django.conf import settings
    from django.db import connection

    from console.onboarding import migrate as onboarding_migrate

    file = Path(settings.HOME) / _DATABASE
    if shared() and connection.vendor == "sqlite" and not file.exists():
        shutil.copy(database(), file)
    else:
        onboarding_migrate.migrate()


@contextlib.contextmanager
def postgres_server() -> Iterator[postgres.Postgres]:
    """A server whose database ``migrate`` has given its tables, or will; in a temporary folder with a short path."""
    with tempfile.TemporaryDirectory(prefix="tl-") as folder:
        if shared():
            subprocess.run(["cp", "-a", cluster(), f"{folder}/pg"], check=True)
        with postgres.server(Path(folder) / "pg") as started:
            yield started


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """The address of that database."""
    with postgres_server() as started:
        yield started.url
