"""What a line of the log says: the request or the run it belongs to, as text or as one JSON object."""

import json
import logging
from typing import Any

import httpx2
import pytest
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.test import Client as Browser
from django.test import override_settings
from django.urls import path

from console import celery as tasks
from console import tracing
from console import urls as console_urls
from console.log_format import JsonFormatter, TextFormatter
from tests.patience import at_most
from tests.serving import Server

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
TEXT = TextFormatter("{asctime} {levelname} {name}: {message}", style="{")


def record(message: str, *args: object, error: BaseException | None = None) -> logging.LogRecord:
    info = (type(error), error, error.__traceback__) if error is not None else None
    return logging.LogRecord("console.x", logging.WARNING, "", 0, message, args, info)


def as_json(made: logging.LogRecord) -> dict[str, Any]:
    line = JsonFormatter().format(made)
    assert "\n" not in line
    told: dict[str, Any] = json.loads(line)
    return told


def test_a_json_line_is_one_object_with_its_request_and_its_trace() -> None:
    with tracing.request("req_1", tracing.parse(PARENT)):
        told = as_json(record("Refused %s", "a\u202e\nforged"))
    assert told.pop("time").endswith("+00:00")
    assert told == {
        "level": "WARNING",
        "logger": "console.x",
        "message": "Refused a\\u202e\\u000aforged",
        "process": "command",
        "request_id": "req_1",
        "trace_id": TRACE,
    }


def test_an_exception_is_in_its_line() -> None:
    try:
        raise ValueError("why\u202e")
    except ValueError as error:
        told = as_json(record("Failed", error=error))
    assert told["exception"].startswith("Traceback") and told["exception"].endswith("ValueError: why\\u202e")
    assert "request_id" not in told


def test_a_text_line_ends_with_the_request_that_it_does_not_name() -> None:
    assert TEXT.format(record("Words")).endswith("WARNING console.x: Words")
    with tracing.request("req_1"):
        assert TEXT.format(record("Words")).endswith("WARNING console.x: Words (req_1)")
        assert TEXT.format(record("Words of req_1")).endswith("WARNING console.x: Words of req_1")


@login_not_required
def _fails(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("on purpose")


urlpatterns = [path("fails/", _fails), *console_urls.urlpatterns]
handler500 = console_urls.handler500


@pytest.mark.django_db
@override_settings(ROOT_URLCONF=__name__)
def test_a_page_that_fails_names_its_request_in_the_answer_and_in_the_log() -> None:
    lines: list[str] = []

    class Keeping(logging.Handler):
        def emit(self, made: logging.LogRecord) -> None:
            lines.append(TEXT.format(made))

    keeping = Keeping()
    logging.getLogger("django.request").addHandler(keeping)
    try:
        answer = Browser(raise_request_exception=False).get("/fails/", headers={"traceparent": PARENT})
    finally:
        logging.getLogger("django.request").removeHandler(keeping)
    assert answer.status_code == 500
    assert answer["X-Request-ID"].startswith("req_")
    assert any(answer["X-Request-ID"] in line for line in lines)


def test_every_answer_of_a_real_server_names_its_request(shared_server: Server) -> None:
    addresses = ("/sign-in/", "/no-such-page/", "/static/no-such-file", "/api/v1/connections", "/mcp", "/robots.txt")
    seen = {
        httpx2.get(f"{shared_server.url}{where}", timeout=at_most(20)).headers.get("x-request-id", "")
        for where in addresses
    }
    assert len(seen) == len(addresses) and all(each.startswith("req_") for each in seen)


def test_a_run_of_a_task_carries_the_request_that_asked_for_it() -> None:
    headers: dict[str, Any] = {}
    with tracing.request("req_1", tracing.parse(PARENT)):
        tasks._tell_who_asks(headers)
    assert headers == {"tradelatch_request_id": "req_1", "traceparent": PARENT}

    class Task:
        name = "t"
        request = headers

    tasks._begin_run("1", Task)
    assert (tracing.current_request_id(), tracing.current_trace_id()) == ("req_1", TRACE)
    tasks._end_run("1")
    assert tracing.current_request_id() == ""


def test_a_run_that_nobody_asked_for_has_an_id_of_its_own() -> None:
    headers: dict[str, Any] = {}
    tasks._tell_who_asks(headers)
    assert headers == {}

    class Task:
        name = "t"
        request = headers

    tasks._begin_run("2", Task)
    assert tracing.current_request_id().startswith("run_")
    tasks._end_run("2")
