#!/usr/bin/env bash
# agent-framework-core 1.23.0 (Microsoft Agent Framework): a result with isError reaches the model as "Error: Function failed.",
# without the text and the structure that the server gave; with include_detailed_errors it has the structure.
# Without tenacity, which no extra but "all" brings, a connection to a server that announces changes of its list fails.
# Expected: the model reads what a tool says about its failure, as MCP asks for. Seen: as above.
# For us: the guide for it sets include_detailed_errors and installs tenacity.
source "$(dirname "$0")/lib/common.sh"
mcp_server
venv client agent-framework-core==1.23.0 mcp==2.3.0 tenacity==9.1.4
cat > "$dir/seen.py" << 'PY'
import asyncio
import os
from collections.abc import Mapping

from agent_framework import BaseChatClient, ChatResponse, Content, FunctionInvocationLayer, MCPStreamableHTTPTool, Message


class Scripted(FunctionInvocationLayer, BaseChatClient):
    """Calls the tool once, and keeps what comes back."""

    read = ""

    def _inner_get_response(self, *, messages, stream, options, **_):
        async def answer():
            for message in messages:
                for content in message.contents:
                    if content.type == "function_result":
                        self.read = str(content.result)
            call = Content.from_function_call(call_id="1", name="refuse", arguments="{}")
            said = ["done"] if self.read else [call]
            return ChatResponse(messages=[Message(role="assistant", contents=said)])

        return answer()


async def main():
    for settings in ({}, {"include_detailed_errors": True}):
        async with MCPStreamableHTTPTool(name="desk", url=os.environ["url"]) as tools:
            client = Scripted(function_invocation_configuration=settings)
            await client.get_response([Message(role="user", contents=["go"])], options={"tools": [*tools.functions]})
        print(settings, "->", client.read)
        assert ("limit_exceeded" in client.read) == bool(settings), client.read


asyncio.run(main())
PY
"$dir/client/bin/python" -W ignore "$dir/seen.py" 2> "$dir/why" || { cat "$dir/why" >&2; exit 1; }
