"""The whole server, which keeps what hosts send to /mcp: a line of JSON for each request, without who sent it."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from console.asgi import application as served

FILE = "requests.jsonl"
# Headers that say how a host speaks; the credential and the address are not among them.
HEADERS = ("accept", "content-type", "mcp-method", "mcp-name", "mcp-protocol-version", "mcp-session-id", "user-agent")


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http" or scope["path"] != "/mcp" or scope["method"] != "POST":
        await served(scope, receive, send)
        return
    body = bytearray()

    async def heard() -> Message:
        message = await receive()
        body.extend(message.get("body", b""))
        if message["type"] == "http.request" and not message.get("more_body"):
            _keep(scope, bytes(body))
        return message

    await served(scope, heard, send)


def _keep(scope: Scope, body: bytes) -> None:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    kept = {name: headers[name] for name in HEADERS if name in headers}
    with (Path(os.environ["TRADELATCH_HOME"]) / FILE).open("a") as file:
        file.write(json.dumps({"headers": kept, "body": json.loads(body)}) + "\n")


def recorded(home: Path) -> Iterator[dict[str, Any]]:
    """What was sent so far."""
    file = home / FILE
    for line in file.read_text().splitlines() if file.exists() else ():
        yield json.loads(line)
