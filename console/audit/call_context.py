"""What a request says of the client's side of a call: its trace, its session, and the program that made it."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from brokers import upstream_request
from console import tracing
from console.audit.masking import masked

SESSION_HEADER = "mcp-session-id"
TRACE_KEY = "traceparent"
_LONGEST_READ = 400


class CallContext(NamedTuple):
    """The client's own words, masked and cut to what is kept; None where it said nothing."""

    trace_id: str | None = None
    """32 hexadecimal digits: the same in the traces of the client and of whoever is behind us."""
    session_id: str | None = None
    """``Mcp-Session-Id``, MCP 2025-11-25: we give none, but a gateway between a client and us may."""
    client_name: str | None = None
    client_version: str | None = None


UNKNOWN = CallContext()


def begin() -> None:
    """A call begins in this thread: what brokers answer from here on is its own."""
    upstream_request.forget()


def of_request(headers: Mapping[str, str]) -> CallContext:
    """``headers`` are found by their names in small letters."""
    return _made(headers.get(TRACE_KEY), headers.get(SESSION_HEADER), UNKNOWN)


def of_message(headers: Mapping[str, str], meta: Any, client_info: Any) -> CallContext:
    """Of an MCP message: what its ``_meta`` says goes before the headers, which a proxy may have put there."""
    trace = meta.get(TRACE_KEY) if isinstance(meta, dict) else None
    if trace is None:
        trace = headers.get(TRACE_KEY)
    client = UNKNOWN
    if isinstance(client_info, dict):
        name, version = client_info.get("name"), client_info.get("version")
        client = _of_client(
            name[:_LONGEST_READ] if isinstance(name, str) else "",
            version[:_LONGEST_READ] if isinstance(version, str) else "",
        )
    return _made(trace, headers.get(SESSION_HEADER), client)


def _made(trace: Any, session: str | None, client: CallContext) -> CallContext:
    if trace is None and session is None:
        return client
    kept = masked(session[:_LONGEST_READ], 128) if session else None
    parent = tracing.parse(trace)
    return client._replace(trace_id=parent.trace_id if parent else None, session_id=kept)


@lru_cache(maxsize=256)
def _of_client(name: str, version: str) -> CallContext:
    """The same few come with every call."""
    return CallContext(client_name=masked(name, 100) or None, client_version=masked(version, 40) or None)
