from typing import Any

from django.core.management.base import BaseCommand

from console.onboarding import migrate, sealing_keys


class Command(BaseCommand):
    help = "Use the database with this instance's keys, where those it was used with are lost."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        migrate.migrate()
        sealing_keys.accept_own()
        self.stdout.write(
            "This instance's keys are accepted. What older keys encrypted cannot be read: people link their brokers "
            "and set up their authenticator apps and notifications again."
        )
