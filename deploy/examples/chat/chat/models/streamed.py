"""A streamed answer over HTTP, whoever sends it."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx2
from httpx2 import EventSource

from chat.messages import ModelError

_DONE = "[DONE]"


async def events(
    http: httpx2.AsyncClient, url: str, body: Mapping[str, Any], headers: Mapping[str, str]
) -> AsyncIterator[dict[str, Any]]:
    """The JSON of each server-sent event. Raises ModelError."""
    try:
        async with http.stream("POST", url, json=body, headers=headers) as answer:
            if not answer.is_success:
                await answer.aread()
                raise ModelError(f"The model's server answered {answer.status_code}: {answer.text[:200]}")
            async for event in EventSource(answer):
                if event.data == _DONE:
                    return
                yield json.loads(event.data)
    except httpx2.HTTPError as error:
        raise ModelError(f"The model's server cannot be reached: {error}") from error
    except ValueError as error:
        raise ModelError("The model's server sent something other than JSON.") from error


def arguments_of(text: str) -> dict[str, Any]:
    """What a tool is given, from the text a model wrote. Raises ModelError."""
    try:
        found = json.loads(text or "{}")
    except ValueError as error:
        raise ModelError("The model gave a tool something other than JSON.") from error
    if not isinstance(found, dict):
        raise ModelError("The model gave a tool something other than an object.")
    return found
