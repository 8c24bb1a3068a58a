"""``/mcp`` as an ASGI app of its own: beside the console in one process, or deployed alone."""

import asyncio
import gc
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import FrameType

import anyio.to_thread
import django
from django.core.exceptions import ImproperlyConfigured
from django.db import connections

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
django.setup()

from django.conf import settings  # noqa: E402 - needs django.setup()
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager  # noqa: E402 - needs django.setup()
from starlette.types import Receive, Scope, Send  # noqa: E402

from console import base_path, header_limit, log_format, telemetry, toolsets, trusted_proxies  # noqa: E402
from console.authority import call_quota  # noqa: E402
from console.onboarding import migrate, sealing_keys  # noqa: E402
from console.operations import health, metrics  # noqa: E402
from mcpserver import console_catalog, edge, server  # noqa: E402
from mcpserver.fast_path import FastPath  # noqa: E402
from mcpserver.subscriptions import Listeners  # noqa: E402
from mcpserver.surface import OURS, Surface  # noqa: E402

PATHS = ("/mcp", "/mcp/")
ANSWERED = frozenset({*PATHS, *health.PATHS, metrics.PATH})
"""What this app answers where it stands beside another."""
_OBJECTS_BETWEEN_COLLECTIONS = 20_000


class McpApp:
    """Serves both eras, stateless: any process may answer any request."""

    def __init__(self, surface: Surface = OURS, *, is_lean: bool = True) -> None:
        """Without ``is_lean`` the SDK answers everything: what the short way is compared with."""
        self._listeners = Listeners(surface)
        self.server = server.make(surface, self._listeners)
        # One JSON object per answer, or a stream where something may come before the answer.
        self._plain = StreamableHTTPSessionManager(self.server, json_response=True, stateless=True)
        self._streamed = StreamableHTTPSessionManager(self.server, json_response=False, stateless=True)
        lean = FastPath(surface, self.server.server_info_stamp) if is_lean else None
        self._edge = edge.app(self.serve, surface, lean)

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Enter once, before the first request, and leave at shutdown."""
        async with self._plain.run(), self._streamed.run(), self._listeners.run():
            yield

    def close_streams(self) -> None:
        """End what would stay open for ever; calls go on. In the thread of the loop."""
        self._listeners.close()

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What the edge lets in and the short way does not take."""
        manager = self._streamed if scope[server.STREAMS] else self._plain
        await manager.asgi_app(scope, receive, send)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and settings.BASE_PATH:
            scope = {**scope, "path": base_path.within(scope["path"])}
        if scope["type"] == "lifespan":
            await lifespan(self, receive, send)
        elif scope["type"] == "http" and scope["path"] in PATHS:
            await self._edge(scope, receive, send)
        elif scope["type"] == "http" and scope["path"] in health.PATHS:
            await health.answer(scope, receive, send)
        elif scope["type"] == "http" and scope["path"] == metrics.PATH:
            await metrics.answer(scope, receive, send)
        elif scope["type"] == "http":
            await send({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body", "body": b""})


async def lifespan(mcp: McpApp, receive: Receive, send: Send) -> None:
    """The ASGI lifespan protocol around ``mcp.run()``."""
    await receive()
    try:
        await anyio.to_thread.run_sync(_refuse_what_does_not_fit)
    except ImproperlyConfigured as error:
        await send({"type": "lifespan.startup.failed", "message": f"tradelatch: {error}"})
        return
    log_format.name_process("mcp", unless_named=True)
    telemetry.start()
    call_quota.prepare()
    # What is loaded by now stays for good: no collection needs to walk over it again. Python looks for cycles after 700
    # new objects, which is every few calls, and finds next to none: that cost a twentieth of a call.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, *gc.get_threshold()[1:])
    async with mcp.run():
        with _told_of_its_end(mcp.close_streams):
            await send({"type": "lifespan.startup.complete"})
            await receive()
    await send({"type": "lifespan.shutdown.complete"})


@contextmanager
def _told_of_its_end(act: Callable[[], None]) -> Iterator[None]:
    """Call ``act`` in this loop when the process is told to end, before the web server's own handler of the signal.

    ASGI says so only when every connection is closed, and a web server waits for a stream without end.
    """
    if threading.current_thread() is not threading.main_thread():  # no signal comes here
        yield
        return
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def end(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(act)
        servers = before[signal.Signals(number)]
        if callable(servers):
            servers(number, frame)

    own = [number for number, handler in before.items() if callable(handler)]
    for number in own:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in own:
            if signal.getsignal(number) is end:
                signal.signal(number, before[number])


def _refuse_what_does_not_fit() -> None:
    try:
        migrate.refuse_newer()
        sealing_keys.refuse_unfitting()
    finally:
        connections.close_all()


toolsets.provide(console_catalog.tools)
mcp_app = McpApp()
application = header_limit.with_header_limit(trusted_proxies.with_proxies(settings.TRUSTED_PROXIES, mcp_app))
