"""The catalog in the console's words: for its documentation, and for the page where an owner switches toolsets."""

import json
from collections.abc import Iterator
from typing import Any

from console.connections import broker_access
from console.toolsets import ToolField, ToolInfo
from mcpserver import catalog, result_schemas, server
from mcpserver.catalog import Tool

_CONTEXT = "context"


def tools() -> list[ToolInfo]:
    brokers = broker_access.broker_names()
    return [_described(tool, brokers) for tool in catalog.TOOLS]


def _described(tool: Tool, brokers: frozenset[str]) -> ToolInfo:
    gives, rows = result_schemas.schema(tool.returns), result_schemas.schema(tool.returns, spread=True)
    return ToolInfo(
        name=tool.name,
        toolset=tool.toolset,
        scope=tool.scope,
        about=tool.about,
        access=tool.access.value,
        takes=tuple(
            ToolField(name=arg.name, kind=arg.words(), always=arg.required, about=arg.about) for arg in tool.args
        ),
        gives=tuple(_fields(rows, rows.get("$defs", {}), 0)),
        output_schema=json.dumps(gives, indent=2),
        # In the list stands a comma between each two.
        listed_bytes=len(server.listed(tool).model_dump_json(by_alias=True, exclude_none=True).encode()) + 1,
        brokers=frozenset(broker for broker in brokers if catalog.can(broker, tool)),
    )


def _fields(node: dict[str, Any], known: dict[str, Any], depth: int) -> Iterator[ToolField]:
    required = node.get("required", [])
    for name, inner in node.get("properties", {}).items():
        if depth == 0 and name == _CONTEXT:
            continue
        inner = _resolved(inner, known)
        yield ToolField(name=name, kind=_kind(inner, known), always=name in required, depth=depth)
        beneath = _resolved(inner["items"], known) if inner.get("type") == "array" else inner
        yield from _fields(beneath, known, depth + 1)


def _resolved(node: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in node:
        return node
    found: dict[str, Any] = known[node["$ref"].rpartition("/")[2]]
    return found


def _kind(node: dict[str, Any], known: dict[str, Any]) -> str:
    """What a value is, in words."""
    if "enum" in node:
        return "one of " + ", ".join(str(each) for each in node["enum"])
    match node.get("type"):
        case "array" if "table" in node:
            return "table"
        case "array":
            inner = _resolved(node["items"], known)
            return "list" if "properties" in inner else f"list of {_kind(inner, known)}"
        case "string" if "pattern" in node:
            return "decimal text"
        case "string" if node.get("format") == "date-time":
            return "time, UTC"
        case "string":
            return "text"
        case "boolean":
            return "true or false"
        case "integer":
            return "whole number"
        case "number":
            return "number"
        case _:
            return "object"
