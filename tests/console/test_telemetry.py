"""Spans: off unless wanted, in the caller's trace, and without words of anybody in them."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.types import Message, Receive, Scope, Send

from console import celery as tasks
from console import telemetry, tracing
from tests import serving
from tests.mcpserver.steps import call

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
OTHER = f"00-{'a' * 32}-00f067aa0ba902b7-01"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    telemetry.use(provider)
    yield kept
    telemetry.stop()


def one_request(traceparent: str, meta: Any, fails: bool = False) -> None:
    """A request of which the message names its trace once it is read, and that takes a step."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        tracing.begin("req_1", tracing.parse(traceparent))
        telemetry.follow(meta)
        with telemetry.span("gate"):
            if fails:
                raise ValueError("account 1234567")
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        pass

    async def run() -> None:
        await telemetry.with_request_span("/mcp", app, named_later=True)(
            {"type": "http", "method": "POST"}, receive, send
        )

    anyio.run(run)


def test_a_request_and_its_steps_are_in_the_trace_of_the_caller(spans: InMemorySpanExporter) -> None:
    one_request(PARENT, {})
    gate, request = spans.get_finished_spans()
    assert (gate.name, request.name) == ("gate", "POST /mcp")
    assert request.attributes == {"tradelatch.request_id": "req_1", "http.response.status_code": 200}
    assert gate.parent is not None and gate.parent.span_id == request.context.span_id
    assert {f"{each.context.trace_id:032x}" for each in (gate, request)} == {TRACE}


def test_the_trace_that_the_message_names_goes_before_that_of_the_header(spans: InMemorySpanExporter) -> None:
    one_request(OTHER, {"traceparent": PARENT})
    assert {f"{each.context.trace_id:032x}" for each in spans.get_finished_spans()} == {TRACE}


def test_who_names_no_trace_is_in_none_of_somebody_else(spans: InMemorySpanExporter) -> None:
    with telemetry.span("of the request before it on the same connection"):
        one_request("", {})
    gate, request, other = spans.get_finished_spans()
    assert request.parent is None
    assert gate.context.trace_id == request.context.trace_id != other.context.trace_id


def test_an_error_is_told_by_its_type_and_not_by_its_words(spans: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="account"):
        one_request(PARENT, {}, fails=True)
    for each in spans.get_finished_spans():
        assert each.attributes is not None and each.attributes["error.type"] == "ValueError"
        assert not each.events and each.status.description is None


@pytest.mark.django_db(transaction=True)
def test_a_call_of_a_tool_has_a_span_for_the_gate_and_one_for_the_tool(
    spans: InMemorySpanExporter, trade_key: str
) -> None:
    call(trade_key, "get_quote", symbol="BTC/USD")
    assert [each.name for each in spans.get_finished_spans()] == ["gate", "tool get_quote"]
    assert not any(each.attributes for each in spans.get_finished_spans())


def test_a_task_is_in_the_trace_of_the_request_that_asked_for_it(spans: InMemorySpanExporter) -> None:
    headers: dict[str, Any] = {}
    with tracing.request("req_1", tracing.parse(PARENT)):
        tasks._tell_who_asks(headers)

    class Task:
        name = "t"
        request = headers

    tasks._begin_run("1", Task)
    tasks._note_failure("1", ValueError("account 1234567"))
    tasks._end_run("1")
    [task] = spans.get_finished_spans()
    assert task.name == "task t" and f"{task.context.trace_id:032x}" == TRACE
    assert task.attributes == {"tradelatch.request_id": "req_1", "error.type": "ValueError"}


def test_without_an_endpoint_nothing_is_made() -> None:
    assert not telemetry.is_wanted()
    telemetry.start()
    one_request(PARENT, {})
    with telemetry.span("gate") as made:
        assert made is None
    assert telemetry.traceparent() == ""


def test_an_endpoint_without_the_extra_is_refused_at_start(tmp_path: Path) -> None:
    hidden = "import sys; sys.modules['opentelemetry.exporter'] = None; import django; django.setup()"
    environment = serving.environment(tmp_path / "home", 8000) | {
        "DJANGO_SETTINGS_MODULE": "console.settings",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318",
    }
    ran = subprocess.run(
        [sys.executable, "-c", hidden], cwd=serving.REPOSITORY, env=environment, capture_output=True, text=True
    )
    assert ran.returncode != 0
    assert "pip install 'tradelatch[otel]'" in ran.stderr
