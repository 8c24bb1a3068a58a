"""``tradelatch mcp``: a host on standard input and output, an instance at ``/mcp``, every message passed on as it is.

MCP 2026-07-28 and 2025-11-25, basic/transports/stdio: one JSON-RPC message a line, and nothing else on standard output.
The host's era is read from its messages; a modern one describes itself in each, a legacy one begins with initialize.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Coroutine, Mapping
from typing import Any

import httpx2

from mcpserver.stdio import http_client, target_instance
from mcpserver.stdio.http_client import Unanswered
from mcpserver.stdio.standard_streams import Lines, Output, TooLong
from mcpserver.stdio.target_instance import Target

_AT_ONCE = 16
_STREAMS = 16
_WAITING = 256
_DRAIN_SECONDS = 30.0
_LISTEN = "subscriptions/listen"


def run(to: Target) -> int:
    """Bridge until the host closes standard input or a signal asks to stop. The exit code."""
    # What anything prints must not land between the messages: it goes to the log instead.
    sys.stdout.flush()
    out = os.dup(1)
    os.dup2(2, 1)
    asyncio.run(_run(to, out))
    return 0


async def _run(to: Target, out: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with target_instance.client(to) as http:
        bridge = Bridge(to.url, http, Output(out))
        _log(f"Passing messages on to {to.url}.")
        await bridge.run(Lines(0), stop)


class Bridge:
    """One host's messages on their way. Requests run side by side, up to a number of them; the rest wait."""

    def __init__(self, url: str, http: httpx2.AsyncClient, out: Output) -> None:
        self._url, self._http, self._out = url, http, out
        self._negotiated: str | None = None
        self._in_flight: dict[str | int, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._streams: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def run(self, lines: Lines, stop: asyncio.Event) -> None:
        """Until the input ends and the answers in flight have left, ``stop`` is set, or nobody reads the output."""
        reading = asyncio.create_task(self._read(lines))
        ends: list[asyncio.Task[Any]] = [asyncio.create_task(stop.wait()), asyncio.create_task(self._out.closed.wait())]
        await asyncio.wait([reading, *ends], return_when=asyncio.FIRST_COMPLETED)
        if reading.done() and not any(end.done() for end in ends):
            for stream in self._streams:  # they would never end by themselves
                stream.cancel()
            draining = asyncio.create_task(self._drain())
            await asyncio.wait([draining, *ends], timeout=_DRAIN_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            ends.append(draining)
        left = [reading, *ends, *self._tasks]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        if not reading.cancelled():
            reading.result()

    async def _drain(self) -> None:
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _read(self, lines: Lines) -> None:
        async for line in lines:
            if isinstance(line, TooLong):
                await self._error(
                    None, http_client.INVALID_REQUEST, "A message was longer than 1 MiB and was discarded."
                )
            elif line.strip():
                await self._take(line)

    async def _take(self, line: bytes) -> None:
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            await self._error(None, http_client.PARSE_ERROR, "A line was not well-formed JSON.")
            return
        if not isinstance(message, dict):
            await self._error(None, http_client.INVALID_REQUEST, "Each line must be one JSON-RPC message, an object.")
            return
        method, request_id = message.get("method"), message.get("id")
        if method is None and ("result" in message or "error" in message):
            _log("The host answered a request that was never sent; ignored.")
        elif not isinstance(method, str):
            await self._error(None, http_client.INVALID_REQUEST, "A message needs a method.")
        elif "id" not in message:
            self._notification(line, message)
        elif isinstance(request_id, bool) or not isinstance(request_id, str | int):
            await self._error(None, http_client.INVALID_REQUEST, "The id of a request must be text or a whole number.")
        else:
            await self._request(line, message, request_id)

    async def _request(self, line: bytes, message: dict[str, Any], request_id: str | int) -> None:
        listening = message["method"] == _LISTEN
        if len(self._streams) >= _STREAMS if listening else len(self._tasks) >= _WAITING:
            await self._error(
                request_id,
                http_client.INTERNAL_ERROR,
                "Too many requests are in progress: wait for answers, then try again. Nothing was sent.",
                {"code": "too_many_in_flight"},
            )
            return
        task = self._spawn(self._pass_on(line, message, request_id))
        self._in_flight[request_id] = task
        if listening:
            self._streams.add(task)

        def forget(done: asyncio.Task[None]) -> None:
            self._streams.discard(done)
            if self._in_flight.get(request_id) is done:
                del self._in_flight[request_id]

        task.add_done_callback(forget)

    def _notification(self, line: bytes, message: dict[str, Any]) -> None:
        if message["method"] == "notifications/cancelled":
            params = message.get("params")
            request_id = params.get("requestId") if isinstance(params, dict) else None
            if isinstance(request_id, str | int) and (task := self._in_flight.get(request_id)):
                task.cancel()
        # Over HTTP a modern host tells a server nothing but this; a stateless legacy one may be told the rest.
        elif (
            self._negotiated is not None and http_client.modern_version(message) is None and len(self._tasks) < _WAITING
        ):
            self._spawn(self._tell(line, message))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _pass_on(self, line: bytes, message: dict[str, Any], request_id: str | int) -> None:
        try:
            async with contextlib.nullcontext() if message["method"] == _LISTEN else self._slots:
                answers = http_client.exchange(self._http, self._url, line, message, self._negotiated)
                async with contextlib.aclosing(answers):
                    async for received in answers:
                        if received.is_answer and message["method"] == "initialize":
                            self._agree(received.message)
                        await self._out.send(received.line)
        except Unanswered as error:
            _log(f"{message['method'][:100]}: {error}")
            await self._error(request_id, error.rpc_code, str(error), error.data)
        except Exception as error:
            _log(f"{message['method'][:100]} could not be passed on: {type(error).__name__}")
            await self._error(request_id, http_client.INTERNAL_ERROR, "The bridge failed; see its log.")

    async def _tell(self, line: bytes, message: dict[str, Any]) -> None:
        try:
            async with self._slots:
                await http_client.tell(self._http, self._url, line, message, self._negotiated)
        except Unanswered as error:
            _log(str(error))

    def _agree(self, answer: dict[str, Any]) -> None:
        result = answer.get("result")
        version = result.get("protocolVersion") if isinstance(result, dict) else None
        self._negotiated = version if isinstance(version, str) else None

    async def _error(
        self, request_id: str | int | None, rpc_code: int, message: str, data: Mapping[str, object] | None = None
    ) -> None:
        error: dict[str, Any] = {"code": rpc_code, "message": message} | ({"data": data} if data else {})
        await self._out.send(json.dumps({"jsonrpc": "2.0", "id": request_id, "error": error}).encode())


def _log(text: str) -> None:
    print(f"tradelatch: {text}", file=sys.stderr, flush=True)  # noqa: T201  standard error is a bridge's log
