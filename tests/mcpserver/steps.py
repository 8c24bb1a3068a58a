"""A tool called in this process, through the pipeline that every way to a tool ends in."""

import json
import uuid
from typing import Any

from console.authority import bearer
from mcpserver import catalog, pipeline, server
from tests.mcpserver.wire import check_content


def call(key: str, tool: str, **arguments: Any) -> dict[str, Any]:
    """What a tool answers the holder of ``key``, refusals too."""
    return pipeline.call(bearer.authenticate(key), tool, arguments, request_id=uuid.uuid4().hex).content


def refusal(key: str, tool: str, **arguments: Any) -> dict[str, Any]:
    error: dict[str, Any] = call(key, tool, **arguments)["error"]
    return error


def sent(key: str, tool: str, **arguments: Any) -> tuple[str, dict[str, Any]]:
    """The text of an answer as it leaves, and its structure, with its tables."""
    answer = pipeline.call(bearer.authenticate(key), tool, arguments, request_id=uuid.uuid4().hex)
    declared = catalog.find(tool)
    assert declared is not None
    result = server.result_of(answer, declared, arguments)
    (block,) = result.content
    text, content = str(getattr(block, "text", "")), result.structured_content
    assert content is not None
    assert json.loads(text) == content
    check_content(declared, content, is_error=answer.is_error)
    return text, content
