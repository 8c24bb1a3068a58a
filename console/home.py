"""The instance's own folder: database, generated secrets, broker queue. Read once, by settings."""

import contextlib
import os
import secrets
import sqlite3
from collections.abc import Callable
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured


def open_home(path: Path) -> Path:
    """The folder, made with mode 0700 when it is new. Raises ImproperlyConfigured when it cannot be written."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = path / f".write-test-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ImproperlyConfigured(f"TRADELATCH_HOME {path} cannot be written: {error.strerror}.") from error
    return path


def queue_folder(home: Path) -> Path:
    """Where the embedded queue keeps its messages. Mode 0700: whoever writes there gives us work."""
    queue = home / "queue"
    for folder in (queue, queue / "messages", queue / "control"):
        folder.mkdir(mode=0o700, exist_ok=True)
    return queue


def _random_text() -> str:
    return secrets.token_urlsafe(48)


def secret(home: Path, name: str, *, database_exists: bool, make: Callable[[], str] = _random_text) -> str:
    """The secret called ``name``: from the environment, or its file under ``home``, or made new with mode 0600.

    A database without its secret is refused: a new secret would end every session and look like a working
    instance.
    """
    variable = f"TRADELATCH_{name.upper()}"
    if value := os.environ.get(variable):
        return value
    file = home / "secrets" / name
    if kept := _kept(file):
        return kept
    if database_exists:
        raise ImproperlyConfigured(
            f"The database exists, but its secret is missing: put {file} back, or set {variable}."
        )
    file.parent.mkdir(mode=0o700, exist_ok=True)
    # Written whole under another name first: a process beside this one never reads half a secret.
    draft = file.with_name(f".{name}-{os.getpid()}-{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        handle.write(make())
        handle.flush()
        os.fsync(handle.fileno())
    with contextlib.suppress(FileExistsError):  # another process of this instance was first
        os.link(draft, file)
    draft.unlink()
    return _kept(file)


def holds(database: Path, table: str, where: str = "1") -> bool:
    """Whether an SQLite file has such a row in ``table``: one made before the table or its column was has none."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=20)) as connection:
        try:
            return connection.execute(f"SELECT 1 FROM {table} WHERE {where} LIMIT 1").fetchone() is not None  # noqa: S608  our own
        except sqlite3.OperationalError:
            return False


def _kept(file: Path) -> str:
    """The secret in ``file``; nothing when there is none, or only an empty file."""
    try:
        return file.read_text().strip()
    except FileNotFoundError:
        return ""
