from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from brokers.paper.bar_imports import ImportRefused
from brokers.paper.corporate_actions import import_actions


class Command(BaseCommand):
    help = "Add announced dividends and splits of stocks to the paper market, from a CSV file."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="CSV with header: symbol,kind,ex_date,value")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with options["file"].open(newline="", encoding="utf-8-sig") as file:
                count = import_actions(file)
        except ImportRefused as error:
            raise CommandError("Nothing was imported.\n" + "\n".join(error.problems)) from None
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"The file {options['file']} cannot be read as text: {error}") from None
        self.stdout.write(f"Imported {count:,} corporate actions. Each takes effect at 00:00 UTC of its ex-date.")
