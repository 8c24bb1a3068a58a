"""One message to ``/mcp`` over HTTP and what comes back, in either era of the protocol.

MCP 2026-07-28 and 2025-11-25, basic/transports/streamable-http. The header rules are those of mcp.shared.inbound,
which is not imported: the SDK takes five times as long to load as everything here. A test holds the two together.
"""

import base64
import json
import re
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2

MODERN = "2026-07-28"
VERSION_META = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES_META = "io.modelcontextprotocol/clientCapabilities"
NAMED_BY = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}

PARSE_ERROR, INVALID_REQUEST, INTERNAL_ERROR, CONNECTION_CLOSED = -32700, -32600, -32603, -32000
_PLAIN = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
_ENCODED = re.compile(r"=\?base64\?.*\?=")
_LARGEST_EVENT = 4 * 1024 * 1024
_LARGEST_REFUSAL = 64 * 1024
_CODES = {401: "unauthenticated", 403: "refused", 429: "rate_limited"}
_ADVICE = {
    401: "The key is not accepted: create one in the console under API keys, and put it in TRADELATCH_API_KEY or in "
    "the file given with --key-file.",
    403: "This key cannot be used here.",
    429: "Too many calls in a minute: wait, then continue.",
}


class Unanswered(Exception):
    """No answer of the protocol came back. The message says why and what to do; it never has the key."""

    def __init__(self, code: str, message: str, *, rpc_code: int = INTERNAL_ERROR, **data: object) -> None:
        super().__init__(message)
        self.code, self.rpc_code, self.data = code, rpc_code, {"code": code, **data}


@dataclass(frozen=True, slots=True)
class Received:
    """A message from the server: as it came, in one line, and parsed."""

    line: bytes
    message: dict[str, Any] = field(repr=False)

    @property
    def is_answer(self) -> bool:
        return "method" not in self.message


def encoded(value: str) -> str:
    """A header value that arrives as it was (streamable-http, "Value Encoding")."""
    if not value or (_PLAIN.fullmatch(value) and not _ENCODED.fullmatch(value)):
        return value
    return f"=?base64?{base64.b64encode(value.encode('utf-8', 'surrogatepass')).decode('ascii')}?="


def modern_version(message: Mapping[str, Any]) -> str | None:
    """The protocol version a modern message carries in itself; None for one of a legacy host."""
    params = message.get("params")
    meta = params.get("_meta") if isinstance(params, dict) else None
    version = meta.get(VERSION_META) if isinstance(meta, dict) else None
    return version if isinstance(version, str) else None


def headers_of(message: Mapping[str, Any], negotiated: str | None) -> dict[str, str]:
    """What the HTTP request says about the message. ``negotiated`` is the version a legacy host agreed on."""
    version = modern_version(message)
    if version is None:
        if negotiated is None or message["method"] == "initialize":
            return {}
        return {"MCP-Protocol-Version": encoded(negotiated)}
    headers = {"MCP-Protocol-Version": encoded(version), "Mcp-Method": encoded(message["method"])}
    named_by = NAMED_BY.get(message["method"])
    name = message["params"].get(named_by) if named_by else None
    if isinstance(name, str):
        headers["Mcp-Name"] = encoded(name)
    return headers


async def exchange(
    http: httpx2.AsyncClient, url: str, raw: bytes, message: Mapping[str, Any], negotiated: str | None
) -> AsyncGenerator[Received, None]:
    """Send one request and yield what comes: any number of notifications, then its answer. Raises Unanswered.

    Closing the iterator closes the HTTP request, which is how a modern request is cancelled. Nothing is sent twice.
    """
    try:
        async with http.stream("POST", url, content=raw, headers=headers_of(message, negotiated)) as response:
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            if response.status_code == 200 and kind == "text/event-stream":
                async for event in httpx2.EventSource(response, max_event_size=_LARGEST_EVENT):
                    if event.event != "message" or not event.data:
                        continue
                    received = _received(event.data.encode(), message["id"])
                    yield received
                    if received.is_answer:
                        return
                raise _lost("The connection ended before the answer arrived.")
            if response.status_code == 200 and kind == "application/json":
                yield _received(await response.aread(), message["id"])
                return
            yield await _refused(response, kind, url, message["id"])
    except httpx2.SSEError as error:
        raise _lost("The answer could not be read.") from error
    except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol) as error:
        raise Unanswered(
            "server_unreachable",
            f"Tradelatch does not answer at {url}; nothing was sent. Start it (tradelatch run), or give its address "
            "with --url.",
        ) from error
    except (httpx2.RequestError, httpx2.StreamError) as error:
        raise _lost("The connection broke before the answer arrived.") from error


async def tell(
    http: httpx2.AsyncClient, url: str, raw: bytes, message: Mapping[str, Any], negotiated: str | None
) -> None:
    """Send one notification of a legacy host. Raises Unanswered."""
    try:
        response = await http.post(url, content=raw, headers=headers_of(message, negotiated))
    except (httpx2.RequestError, httpx2.StreamError) as error:
        raise Unanswered("server_unreachable", f"{message['method'][:100]} did not reach {url}.") from error
    if response.status_code >= 300:
        raise Unanswered("unexpected_answer", f"{message['method'][:100]} returned {response.status_code}.")


def _received(body: bytes, request_id: object) -> Received:
    # Between the parts of a JSON text a line break is a blank like any other; inside a string it cannot stand raw.
    line = body.replace(b"\r", b" ").replace(b"\n", b" ").strip()
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _lost("The answer is not JSON.") from error
    if not isinstance(message, dict) or not ("method" in message or "result" in message or "error" in message):
        raise _lost("The answer is not a valid protocol message.")
    if "method" not in message and message.get("id") != request_id:
        # What is refused before its id was read is answered with null.
        message["id"] = request_id
        line = json.dumps(message).encode()
    return Received(line, message)


def _lost(why: str, **data: object) -> Unanswered:
    return Unanswered(
        "answer_lost",
        f"{why} The call may have been carried out: before repeating an order, call get_orders or get_order_status.",
        rpc_code=CONNECTION_CLOSED,
        **data,
    )


async def _refused(response: httpx2.Response, kind: str, url: str, request_id: object) -> Received:
    """The server's own error where it speaks the protocol. Raises Unanswered for every other refusal."""
    status, body = response.status_code, await _bounded(response)
    content = _object(body) if kind == "application/json" else {}
    error = content.get("error")
    if status in (401, 403, 429):
        about = error["data"] if isinstance(error, dict) and isinstance(error.get("data"), dict) else content
        said = (error.get("message") if isinstance(error, dict) else content.get("error_description")) or ""
        raise Unanswered(
            str(about.get("code") or _CODES[status]),
            f"{_ADVICE[status]} The instance at {url} says: {said}" if said else _ADVICE[status],
            rpc_code=INVALID_REQUEST,
            http_status=status,
            **{name: about[name] for name in ("request_id",) if name in about},
            **_patience(response),
        )
    if status >= 400 and isinstance(error, dict):
        return _received(body, request_id)
    if status >= 500:
        raise _lost(f"{url} returned {status}; see its log.", http_status=status)
    if 300 <= status < 400:
        message = (
            f"{url} redirects elsewhere, and the key is only sent to the address you give: give the final "
            "address with --url."
        )
    else:
        message = f"{url} returned {status}, so it is probably not an MCP server: check the address given with --url."
    raise Unanswered("unexpected_answer", message, http_status=status)


def _patience(response: httpx2.Response) -> dict[str, int]:
    after = response.headers.get("retry-after", "")
    return {"retry_after_seconds": int(after)} if after.isdecimal() and len(after) < 7 else {}


async def _bounded(response: httpx2.Response) -> bytes:
    body = b""
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > _LARGEST_REFUSAL:
            break
    return body


def _object(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
