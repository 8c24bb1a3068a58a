"""``/mcp`` as an ASGI app of its own: beside the console in one process, or deployed alone."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
django.setup()

from mcp.server.streamable_http_manager import StreamableHTTPSessionManager  # noqa: E402 - needs django.setup()
from starlette.types import Receive, Scope, Send  # noqa: E402

from mcpserver import edge, server  # noqa: E402
from mcpserver.listening import Listeners  # noqa: E402
from mcpserver.surface import OURS, Surface  # noqa: E402

PATHS = ("/mcp", "/mcp/")


class McpApp:
    """Serves both eras, stateless: any process may answer any request."""

    def __init__(self, surface: Surface = OURS) -> None:
        self._listeners = Listeners(surface)
        self.server = server.make(surface, self._listeners)
        # One JSON object per answer, or a stream where something may come before the answer.
        self._plain = StreamableHTTPSessionManager(self.server, json_response=True, stateless=True)
        self._streamed = StreamableHTTPSessionManager(self.server, json_response=False, stateless=True)
        self._edge = edge.app(self._serve, surface)

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Enter once, before the first request, and leave at shutdown."""
        async with self._plain.run(), self._streamed.run(), self._listeners.run():
            yield

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        manager = self._streamed if scope[server.STREAMS] else self._plain
        await manager.asgi_app(scope, receive, send)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(self, receive, send)
        elif scope["type"] == "http" and scope["path"] in PATHS:
            await self._edge(scope, receive, send)
        elif scope["type"] == "http":
            await send({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body", "body": b""})


async def lifespan(mcp: McpApp, receive: Receive, send: Send) -> None:
    """The ASGI lifespan protocol around ``mcp.run()``."""
    await receive()
    async with mcp.run():
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})


application = McpApp()
