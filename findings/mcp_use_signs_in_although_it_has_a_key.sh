#!/usr/bin/env bash
# mcp-use 1.7.1: a server given with an Authorization header is still asked for its OAuth metadata; where there is some, the client
# registers itself, opens a browser and waits, and the header is never sent. Given as "auth", the same key is used at once.
# Its LangChain tools lose the choices of an enum and send null for every argument the model left out.
# Expected: a header is a credential. Seen: GET of the metadata, POST to the registration address, no call of a tool.
# For us: the guide for mcp-use gives the key as "auth"; null is an absent argument at every tool.
source "$(dirname "$0")/lib/common.sh"
mcp_server
venv use mcp-use==1.7.1
"$dir/use/bin/python" -W ignore - << 'PY'
import asyncio
import http.server
import json
import os
import threading

os.environ["MCP_USE_ANONYMIZED_TELEMETRY"] = "false"
from mcp_use import MCPClient
from mcp_use.agents.adapters.langchain_adapter import LangChainAdapter


async def arguments() -> None:
    client = MCPClient.from_dict({"mcpServers": {"desk": {"url": os.environ["url"], "auth": "key"}}})
    tools = {tool.name: tool for tool in await LangChainAdapter().create_tools(client)}
    side = tools["order"].args_schema.model_json_schema()["properties"]["side"]
    echo = json.loads(await tools["order"].ainvoke({"symbol": "AAPL", "side": "BUY"}))["arguments"]
    print("mcp-use 1.7.1: side is", side, "; sent", echo)
    assert "enum" not in side and echo == {"symbol": "AAPL", "side": "BUY", "limit_price": None, "legs": None}
    await client.close_all_sessions()


asyncio.run(arguments())

seen: list[tuple[str, str, str | None]] = []


class Metadata(http.server.BaseHTTPRequestHandler):
    """Metadata of an authorization server, and a list of what was asked."""

    def do_GET(self) -> None:
        base = f"http://127.0.0.1:{self.server.server_port}"
        self.answer(
            {
                "issuer": base,
                "resource": base + "/mcp",
                "authorization_servers": [base],
                "authorization_endpoint": base + "/authorize",
                "token_endpoint": base + "/token",
                "registration_endpoint": base + "/register",
                "response_types_supported": ["code"],
                "code_challenge_methods_supported": ["S256"],
            }
        )

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer({"client_id": "one", "redirect_uris": ["http://localhost:8080/callback"]}, 201)

    def answer(self, body: dict, status: int = 200) -> None:
        seen.append((self.command, self.path.partition("?")[0], self.headers.get("Authorization")))
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Metadata)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ["BROWSER"] = "true"
settings = {"url": f"http://127.0.0.1:{server.server_port}/mcp", "headers": {"Authorization": "Bearer key"}}


async def sign_in() -> None:
    client = MCPClient.from_dict({"mcpServers": {"desk": settings}})
    try:
        await asyncio.wait_for(LangChainAdapter().create_tools(client), 15)
    except Exception as error:
        print("mcp-use 1.7.1:", type(error).__name__)


asyncio.run(sign_in())
print("mcp-use 1.7.1 asked:", seen)
assert ("POST", "/register", None) in seen
assert not any(path == "/mcp" and credential for _, path, credential in seen)
os._exit(0)
PY
