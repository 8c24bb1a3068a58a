"""The whole of Tradelatch, noting which rooms of the code call which: what ``tests/test_call_graph.py`` starts.

Found by its bare name, from this folder on PYTHONPATH.
"""

import json
import sys
import threading
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

from starlette.types import Receive, Scope, Send

from console.asgi import application as walked

PATH = "/walk"
_ROOT = Path(__file__).resolve().parent.parent.parent
_PACKAGES = ("brokers", "console", "mcpserver")
_HELPERS = ("brokers.compiled_queries", "brokers.shared_reads", "console.telemetry", "console.tracing")
"""They call what they are given, as ``map`` does, or take its time."""
_BACK = (".receive", ".send", ".committed")
"""By these ASGI leads back to the server, and the audit log to whoever waits for a commit."""

_walks: dict[tuple[str, ...], None] = {}
"""Each way through the rooms, from the outermost to the innermost, as it was first gone."""


@cache
def _room(path: str) -> str:
    """The top two levels of a module's name, in console/orders three. Empty for other people's code."""
    try:
        parts = Path(path).resolve().relative_to(_ROOT).with_suffix("").parts
    except ValueError:
        return ""
    if parts[0] not in _PACKAGES:
        return ""
    room = ".".join(parts[: 3 if parts[:2] == ("console", "orders") else 2])
    return "" if room in _HELPERS else room


def _note(frame: FrameType, event: str, _: Any) -> None:
    if event != "call" or not _room(frame.f_code.co_filename):
        return
    walk: list[str] = []
    at: FrameType | None = frame
    while at is not None:
        if at.f_code.co_qualname.endswith(_BACK):
            return
        room = _room(at.f_code.co_filename)
        if room and (not walk or walk[-1] != room):
            walk.append(room)
        at = at.f_back
    _walks.setdefault(tuple(reversed(walk)))


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        # When it starts, not when it is imported: every later call of the process that imports it would be noted.
        threading.setprofile(_note)
        sys.setprofile(_note)
    if scope["type"] != "http" or scope["path"] != PATH:
        await walked(scope, receive, send)
        return
    body = json.dumps(list(_walks)).encode()
    _walks.clear()
    head = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})
