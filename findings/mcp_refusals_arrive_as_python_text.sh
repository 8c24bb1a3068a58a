#!/usr/bin/env bash
# LlamaIndex (llama-index-tools-mcp 0.6.0) and Agno 3.1.10: a tool's isError result is not an error for the agent, and what the
# model reads is the Python text of an object. LlamaIndex gives every result, good or bad, as "meta=None content=[TextContent(...)]";
# it also drops what an array's objects look like.
# Expected: the text of the result, and a failed call. Seen: is_error False (LlamaIndex), status "success" (Agno).
# For us: what happened must stand in the words of the result itself, refusals too: no host's flag can be relied on.
source "$(dirname "$0")/lib/common.sh"
mcp_server
venv llama llama-index-tools-mcp==0.6.0
"$dir/llama/bin/python" -W ignore - << 'PY'
import asyncio
import os

from llama_index.tools.mcp import BasicMCPClient, McpToolSpec


async def main() -> None:
    tools = {
        tool.metadata.name: tool
        for tool in await McpToolSpec(client=BasicMCPClient(os.environ["url"])).to_tool_list_async()
    }
    refused = await tools["refuse"].acall()
    print("llama-index-tools-mcp 0.6.0:", refused.is_error, refused.content[:70])
    assert not refused.is_error and refused.content.startswith("meta=None content=[TextContent(")
    legs = tools["order"].metadata.get_parameters_dict()["properties"]["legs"]["anyOf"][0]
    print("llama-index-tools-mcp 0.6.0, items of legs:", legs["items"])
    assert legs["items"] == {"additionalProperties": True, "type": "object"}


asyncio.run(main())
PY
venv agno agno==3.1.10 mcp==2.3.0 'fastmcp>=4.0.0,<5' openai
"$dir/agno/bin/python" -W ignore - << 'PY'
import asyncio
import os

from agno.tools.function import FunctionCall
from agno.tools.mcp import MCPTools


async def main() -> None:
    async with MCPTools(url=os.environ["url"], transport="streamable-http") as tools:
        call = FunctionCall(function=tools.functions["refuse"], arguments={}, call_id="1")
        refused = await call.aexecute()
        print("agno 3.1.10:", refused.status, refused.result.content)
        assert refused.status == "success" and "[TextContent(type='text', text='The order is" in refused.result.content


asyncio.run(main())
PY
