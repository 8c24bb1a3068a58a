"""Plain HTTP to ``/mcp``, for tests that say exactly what goes over the wire."""

from typing import Any

import httpx2
import jsonschema  # type: ignore[import-untyped]

from mcpserver import catalog, shapes

MODERN = "2026-07-28"


def check_shape(tool: str, answer: httpx2.Response) -> None:
    """Whatever a tool answers has the shape the catalog declares for it, or that of a failure."""
    declared = catalog.find(tool)
    body = answer.json() if answer.status_code == 200 else {}
    content = body.get("result", {}).get("structuredContent")
    if declared is None or content is None:
        return
    returns = shapes.Failure if body["result"].get("isError") else declared.returns
    jsonschema.validate(content, shapes.schema(returns), jsonschema.Draft202012Validator)


class Wire:
    def __init__(self, url: str, key: str | None) -> None:
        self.url = url
        self.headers = {
            "Accept": "application/json, text/event-stream",
            "Content-Type": "application/json",
        }
        if key is not None:
            self.headers["Authorization"] = f"Bearer {key}"

    def post(self, body: bytes | str, **headers: str) -> httpx2.Response:
        return httpx2.post(self.url, content=body, headers=self.headers | headers, timeout=30)

    def call(self, tool: str, arguments: object) -> httpx2.Response:
        """tools/call in the modern era; the arguments go out as given, valid or not."""
        return self.rpc("tools/call", {"name": tool, "arguments": arguments}, name=tool)

    def rpc(self, method: str, params: dict[str, Any], *, name: str = "") -> httpx2.Response:
        meta = {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "wire", "version": "1"},
        }
        headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": method}
        if name:
            headers["Mcp-Name"] = name
        answer = httpx2.post(
            self.url,
            json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params | {"_meta": meta}},
            headers=self.headers | headers,
            timeout=30,
        )
        if method == "tools/call":
            check_shape(name, answer)
        return answer

    def result(self, tool: str, arguments: object) -> dict[str, Any]:
        """The structured content of a call that reached the tool."""
        answer = self.call(tool, arguments)
        assert answer.status_code == 200, answer.text
        content: dict[str, Any] = answer.json()["result"]["structuredContent"]
        return content

    def refusal(self, tool: str, arguments: object) -> dict[str, Any]:
        answer = self.call(tool, arguments)
        assert answer.status_code == 200, answer.text
        result = answer.json()["result"]
        assert result["isError"] is True, result
        error: dict[str, Any] = result["structuredContent"]["error"]
        return error
