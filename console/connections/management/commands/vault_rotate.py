from typing import Any

from django.core.management.base import BaseCommand, CommandError

from console.connections import vault


class Command(BaseCommand):
    help = "Encrypt brokers' credentials with the newest of TRADELATCH_VAULT_KEYS. Can be run again at any time."

    def handle(self, *args: Any, **options: Any) -> None:
        done = vault.rotate()
        self.stdout.write(f"Encrypted again: {done.anew}. Already under the newest key: {done.newest}.")
        if done.closed:
            ids = ", ".join(str(pk) for pk in done.closed)
            raise CommandError(
                f"No key opens the credentials of: connection {ids}. Keep the older keys, or link the connection again."
            )
