"""Tables as CSV, safe to open in a spreadsheet, and records as NDJSON, a thousand at a time.

Rows are asked for as they are sent, so that no file is held in memory.
"""

import csv
import json
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpRequest, StreamingHttpResponse

from brokers.decimals import plain
from console.untrusted_text import escape_hidden

_ROWS = 1000
# The wide ones too, which some spreadsheets read as the narrow ones (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")

Cell = str | int | Decimal | datetime | None


class _Line:
    """A file that gives back what is written to it."""

    def write(self, text: str) -> str:
        return text


def csv_response(
    request: HttpRequest, name: str, heads: Iterable[str], rows: Iterable[Iterable[Cell]]
) -> StreamingHttpResponse:
    """``name`` is that of the file, without its ending."""
    return _response(request, _table(heads, iter(rows)), f"{name}.csv", "text/csv; charset=utf-8")


def ndjson_response(request: HttpRequest, name: str, records: Iterable[dict[str, Any]]) -> StreamingHttpResponse:
    """One JSON object a line. ``name`` is that of the file, without its ending."""
    return _response(request, _records(iter(records)), f"{name}.ndjson", "application/x-ndjson")


def safe_cell(cell: Cell) -> str:
    """As text. What a spreadsheet would run as a formula gets an apostrophe; our own numbers are none."""
    if cell is None:
        return ""
    if isinstance(cell, Decimal):
        return plain(cell)
    if isinstance(cell, datetime):
        return cell.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    text = escape_hidden(str(cell), lines=True)
    return f"'{text}" if text.startswith(_FORMULA) and not isinstance(cell, int) else text


def _response(request: HttpRequest, parts: Iterator[str], name: str, content_type: str) -> StreamingHttpResponse:
    response = StreamingHttpResponse(
        _slowly(parts) if isinstance(request, ASGIRequest) else parts, content_type=content_type
    )
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    return response


def _table(heads: Iterable[str], rows: Iterator[Iterable[Cell]]) -> Iterator[str]:
    writer = csv.writer(_Line(), quoting=csv.QUOTE_ALL)
    yield writer.writerow(heads)
    while chunk := list(islice(rows, _ROWS)):
        yield "".join(writer.writerow([safe_cell(cell) for cell in row]) for row in chunk)


def _records(records: Iterator[dict[str, Any]]) -> Iterator[str]:
    while chunk := list(islice(records, _ROWS)):
        yield "".join(f"{json.dumps(each, ensure_ascii=False, cls=DjangoJSONEncoder)}\n" for each in chunk)


async def _slowly(parts: Iterator[str]) -> AsyncIterator[str]:
    def following() -> str | None:
        return next(parts, None)

    while (text := await sync_to_async(following)()) is not None:
        yield text
