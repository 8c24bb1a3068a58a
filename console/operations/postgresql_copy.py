"""A PostgreSQL database into one file and back, by pg_dump and pg_restore."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.conninfo import make_conninfo

from console.config.direct_database import direct_connection
from console.operations.backup_error import BackupError


def dump(target: Path) -> tuple[list[str], dict[str, int]]:
    """One moment of the database, into ``target``: its migrations and how many rows each table has.

    Raises BackupError.
    """
    try:
        with direct_connection() as connection, connection.cursor() as cursor:
            cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            cursor.execute("SELECT pg_export_snapshot()")
            (snapshot,) = cursor.fetchone()
            if "django_migrations" not in _tables(connection):
                raise BackupError("It is no database of Tradelatch: run manage.py migrate first.")
            # What a restore moved aside is no part of the instance.
            _run(
                "pg_dump",
                ["--format=custom", f"--snapshot={snapshot}", "--exclude-schema=replaced_*", f"--file={target}"],
                connection,
            )
            cursor.execute("SELECT app, name FROM django_migrations ORDER BY id")
            migrations = [f"{app}.{name}" for app, name in cursor.fetchall()]
            return migrations, _counts(connection)
    except Error as error:
        raise BackupError(f"The database does not answer: {str(error).strip()}") from error


def restore(source: Path, counts: dict[str, int], *, aside: str, then: Callable[[], None]) -> bool:
    """Into the database of the settings. ``aside`` names the schema that its tables go to; "" refuses any tables.

    ``then`` does what belongs to it. Returns whether there were any tables. Raises BackupError, and what ``then``
    raises; then the database is as it was.
    """
    try:
        with direct_connection() as connection, connection.cursor() as cursor:
            _refuse_used(connection)
            there = _tables(connection)
            if there and not aside:
                raise BackupError(
                    "The database has tables already. Name an empty one in TRADELATCH_DATABASE_URL, or add --replace: "
                    "they are then moved aside."
                )
            if there:
                cursor.execute(f"ALTER SCHEMA public RENAME TO {aside}")
                cursor.execute("CREATE SCHEMA public")
            try:
                options = ["--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error"]
                _run("pg_restore", [*options, str(source)], connection)
                if _counts(connection) != counts:
                    raise BackupError("The restored database has other rows than the manifest says.")
                then()
            except BaseException:  # Ctrl-C too
                cursor.execute("DROP SCHEMA public CASCADE")
                cursor.execute(f"ALTER SCHEMA {aside} RENAME TO public" if there else "CREATE SCHEMA public")
                raise
            return bool(there)
    except Error as error:
        raise BackupError(f"The database does not answer: {str(error).strip()}") from error


def _refuse_used(connection: BaseDatabaseWrapper) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
            "AND backend_type = 'client backend'"
        )
        (others,) = cursor.fetchone()
    if others:
        raise BackupError(
            f"The database has {others} other connections: stop every web server, worker and scheduler first."
        )


def _tables(connection: BaseDatabaseWrapper) -> list[str]:
    with connection.cursor() as cursor:
        return sorted(each.name for each in connection.introspection.get_table_list(cursor) if each.type in "tp")


def _counts(connection: BaseDatabaseWrapper) -> dict[str, int]:
    found = {}
    with connection.cursor() as cursor:
        for table in _tables(connection):
            cursor.execute(f'SELECT COUNT(*) FROM "{table}"')  # noqa: S608  names of tables that are there
            (found[table],) = cursor.fetchone()
    return found


def _run(program: str, options: list[str], connection: BaseDatabaseWrapper) -> None:
    """Raises BackupError."""
    found = shutil.which(program)
    if found is None:
        raise BackupError(
            f"{program} was not found on PATH. It comes with PostgreSQL's client programs: on Debian and Ubuntu, "
            "install postgresql-client, of the server's version or newer."
        )
    client, server = _major_version(found), connection.get_database_version()[0]
    if 0 < client < server:
        raise BackupError(
            f"{program} on PATH is of PostgreSQL {client} and cannot read the server's {server}. Install "
            f"postgresql-client-{server}, from apt.postgresql.org where the system has none, or put its folder first "
            "on PATH."
        )
    parameters = connection.get_connection_params()
    known = ("host", "port", "user", "dbname", "sslmode", "sslrootcert", "sslcert", "sslkey")
    address = make_conninfo("", **{name: parameters[name] for name in known if parameters.get(name)})
    environment = os.environ | ({"PGPASSWORD": parameters["password"]} if parameters.get("password") else {})
    ran = subprocess.run(  # noqa: S603  found on PATH by its own name, no shell
        [found, f"--dbname={address}", "--no-password", *options],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        said = (ran.stderr.strip().splitlines() or [f"exit code {ran.returncode}"])[0]
        raise BackupError(f"{program} failed: {said}")


def _major_version(program: str) -> int:
    """Of PostgreSQL's own program; 0 where it does not say."""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603
    found = re.search(r"PostgreSQL\) (\d+)", said)
    return int(found[1]) if found else 0
