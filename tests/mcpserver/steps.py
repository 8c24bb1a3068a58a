"""A tool called in this process, through the pipeline that every way to a tool ends in."""

import uuid
from typing import Any

from console.authority import bearer
from mcpserver import pipeline


def call(key: str, tool: str, **arguments: Any) -> dict[str, Any]:
    """What a tool answers the holder of ``key``, refusals too."""
    return pipeline.call(bearer.authenticate(key), tool, arguments, request_id=uuid.uuid4().hex).content


def refusal(key: str, tool: str, **arguments: Any) -> dict[str, Any]:
    error: dict[str, Any] = call(key, tool, **arguments)["error"]
    return error
