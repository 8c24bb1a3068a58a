"""The trace of the caller that the request which runs now belongs to (W3C Trace Context), and the request's own id.

Set once at the edge, read by the log and the audit log.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Any, NamedTuple

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16
_FORBIDDEN_VERSION = "ff"


class TraceParent(NamedTuple):
    """What the caller says of its trace: section 3.2 of W3C Trace Context."""

    trace_id: str
    """32 lower-case hexadecimal digits."""
    span_id: str
    """16 of them: the caller's own step."""
    flags: str
    """Two of them: the lowest bit says that the caller records its trace."""

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"


class _Request(NamedTuple):
    request_id: str
    parent: TraceParent | None


_NONE = _Request("", None)
_current: ContextVar[_Request] = ContextVar("tracing", default=_NONE)


def parse(text: object) -> TraceParent | None:
    """The value of a ``traceparent`` header, or of ``_meta.traceparent`` (SEP-414); None for what is none."""
    if not isinstance(text, str) or (found := _TRACEPARENT.fullmatch(text.strip(" \t"))) is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    # Later versions may say more, version 00 may not.
    if version == _FORBIDDEN_VERSION or (version == "00" and more) or trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return None
    return TraceParent(trace_id, span_id, flags)


def begin(request_id: str, parent: TraceParent | None) -> Token[_Request]:
    """What is done from here to ``end``, in this thread or task, is of that request."""
    return _current.set(_Request(request_id, parent))


def end(began: Token[_Request]) -> None:
    _current.reset(began)


def follow(meta: Any) -> None:
    """The request that runs now belongs to the trace that its message names (``_meta.traceparent``), if to any."""
    if isinstance(meta, Mapping) and (said := parse(meta.get("traceparent"))) is not None:
        _current.set(_current.get()._replace(parent=said))


@contextmanager
def request(request_id: str, parent: TraceParent | None = None) -> Iterator[None]:
    token = begin(request_id, parent)
    try:
        yield
    finally:
        end(token)


def current_request_id() -> str:
    """Empty in a sweep and on the command line."""
    return _current.get().request_id


def current_parent() -> TraceParent | None:
    return _current.get().parent


def current_trace_id() -> str:
    """Of the caller's trace; "" where it named none."""
    parent = _current.get().parent
    return "" if parent is None else parent.trace_id
