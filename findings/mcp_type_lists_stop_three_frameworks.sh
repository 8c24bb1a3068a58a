#!/usr/bin/env bash
# AutoGen (autogen-ext 0.7.5), Semantic Kernel 1.45.0 and DSPy 3.4.1: one argument whose "type" is a list, such as
# ["string", "null"], which JSON Schema allows, raises an error while the tools are read. AutoGen and Semantic Kernel then have
# no tool of that server at all.
# Expected: an optional text. Seen: TypeError: unhashable type (AutoGen, DSPy), a pydantic ValidationError (Semantic Kernel).
# For us: no schema has a list as its type; tests/mcpserver/test_schemas_hosts_take.py holds it for every tool.
source "$(dirname "$0")/lib/common.sh"
mcp_server
venv autogen 'autogen-ext[mcp]==0.7.5' 'mcp<2'
"$dir/autogen/bin/python" -W ignore - << 'PY'
import asyncio
import os

from autogen_ext.tools.mcp import StreamableHttpServerParams, mcp_server_tools

try:
    asyncio.run(mcp_server_tools(StreamableHttpServerParams(url=os.environ["url"])))
except TypeError as error:
    print("autogen-ext 0.7.5:", error)
    assert "unhashable" in str(error)
else:
    raise AssertionError("autogen-ext reads lists of types now")
PY
venv dspy 'dspy[mcp]==3.4.1' mcp==2.3.0
"$dir/dspy/bin/python" -W ignore - << 'PY'
import asyncio
import os

import dspy
from mcp import Client


async def main() -> dict[str, str]:
    seen = {}
    async with Client(os.environ["url"]) as client:
        for tool in (await client.list_tools()).tools:
            try:
                dspy.Tool.from_mcp_tool(client.session, tool)
                seen[tool.name] = "read"
            except TypeError as error:
                seen[tool.name] = str(error)
    return seen


seen = asyncio.run(main())
print("dspy 3.4.1:", seen)
assert "unhashable" in seen["order"] and seen["quote"] == "read"
PY
venv kernel 'semantic-kernel[mcp]==1.45.0'
"$dir/kernel/bin/python" -W ignore - << 'PY'
import asyncio
import os

from pydantic import ValidationError
from semantic_kernel import Kernel
from semantic_kernel.connectors.mcp import MCPStreamableHttpPlugin


async def main() -> None:
    async with MCPStreamableHttpPlugin(name="desk", url=os.environ["url"]) as plugin:
        try:
            Kernel().add_plugin(plugin)
        except ValidationError as error:
            print("semantic-kernel 1.45.0:", error.errors()[0]["msg"], error.errors()[0]["input"])
            assert error.errors()[0]["input"] == ["string", "null"]
        else:
            raise AssertionError("semantic-kernel reads lists of types now")


asyncio.run(main())
PY
