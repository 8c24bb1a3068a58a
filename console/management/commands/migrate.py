from typing import Any

from django.core.management.commands import migrate

from console.onboarding import first_schema
from console.onboarding import migrate as onboarding_migrate


class Command(migrate.Command):
    """Django's own, but one at a time, not on the database of a newer version, and at once on an empty one."""

    def handle(self, *args: Any, **options: Any) -> None:
        onboarding_migrate.refuse_newer()
        with onboarding_migrate.migration_lock():
            if options["app_label"] is None and first_schema.is_due():
                first_schema.create()
                return
            super().handle(*args, **options)
