"""With every other thread waiting for a broker that hangs, a cancel is still carried out."""

import dataclasses
import threading
from collections.abc import Mapping
from typing import Any

import anyio
import httpx2
import pytest

from console.authority import bearer
from console.principal import Principal
from mcpserver import catalog, pipeline
from mcpserver.asgi import McpApp
from mcpserver.catalog import Tool
from mcpserver.context import ToolAnswer, ToolCall
from mcpserver.pipeline import CallAttempt
from mcpserver.surface import Surface
from tests.mcpserver.steps import PRINCIPAL
from tests.patience import at_most

MORE_THAN_ALL = 45
"""Reads at once: there are 40 threads for them, on the short way and on the SDK's."""


@pytest.mark.parametrize("is_lean", [True, False], ids=["short way", "the SDK's"])
def test_a_cancel_passes_reads_that_hang(is_lean: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    let_go, hanging = threading.Event(), threading.Semaphore(0)

    def hang(call: ToolCall) -> dict[str, Any]:
        hanging.release()
        assert let_go.wait(at_most(60))
        return {}

    tools = {name: catalog.find(name) for name in ("get_quote", "cancel_order")}
    read, cancel = tools["get_quote"], tools["cancel_order"]
    assert read is not None and cancel is not None
    tools["get_quote"] = dataclasses.replace(read, run=hang)
    tools["cancel_order"] = dataclasses.replace(cancel, run=lambda call: {"status": "cancelled"})

    def attempt(principal: Principal, name: str, given: Mapping[str, Any], **named: Any) -> CallAttempt:
        tool: Tool | None = tools[name]
        assert tool is not None
        call = ToolCall(principal=principal, request_id="r", args={}, account_id="")
        return CallAttempt(call, tool, tool.run(call), None, None)

    def call(*args: Any, **named: Any) -> ToolAnswer:
        return attempt(*args, **named).answer()

    monkeypatch.setattr(bearer, "authenticate", lambda *args, **named: PRINCIPAL)
    monkeypatch.setattr(pipeline, "attempt", attempt)
    monkeypatch.setattr(pipeline, "call", call)
    app = McpApp(Surface(find=tools.get), is_lean=is_lean)

    async def ask(client: httpx2.AsyncClient, name: str) -> dict[str, Any]:
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": {}}}
        answer = await client.post("/mcp", json=body)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()["result"]["structuredContent"]
        return told

    async def run() -> None:
        headers = {
            "Authorization": "Bearer any",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2025-11-25",
        }
        transport = httpx2.ASGITransport(app)
        async with (
            app.run(),
            httpx2.AsyncClient(
                transport=transport, base_url="http://localhost", headers=headers, timeout=at_most(10)
            ) as client,
            anyio.create_task_group() as group,
        ):
            for _ in range(MORE_THAN_ALL):
                group.start_soon(ask, client, "get_quote")
            try:
                with anyio.fail_after(at_most(30)):
                    for _ in range(40):
                        # In a loop of the event loop's: the threads it would wait in are those that hang.
                        while not hanging.acquire(blocking=False):
                            await anyio.sleep(0.01)
                    assert (await ask(client, "cancel_order"))["status"] == "cancelled"
            finally:
                let_go.set()

    anyio.run(run)
