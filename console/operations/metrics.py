"""``/metrics``, for who has the operator's token.

Calls and their durations are those of the process that answers: scrape each. What is read from the database and the
queue is the same from every process.
"""

import hmac
import time
from functools import cache
from importlib import import_module
from typing import Any

import anyio.to_thread
from django.conf import settings
from starlette.types import Receive, Scope, Send

PATH = "/metrics"
_STARTED_AT = time.time()
_PLAIN = "text/plain; charset=utf-8"


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """404 where no token is set, 401 without it, else every figure."""
    if not settings.METRICS_TOKENS:
        await _send(scope, send, 404, b"")
    elif not _may_read(scope):
        await _send(scope, send, 401, b"")
    elif scope["method"] not in ("GET", "HEAD"):
        await _send(scope, send, 405, b"")
    else:
        kind, body = await anyio.to_thread.run_sync(_text)
        await _send(scope, send, 200, body, kind)


def _text() -> tuple[str, bytes]:
    text: tuple[str, bytes] = _figures().text(_STARTED_AT)
    return text


@cache
def _figures() -> Any:
    """Loaded when the first asks: its library is nothing to the many who scrape nothing."""
    return import_module("console.operations.figures")


def _may_read(scope: Scope) -> bool:
    """As ``Authorization: Bearer`` (RFC 6750 section 2.1)."""
    given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    kind, _, token = given.partition(b" ")
    fits = [hmac.compare_digest(token.strip(), each.encode()) for each in settings.METRICS_TOKENS]
    return kind.lower() == b"bearer" and any(fits)


async def _send(scope: Scope, send: Send, status: int, body: bytes, kind: str = _PLAIN) -> None:
    headers = [
        (b"content-type", kind.encode()),
        (b"cache-control", b"no-store"),
        (b"content-length", str(len(body)).encode()),
    ]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
