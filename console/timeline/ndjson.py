"""One JSON object a line, sent while it is read."""

import json
from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import islice
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpRequest, StreamingHttpResponse

_ROWS = 500


def ndjson_response(request: HttpRequest, name: str, rows: Iterable[dict[str, Any]]) -> StreamingHttpResponse:
    """``rows`` are asked for as they are sent, so that no file is held in memory."""
    lines = _lines(iter(rows))
    response = StreamingHttpResponse(
        _slowly(lines) if isinstance(request, ASGIRequest) else lines, content_type="application/x-ndjson"
    )
    response["Content-Disposition"] = f'attachment; filename="{name}.ndjson"'
    response["Cache-Control"] = "no-store"
    return response


def _lines(rows: Iterator[dict[str, Any]]) -> Iterator[str]:
    while chunk := list(islice(rows, _ROWS)):
        yield "".join(f"{json.dumps(row, ensure_ascii=False, cls=DjangoJSONEncoder)}\n" for row in chunk)


async def _slowly(lines: Iterator[str]) -> AsyncIterator[str]:
    def following() -> str | None:
        return next(lines, None)

    while (text := await sync_to_async(following)()) is not None:
        yield text
