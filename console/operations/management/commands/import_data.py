from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from console.operations import data_transfer
from console.operations.backup_error import BackupError


class Command(BaseCommand):
    help = "Read what export_data wrote into an empty database, and compare every row."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE", help="what export_data wrote")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            done = data_transfer.load(options["file"])
        except BackupError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Read {done.rows} rows of {done.tables} tables. Every row is the same as in the file.")
