"""``/mcp`` as an ASGI app of its own: beside the console in one process, or deployed alone."""

import gc
import os
from contextlib import AbstractAsyncContextManager

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
django.setup()

from mcp.server.streamable_http_manager import StreamableHTTPSessionManager  # noqa: E402 - needs django.setup()
from starlette.types import Receive, Scope, Send  # noqa: E402

from console import toolsets  # noqa: E402
from mcpserver import described, edge, server  # noqa: E402

PATHS = ("/mcp", "/mcp/")


class McpApp:
    """Serves both eras, stateless: any process may answer any request."""

    def __init__(self) -> None:
        self._manager = StreamableHTTPSessionManager(server.make(), json_response=True, stateless=True)
        self._edge = edge.app(self._manager)

    def run(self) -> AbstractAsyncContextManager[None]:
        """Enter once, before the first request, and leave at shutdown."""
        return self._manager.run()

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
    # What is loaded by now stays for good: no collection needs to walk over it again.
    gc.collect()
    gc.freeze()
    async with mcp.run():
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})


toolsets.provide(described.tools())
application = McpApp()
