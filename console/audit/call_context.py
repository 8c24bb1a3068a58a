"""What a request says of the client's side of a call: its trace, its session, and the program that made it."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from brokers import upstream_request

_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?", re.ASCII
)
"""W3C Trace Context, section 3.2.2: version, trace id, parent id, flags; later versions may add more."""
SESSION_HEADER = "mcp-session-id"
TRACE_KEY = "traceparent"


class CallContext(NamedTuple):
    """Each is the client's own word, or None where it said nothing. A tuple, for one is made with each call."""

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


def trace_id_of(traceparent: Any) -> str | None:
    """The trace id of a ``traceparent``; None where it is none."""
    found = _TRACEPARENT.fullmatch(traceparent) if isinstance(traceparent, str) else None
    return found[1] if found else None


def of_request(headers: Mapping[str, str]) -> CallContext:
    """``headers`` are found by their names in small letters."""
    trace, session = headers.get(TRACE_KEY), headers.get(SESSION_HEADER)
    return UNKNOWN if trace is None and session is None else CallContext(trace_id_of(trace), session or None)


def of_message(headers: Mapping[str, str], meta: Any, client_info: Any) -> CallContext:
    """Of an MCP message: what its ``_meta`` says goes before the headers, which a proxy may have put there."""
    trace = headers.get(TRACE_KEY)
    if isinstance(meta, dict) and TRACE_KEY in meta:
        trace = meta[TRACE_KEY]
    name, version = (client_info.get("name"), client_info.get("version")) if isinstance(client_info, dict) else (0, 0)
    return CallContext(
        None if trace is None else trace_id_of(trace),
        headers.get(SESSION_HEADER) or None,
        name if isinstance(name, str) and name else None,
        version if isinstance(version, str) and version else None,
    )
