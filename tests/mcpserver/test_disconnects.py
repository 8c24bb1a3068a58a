"""A client that hangs up in the middle of a call leaves no thread, no lock and no half-done order."""

import contextlib
import json
import random
import socket
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.mcpserver.wire import MODERN, Wire
from tests.patience import at_most
from tests.serving import Server, until

pytestmark = pytest.mark.long

TIMES = 500


@pytest.fixture
def trade(server: Server) -> Wire:
    return Wire(server.mcp_url, server.quickstart["paper_key_trade"])


def hang_up_during(server: Server, tool: str, arguments: dict[str, Any], *, after: int | None, wait: float) -> None:
    """Send one call, or its first ``after`` bytes; wait that long, and reset the connection without reading."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"name": tool, "arguments": arguments, "_meta": meta}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    key = server.quickstart["paper_key_trade"]
    head = (
        f"POST /mcp HTTP/1.1\r\nHost: localhost:{server.port}\r\nAuthorization: Bearer {key}\r\n"
        "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
        f"MCP-Protocol-Version: {MODERN}\r\nMcp-Method: tools/call\r\nMcp-Name: {tool}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=at_most(10)) as connection:
        connection.sendall((head + body).encode()[:after])
        connection.settimeout(wait)
        if wait:
            with contextlib.suppress(TimeoutError):
                connection.recv(1)
        # With a linger of zero seconds, close() resets the connection: the client is gone, not done.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def threads(server: Server) -> int:
    assert server.process is not None
    return len(list(Path(f"/proc/{server.process.pid}/task").iterdir()))


def sockets(server: Server) -> int:
    assert server.process is not None
    files = Path(f"/proc/{server.process.pid}/fd")
    return sum(1 for file in files.iterdir() if file.is_symlink() and str(file.readlink()).startswith("socket:"))


def test_five_hundred_hang_ups_leave_nothing_behind(server: Server, trade: Wire) -> None:
    pick = random.Random(500)  # noqa: S311  the same run every time, no secret
    for _ in range(60):
        trade.result("get_quote", {"symbols": ["AAPL"]})
    idle_sockets = sockets(server)
    confirmations = []
    for number in range(TIMES):
        wait = pick.choice([0.0, 0.0005, 0.002, 0.01])
        kind = number % 5
        if kind == 0:
            hang_up_during(server, "get_portfolio", {}, after=None, wait=wait)
        elif kind == 1:
            hang_up_during(server, "get_quote", {"symbols": ["BTC/USD"]}, after=pick.randrange(1, 600), wait=wait)
        elif kind == 2:
            order = {"symbol": "BTC/USD", "side": "BUY", "quantity": "0.001", "client_order_id": f"gone-{number}"}
            hang_up_during(server, "place_order", order, after=None, wait=wait)
        elif kind == 3:
            prepared = trade.result("place_order", {"symbol": "BTC/USD", "side": "BUY", "quantity": "0.001"})
            confirmations.append(prepared["confirmation_id"])
            hang_up_during(server, "confirm_trade", {"confirmation_id": confirmations[-1]}, after=None, wait=wait)
        else:
            hang_up_during(server, "get_history", {"symbol": "BTC/USD", "limit": 500}, after=None, wait=wait)

    in_flight = "SELECT count(*) FROM orders_order WHERE status IN ('intent', 'sending', 'unknown')"
    until(lambda: server.query(in_flight) == [(0,)], seconds=20, what="every released order has its answer")
    until(lambda: sockets(server) <= idle_sockets + 1, seconds=20, what="every connection is closed")
    # anyio keeps at most 40 workers for reuse; the rest is the server's own.
    assert threads(server) < 60
    assert "Traceback" not in server.log, server.log[-4000:]

    # Released means filled, once; not released means still awaiting: nothing in between.
    rows = server.query(
        "SELECT o.status, c.redeemed_at IS NOT NULL, (SELECT count(*) FROM paper_paperfill f JOIN paper_paperorder p "
        "ON p.id = f.order_id WHERE p.client_order_id = o.wire_id) FROM orders_order o JOIN orders_confirmation c "
        "ON c.id = o.confirmation_id"
    )
    assert {tuple(row) for row in rows} <= {("filled", 1, 1), ("awaiting_confirmation", 0, 0)}
    assert ("filled", 1, 1) in {tuple(row) for row in rows}

    # No lock is held and no worker is stuck: eighty calls at once get their answers.
    with ThreadPoolExecutor(80) as pool:
        answers = list(pool.map(lambda _: trade.call("get_orders", {}).status_code, range(80)))
    assert answers == [200] * 80
    for confirmation in confirmations[-3:]:
        answer = trade.call("confirm_trade", {"confirmation_id": confirmation}).json()["result"]
        content = answer["structuredContent"]
        assert not answer["isError"] or content["error"]["code"] == "confirmation_used", content
