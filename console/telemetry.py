"""Spans for OpenTelemetry: off, and costing nothing, unless the environment names where they go.

The SDK is the extra ``otel``; what it sends, and how, is set by its own variables (OTEL_EXPORTER_OTLP_ENDPOINT and
others of the OpenTelemetry specification). No span names a person, an account or an instrument.
"""

import os
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar, Token
from importlib import import_module, metadata
from importlib.util import find_spec
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from console import tracing
from console.tracing import TraceParent

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_nothing: AbstractContextManager[Any] = nullcontext()
_tracers: list[Any] = []
"""The one that makes our spans; empty while they are off."""
_request: ContextVar["RequestSpan | None"] = ContextVar("request_span", default=None)


def is_wanted() -> bool:
    return any(os.environ.get(name) for name in _ENDPOINTS)


def is_installed() -> bool:
    """Whether the extra ``otel`` is."""
    try:
        return find_spec("opentelemetry.exporter.otlp.proto.http.trace_exporter") is not None
    except ModuleNotFoundError:  # not even what it would be in
        return False


def start() -> None:
    """Call it in the process that is to send spans, once. Raises ImportError without the extra ``otel``."""
    if _tracers or not is_wanted():
        return
    sdk, exporting = import_module("opentelemetry.sdk.trace"), import_module("opentelemetry.sdk.trace.export")
    about = import_module("opentelemetry.sdk.resources").Resource.create(
        {
            "service.name": os.environ.get("OTEL_SERVICE_NAME", "tradelatch"),
            "service.version": metadata.version("tradelatch"),
        }
    )
    provider = sdk.TracerProvider(resource=about)
    exporter = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter").OTLPSpanExporter()
    provider.add_span_processor(exporting.BatchSpanProcessor(exporter))
    use(provider)


def use(provider: Any) -> None:
    """Make spans with this ``opentelemetry.trace.TracerProvider``."""
    _tracers[:] = [provider.get_tracer("tradelatch")]


def stop() -> None:
    _tracers.clear()


def span(name: str, **said: str | int) -> AbstractContextManager[Any]:
    """A step of the request or task that runs now. An error that leaves it is noted by its type alone."""
    if not _tracers:
        return _nothing
    return _Step(name, said)


class _Step(AbstractContextManager["_Step"]):
    def __init__(self, name: str, said: Mapping[str, str | int]) -> None:
        # What an error says may hold an account or a symbol: the SDK is not to copy it.
        quiet = {"record_exception": False, "set_status_on_exception": False}
        self._held = _tracers[0].start_as_current_span(name, attributes=dict(said), **quiet)

    def __enter__(self) -> "_Step":
        self._span = self._held.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: Any) -> None:
        if kind is not None:
            self._span.set_attribute("error.type", kind.__name__)
        self._held.__exit__(kind, error, traceback)


class RequestSpan:
    """Of one request or task, in the trace of its caller, which an MCP message may name after its head was read."""

    def __init__(self, name: str, kind: str) -> None:
        self._name, self._kind = name, kind
        self._arrived = time.time_ns()
        self._span: Any = None
        self._token: Any = None

    def begin(self) -> None:
        """Once whose trace it belongs to is known; what follows is beneath it."""
        if self._span is not None:
            return
        api = import_module("opentelemetry.trace")
        kind = getattr(api.SpanKind, self._kind)
        self._span = _tracers[0].start_span(
            self._name, context=_context_of(tracing.current_parent()), kind=kind, start_time=self._arrived
        )
        if request_id := tracing.current_request_id():
            self._span.set_attribute("tradelatch.request_id", request_id)
        self._token = import_module("opentelemetry.context").attach(api.set_span_in_context(self._span))
        if tracing.current_parent() is None:
            tracing.follow({"traceparent": str(_parent_of(self._span))})

    def note(self, error: str) -> None:
        """The type of an error that ended it."""
        self.begin()
        self._span.set_attribute("error.type", error)

    def end(self, status: int | None = None) -> None:
        self.begin()
        if status is not None:
            self._span.set_attribute("http.response.status_code", status)
        import_module("opentelemetry.context").detach(self._token)
        self._span.end()


def follow(meta: Any) -> None:
    """The request that runs now is in the trace that its message names, if it names one."""
    tracing.follow(meta)
    if (request := _request.get()) is not None:
        request.begin()


def begin_task(name: str) -> RequestSpan | None:
    if not _tracers:
        return None
    task = RequestSpan(name, "CONSUMER")
    task.begin()
    return task


def traceparent() -> str:
    """For what is asked of others on behalf of the request that runs now; "" outside of any trace."""
    if _tracers:
        current = import_module("opentelemetry.trace").get_current_span()
        if current.get_span_context().is_valid:
            return str(_parent_of(current))
    parent = tracing.current_parent()
    return "" if parent is None else str(parent)


def with_request_span(name: str, app: ASGIApp, *, named_later: bool = False) -> ASGIApp:
    """``app``, each of whose requests is a span. ``named_later``: ``follow`` says whose trace it is in."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if not _tracers or scope["type"] != "http":
            await app(scope, receive, send)
            return
        status: int | None = None

        async def answering(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        request = RequestSpan(f"{scope['method']} {name}", "SERVER")
        token: Token[RequestSpan | None] = _request.set(request)
        if not named_later:
            request.begin()
        try:
            await app(scope, receive, answering)
        except Exception as error:
            request.note(type(error).__name__)
            raise
        finally:
            request.end(status)
            _request.reset(token)

    return serve


def _parent_of(made: Any) -> TraceParent:
    context = made.get_span_context()
    return TraceParent(f"{context.trace_id:032x}", f"{context.span_id:016x}", f"{int(context.trace_flags):02x}")


def _context_of(parent: TraceParent | None) -> Any:
    if parent is None:
        # Not what runs around it: a connection that was paused hands on what it was paused in, which is of another.
        return import_module("opentelemetry.context").Context()
    api = import_module("opentelemetry.trace")
    named = api.SpanContext(
        trace_id=int(parent.trace_id, 16),
        span_id=int(parent.span_id, 16),
        is_remote=True,
        trace_flags=api.TraceFlags(int(parent.flags, 16) & api.TraceFlags.SAMPLED),
    )
    return api.set_span_in_context(api.NonRecordingSpan(named))
