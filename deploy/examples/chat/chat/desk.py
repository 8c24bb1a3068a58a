"""The tools of one user at ``/mcp``, by the SDK's client."""

import contextlib
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from chat.messages import Tool
from chat.platform import PlatformError

DECISIONS = frozenset({"confirm_trade", "discard_confirmation", "get_pending_confirmations"})
"""What the person does on the page. No model is given them."""
_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Result:
    text: str
    """What the model reads."""
    content: Mapping[str, Any]
    is_error: bool


class Desk:
    def __init__(self, client: Client) -> None:
        self._client = client

    async def tools(self) -> list[Tool]:
        """Raises PlatformError."""
        found: list[Tool] = []
        cursor: str | None = None
        while True:
            with _told():
                page = await self._client.list_tools(cursor=cursor)
            found += [Tool(each.name, each.description or "", each.input_schema) for each in page.tools]
            cursor = page.next_cursor
            if not cursor:
                return [tool for tool in found if tool.name not in DECISIONS]

    async def call(self, name: str, arguments: Mapping[str, Any]) -> Result:
        """Raises PlatformError."""
        with _told():
            answer = await self._client.call_tool(name, dict(arguments))
        content = answer.structured_content or {}
        texts = [block.text for block in answer.content if block.type == "text"]
        return Result("\n".join(texts) or json.dumps(content), content, bool(answer.is_error))


@contextlib.asynccontextmanager
async def opened(tradelatch_url: str, token: str) -> AsyncIterator[Desk]:
    """Raises PlatformError."""
    headers = {"authorization": f"Bearer {token}"}
    with _told():
        async with (
            httpx2.AsyncClient(headers=headers, timeout=_SECONDS) as http,
            Client(streamable_http_client(f"{tradelatch_url}/mcp", http_client=http)) as client,
        ):
            yield Desk(client)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """The SDK's errors, in words for the person."""
    try:
        yield
    except (MCPError, httpx2.HTTPError) as error:
        raise PlatformError(_words(error)) from error
    except ExceptionGroup as group:  # what is raised while the SDK's tasks run
        first = _first(group)
        if isinstance(first, MCPError | httpx2.HTTPError):
            raise PlatformError(_words(first)) from group
        raise first from group


def _words(error: Exception) -> str:
    return f"Tradelatch did not answer: {error}"


def _first(group: ExceptionGroup[Exception]) -> Exception:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, ExceptionGroup) else inner
