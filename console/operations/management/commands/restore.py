from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from console.operations import backup
from console.operations.backup_error import BackupError


class Command(BaseCommand):
    help = "Put a backup into an empty home and database. The instance must not run."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, metavar="FOLDER", help="what backup made")
        parser.add_argument("--replace", action="store_true", help="move what is there aside, instead of refusing")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            done = backup.restore(options["folder"], replace=options["replace"])
        except BackupError as error:
            raise CommandError(str(error)) from error
        told = done.manifest
        self.stdout.write(
            f"Restored {sum(told.counts.values())} rows of {len(told.counts)} tables, saved {told.made_at} by version "
            f"{told.version}, into {settings.HOME}."
        )
        if done.aside:
            self.stdout.write(f"What was there is now in {done.aside}; delete it when you no longer need it.")
        if not done.with_secrets:
            self.stdout.write(f"The backup has no secrets: put them into {settings.HOME / 'secrets'} before you start.")
        elif told.secrets_elsewhere:
            self.stdout.write(f"Not in the backup, set them before you start: {', '.join(told.secrets_elsewhere)}.")
