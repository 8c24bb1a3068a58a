"""A body that does not arrive is cut with 408 at every endpoint, holds no place, and does nothing half."""

import asyncio
import json
import socket
import time
from collections.abc import Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from console import body_timeout
from tests.mcpserver.wire import Wire
from tests.patience import at_most
from tests.serving import Server, until

FORM, JSON = "application/x-www-form-urlencoded", "application/json"
ENDPOINTS = {
    "/mcp": JSON,
    "/api/v1/orders": JSON,
    "/oauth/token": FORM,
    "/oauth/register": JSON,
    "/auth/tokens/user": JSON,
    "/sign-in/": FORM,
}


def slow(server: Server, path: str, kind: str, sent: str = "{") -> tuple[str, float]:
    """What is answered to a request whose body stops after its beginning, and after how many seconds."""
    key = server.quickstart["paper_key_trade"]
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost:{server.port}\r\nContent-Type: {kind}\r\n"
        f"Authorization: Bearer {key}\r\nContent-Length: 5000\r\n\r\n"
    )
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", server.port), timeout=at_most(40)) as connection:
        connection.sendall((head + sent).encode())
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer.decode(), time.monotonic() - began


def test_every_endpoint_cuts_a_body_that_stops_and_goes_on_serving_meanwhile(server: Server) -> None:
    with ThreadPoolExecutor(len(ENDPOINTS) + 60) as pool:
        crowd = [pool.submit(slow, server, "/mcp", JSON) for _ in range(60)]
        asked = {path: pool.submit(slow, server, path, kind) for path, kind in ENDPOINTS.items()}
        wire = Wire(server.mcp_url, server.quickstart["paper_key_read"])
        assert wire.result("get_cash", {})
        answers = {path: job.result() for path, job in asked.items()}
        assert all(job.result()[0].startswith("HTTP/1.1 408") for job in crowd)
    for path, (answer, seconds) in answers.items():
        head, _, body = answer.partition("\r\n\r\n")
        assert head.startswith("HTTP/1.1 408"), (path, answer)
        assert "connection: close" in head.lower()
        assert 9 < seconds < at_most(30), path
        if path == "/sign-in/":
            assert "The request did not arrive" in body
        else:
            assert "request_timeout" in body and "Nothing was done" in body, path
            json.loads(body)
    assert "Traceback" not in server.log


def test_a_call_whose_end_never_comes_is_not_carried_out(server: Server) -> None:
    def orders() -> int:
        [(count,)] = server.query("SELECT count(*) FROM orders_order")
        return int(count)

    before = orders()
    params = {"name": "place_order", "arguments": {"symbol": "BTC/USD", "side": "BUY", "quantity": "0.1"}}
    whole = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    answer, _ = slow(server, "/mcp", JSON, whole)
    assert answer.startswith("HTTP/1.1 408")
    with socket.create_connection(("127.0.0.1", server.port), timeout=at_most(10)) as connection:
        key = server.quickstart["paper_key_trade"]
        head = (
            f"POST /mcp HTTP/1.1\r\nHost: localhost:{server.port}\r\nContent-Type: {JSON}\r\n"
            f"Authorization: Bearer {key}\r\nContent-Length: 5000\r\n\r\n"
        )
        connection.sendall((head + whole).encode())
    until(lambda: Wire(server.mcp_url, key).result("get_cash", {}), seconds=10, what="it serves on")
    assert orders() == before


class Line:
    """A client of an ASGI app that sends the pieces of a body with pauses between them."""

    def __init__(self, pieces: Iterator[float]) -> None:
        self._pieces = pieces
        self.sent: list[MutableMapping[str, Any]] = []

    async def receive(self) -> MutableMapping[str, Any]:
        pause = next(self._pieces, None)
        if pause is None:
            return {"type": "http.request", "body": b"}", "more_body": False}
        await asyncio.sleep(pause)
        return {"type": "http.request", "body": b" ", "more_body": True}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        self.sent.append(message)


async def reads_all(scope: Any, receive: Any, send: Any) -> None:
    while (message := await receive())["type"] != "http.disconnect":
        if not message["more_body"]:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            return


async def asked(app: body_timeout.App, line: Line, headers: list[tuple[bytes, bytes]]) -> None:
    await body_timeout.with_body_timeout(app)(
        {"type": "http", "path": "/mcp", "headers": headers}, line.receive, line.send
    )


def status_for(pieces: Iterator[float]) -> int:
    line = Line(pieces)
    asyncio.run(asked(reads_all, line, [(b"transfer-encoding", b"chunked")]))
    status: int = line.sent[0]["status"]
    return status


def test_a_drip_is_cut_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_timeout, "SILENCE_SECONDS", 5.0)
    monkeypatch.setattr(body_timeout, "TOTAL_SECONDS", 0.3)
    assert status_for(iter([0.01] * 1000)) == 408


def test_a_slow_line_that_goes_on_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_timeout, "SILENCE_SECONDS", 5.0)
    monkeypatch.setattr(body_timeout, "TOTAL_SECONDS", 60.0)
    assert status_for(iter([0.01] * 20)) == 200


def test_what_we_send_may_take_any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_timeout, "SILENCE_SECONDS", 0.05)
    monkeypatch.setattr(body_timeout, "TOTAL_SECONDS", 0.05)
    got: list[str] = []

    async def streams(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        # As a stream does: it waits for the client to hang up, for as long as that takes.
        got.append((await receive())["type"])

    class Stays(Line):
        async def receive(self) -> MutableMapping[str, Any]:
            if not got and not self.sent:
                return {"type": "http.request", "body": b"{}", "more_body": False}
            await asyncio.sleep(0.2)
            return {"type": "http.disconnect"}

    line = Stays(iter([]))
    asyncio.run(asked(streams, line, [(b"content-length", b"2")]))
    assert (got, [each["status"] for each in line.sent]) == (["http.disconnect"], [200])
