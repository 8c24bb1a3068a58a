from typing import Any

from django.core.management.commands import migrate

from console.onboarding import migrate as onboarding_migrate


class Command(migrate.Command):
    """Django's own, but one at a time, and not on the database of a newer version."""

    def handle(self, *args: Any, **options: Any) -> None:
        onboarding_migrate.refuse_newer()
        with onboarding_migrate.migration_lock():
            super().handle(*args, **options)
