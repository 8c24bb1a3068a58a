"""Bring recorded bars into the paper market: all rows of a file, or none of them."""

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation

from django.db import transaction
from django.utils import timezone

from brokers.decimals import is_multiple, plain
from brokers.market_calendars import EXCHANGES
from brokers.paper import ledger, listings
from brokers.paper.models import ImportedBar, ImportedSeries
from brokers.types import AssetClass, BarSize

MOST_ROWS = 500_000
"""A series is held in memory while it plays."""
_MOST_PROBLEMS = 20
_PRICES = ("open", "high", "low", "close")
_SYMBOL = re.compile(r"[A-Z0-9]{1,12}([./-][A-Z0-9]{1,12})?")


class ImportRefused(ValueError):
    """``problems`` are sentences, one per fault, each with its line number where it has one."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class _Row:
    start: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


def import_bars(
    lines: Iterable[str],
    *,
    symbol: str,
    name: str,
    asset_class: AssetClass,
    currency: str = "USD",
    tick: Decimal = Decimal("0.01"),
    lot: Decimal | None = None,
    minimum: Decimal | None = None,
    exchange: str = "",
    now: datetime | None = None,
) -> ImportedSeries:
    """Add a series from CSV text. Raises ImportRefused; nothing is kept then.

    Its header names open, high, low, close, volume and either ``ts`` (minute bars; ISO times, UTC where they
    name no zone) or ``date`` (daily bars). ``exchange`` is a name in ``market_calendars.EXCHANGES`` or empty.
    """
    symbol = symbol.strip().upper()
    lot = lot if lot is not None else Decimal("0.00000001" if asset_class is AssetClass.CRYPTO else "1")
    minimum = minimum if minimum is not None else lot
    _check_instrument(symbol, name, currency, {"tick": tick, "lot": lot, "minimum": minimum})
    if exchange and exchange not in EXCHANGES:
        raise ImportRefused([f"Unknown exchange {exchange!r}; known exchanges are {', '.join(EXCHANGES)}."])
    size, rows = _read(lines, tick)
    with transaction.atomic():
        series = ImportedSeries.objects.create(
            symbol=symbol,
            name=name.strip(),
            asset_class=asset_class.value,
            currency=currency,
            tick=tick,
            lot=lot,
            minimum=minimum,
            size=size.value,
            exchange=exchange,
            imported=now or timezone.now(),
        )
        ImportedBar.objects.bulk_create(
            [
                ImportedBar(
                    series=series,
                    start=row.start,
                    open=row.open,
                    high=row.high,
                    low=row.low,
                    close=row.close,
                    volume=row.volume,
                )
                for row in rows
            ],
            batch_size=1000,
        )
    return series


def _check_instrument(symbol: str, name: str, currency: str, steps: dict[str, Decimal]) -> None:
    problems = []
    if not _SYMBOL.fullmatch(symbol):
        problems.append(f"The symbol {symbol!r} must look like ETH/USD or SHOP.")
    elif listings.is_taken(symbol):
        problems.append(f"The paper market already has {symbol}; choose another symbol.")
    if not 1 <= len(name.strip()) <= 100:
        problems.append("The name must have 1 to 100 characters.")
    if not re.fullmatch(r"[A-Z]{3}", currency):
        problems.append("The currency must be a three-letter code such as USD.")
    for word, step in steps.items():
        if not step.is_finite() or not 0 < step <= ledger.LARGEST or step != round(step, 18):
            problems.append(f"The {word} must be a number greater than 0 with at most 18 decimals.")
    if not problems and not is_multiple(steps["minimum"], steps["lot"]):
        problems.append("The minimum must be a multiple of the lot.")
    if problems:
        raise ImportRefused(problems)


def _read(lines: Iterable[str], tick: Decimal) -> tuple[BarSize, list[_Row]]:
    reader = csv.reader(lines)
    header = [cell.strip().lower().lstrip("\ufeff") for cell in next(reader, [])]
    time_column = "ts" if "ts" in header else "date"
    missing = [word for word in (*_PRICES, "volume") if word not in header]
    if time_column not in header:
        missing.insert(0, "ts or date")
    if missing:
        raise ImportRefused([f"Line 1: the header is missing {', '.join(missing)}."])
    size = BarSize.MINUTE if time_column == "ts" else BarSize.DAY
    rows: list[_Row] = []
    problems: list[str] = []
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        try:
            if len(cells) != len(header):
                raise ValueError(f"{len(cells)} values where the header has {len(header)}")
            row = _row({word: cell.strip() for word, cell in zip(header, cells, strict=True)}, time_column, tick)
            if rows and row.start <= rows[-1].start:
                raise ValueError(f"{time_column} must be later than on the line before")
            rows.append(row)
        except ValueError as error:
            problems.append(f"Line {reader.line_num}: {error}.")
        if len(problems) == _MOST_PROBLEMS:
            problems.append("There may be more; reading stopped here.")
            break
        if len(rows) > MOST_ROWS:
            problems.append(f"The file has more than {MOST_ROWS:,} bars.")
            break
    if not rows and not problems:
        problems.append("The file has a header and no bars.")
    if problems:
        raise ImportRefused(problems)
    return size, rows


def _row(cells: dict[str, str], time_column: str, tick: Decimal) -> _Row:
    start = _minute(cells["ts"]) if time_column == "ts" else _day(cells["date"])
    opened, high, low, close = (_price(cells[word], word, tick) for word in _PRICES)
    volume = number(cells["volume"], "volume")
    if volume < 0:
        raise ValueError("volume is negative")
    if not low <= min(opened, close) or not max(opened, close) <= high:
        raise ValueError("open and close must lie between low and high")
    return _Row(start, opened, high, low, close, volume)


def _minute(text: str) -> datetime:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"ts {text!r} is not a time such as 2024-05-01T14:30:00Z") from None
    when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    if when.second or when.microsecond:
        raise ValueError(f"ts {text!r} is not the start of a minute")
    return when


def _day(text: str) -> datetime:
    try:
        on = date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"date {text!r} is not a day such as 2024-05-01") from None
    return datetime(on.year, on.month, on.day, tzinfo=UTC)


def _price(text: str, word: str, tick: Decimal) -> Decimal:
    value = number(text, word)
    if value <= 0:
        raise ValueError(f"{word} must be greater than 0")
    if not is_multiple(value, tick):
        raise ValueError(f"{word} {text} is not a multiple of the tick {plain(tick)}")
    return value


def number(text: str, word: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{word} {text!r} is not a number") from None
    if not value.is_finite() or abs(value) > ledger.LARGEST or value != round(value, 18):
        raise ValueError(f"{word} {text!r} is not a number with at most 18 decimals")
    return value
