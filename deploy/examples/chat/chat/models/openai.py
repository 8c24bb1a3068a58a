"""OpenAI Chat Completions (``POST /chat/completions``), streamed; spoken by many servers besides OpenAI's."""

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx2

from chat.messages import Message, ModelSaid, Tool, ToolAnswered, ToolUse, UserSaid
from chat.models.streamed import arguments_of, events
from chat.settings import Settings


class OpenAI:
    def __init__(self, http: httpx2.AsyncClient, settings: Settings) -> None:
        self._http = http
        self._settings = settings

    async def answer(
        self, system: str, messages: Sequence[Message], tools: Sequence[Tool]
    ) -> AsyncIterator[str | ToolUse]:
        body = {
            "model": self._settings.model_name,
            "stream": True,
            "messages": [{"role": "system", "content": system}, *map(_written, messages)],
            "tools": [
                {
                    "type": "function",
                    "function": {"name": tool.name, "description": tool.about, "parameters": dict(tool.schema)},
                }
                for tool in tools
            ],
        }
        headers = {"authorization": f"Bearer {self._settings.model_key}"}
        uses: dict[int, dict[str, str]] = {}
        async for event in events(self._http, f"{self._settings.model_url}/chat/completions", body, headers):
            for choice in event.get("choices", []):
                delta = choice.get("delta") or {}
                if delta.get("content"):
                    yield delta["content"]
                for part in delta.get("tool_calls") or []:
                    use = uses.setdefault(part["index"], {"id": "", "name": "", "arguments": ""})
                    function = part.get("function") or {}
                    use["id"] = part.get("id") or use["id"]
                    use["name"] = function.get("name") or use["name"]
                    use["arguments"] += function.get("arguments") or ""
        for use in uses.values():
            yield ToolUse(use["id"], use["name"], arguments_of(use["arguments"]))


def _written(message: Message) -> dict[str, Any]:
    match message:
        case UserSaid(text):
            return {"role": "user", "content": text}
        case ToolAnswered(use_id, text, _):
            return {"role": "tool", "tool_call_id": use_id, "content": text}
        case ModelSaid(text, uses):
            said: dict[str, Any] = {"role": "assistant", "content": text or None}
            if uses:
                said["tool_calls"] = [
                    {
                        "id": use.use_id,
                        "type": "function",
                        "function": {"name": use.name, "arguments": json.dumps(dict(use.arguments))},
                    }
                    for use in uses
                ]
            return said
