#!/usr/bin/env bash
# openai-agents 0.24.0 with mcp 2.3.0 and langchain-mcp-adapters 0.3.2 with mcp 1.30.0 as clients of an MCP server over HTTP.
# Expected: each names itself in clientInfo, which the protocol asks for so that a server knows its client. Seen: both send the
# SDK's own default, name mcp and version 0.1.0 (whichever version the SDK has), so nothing tells them apart from each other
# or from a program that uses the SDK alone.
# For us: whether a missing scope is told by 403 or in the answer follows from how the token got into the request and from what that
# token was told before (mcpserver/step_up.py), not from that name alone.
source "$(dirname "$0")/lib/common.sh"
venv agents openai-agents==0.24.0 mcp==2.3.0
venv langchain langchain-mcp-adapters==0.3.2 mcp==1.30.0
cat > "$dir/listen.py" << 'PY'
import http.server
import json
import subprocess
import sys
import threading

said = []


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        said.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_error(503)

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
ran = subprocess.run(sys.argv[1:], env={"URL": f"http://127.0.0.1:{server.server_port}/mcp"}, capture_output=True, text=True)
if not said:
    sys.exit(ran.stderr[-2000:])
params = said[0]["params"]
about = params.get("clientInfo") or params["_meta"]["io.modelcontextprotocol/clientInfo"]
print(about["name"], about["version"])
PY
cat > "$dir/ask_agents.py" << 'PY'
import asyncio, os
from agents.mcp import MCPServerStreamableHttp


async def main():
    async with MCPServerStreamableHttp(params={"url": os.environ["URL"]}) as server:
        await server.list_tools()


asyncio.run(main())
PY
cat > "$dir/ask_langchain.py" << 'PY'
import asyncio, os
from langchain_mcp_adapters.client import MultiServerMCPClient

asyncio.run(MultiServerMCPClient({"x": {"transport": "streamable_http", "url": os.environ["URL"]}}).get_tools())
PY
for each in agents langchain; do
    seen=$("$dir/$each/bin/python" "$dir/listen.py" "$dir/$each/bin/python" -W ignore "$dir/ask_$each.py")
    echo "$each: $seen (SDK $("$dir/$each/bin/pip" list 2> /dev/null | awk '$1 == "mcp" {print $2}'))"
    [ "$seen" = "mcp 0.1.0" ]
done
