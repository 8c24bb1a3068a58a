"""One request sent both ways: through our own answer and through the SDK's."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import anyio
import pytest
from django.conf import LazySettings
from starlette.types import Receive, Scope, Send

from console.authority import call_quota
from mcpserver.asgi import McpApp
from tests.mcpserver.wire import MODERN
from tests.patience import at_most

META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "wire", "version": "1"},
}


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: Any


class Counted(McpApp):
    """One app behind the endpoint, and how often its SDK was asked."""

    asked = 0

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1
        await super().serve(scope, receive, send)


@dataclass
class Way:
    is_lean: bool
    asked: int = 0

    def send(self, *requests: tuple[dict[str, str], bytes]) -> list[Reply]:
        replies: list[Reply] = []

        async def run() -> None:
            app = Counted(is_lean=self.is_lean)
            async with app.run():
                for headers, body in requests:
                    with anyio.fail_after(at_most(30)):
                        replies.append(await ask(app, headers, body))
            self.asked += app.asked

        anyio.run(run)
        return replies


async def ask(app: Callable[..., Awaitable[None]], headers: dict[str, str], body: bytes) -> Reply:
    sent: list[Any] = []
    told = False

    async def receive() -> Any:
        nonlocal told
        if told:
            await anyio.sleep_forever()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    lines = {"host": "localhost:8000"} | (
        headers if "content-length" in headers else {"content-length": str(len(body))} | headers
    )
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/mcp",
        "query_string": b"",
        "client": ("127.0.0.1", 5000),
        "headers": [
            (name.encode("latin-1"), value.encode("latin-1"))
            for name, values in lines.items()
            for value in values.split("\n")
        ],
    }
    await app(scope, receive, send)
    text = b"".join(message.get("body", b"") for message in sent)
    answered = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    if answered.get("content-type", "").startswith("text/event-stream"):
        text = [line.removeprefix(b"data: ") for line in text.splitlines() if line.startswith(b"data: {")][-1]
    return Reply(sent[0]["status"], answered, json.loads(text) if text else None)


def request(
    key: str, era: str | None, method: str, params: dict[str, Any] | None = None, **changed: str
) -> tuple[dict[str, str], bytes]:
    headers = {
        "authorization": f"Bearer {key}",
        "accept": "application/json, text/event-stream",
        "content-type": "application/json",
    }
    body: dict[str, Any] = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params or {}}
    if era is not None:
        headers["mcp-protocol-version"] = era
    if era == MODERN:
        headers["mcp-method"] = method
        if isinstance(body["params"].get("name"), str):
            headers["mcp-name"] = body["params"]["name"]
        body["params"] = {"_meta": META} | body["params"]
    return headers | {name.replace("_", "-"): value for name, value in changed.items()}, json.dumps(body).encode()


def call(name: Any, arguments: Any = None) -> dict[str, Any]:
    return {"name": name} | ({} if arguments is None else {"arguments": arguments})


@pytest.fixture
def short(transactional_db: None, settings: LazySettings) -> Way:
    settings.CALLS_PER_MINUTE = settings.LISTS_PER_MINUTE = 100_000
    call_quota.reset()
    return Way(is_lean=True)


@pytest.fixture
def sdk(short: Way) -> Way:
    return Way(is_lean=False)
