from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from console.operations import data_transfer
from console.operations.backup_error import BackupError


class Command(BaseCommand):
    help = "Write every row into a file that import_data reads into another kind of database. Secrets are not in it."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE", help="a file that does not exist yet")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            done = data_transfer.export(options["file"])
        except BackupError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Wrote {done.rows} rows of {done.tables} tables to {options['file']}.")
