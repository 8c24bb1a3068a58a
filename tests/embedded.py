"""A file of SQLite with every table, in the place of the run's database, of whatever kind that is."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from django.db import connections
from django.db.utils import ConnectionHandler

from tests import prepared


@contextlib.contextmanager
def database(folder: Path) -> Iterator[Path]:
    """Asked by the ORM, in this thread, until the end."""
    file = Path(shutil.copy(prepared.database(), folder / "tradelatch.sqlite3"))
    before = connections["default"]
    own = ConnectionHandler(
        {
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": str(file),
                "CONN_MAX_AGE": None,
                "OPTIONS": {"transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=WAL"},
            }
        }
    )["default"]
    connections["default"] = own
    try:
        yield file
    finally:
        own.close()
        connections["default"] = before
