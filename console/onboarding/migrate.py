"""The database, made and brought up to date before anything is read from it; one of a newer version is left alone."""

import fcntl
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import OperationalError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from console.audit.seals import triggers
from console.config import table_statistics
from console.config.direct_database import direct_connection

_WAITS_SECONDS = 60.0
_ASKED_AGAIN_SECONDS = 0.5
_MIGRATION_LOCK = 8_417_205_563
"""Known to nobody else who takes advisory locks in this database."""


@contextmanager
def startup_lock(home: Path) -> Iterator[None]:
    """One process at a time prepares an instance: a start and a quickstart may be typed at the same moment."""
    with (home / "starting.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def instance_lock(home: Path) -> Iterator[None]:
    """Held by ``run`` as long as it runs. Raises BlockingIOError when another process holds it."""
    with (home / "run.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def migrate() -> None:
    """Raises ImproperlyConfigured as ``refuse_newer`` does."""
    refuse_newer()
    executor = MigrationExecutor(connection)
    # A process that died after the tables and before what follows them left the record without its guard.
    if executor.migration_plan(executor.loader.graph.leaf_nodes()) or triggers.missing():
        call_command("migrate", interactive=False, verbosity=0)
        table_statistics.refresh()


def wait_for_database(seconds: float = _WAITS_SECONDS) -> None:
    """Return when it answers, and say once that it does not. Raises ImproperlyConfigured after ``seconds``."""
    deadline, has_said = time.monotonic() + seconds, False
    while not settings.EMBEDDED_DATABASE:
        try:
            with direct_connection() as own:
                own.ensure_connection()
            return
        except OperationalError as error:
            reason = str(error).strip().splitlines()[0]
            if time.monotonic() > deadline:
                raise ImproperlyConfigured(
                    f"The database did not answer within {seconds:.0f} s: {reason}. Start it, or correct "
                    "TRADELATCH_DATABASE_URL."
                ) from error
            if not has_said:
                # The real one: Celery has put a logger in the place of sys.stderr.
                print(f"tradelatch: Waiting for the database: {reason}", file=sys.__stderr__, flush=True)
                has_said = True
            time.sleep(_ASKED_AGAIN_SECONDS)


@contextmanager
def migration_lock() -> Iterator[None]:
    """One process at a time changes the tables, on whatever machine it runs. Raises django.db.Error."""
    if settings.EMBEDDED_DATABASE:
        with (settings.HOME / "migrating.lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        return
    with direct_connection() as own:
        with own.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [_MIGRATION_LOCK])
        yield


def known_migrations() -> set[tuple[str, str]]:
    """App and name of each migration of this version, and of those that a squashed one stands for."""
    known = set()
    for key, migration in MigrationLoader(None).disk_migrations.items():
        known |= {key, *migration.replaces}
    return known


def refuse_newer() -> None:
    """Raises ImproperlyConfigured when a newer version has changed the database: it would be read and written wrongly.

    Whoever starts calls it: run, quickstart, migrate, the web server, the worker and the scheduler. A database that is
    away is waited for first.
    """
    wait_for_database()
    known = known_migrations()
    applied = MigrationRecorder(connection).applied_migrations()
    unknown = sorted((row for key, row in applied.items() if key not in known), key=lambda row: (row.applied, row.pk))
    if not unknown:
        return
    first = unknown[0]
    more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
    kept = f"the folder {settings.HOME}" if settings.EMBEDDED_DATABASE else "the database"
    raise ImproperlyConfigured(
        f"The database is of a newer version than this one ({settings.VERSION}): it has the migration "
        f"{first.app}.{first.name}{more}, which this version does not know. Nothing was changed. Start the newer "
        f"version again; or, to stay with this one, put back a backup of {kept} from before "
        f"{first.applied:%Y-%m-%d %H:%M} UTC, when that migration was applied."
    )
