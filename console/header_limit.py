"""A request whose head is too large is refused at the door: the web server sets no bound, and much is kept by a header.

What programs and people send has a few kilobytes; proxies take 8 to 32.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from console import ids, refusal_rendering
from console.errors import Code

MOST_BYTES = 32 * 1024
"""Of the address and all headers."""

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_DETAIL = (
    f"The address and the headers of a request can have at most {MOST_BYTES // 1024} kB. Nothing was done. Send fewer "
    "or shorter headers."
)


def with_header_limit(app: App) -> App:
    """``app``, with 431 (RFC 6585 section 5) for a request whose head is larger than ``MOST_BYTES``."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _bytes(scope) > MOST_BYTES:
            await _refuse(scope["path"], send)
        else:
            await app(scope, receive, send)

    return serve


def _bytes(scope: Scope) -> int:
    found = len(scope["path"]) + len(scope["query_string"])
    for name, value in scope["headers"]:
        found += len(name) + len(value)
    return found


async def _refuse(path: str, send: Send) -> None:
    request_id = ids.new("req")
    kind, text = refusal_rendering.render_refusal(
        path[:1000], 431, Code.INVALID_REQUEST, _DETAIL, template="431.html", request_id=request_id, said=_DETAIL
    )
    body = text.encode()
    head = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
    head += [(b"connection", b"close"), (b"cache-control", b"no-store"), (b"x-request-id", request_id.encode())]
    await send({"type": "http.response.start", "status": 431, "headers": head})
    await send({"type": "http.response.body", "body": body})
