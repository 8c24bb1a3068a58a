from typing import Any

from django.core.management.base import BaseCommand, CommandError

from console.connections import vault


class Command(BaseCommand):
    help = "Seal brokers' credentials under the newest of TRADELATCH_VAULT_KEYS. It can be run again at any time."

    def handle(self, *args: Any, **options: Any) -> None:
        done = vault.rotate()
        self.stdout.write(f"Sealed anew: {done.anew}. Under the newest key already: {done.newest}.")
        if done.closed:
            ids = ", ".join(str(pk) for pk in done.closed)
            raise CommandError(f"No key opens the credentials of: connection {ids}. Keep the older keys, or link anew.")
