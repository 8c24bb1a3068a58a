from typing import Any

from django.db import migrations

from console.audit import months


def divide(apps: Any, schema_editor: Any) -> None:
    months.divide()


class Migration(migrations.Migration):
    atomic = False
    """An index is made while calls go on, which no transaction can."""

    dependencies = [("audit", "0007_call_context")]

    operations = [migrations.RunPython(divide, migrations.RunPython.noop)]
