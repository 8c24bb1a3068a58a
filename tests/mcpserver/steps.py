"""A tool called in this process, through the pipeline that every way to a tool ends in; and who calls it."""

import json
import uuid
from typing import Any

from brokers.types import Environment
from console.authority import bearer
from console.principal import Principal
from console.scopes import Scope, Source
from mcpserver import catalog, pipeline, server
from tests.mcpserver.wire import check_content

TRADE_LIST = 20_000
"""Bytes that the list of tools of an app that trades may have."""
PRINCIPAL = Principal(
    user_id=1,
    user_label="",
    source=Source.API_KEY,
    credential_id="k",
    app_id=1,
    app_label="the app",
    paused=False,
    scopes=frozenset({Scope.READ}),
    connection_id=7,
    connection_label="Practice",
    connection_paused=False,
    broker="paper",
    broker_settings={},
    environment=Environment.PAPER,
    account_id="",
)


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
