"""The whole of Tradelatch without one piece of the fast path of ``/mcp``: what ``fast_path`` starts.

``BENCH_WITHOUT`` names the piece. Nothing in the product knows of it: the piece is put aside here, at start.
"""

import asyncio
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from django.db import DatabaseError, close_old_connections

from console.asgi import application
from console.audit.group_commit import Done, Row, writer
from console.authority import bearer
from console.connections import broker_access
from mcpserver import asgi, fast_path, server
from mcpserver.context import ToolAnswer

__all__ = ["application"]


class _Pool:
    """A common pool in place of ``WorkerPool``: any free thread takes the next call, and none shares a look-up."""

    def __init__(self, *_: object, **__: object) -> None:
        self._threads = ThreadPoolExecutor(40)

    def submit(self, job: Callable[[], None], wanted: str = "") -> None:
        asyncio.get_running_loop().run_in_executor(self._threads, self._run, job)

    def _run(self, job: Callable[[], None]) -> None:
        try:
            job()
        finally:
            close_old_connections()


def _without_threads() -> None:
    vars(fast_path)["WorkerPool"] = _Pool  # put aside for the measurement
    asgi.mcp_app.__init__()  # type: ignore[misc]  # made again, with the pool


def _without_shared_reads() -> None:
    broker_access.share_reads = lambda: None
    bearer.look_up_together = lambda bearers: None


def _without_group_commit() -> None:
    """Each call commits its own row, in its own thread."""

    def write(row: Row, done: Done) -> None:
        error: DatabaseError | None = None
        try:
            writer._insert.run([row])
        except DatabaseError as raised:
            error = raised
        done(error)

    writer.hand_over = write  # type: ignore[method-assign]


def _without_hand_built_answers() -> None:
    """The same answers through the SDK's types."""

    def body(self: fast_path.FastPath, plain: fast_path.FastRequest, answer: ToolAnswer) -> bytes:
        result = server.result_of(answer, plain.tool, plain.arguments).model_dump(
            by_alias=True, mode="json", exclude_none=True
        )
        if plain.is_modern:
            result |= json.loads(f"{{{self._modern_end[1:-1]}")
        told = {"jsonrpc": "2.0", "id": json.loads(plain.id), "result": result}
        return json.dumps(told, separators=(",", ":")).encode()

    fast_path.FastPath._body = body  # type: ignore[method-assign]


def _without_all() -> None:
    """Every request goes to the SDK."""
    asgi.mcp_app.__init__(is_lean=False)  # type: ignore[misc]


{
    "": lambda: None,
    "threads": _without_threads,
    "shared": _without_shared_reads,
    "group": _without_group_commit,
    "answers": _without_hand_built_answers,
    "all": _without_all,
}[os.environ.get("BENCH_WITHOUT", "")]()
