from argparse import ArgumentParser
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from brokers.market_calendars import EXCHANGES
from brokers.paper.bar_imports import ImportRefused, import_bars
from brokers.types import AssetClass


class Command(BaseCommand):
    help = "Add recorded bars from a CSV file to the paper market. They are replayed in a loop."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="CSV with header: ts or date, open, high, low, close, volume")
        parser.add_argument("--symbol", required=True, help="such as ETH/USD")
        parser.add_argument("--name", required=True, help='such as "Ether"')
        parser.add_argument("--asset-class", required=True, choices=[kind.value for kind in AssetClass])
        parser.add_argument("--currency", default="USD")
        parser.add_argument("--tick", default="0.01", help="smallest price step")
        parser.add_argument("--lot", help="smallest quantity step; 0.00000001 for crypto, else 1")
        parser.add_argument("--minimum", help="smallest order; one lot unless given")
        parser.add_argument(
            "--exchange",
            default="",
            choices=list(EXCHANGES),
            help="whose hours it keeps on connections with exchange hours; at all hours unless given",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with options["file"].open(newline="", encoding="utf-8-sig") as file:
                series = import_bars(
                    file,
                    symbol=options["symbol"],
                    name=options["name"],
                    asset_class=AssetClass(options["asset_class"]),
                    currency=options["currency"],
                    tick=_decimal(options["tick"], "tick"),
                    lot=None if options["lot"] is None else _decimal(options["lot"], "lot"),
                    minimum=None if options["minimum"] is None else _decimal(options["minimum"], "minimum"),
                    exchange=options["exchange"],
                )
        except ImportRefused as error:
            raise CommandError("Nothing was imported.\n" + "\n".join(error.problems)) from None
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"The file {options['file']} cannot be read as text: {error}") from None
        count = series.bars.count()
        self.stdout.write(f"Imported {count:,} bars of {series.symbol}. They play in a loop from now on.")


def _decimal(text: str, word: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise CommandError(f"The {word} {text!r} is not a number.") from None
