"""A small MCP server by the official SDK, for the findings about clients. Prints its port on standard output.

Tools: ``quote`` takes text; ``order`` has a choice, a field that is text or null (``type`` a list, which JSON Schema
allows), and a list of objects; both answer the arguments that arrived. ``both`` answers two texts and a structure,
``only`` a structure alone, ``refuse`` an error with a text and a structure.
"""

import json
import socket
import sys
from typing import Any

import mcp_types as types
import uvicorn
from mcp.server.lowlevel import Server


def tool(name: str, properties: dict[str, Any], *required: str) -> types.Tool:
    schema = {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}
    return types.Tool(name=name, description=f"The tool {name}.", input_schema=schema)


TOOLS = [
    tool("quote", {"symbol": {"type": "string"}}, "symbol"),
    tool(
        "order",
        {
            "symbol": {"type": "string"},
            "side": {"type": "string", "enum": ["BUY", "SELL"]},
            "limit_price": {"type": ["string", "null"], "default": None},
            "legs": {
                "type": "array",
                "items": {"type": "object", "properties": {"ratio": {"type": "integer"}}, "required": ["ratio"]},
            },
        },
        "symbol",
        "side",
    ),
    tool("both", {}),
    tool("only", {}),
    tool("refuse", {}),
]


def text(*lines: str) -> list[Any]:
    return [types.TextContent(type="text", text=line) for line in lines]


async def list_tools(_context: Any, _params: Any) -> types.ListToolsResult:
    return types.ListToolsResult(tools=TOOLS)


async def call_tool(_context: Any, params: Any) -> types.CallToolResult:
    if params.name == "refuse":
        return types.CallToolResult(
            content=text("The order is above the limit."), structured_content={"code": "limit_exceeded"}, is_error=True
        )
    if params.name == "both":
        return types.CallToolResult(content=text("first", "second"), structured_content={"price": "4.350"})
    if params.name == "only":
        return types.CallToolResult(content=[], structured_content={"price": "4.350"})
    echo = {"arguments": params.arguments}
    return types.CallToolResult(content=text(json.dumps(echo)), structured_content=echo)


with socket.socket() as bound:
    bound.bind(("127.0.0.1", 0))
    bound.listen(64)
    sys.stdout.write(f"{bound.getsockname()[1]}\n")
    sys.stdout.flush()
    app = Server("desk", version="1.0", on_list_tools=list_tools, on_call_tool=call_tool).streamable_http_app()
    uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[bound])
