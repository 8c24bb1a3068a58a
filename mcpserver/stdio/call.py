"""``tradelatch call`` and ``tradelatch tools``: one JSON object a line, for pipes. Amounts stay the text they are."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncGenerator, Coroutine, Mapping
from decimal import Decimal
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn

import httpx2

from mcpserver.result_tables import spread
from mcpserver.stdio import http_client, target_instance
from mcpserver.stdio.http_client import Unanswered
from mcpserver.stdio.target_instance import Misused, Target

OK, REFUSED, NO_ANSWER = 0, 1, 3
_LONGEST_ARGUMENTS = 256 * 1024
_MOST_PAGES = 1000


class _Refused(Exception):
    def __init__(self, error: Mapping[str, Any]) -> None:
        super().__init__(error.get("code"))
        self.error = error


def arguments(text: str) -> dict[str, Any]:
    """The arguments of a call: a JSON object, ``-`` for standard input, or ``@file``. Raises Misused."""
    if text == "-":
        text = sys.stdin.read(_LONGEST_ARGUMENTS + 1)
    elif text.startswith("@"):
        try:
            with Path(text[1:]).open(encoding="utf-8") as file:
                text = file.read(_LONGEST_ARGUMENTS + 1)
        except (OSError, UnicodeDecodeError) as error:
            raise Misused(f"The file {text[1:]} cannot be read as text.") from error
    if len(text) > _LONGEST_ARGUMENTS:
        raise Misused("The arguments are too long.")
    try:
        parsed = json.loads(text, parse_float=_exact, parse_constant=_no_constant, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        if isinstance(error, json.JSONDecodeError | RecursionError):
            raise Misused(f"The arguments are not JSON: {error}.") from error
        raise Misused(str(error)) from error
    if not isinstance(parsed, dict):
        raise Misused('The arguments must be a JSON object, such as {"symbol": "AAPL"}.')
    return parsed


def call(to: Target, tool: str, given: Mapping[str, Any], *, whole: bool, follow: bool) -> int:
    """Call one tool and print what it answers. The exit code."""

    async def pages() -> AsyncGenerator[dict[str, Any], None]:
        cursors: set[str] = set()
        page = dict(given)
        async with target_instance.client(to) as http:
            while True:
                result = await _ask(http, to.url, "tools/call", {"name": tool, "arguments": page})
                content = result.get("structuredContent")
                content = content if isinstance(content, dict) else {"content": result.get("content")}
                if result.get("isError"):
                    raise _Refused(content.get("error", content))
                yield content
                cursor = content.get("next_cursor")
                if not follow or not isinstance(cursor, str) or cursor in cursors or len(cursors) >= _MOST_PAGES:
                    return
                cursors.add(cursor)
                page["cursor"] = cursor

    async def show() -> None:
        async with contextlib.aclosing(pages()) as every:
            async for content in every:
                _show(content, whole=whole)

    return _finish(show())


def tools(to: Target, *, whole: bool) -> int:
    """List the tools this key may call. The exit code."""

    async def show() -> None:
        async with target_instance.client(to) as http:
            params: dict[str, Any] = {}
            for _ in range(_MOST_PAGES):
                result = await _ask(http, to.url, "tools/list", params)
                for tool in result["tools"]:
                    _print(tool if whole else {"name": tool["name"], "about": tool.get("description", "")})
                if not result.get("nextCursor"):
                    return
                params = {"cursor": result["nextCursor"]}

    return _finish(show())


async def _ask(http: httpx2.AsyncClient, url: str, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """The result of one modern request. Raises _Refused and Unanswered."""
    meta = {
        http_client.VERSION_META: http_client.MODERN,
        http_client.CAPABILITIES_META: {},
        "io.modelcontextprotocol/clientInfo": {"name": "tradelatch", "version": version()},
    }
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}
    async with contextlib.aclosing(
        http_client.exchange(http, url, json.dumps(message).encode(), message, None)
    ) as answers:
        async for received in answers:
            if not received.is_answer:
                continue
            error = received.message.get("error")
            if isinstance(error, dict):
                data = error.get("data")
                known = data if isinstance(data, dict) else {}
                raise _Refused({"code": known.get("code", error.get("code")), "message": error.get("message"), **known})
            result = received.message.get("result")
            if isinstance(result, dict) and result.get("resultType", "complete") == "complete":
                return result
            raise _Refused(
                {
                    "code": "unexpected_answer",
                    "message": "The tool asks the user a question, which is not possible on a command line.",
                }
            )
    raise Unanswered("answer_lost", "No answer arrived.")


def version() -> str:
    try:
        return metadata.version("tradelatch")
    except metadata.PackageNotFoundError:
        return "unknown"


def _show(content: dict[str, Any], *, whole: bool) -> None:
    """A list goes out item by item, and what stands around it to standard error; everything else in one line."""
    content = content if whole else spread(content)
    parts = {name: value for name, value in content.items() if name != "context" and isinstance(value, list | dict)}
    items = next(iter(parts.values())) if len(parts) == 1 else None
    if whole or not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        _print(content)
        return
    for item in items:
        _print(item)
    _note({name: value for name, value in content.items() if name not in parts})


def _print(value: object) -> None:
    sys.stdout.buffer.write(json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")
    sys.stdout.buffer.flush()


def _note(value: object) -> None:
    print(json.dumps(value), file=sys.stderr, flush=True)  # noqa: T201  beside the data


def _finish(work: Coroutine[Any, Any, None]) -> int:
    try:
        asyncio.run(work)
    except _Refused as refusal:
        _note({"error": refusal.error})
        return REFUSED
    except Unanswered as error:
        _note({"error": {"message": str(error), **error.data}})
        return NO_ANSWER
    return OK


def _exact(text: str) -> float:
    number = float(text)
    if Decimal(text) != Decimal(repr(number)):
        raise ValueError(f'{text[:60]} has more digits than a JSON number keeps: write it as text, "{text[:60]}".')
    return number


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON.")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("An argument was given twice.")
    return found
