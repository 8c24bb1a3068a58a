"""The instance's own folder: database, generated secrets, broker queue. Read once, by settings."""

import contextlib
import ipaddress
import os
import secrets
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

OWN_NAME = "tradelatch.localhost"
"""A name for this computer (RFC 6761 section 6.3) that no other program answers to: cookies are kept by name and know
no port, so under ``localhost`` every local server is sent those of the console."""
MADE: set[Path] = set()
"""What this process wrote because it was not there: nothing that anybody depends on yet."""


def own_data() -> Path:
    """Where an installed package keeps its data unless told. Raises ImproperlyConfigured for a user without a home."""
    try:
        folder = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    except RuntimeError as error:
        raise ImproperlyConfigured("This user has no home folder: set TRADELATCH_HOME.") from error
    return Path(folder) / "tradelatch"


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


def local_name(home: Path, *, listens: str) -> str:
    """By what name the instance is reached on this computer: its own where that is known here, else ``localhost``.

    Decided at the first start and kept: passkeys belong to the name. A home from before keeps ``localhost``, as does a
    server that listens to other computers.
    """
    file = home / "name"
    if kept := _read_secret(file):
        return kept
    is_new = not (home / "secrets").exists()
    _write_once(file, OWN_NAME if is_new and _leads_here(listens) and _leads_here(OWN_NAME) else "localhost")
    return _read_secret(file)


def _leads_here(name: str) -> bool:
    """Whether the name is known on this computer, and leads to nothing but it."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return bool(found) and all(ipaddress.ip_address(each[4][0]).is_loopback for each in found)


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
    if kept := _read_secret(file):
        return kept
    if database_exists:
        raise ImproperlyConfigured(
            f"The database exists, but its secret is missing: restore {file}, or set {variable}."
        )
    file.parent.mkdir(mode=0o700, exist_ok=True)
    _write_once(file, make())
    return _read_secret(file)


def _write_once(file: Path, text: str) -> None:
    """Write it, unless another process of this instance was first."""
    # Written whole under another name first: a process beside this one never reads half a secret.
    draft = file.with_name(f".{file.name}-{os.getpid()}-{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    with contextlib.suppress(FileExistsError):
        os.link(draft, file)
        MADE.add(file)
    draft.unlink()


def holds(database: Path, table: str, where: str = "1") -> bool:
    """Whether an SQLite file has such a row in ``table``: one made before the table or its column was has none."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=20)) as connection:
        try:
            return connection.execute(f"SELECT 1 FROM {table} WHERE {where} LIMIT 1").fetchone() is not None  # noqa: S608  our own
        except sqlite3.OperationalError:
            return False
        except sqlite3.DatabaseError:  # damaged: what it held is not known
            return True


def _read_secret(file: Path) -> str:
    """The text in ``file``; nothing when there is none, or only an empty file."""
    try:
        return file.read_text().strip()
    except FileNotFoundError:
        return ""
