"""Progress of a call that runs in a worker thread, told to its client while it runs (MCP basic/utilities/progress)."""

import contextlib
from collections.abc import AsyncIterator

import anyio
import anyio.from_thread
from mcp.server.session import ServerSession

from console.untrusted_text import escape_hidden
from mcpserver.context import Report

_BACKLOG = 64
"""Reports that wait for a slow client; further ones are dropped, and the call never waits."""


@contextlib.asynccontextmanager
async def progress_reporter(session: ServerSession) -> AsyncIterator[Report]:
    """A ``Call.report`` for the worker thread. What it is told has left when the block ends."""
    send, receive = anyio.create_memory_object_stream[tuple[float, float | None, str]](_BACKLOG)

    def offer(item: tuple[float, float | None, str]) -> None:
        with contextlib.suppress(anyio.WouldBlock, anyio.ClosedResourceError, anyio.BrokenResourceError):
            send.send_nowait(item)

    def report(done: float, total: float | None = None, message: str = "") -> None:
        anyio.from_thread.run_sync(offer, (done, total, escape_hidden(message)))

    async def pass_on() -> None:
        # A client that has gone hears no more; its call goes on.
        with contextlib.suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
            async for done, total, message in receive:
                await session.report_progress(done, total, message or None)

    async with receive, anyio.create_task_group() as tasks:
        tasks.start_soon(pass_on)
        async with send:
            yield report
