from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from console.operations import backup
from console.operations.backup_error import BackupError


class Command(BaseCommand):
    help = "Copy the database and the secrets into a new folder, while the instance runs."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, metavar="FOLDER", help="a folder that does not exist yet")
        parser.add_argument("--without-secrets", action="store_true", help="leave out secrets/; keep a copy elsewhere")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            made = backup.make(options["folder"], with_secrets=not options["without_secrets"])
        except BackupError as error:
            raise CommandError(str(error)) from error
        size = sum((options["folder"] / name).stat().st_size for name in made.files)
        rows = sum(made.counts.values())
        self.stdout.write(f"Saved {rows} rows of {len(made.counts)} tables, {size} bytes, in {options['folder']}.")
        if made.secrets_elsewhere:
            self.stdout.write(f"Not in the backup, keep them elsewhere: {', '.join(made.secrets_elsewhere)}.")
        if not options["without_secrets"]:
            secrets = options["folder"] / backup.SECRETS
            self.stdout.write(f"{secrets} has keys that sign or open what is in the backup: keep it private.")
