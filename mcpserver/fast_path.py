"""The short way of plain requests: one look at the message, one hop to a thread, one commit, one answer.

``read`` takes only what the SDK would accept and answer with a single JSON object; whatever is unusual or wrong in any
way is None, and goes to the SDK. So every rejection has one source, and what is answered here is equal to what the SDK
would have answered (tests/mcpserver/test_both_ways.py).
"""

import asyncio
import functools
import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from django.db import DatabaseError
from mcp.server.streamable_http import check_accept_headers
from mcp.shared.inbound import (
    MCP_METHOD_HEADER,
    MCP_NAME_HEADER,
    MCP_PROTOCOL_VERSION_HEADER,
    InboundModernRoute,
    classify_inbound_request,
    find_duplicated_routing_header,
)
from mcp_types import (
    CLIENT_CAPABILITIES_META_KEY,
    CLIENT_INFO_META_KEY,
    PROTOCOL_VERSION_META_KEY,
    SERVER_INFO_META_KEY,
    methods,
)
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError
from starlette.requests import Request
from starlette.types import Message, Send

from console.audit import log as audit_log
from console.audit.call_context import CallContext
from console.authority import bearer
from console.authority.admission import scope_refusal
from console.authority.call_quota import CallKind
from console.errors import Refusal
from console.principal import Principal
from console.scopes import Source
from mcpserver import elicitation, order_card, pipeline, result_tables, step_up
from mcpserver.catalog import Tool, arranged
from mcpserver.context import ToolAnswer, is_readable, readable
from mcpserver.json_text import to_json
from mcpserver.surface import Surface
from mcpserver.worker_pool import WorkerPool

_LISTS = 256
_SETTLE_SECONDS = 0.004
"""How long calls wait for the commit before theirs: started earlier, they would cost more and be answered no sooner."""
_ENVELOPE = {"jsonrpc", "id", "method", "params"}
_RESERVED = PROTOCOL_VERSION_META_KEY.partition("/")[0] + "/"
_KNOWN_META = {PROTOCOL_VERSION_META_KEY, CLIENT_CAPABILITIES_META_KEY, CLIENT_INFO_META_KEY}
_LISTING = ("tools/list", "server/discover")


_LEGACY_END = "}}"


class OutOfScope(Exception):
    """The host is known to step up: it is told by HTTP, before the tool."""

    def __init__(self, principal: Principal, tool: Tool) -> None:
        super().__init__(tool.name)
        self.principal, self.tool = principal, tool
        self.refusal: Refusal = scope_refusal(tool)


class FastRequest(NamedTuple):
    """A request that needs no stream and no question back. A tuple, for one is made with each call."""

    id: str
    """As JSON."""
    method: str
    version: str | None
    """The protocol's, as the header gave it; None: it did not."""
    tool: Tool | None
    arguments: Mapping[str, Any]
    meta: Mapping[str, Any]
    lines: Sequence[tuple[str, str]]
    """Its header lines as they came."""

    @property
    def client(self) -> str:
        """As its client info calls it; "" where the request has none."""
        return client_name({"_meta": self.meta})

    @property
    def is_modern(self) -> bool:
        return self.version in MODERN_PROTOCOL_VERSIONS


_ListKey = tuple[str, str, tuple[Tool, ...]]
"""Method, version of the protocol, and the tools there are for who asks."""


@dataclass(frozen=True, slots=True)
class CacheMiss:
    """Who may see an answer that is not remembered yet, and the name to remember it by."""

    principal: Principal
    key: _ListKey


_Answer = bytes | CacheMiss
_Tell = Callable[[_Answer | Exception], None]


def read(
    surface: Surface, lines: Sequence[tuple[str, str]], headers: Mapping[str, str], message: Any
) -> FastRequest | None:
    """``lines`` are the header lines as they came, ``headers`` the first of each name."""
    if not isinstance(message, dict) or not message.keys() <= _ENVELOPE or message.get("jsonrpc") != "2.0":
        return None
    request_id, method, params = message.get("id"), message.get("method"), message.get("params", {})
    if isinstance(request_id, str):
        if not request_id.isascii() or not request_id.isprintable():
            return None
    elif type(request_id) is not int:
        return None
    if not isinstance(method, str) or not isinstance(params, dict):
        return None
    version, meta = headers.get("mcp-protocol-version"), params.get("_meta", {})
    if not isinstance(meta, dict) or not _accepts(headers.get("accept", "")):
        return None
    token = meta.get("progressToken")
    if token is not None and type(token) not in (str, int):
        return None

    if version in MODERN_PROTOCOL_VERSIONS:
        if find_duplicated_routing_header(lines) is not None:
            return None
        envelope = meta if meta.keys() <= _KNOWN_META else {name: meta[name] for name in _KNOWN_META if name in meta}
        named = params.get("name")
        route = (headers.get(MCP_METHOD_HEADER), headers.get(MCP_NAME_HEADER))
        if not _is_modern(version, route, method, named if isinstance(named, str) else None, to_json(envelope)):
            return None
    elif version is not None and version not in HANDSHAKE_PROTOCOL_VERSIONS:
        return None
    if any(name.startswith(_RESERVED) for name in meta.keys() - _KNOWN_META):
        return None
    if version not in MODERN_PROTOCOL_VERSIONS and not _KNOWN_META.isdisjoint(meta):
        return None

    if method == "tools/call":
        name, arguments = params.get("name"), params.get("arguments", {})
        tool = surface.find(name) if isinstance(name, str) else None
        if tool is None or not isinstance(arguments, dict) or not params.keys() <= {"name", "arguments", "_meta"}:
            return None
        if tool.reports or (tool.asks and not _asks_nobody(surface, version, meta)):
            return None
        return FastRequest(to_json(request_id), method, version, tool, arguments, meta, lines)
    if method == "tools/list" and order_card.is_declared(meta.get(CLIENT_CAPABILITIES_META_KEY)):
        return None  # what such a host is told of a tool is not remembered for the others
    if method in _LISTING and params.keys() <= {"_meta"}:
        if method == "server/discover" and version not in MODERN_PROTOCOL_VERSIONS:
            return None
        return FastRequest(to_json(request_id), method, version, None, {}, {}, lines)
    return None


def client_name(params: Any) -> str:
    """What the client info of a request calls its client; "" where there is none."""
    meta = params.get("_meta") if isinstance(params, dict) else None
    info = meta.get(CLIENT_INFO_META_KEY) if isinstance(meta, dict) else None
    name = info.get("name") if isinstance(info, dict) else None
    return name if isinstance(name, str) else ""


def _asks_nobody(surface: Surface, version: str | None, meta: Mapping[str, Any]) -> bool:
    """Whether the client says, with this very request, that it cannot ask its user: then ``elicitation`` asks nobody.

    A surface with a way of its own to ask decides that itself.
    """
    if surface.ask is not elicitation.ask:
        return False
    declared = meta.get(CLIENT_CAPABILITIES_META_KEY) if version in MODERN_PROTOCOL_VERSIONS else None
    return isinstance(declared, dict) and "elicitation" not in declared


@functools.lru_cache(maxsize=256)
def _accepts(accept: str) -> bool:
    request = Request({"type": "http", "headers": [(b"accept", accept.encode("latin-1"))]})
    return all(check_accept_headers(request))


@functools.lru_cache(maxsize=256)
def _is_modern(
    version: str, route: tuple[str | None, str | None], method: str, name: str | None, envelope: str
) -> bool:
    """What the SDK asks of the headers and the envelope of a modern request; clients send the same with each call.

    ``route``: the headers that repeat the method and the name.
    """
    meta = json.loads(envelope)
    lines = {MCP_PROTOCOL_VERSION_HEADER: version, MCP_METHOD_HEADER: route[0], MCP_NAME_HEADER: route[1]}
    headers = {header: value for header, value in lines.items() if value is not None}
    body = {"method": method, "params": {"_meta": meta} if name is None else {"_meta": meta, "name": name}}
    if not isinstance(classify_inbound_request(body, headers=headers), InboundModernRoute):
        return False
    try:
        methods.validate_client_request("tools/list", version, {"_meta": meta})
    except ValidationError:
        return False
    return True


class ReplyQueue:
    """The way of answers back into the event loop, which is woken once for all that are ready together."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._ready: deque[tuple[asyncio.Future[_Answer], _Answer | Exception]] = deque()
        self._is_woken = False

    def expect(self) -> tuple[asyncio.Future[_Answer], _Tell]:
        """Call it in the event loop. What is told, in any thread, becomes the future's."""
        answered: asyncio.Future[_Answer] = self.loop.create_future()

        def tell(answer: _Answer | Exception) -> None:
            self._ready.append((answered, answer))
            if not self._is_woken:
                self._is_woken = True
                self.loop.call_soon_threadsafe(self._settle)

        return answered, tell

    def _settle(self) -> None:
        # Before the look: what is appended after the last of it wakes the loop again.
        self._is_woken = False
        while self._ready:
            answered, answer = self._ready.popleft()
            if answered.done():
                continue
            if isinstance(answer, Exception):
                answered.set_exception(answer)
            else:
                answered.set_result(answer)


class FastPath:
    def __init__(self, surface: Surface, stamp: Mapping[str, Any]) -> None:
        """``stamp``: what the server says of itself on each modern result."""
        self._surface = surface
        about = to_json({SERVER_INFO_META_KEY: stamp})
        self._modern_end = f',"resultType":"complete","_meta":{about}}}}}'
        self._threads = WorkerPool(before=functools.partial(audit_log.flush, _SETTLE_SECONDS))
        # Of their own: with brokers that hang, reads may hold every other thread.
        self._cancels = WorkerPool()
        self._out: ReplyQueue | None = None
        self._lists: dict[_ListKey, str] = {}

    def read(self, lines: Sequence[tuple[str, str]], headers: Mapping[str, str], message: Any) -> FastRequest | None:
        return read(self._surface, lines, headers, message)

    async def serve(
        self, plain: FastRequest, raw: str, ip: str, agent: str, request_id: str, context: CallContext
    ) -> bytes | CacheMiss:
        """The body of the answer, for the holder of the bearer ``raw``; it may leave at once.

        Raises Unauthenticated, WrongAddress, OutOfScope and pipeline.TooManyRequests. A client that hangs up cuts
        nothing in half: the thread goes on, and only the answer is lost.
        """
        loop = asyncio.get_running_loop()
        if self._out is None or self._out.loop is not loop:
            self._out = ReplyQueue(loop)
        answered, tell = self._out.expect()

        def work() -> None:
            try:
                principal = bearer.authenticate(raw, ip=ip, user_agent=agent)
                if plain.tool is None:
                    pipeline.count_listing(principal)
                    tell(self._list(plain, principal))
                else:
                    self._call(plain, plain.tool, principal, request_id, context, tell)
            except Exception as error:
                tell(error)

        is_cancel = plain.tool is not None and plain.tool.throttle is CallKind.CANCEL
        (self._cancels if is_cancel else self._threads).submit(work)
        return await answered

    def _call(
        self,
        plain: FastRequest,
        tool: Tool,
        principal: Principal,
        request_id: str,
        context: CallContext,
        tell: _Tell,
    ) -> None:
        if principal.source is Source.OAUTH and step_up.is_due(principal, tool, plain.client, plain.lines):
            raise OutOfScope(principal, tool)
        made = pipeline.attempt(
            principal,
            tool.name,
            plain.arguments,
            request_id=request_id,
            find=self._surface.find,
            context=context,
        )
        try:
            body = self._body(plain, made.answer())
        except Exception as error:
            if made.entry is None:
                raise
            # The tool has acted: whatever its answer could not be made of, its row is kept.
            failure = error
            audit_log.enqueue_call(made.entry, lambda _: tell(failure))
            return
        if made.entry is None:
            tell(body)
            return

        def committed(error: DatabaseError | None) -> None:
            tell(body if error is None else self._body(plain, made.answer(error)))

        audit_log.enqueue_call(made.entry, committed)

    def _body(self, plain: FastRequest, answer: ToolAnswer) -> bytes:
        """The JSON-RPC response. Most content is written once, for both places it is in."""
        content, written = arranged(answer, plain.tool, plain.arguments)
        if not is_readable(written):
            answer = replace(answer, content=readable(answer.content))
            content, written = arranged(answer, plain.tool, plain.arguments)
        text = result_tables.to_text(content, written)
        said = (
            f'{{"jsonrpc":"2.0","id":{plain.id},"result":{{"content":[{{"type":"text","text":{to_json(text)}}}],'
            f'"structuredContent":{written},"isError":{"true" if answer.is_error else "false"}'
            f"{self._modern_end if plain.is_modern else _LEGACY_END}"
        )
        # Half a surrogate pair, in what a caller sent and a refusal repeats, has no UTF-8.
        return said.encode("utf-8", "replace")

    def _list(self, plain: FastRequest, principal: Principal) -> bytes | CacheMiss:
        key = (plain.method, plain.version or "", self._surface.visible(principal))
        result = self._lists.get(key)
        if result is None:
            return CacheMiss(principal, key)
        return f'{{"jsonrpc":"2.0","id":{plain.id},"result":{result}}}'.encode()

    def remembering(self, listing: CacheMiss, send: Send) -> Send:
        """Passes on what the SDK answers, and keeps its result for the next who may see the same."""
        status, body = 0, bytearray()

        async def passing(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                body.extend(message.get("body", b""))
                if status == 200 and not message.get("more_body", False):
                    self._remember(listing.key, json.loads(body))
            await send(message)

        return passing

    def _remember(self, key: _ListKey, answer: Mapping[str, Any]) -> None:
        if "result" in answer:
            if len(self._lists) >= _LISTS:
                self._lists.clear()
            self._lists[key] = to_json(answer["result"])
