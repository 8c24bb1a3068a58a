from typing import Any

from django.core.management.commands import migrate

from console.onboarding import migrate as onboarding_migrate


class Command(migrate.Command):
    """Django's own, but for the database of a newer version."""

    def handle(self, *args: Any, **options: Any) -> None:
        onboarding_migrate.refuse_newer()
        super().handle(*args, **options)
