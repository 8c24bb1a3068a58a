"""What Tradelatch is measured against: a raw ASGI echo, and the SDK's low-level server with one unguarded tool."""

import contextlib
from typing import Any

import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.types import Receive, Scope, Send

ANSWER = {
    "quotes": [
        {
            "symbol": "AAPL",
            "currency": "USD",
            "last": "231.5",
            "bid": "231.49",
            "ask": "231.51",
            "as_of": "2026-11-20T14:30:00.000Z",
            "source": "the same each time",
        }
    ]
}
_TOOL = types.Tool(
    name="get_quote",
    description="Last, bid, ask, day range and change; each with its time and source.",
    input_schema={
        "type": "object",
        "properties": {"symbols": {"type": "array", "items": {"type": "string"}}},
        "required": ["symbols"],
    },
)


async def _list_tools(context: Any, params: Any) -> types.ListToolsResult:
    return types.ListToolsResult(tools=[_TOOL])


async def _call_tool(context: Any, params: Any) -> types.CallToolResult:
    return types.CallToolResult(
        content=[types.TextContent(text='{"quotes":[{"symbol":"AAPL","last":"231.5"}]}')],
        structured_content=ANSWER,
        is_error=False,
    )


_manager = StreamableHTTPSessionManager(
    Server("bare", get_tool_input_schema=lambda name: None, on_list_tools=_list_tools, on_call_tool=_call_tool),
    json_response=True,
    stateless=True,
)


async def bare(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await _lifespan(receive, send, _manager.run())
    else:
        await _manager.asgi_app(scope, receive, send)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """The body it was sent."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send, contextlib.nullcontext())
        return
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    head = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})


async def _lifespan(receive: Receive, send: Send, running: Any) -> None:
    await receive()
    async with running:
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})
