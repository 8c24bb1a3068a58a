"""The tables of an empty database, made at once as the models have them, instead of migration by migration.

A new instance would walk through every change that the tables ever had, which is most of its first start. That both
ways lead to the same tables, on both databases, is held by ``tests/onboarding/test_first_schema.py``. What migrations
do besides tables concerns rows that an empty database does not have.
"""

from django.apps import apps
from django.core.management.sql import emit_post_migrate_signal
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from console.audit import months


def is_due() -> bool:
    """Whether the database has no table at all. Raises django.db.Error."""
    return not connection.introspection.table_names()


def create() -> None:
    """Make every table and record every migration as applied, in one transaction; then what follows a migration."""
    known = sorted(MigrationLoader(connection, replace_migrations=False).graph.nodes)
    recorder = MigrationRecorder(connection)
    recorder.ensure_schema()
    with connection.schema_editor() as editor:
        for model in apps.get_models():
            if model._meta.can_migrate(connection) and not model._meta.swapped:
                editor.create_model(model)
        # Indexes too, which would be made at the end: the table of calls is divided as a whole.
        for statement in editor.deferred_sql:
            editor.execute(statement)
        editor.deferred_sql.clear()
        months.divide()
        for app, name in known:
            recorder.record_applied(app, name)
    emit_post_migrate_signal(0, interactive=False, db=connection.alias)
