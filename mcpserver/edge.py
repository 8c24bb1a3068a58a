"""HTTP rules of the protocol, before the SDK sees a request: who may connect, as what, and how large.

MCP 2026-07-28 and 2025-11-25, basic/transports/streamable-http and basic/authorization. The SDK is handed
only authenticated POSTs of bounded, well-formed JSON.
"""

import functools
import ipaddress
import json
import logging
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
from django.conf import settings
from django.db import close_old_connections
from mcp.shared.inbound import (
    MCP_PROTOCOL_VERSION_HEADER,
    InboundModernRoute,
    classify_inbound_request,
    find_duplicated_routing_header,
)
from mcp_types import CLIENT_INFO_META_KEY, INVALID_REQUEST, PARSE_ERROR, methods
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from brokers.decimals import refuse_constant
from console import body_timeout, host_names, ids, ip_addresses, scopes, telemetry, tracing
from console.audit import call_context
from console.audit.call_context import CallContext
from console.authority import bearer
from console.authority.bearer import Unauthenticated, WrongAddress
from console.config.instance_dir import OWN_NAME
from console.errors import DATABASE_AWAY, Code, Refusal, database_away, first_line
from console.help import error_links
from console.oauth import resource_indicator
from console.principal import Manager, Principal
from console.untrusted_text import escape_hidden
from mcpserver import pipeline, server, step_up
from mcpserver.arguments import base as arguments
from mcpserver.catalog import Tool
from mcpserver.fast_path import FastPath, FastRequest, OutOfScope, client_name
from mcpserver.pipeline import TooManyRequests
from mcpserver.surface import Surface

log = logging.getLogger(__name__)

_ALL_SCOPES = scopes.render(frozenset(scopes.ALL))
_ALLOWED_HEADERS = "Authorization, Content-Type, Accept, MCP-Protocol-Version, Mcp-Method, Mcp-Name, Mcp-Session-Id"
_HOSTS = frozenset(allowed.strip("[]").lower() for allowed in settings.ALLOWED_HOSTS)
_CALLS = frozenset({"tools/call", "resources/read", "prompts/get", "completion/complete", "subscriptions/listen"})
"""What the pipeline counts, where it gets there. Everything else that a known app sends is counted here."""
_UNQUOTABLE = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]")
"""What an error_description may not hold: RFC 6750 section 3."""
_READ_FIRST_BYTES = 64 * 1024
_DOORKEEPERS = anyio.CapacityLimiter(20)
"""Threads that tell who comes: apart from those of tools, all of which may be waiting for a broker."""


class _TooLarge(Exception):
    pass


class _ClientGone(Exception):
    """The client went, or was cut, before its request was whole: what came of it is not acted on."""


class _Arrived:
    """One HTTP request, its headers read once."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        # Some servers keep the blanks around header values; the protocol compares them.
        self.lines = [
            (name.decode("latin-1"), value.strip(b" \t").decode("latin-1")) for name, value in scope["headers"]
        ]
        self.headers = dict(reversed(self.lines))
        """The first of each name."""
        self.method: str = scope["method"]
        self.ip: str = ip_addresses.parse_address(scope["client"][0]) if scope.get("client") else ""
        self.agent = self.headers.get("user-agent", "")
        self.origin = self.headers.get("origin")
        self.request_id = ids.new("req")

    @property
    def scope(self) -> Scope:
        return {**self._scope, "headers": [(name, value.strip(b" \t")) for name, value in self._scope["headers"]]}

    @property
    def extra_headers(self) -> list[tuple[bytes, bytes]]:
        extra = [(b"x-request-id", self.request_id.encode())]
        if self.origin is not None and _origin_fits(self.origin):
            extra += _cors(self.origin)
        return extra


def app(inner: ASGIApp, surface: Surface, lean: FastPath | None) -> ASGIApp:
    """The ASGI app of ``/mcp``: hands what it lets in to ``inner``, which finds the principal in the scope.

    Without ``fast_path``, ``inner`` answers everything.
    """

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        arrived = _Arrived(scope)
        has_begun = False
        # Not ended: the web server runs each request in a context of its own.
        tracing.begin(arrived.request_id, tracing.parse(arrived.headers.get("traceparent")))

        async def answering(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                message = dict(message, headers=[*message.get("headers", []), *arrived.extra_headers])
            await send(message)

        try:
            response = await _respond(inner, surface, lean, arrived, receive, answering)
        except _ClientGone:
            return
        except body_timeout.BodyTimeout:
            await body_timeout.refuse(scope["path"], send)
            return
        except DATABASE_AWAY as error:  # who calls could not be told; what a tool meets is told by its answer
            if has_begun:
                raise
            log.error("The database does not answer (%s), in request %s", first_line(error), arrived.request_id)
            response = _database_away(arrived.request_id)
        if isinstance(response, bytes):
            head = [(b"content-type", b"application/json"), (b"content-length", str(len(response)).encode())]
            await send({"type": "http.response.start", "status": 200, "headers": head + arrived.extra_headers})
            await send({"type": "http.response.body", "body": response})
        elif response is not None:
            await response(arrived.scope, receive, answering)

    return telemetry.with_request_span("/mcp", serve, named_later=True)


async def _respond(
    inner: ASGIApp, surface: Surface, lean: FastPath | None, arrived: _Arrived, receive: Receive, send: Send
) -> Response | bytes | None:
    """What to send, a refusal or the JSON of an answer; or None when the SDK has answered."""
    headers, request_id, ip, agent = arrived.headers, arrived.request_id, arrived.ip, arrived.agent
    host = headers.get("host", "")
    if not _host_fits(host):
        host_names.log_foreign_host(host, ip)
        return _plain_text_response(421, Code.INVALID_REQUEST, host_names.foreign_host_message(host), request_id)
    origin = arrived.origin
    if origin is not None and not _origin_fits(origin):
        refusal = Refusal(Code.ORIGIN_REFUSED, f"Web pages from {origin[:100]} cannot call this server.")
        log.warning("Refused a web page of %r from %s, in request %s", origin[:100], ip, request_id)
        return _plain_text_response(403, refusal.code, str(refusal), request_id)
    if arrived.method == "OPTIONS":
        return Response(
            status_code=204,
            headers={
                "Allow": "POST, OPTIONS",
                "Access-Control-Allow-Methods": "POST, OPTIONS",
                "Access-Control-Allow-Headers": _ALLOWED_HEADERS,
                "Access-Control-Max-Age": "600",
            },
        )

    raw = _bearer(arrived.lines)
    if raw is None:
        return _challenge(
            401, None, Code.UNAUTHENTICATED, "Sign in, or send an API key as a bearer token.", request_id, host
        )

    plain, listing = None, None
    if lean is not None and _may_read_first(arrived):
        body = await _read(receive, headers)
        receive = _replay(body, receive)
        plain = _fast_request(lean, arrived, body)
    if plain is None:
        context = call_context.of_request(headers)
    else:
        context = call_context.of_message(headers, plain.meta, plain.meta.get(CLIENT_INFO_META_KEY))
    try:
        if lean is not None and plain is not None:
            answer = await lean.serve(plain, raw, ip, agent, request_id, context)
            if isinstance(answer, bytes):
                return answer
            listing, principal = answer, answer.principal
        else:
            principal = await anyio.to_thread.run_sync(_authenticate, raw, ip, agent, limiter=_DOORKEEPERS)
    except Unauthenticated as error:
        if error.principal is not None:
            await _reject(error.principal, error, arrived, context)
        return _challenge(401, "invalid_token", error.code, str(error), request_id, host)
    except WrongAddress as error:
        await _reject(error.principal, error, arrived, context)
        return _plain_text_response(403, error.code, str(error), request_id)
    except OutOfScope as error:
        return await _step_up(error, arrived, context)
    except TooManyRequests as error:
        return await _rate_limited(error, arrived, context)

    async def refuse(status: int, refusal: Refusal, rpc_code: int = INVALID_REQUEST) -> Response:
        await _reject(principal, refusal, arrived, context)
        return _plain_text_response(status, refusal.code, str(refusal), request_id, rpc_code)

    async def greet() -> Response | None:
        """Count what is no call, and so never comes to the pipeline."""
        try:
            await anyio.to_thread.run_sync(_count_listing, principal, limiter=_DOORKEEPERS)
        except TooManyRequests as error:
            return await _rate_limited(error, arrived, context)
        return None

    if arrived.method != "POST" or not _is_json(headers):
        slower = await greet()
        if slower is not None:
            return slower
    if arrived.method != "POST":
        # No stream to listen on and no session to end: 405, and only after the token check, so that a host
        # that begins with GET learns from the 401 where to sign in.
        return Response(status_code=405, headers={"Allow": "POST, OPTIONS"})
    if not _is_json(headers):
        return await refuse(
            415, Refusal(Code.UNSUPPORTED_MEDIA_TYPE, "Send JSON, with Content-Type: application/json.")
        )
    try:
        body = await _read(receive, headers)
    except _TooLarge:
        return await refuse(
            413,
            Refusal(Code.BODY_TOO_LARGE, f"A request can have at most {settings.MAX_BODY_BYTES:,} bytes."),
        )
    try:
        message = _decoder.decode(body.decode())
    except (ValueError, RecursionError):
        return await refuse(400, Refusal(Code.INVALID_REQUEST, "The body is not well-formed JSON."), PARSE_ERROR)

    context = _context_of(arrived, message)
    if listing is None and not _reaches_the_pipeline(arrived, message):
        slower = await greet()
        if slower is not None:
            return slower
    tool = _tool_called(message, surface)
    telemetry.follow(_meta_of(message))
    if tool is not None and await _is_to_step_up(principal, tool, client_name(message.get("params")), arrived):
        return await _step_up(OutOfScope(principal, tool), arrived, context)

    scope = {
        **arrived.scope,
        server.PRINCIPAL: principal,
        server.REQUEST_ID: request_id,
        server.CALL_CONTEXT: context,
        server.ARGUMENTS: _arguments_of(message),
        server.STREAMS: _may_stream(arrived, tool),
    }
    if lean is not None and listing is not None:
        send = lean.remembering(listing, send)
    await inner(scope, _replay(body, receive), send)
    return None


def _is_json(headers: Mapping[str, str]) -> bool:
    return headers.get("content-type", "").split(";")[0].strip().lower() == "application/json"


def _may_read_first(arrived: _Arrived) -> bool:
    """Whether the body may be read before its sender is known, so that one hop to a thread does the rest.

    Only what the web server buffers from anybody in any case (uvicorn pauses a socket at 64 kB), with its length said
    in advance, and where nobody waits for permission to send it.
    """
    headers = arrived.headers
    length = headers.get("content-length", "")
    return (
        arrived.method == "POST"
        and 0 < len(length) < 6
        and length.isdecimal()
        and int(length) <= _READ_FIRST_BYTES
        and "transfer-encoding" not in headers
        and "expect" not in headers
        and _is_json(headers)
    )


def _fast_request(lean: FastPath, arrived: _Arrived, body: bytes) -> FastRequest | None:
    try:
        message = _decoder.decode(body.decode())
    except (ValueError, RecursionError):
        return None
    return lean.read(arrived.lines, arrived.headers, message)


async def _is_to_step_up(principal: Principal, tool: Tool, client: str, arrived: _Arrived) -> bool:
    if not step_up.may_be_due(principal, tool, client, arrived.lines):
        return False

    def look() -> bool:
        try:
            return step_up.is_due(principal, tool, client, arrived.lines)
        finally:
            close_old_connections()

    return await anyio.to_thread.run_sync(look, limiter=_DOORKEEPERS)


async def _step_up(wanted: OutOfScope, arrived: _Arrived, context: CallContext) -> Response:
    refusal, request_id = wanted.refusal, arrived.request_id
    await _reject(wanted.principal, refusal, arrived, context, wanted.tool.name)
    host = arrived.headers.get("host", "")
    return _challenge(403, "insufficient_scope", refusal.code, str(refusal), request_id, host)


def _database_away(request_id: str) -> Response:
    refusal = database_away(did_nothing=True)
    answer = _plain_text_response(503, refusal.code, str(refusal), request_id)
    answer.headers["Retry-After"] = str(round(refusal.retry_after or 0))
    return answer


async def _rate_limited(error: TooManyRequests, arrived: _Arrived, context: CallContext) -> Response:
    refusal, request_id = error.refusal, arrived.request_id
    await _reject(error.principal, refusal, arrived, context)
    answer = _plain_text_response(429, refusal.code, str(refusal), request_id)
    answer.headers["Retry-After"] = str(round(refusal.retry_after or 60))
    return answer


def _authenticate(raw: str, ip: str, agent: str) -> Principal:
    try:
        return bearer.authenticate(raw, ip=ip, user_agent=agent)
    finally:
        close_old_connections()


def _count_listing(principal: Principal) -> None:
    try:
        pipeline.count_listing(principal)
    finally:
        close_old_connections()


async def _reject(
    principal: Principal | Manager | None, refusal: Refusal, arrived: _Arrived, context: CallContext, tool: str = ""
) -> None:
    def write() -> None:
        pipeline.reject(
            principal,
            refusal,
            request_id=arrived.request_id,
            tool=tool,
            ip=arrived.ip,
            user_agent=arrived.agent,
            context=context,
        )

    await anyio.to_thread.run_sync(write, limiter=_DOORKEEPERS)


def _bearer(lines: list[tuple[str, str]]) -> str | None:
    """The token of the one Authorization header (RFC 6750 section 2.1); never of the query string."""
    values = [value for name, value in lines if name == "authorization"]
    if len(values) != 1:
        return None
    scheme, _, token = values[0].partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


@functools.lru_cache(maxsize=256)
def _host_fits(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return False
    return name is not None and name in _HOSTS


@functools.lru_cache(maxsize=256)
def _origin_fits(origin: str) -> bool:
    """Our own pages, the origins the operator named, and on a loopback instance other loopback pages.

    A page that rebinds a name to this address still carries its own origin, so it is refused.
    """
    if origin in settings.ALLOWED_ORIGINS:
        return True
    return _is_loopback(settings.PUBLIC_URL) and _is_loopback(origin)


def _is_loopback(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or host is None:
        return False
    if host in ("localhost", OWN_NAME):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _cors(origin: str) -> list[tuple[bytes, bytes]]:
    return [
        (b"access-control-allow-origin", origin.encode()),
        (b"access-control-expose-headers", b"WWW-Authenticate, X-Request-ID"),
        (b"vary", b"Origin"),
    ]


async def _read(receive: Receive, headers: Mapping[str, str]) -> bytes:
    length, most = headers.get("content-length", ""), settings.MAX_BODY_BYTES
    if length.isdecimal() and int(length[:12]) > most:
        raise _TooLarge
    body, clock = bytearray(), body_timeout.BodyClock(receive)
    while True:
        message = await clock.receive()
        if message["type"] == "http.disconnect":
            raise _ClientGone
        body += message.get("body", b"")
        if len(body) > most:
            raise _TooLarge
        if not message.get("more_body", False):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body once more, then whatever really comes: a disconnect has to reach the SDK."""
    told = False

    async def again() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


_decoder = json.JSONDecoder(parse_constant=refuse_constant, parse_float=arguments.parse_number)


def _reaches_the_pipeline(arrived: _Arrived, message: Any) -> bool:
    """Whether the SDK brings it as far as the pipeline; what it rejects before would be counted nowhere."""
    if not isinstance(message, dict) or message.get("id") is None:
        return False
    method, version = message.get("method"), arrived.headers.get(MCP_PROTOCOL_VERSION_HEADER)
    if not isinstance(method, str) or method not in _CALLS:
        return False
    if version in MODERN_PROTOCOL_VERSIONS and (
        find_duplicated_routing_header(arrived.lines) is not None
        or not isinstance(classify_inbound_request(message, headers=arrived.headers), InboundModernRoute)
    ):
        return False
    try:
        methods.validate_client_request(method, version or HANDSHAKE_PROTOCOL_VERSIONS[-1], message.get("params"))
    except (ValueError, KeyError, TypeError):
        return False
    return True


def _context_of(arrived: _Arrived, message: Any) -> CallContext:
    """Of one message. The handshake names its client in the parameters themselves."""
    params = message.get("params") if isinstance(message, dict) else None
    if not isinstance(params, dict):
        return call_context.of_request(arrived.headers)
    meta = params.get("_meta")
    info = meta.get(CLIENT_INFO_META_KEY) if isinstance(meta, dict) else None
    return call_context.of_message(arrived.headers, meta, params.get("clientInfo") if info is None else info)


def _tool_called(message: Any, surface: Surface) -> Tool | None:
    if not isinstance(message, dict) or message.get("method") != "tools/call":
        return None
    params = message.get("params")
    name = params.get("name") if isinstance(params, dict) else None
    return surface.find(name) if isinstance(name, str) else None


def _meta_of(message: Any) -> Any:
    params = message.get("params") if isinstance(message, dict) else None
    return params.get("_meta") if isinstance(params, dict) else None


def _arguments_of(message: Any) -> Any:
    """As they were read here: the SDK reads them again, and does not notice what a number lost."""
    params = message.get("params") if isinstance(message, dict) else None
    return params.get("arguments") if isinstance(params, dict) else None


def _may_stream(arrived: _Arrived, tool: Tool | None) -> bool:
    """Whether the answer may be a stream: the client reads them, and something can come before the answer.

    In the modern era the SDK streams only when something does; before, whenever it may.
    """
    if not any(name == "accept" and "text/event-stream" in value.lower() for name, value in arrived.lines):
        return False
    if arrived.headers.get(MCP_PROTOCOL_VERSION_HEADER) in MODERN_PROTOCOL_VERSIONS:
        return True
    return tool is not None and tool.reports


def _challenge(status: int, error: str | None, code: Code, message: str, request_id: str, host: str) -> Response:
    """401 and 403 with where to sign in and what for (RFC 9728 section 5.1, RFC 6750 section 3)."""
    challenge = f'Bearer resource_metadata="{resource_indicator.metadata_url(host)}", scope="{_ALL_SCOPES}"'
    if error is not None:
        challenge += f', error="{error}", error_description="{_UNQUOTABLE.sub("?", message)}"'
    return JSONResponse(
        {
            "error": error or code,
            "error_description": message,
            "error_uri": error_links.error_page_url(code),
            "code": code,
            "request_id": request_id,
        },
        status_code=status,
        headers={"WWW-Authenticate": challenge, "Cache-Control": "no-store"},
    )


def _plain_text_response(
    status: int, code: Code, message: str, request_id: str, rpc_code: int = INVALID_REQUEST
) -> Response:
    return JSONResponse(
        {
            "jsonrpc": "2.0",
            "id": None,
            "error": {
                "code": rpc_code,
                "message": escape_hidden(message),
                "data": {"code": code, "help": error_links.error_page_url(code), "request_id": request_id},
            },
        },
        status_code=status,
    )
