"""Plain HTTP to ``/mcp``, for tests that say exactly what goes over the wire."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from functools import cache
from typing import Any

import httpx2
import jsonschema  # type: ignore[import-untyped]

from mcpserver import catalog, result_schemas, result_tables
from tests.patience import at_most
from tests.serving import until

MODERN = "2026-07-28"


def check_shape(tool: str, answer: httpx2.Response) -> None:
    """Whatever a tool answers has the shape the catalog declares for it, or a failure's, and its text says the same."""
    declared = catalog.find(tool)
    is_json = answer.headers.get("content-type", "").startswith("application/json")
    body = answer.json() if answer.status_code == 200 and is_json else {}
    content = body.get("result", {}).get("structuredContent")
    if declared is None or content is None:
        return
    (block,) = body["result"]["content"]
    assert json.loads(block["text"]) == content
    assert next(iter(content)) == "context"
    check_content(declared, content, is_error=body["result"].get("isError"))


def check_content(tool: catalog.Tool, content: dict[str, Any], *, is_error: bool = False) -> None:
    """As it came over the wire, with tables, and with the rows of the tables as objects."""
    returns: Any = result_schemas.Failure if is_error else tool.returns
    schema_of(returns).validate(content)
    schema_of(returns, spread=True).validate(result_tables.spread(content))


@cache
def schema_of(returns: Any, *, spread: bool = False) -> Any:
    """Its validator, made once: to hold the schema itself against that of JSON schema is most of the work."""
    schema = result_schemas.schema(returns, spread=spread)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


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
        return httpx2.post(self.url, content=body, headers=self.headers | headers, timeout=at_most(30))

    def call(self, tool: str, arguments: object) -> httpx2.Response:
        """tools/call in the modern era; the arguments go out as given, valid or not."""
        return self.rpc("tools/call", {"name": tool, "arguments": arguments}, name=tool)

    def rpc(
        self,
        method: str,
        params: dict[str, Any],
        *,
        name: str = "",
        capabilities: dict[str, Any] | None = None,
        **meta: Any,
    ) -> httpx2.Response:
        """One request of the modern era; ``meta`` goes beside what every request says of itself."""
        request = self.request(method, params, name=name, capabilities=capabilities, meta=meta)
        answer = httpx2.post(self.url, timeout=at_most(30), **request)
        if method == "tools/call":
            check_shape(name, answer)
        return answer

    def request(
        self,
        method: str,
        params: dict[str, Any],
        *,
        name: str = "",
        capabilities: dict[str, Any] | None = None,
        meta: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """What ``httpx2`` is told to send: one request of the modern era."""
        meta = (meta or {}) | {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": capabilities or {},
            "io.modelcontextprotocol/clientInfo": {"name": "wire", "version": "1"},
        }
        headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": method}
        if name:
            headers["Mcp-Name"] = name
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params | {"_meta": meta}}
        return {"json": body, "headers": self.headers | headers}

    @contextlib.contextmanager
    def listen(self, *uris: str, **wanted: Any) -> Iterator["Heard"]:
        """A stream of subscriptions/listen, open while the block runs."""
        params = {"notifications": wanted | ({"resourceSubscriptions": list(uris)} if uris else {})}
        request = self.request("subscriptions/listen", params)
        with (
            httpx2.Client(timeout=httpx2.Timeout(30, read=60)) as client,
            client.stream("POST", self.url, **request) as answer,
        ):
            try:
                yield Heard(answer)
            finally:
                # Closing alone would wait for the thread that reads.
                with contextlib.suppress(OSError):
                    answer.extensions["network_stream"].get_extra_info("socket").shutdown(socket.SHUT_RDWR)

    def result(self, tool: str, arguments: object) -> dict[str, Any]:
        """The structured content of a call that reached the tool, with its tables as lists of objects."""
        answer = self.call(tool, arguments)
        assert answer.status_code == 200, answer.text
        content: dict[str, Any] = result_tables.spread(answer.json()["result"]["structuredContent"])
        return content

    def refusal(self, tool: str, arguments: object) -> dict[str, Any]:
        answer = self.call(tool, arguments)
        assert answer.status_code == 200, answer.text
        result = answer.json()["result"]
        assert result["isError"] is True, result
        error: dict[str, Any] = result["structuredContent"]["error"]
        return error


class Heard:
    """What a stream says, read by a thread of its own."""

    def __init__(self, answer: httpx2.Response) -> None:
        self.status = answer.status_code
        self.ended = False
        self.messages: list[dict[str, Any]] = []
        self._answer = answer
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with contextlib.suppress(httpx2.HTTPError, httpx2.StreamError):
            if "application/json" in self._answer.headers["content-type"]:
                self.messages.append(json.loads(self._answer.read()))
            else:
                for line in self._answer.iter_lines():
                    if line.startswith("data: "):
                        self.messages.append(json.loads(line.removeprefix("data: ")))
        self.ended = True

    def acknowledged(self) -> dict[str, Any]:
        """What the server will tell of: its first word."""
        until(lambda: self.messages, seconds=10, what="the stream is acknowledged")
        first = self.messages[0]
        assert first["method"] == "notifications/subscriptions/acknowledged", first
        honored: dict[str, Any] = first["params"]["notifications"]
        return honored

    def updated(self) -> list[str]:
        """The resources that were told to have changed, in that order."""
        return [
            message["params"]["uri"]
            for message in self.messages
            if message.get("method") == "notifications/resources/updated"
        ]
