"""A request whose body does not arrive is cut, at every endpoint: sending nothing, or a drip, holds no place."""

import asyncio
from collections.abc import Awaitable, Callable, Generator, Iterable, MutableMapping
from typing import Any

from console import refusal_rendering
from console.errors import Code

SILENCE_SECONDS = 10.0
"""Between two pieces of a body."""
TOTAL_SECONDS = 30.0
"""From the first wait for a piece to the end of the body."""

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_DETAIL = (
    f"The request body did not arrive in time: at most {SILENCE_SECONDS:.0f} seconds between pieces and"
    f" {TOTAL_SECONDS:.0f} in all. Nothing was done. Send it again."
)


def with_body_timeout(app: App) -> App:
    """``app``, with 408 (RFC 9110 section 15.5.9) for a body that is too slow. What is sent back may take any time."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _has_body(scope["headers"]):
            await app(scope, receive, send)
            return
        body = _TimedBody(str(scope["path"]), receive, send)
        await app(scope, body.receive, body.send)

    return serve


def _has_body(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(
        (name == b"content-length" and value.strip() != b"0") or name == b"transfer-encoding" for name, value in headers
    )


class BodyTimeout(Exception):
    """The body is too slow: 408, and the connection ends."""


class BodyClock:
    """The pieces of one request's body, each in time."""

    __slots__ = ("_receive", "_until")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._until: float | None = None

    async def receive(self) -> Message:
        """The next piece. Raises BodyTimeout."""
        begun = _Begun(self._receive())
        if begun.message is not None:
            return begun.message
        now = asyncio.get_running_loop().time()
        if self._until is None:
            self._until = now + TOTAL_SECONDS
        try:
            async with asyncio.timeout_at(min(now + SILENCE_SECONDS, self._until)):
                return await begun
        except TimeoutError as error:
            raise BodyTimeout from error


async def refuse(path: str, send: Send) -> None:
    """The answer to a body that is too slow."""
    kind, text = refusal_rendering.render_refusal(path, 408, Code.REQUEST_TIMEOUT, _DETAIL, template="408.html")
    body = text.encode()
    head = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
    head += [(b"connection", b"close"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 408, "headers": head})
    await send({"type": "http.response.body", "body": body})


class _TimedBody:
    __slots__ = ("_clock", "_is_answering", "_is_cut", "_is_whole", "_path", "_receive", "_send")

    def __init__(self, path: str, receive: Receive, send: Send) -> None:
        self._path, self._receive, self._send = path, receive, send
        self._clock = BodyClock(receive)
        self._is_whole = self._is_cut = self._is_answering = False

    async def receive(self) -> Message:
        if self._is_whole:
            return await self._receive()
        if self._is_cut:
            return {"type": "http.disconnect"}
        try:
            message = await self._clock.receive()
        except BodyTimeout:
            self._is_cut = True
            if not self._is_answering:
                await refuse(self._path, self._send)
            return {"type": "http.disconnect"}
        self._is_whole = message["type"] == "http.disconnect" or not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Whatever the app says to a request that was cut goes nowhere: it is answered."""
        if self._is_cut:
            return
        self._is_answering = True
        await self._send(message)


class _Begun:
    """A receive that runs at once as far as it gets: most bodies came with their head, and need no timer."""

    __slots__ = ("_awaited", "_steps", "message")

    def __init__(self, receiving: Awaitable[Message]) -> None:
        self._steps = receiving.__await__()
        self.message: Message | None = None
        """What came without waiting; None where ``self`` has to be awaited."""
        try:
            self._awaited = next(self._steps)
        except StopIteration as end:
            self.message = end.value

    def __await__(self) -> Generator[Any, Any, Message]:
        awaited = self._awaited
        while True:
            try:
                try:
                    sent = yield awaited
                except BaseException as error:
                    awaited = self._steps.throw(error)
                else:
                    awaited = self._steps.send(sent)
            except StopIteration as end:
                message: Message = end.value
                return message
