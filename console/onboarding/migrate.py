"""The database, made and brought up to date before anything is read from it; one of a newer version is left alone."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder


@contextmanager
def startup_lock(home: Path) -> Iterator[None]:
    """One process at a time prepares an instance: a start and a quickstart may be typed at the same moment."""
    with (home / "starting.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def migrate() -> None:
    """Raises ImproperlyConfigured as ``refuse_newer`` does."""
    refuse_newer()
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        call_command("migrate", interactive=False, verbosity=0)


def refuse_newer() -> None:
    """Raises ImproperlyConfigured when a newer version has changed the database: it would be read and written wrongly.

    Whoever starts calls it: run, quickstart, migrate, the web server, the worker and the scheduler.
    """
    known = set()
    for key, migration in MigrationLoader(None).disk_migrations.items():
        known |= {key, *migration.replaces}
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
