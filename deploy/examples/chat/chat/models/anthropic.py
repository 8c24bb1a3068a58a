"""Anthropic Messages (``POST /v1/messages``, version 2023-06-01), streamed."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx2

from chat.messages import Message, ModelError, ModelSaid, Tool, ToolAnswered, ToolUse, UserSaid
from chat.models.streamed import arguments_of, events
from chat.settings import Settings

_MOST_TOKENS = 4096


class Anthropic:
    def __init__(self, http: httpx2.AsyncClient, settings: Settings) -> None:
        self._http = http
        self._settings = settings

    async def answer(
        self, system: str, messages: Sequence[Message], tools: Sequence[Tool]
    ) -> AsyncIterator[str | ToolUse]:
        body = {
            "model": self._settings.model_name,
            "max_tokens": _MOST_TOKENS,
            "stream": True,
            "system": system,
            "messages": _written(messages),
            "tools": [
                {"name": tool.name, "description": tool.about, "input_schema": dict(tool.schema)} for tool in tools
            ],
        }
        headers = {"x-api-key": self._settings.model_key, "anthropic-version": "2023-06-01"}
        open_uses: dict[int, tuple[str, str, list[str]]] = {}
        async for event in events(self._http, f"{self._settings.model_url}/v1/messages", body, headers):
            match event:
                case {"type": "content_block_start", "index": index, "content_block": {"type": "tool_use"} as block}:
                    open_uses[index] = (block["id"], block["name"], [])
                case {"type": "content_block_delta", "delta": {"type": "text_delta", "text": text}}:
                    yield text
                case {
                    "type": "content_block_delta",
                    "index": index,
                    "delta": {"type": "input_json_delta", "partial_json": part},
                }:
                    open_uses[index][2].append(part)
                case {"type": "error", "error": error}:
                    raise ModelError(f"The model's server broke off: {error.get('message', '')[:200]}")
        for use_id, name, parts in open_uses.values():
            yield ToolUse(use_id, name, arguments_of("".join(parts)))


def _written(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Results of several tools go into one message, as the interface asks."""
    written: list[dict[str, Any]] = []
    for message in messages:
        match message:
            case UserSaid(text):
                role, block = "user", [{"type": "text", "text": text}]
            case ModelSaid(text, uses):
                role, block = "assistant", [{"type": "text", "text": text}] if text else []
                block += [
                    {"type": "tool_use", "id": use.use_id, "name": use.name, "input": dict(use.arguments)}  # type: ignore[dict-item]
                    for use in uses
                ]
            case ToolAnswered(use_id, text, is_error):
                role = "user"
                block = [{"type": "tool_result", "tool_use_id": use_id, "content": text, "is_error": is_error}]  # type: ignore[dict-item]
        if written and written[-1]["role"] == role:
            written[-1]["content"] += block
        elif block:
            written.append({"role": role, "content": block})
    return written
