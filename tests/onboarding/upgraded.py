"""An instance of an older schema with a row in every table, brought to the newest: what became of each row.

    python -m tests.onboarding.upgraded

In a home and with a database of its own. Prints JSON: the tables, and what is wrong.
"""

import json
import sys
import uuid
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any

import django

django.setup()

from django.apps.registry import Apps  # noqa: E402  after django.setup()
from django.db import IntegrityError, connection, transaction  # noqa: E402
from django.db.migrations.executor import MigrationExecutor  # noqa: E402
from django.utils import timezone  # noqa: E402

OLD = {
    "accounts": "0002_second_factors_links_and_freeze",
    "audit": "0002_call_credential",
    "clients": "0002_documents_management_review",
    "connected_apps": "0005_console_source",
    "connections": "0005_linking",
    "halts": "0001_initial",
    "journal": "0001_initial",
    "keys": "0002_rotation_and_management",
    "oauth": "0002_pendingconsent",
    "onboarding": "0001_stand_in",
    "orders": "0007_questions",
    "paper": "0007_exchanges",
    "platforms": "0001_initial",
}
"""As of 30 November 2026, commit 6d25ebd."""
_VALUES: dict[str, Any] = {
    "BooleanField": False,
    "DateField": date(2026, 11, 30),
    "TimeField": time(9, 30),
    "DurationField": timedelta(seconds=5),
    "DecimalField": Decimal(2),
    "ExactDecimalField": Decimal(2),
    "FloatField": 2.0,
    "JSONField": {"symbol": "AAPL"},
    "GenericIPAddressField": "203.0.113.9",
    "BinaryField": b"x",
}
_NUMBERS = ("IntegerField", "BigIntegerField", "PositiveIntegerField", "PositiveSmallIntegerField", "SmallIntegerField")


def _value(field: Any) -> Any:
    """What fits the column and no other row of the table needs."""
    kind = field.get_internal_type()
    if kind in _VALUES:
        return _VALUES[kind]
    if kind == "DateTimeField":
        return timezone.now() - timedelta(hours=1)
    if kind in _NUMBERS or kind == "PositiveBigIntegerField":
        return 2
    if kind == "UUIDField":
        return uuid.uuid4()
    return (field.choices[0][0] if field.choices else f"x{field.name}")[: field.max_length or None]


def _fill(apps: Apps) -> dict[str, dict[str, Any]]:
    """One row in each table that takes one; by table, what is in its columns."""
    made: dict[Any, Any] = {}
    left = [model for model in apps.get_models() if model._meta.managed and not model._meta.auto_created]
    while left:
        # Those first whose every relation has a row by now; where there are none, those that have what they need.
        whole = [model for model in left if _needs(model, optional=True) <= made.keys() | {model}]
        ready = whole or [model for model in left if _needs(model, optional=False) <= made.keys()]
        for model in ready[: len(whole) or 1]:
            row = _row(model, made, with_optional=True)
            try:
                with transaction.atomic():
                    row.save()
            except IntegrityError:  # a check that only one of several is there
                row = _row(model, made, with_optional=False)
                row.save()
            made[model] = row
            left.remove(model)
    return {model._meta.db_table: _read(model._meta.db_table) for model in made}


def _needs(model: Any, *, optional: bool) -> set[Any]:
    return {
        field.related_model
        for field in model._meta.concrete_fields
        if field.is_relation and (optional or not field.null)
    }


def _row(model: Any, made: dict[Any, Any], *, with_optional: bool) -> Any:
    row = model()
    for field in model._meta.concrete_fields:
        if field.is_relation:
            if field.related_model in made and (with_optional or not field.null):
                setattr(row, field.name, made[field.related_model])
        elif field.primary_key and field.get_internal_type() in ("BigAutoField", "AutoField"):
            continue
        elif not field.has_default() or field.unique:
            setattr(row, field.attname, _value(field))
    return row


def _read(table: str) -> dict[str, Any]:
    """The newest row."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608  our own names
        names = [column[0] for column in cursor.description]
        rows = cursor.fetchall()
    return dict(zip(names, map(str, rows[-1]), strict=True)) if rows else {}


def main() -> None:
    executor = MigrationExecutor(connection)
    others = [leaf for leaf in executor.loader.graph.leaf_nodes() if leaf[0] in _not_ours(executor)]
    executor.migrate([*OLD.items(), *others])
    before = _fill(MigrationExecutor(connection).loader.project_state(list(OLD.items())).apps)
    newest = MigrationExecutor(connection)
    newest.migrate(newest.loader.graph.leaf_nodes())
    there = set(connection.introspection.table_names())
    wrong = []
    for table, row in before.items():
        if table not in there:
            wrong.append(f"{table} is gone")
            continue
        after = _read(table)
        if not after:
            wrong.append(f"{table} lost its row")
        wrong += [
            f"{table}.{name}: {value} became {after[name]}"
            for name, value in row.items()
            if after.get(name, value) != value
        ]
    sys.stdout.write(json.dumps({"tables": sorted(before), "wrong": wrong}))


def _not_ours(executor: MigrationExecutor) -> set[str]:
    """Apps of libraries: Django's, allauth's and those of OAuth."""
    return {app for app, _ in executor.loader.graph.leaf_nodes()} - _ours()


def _ours() -> set[str]:
    return {
        config.label
        for config in django.apps.apps.get_app_configs()
        if config.name.startswith(("console.", "brokers."))
    }


if __name__ == "__main__":
    main()
