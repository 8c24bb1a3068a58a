"""The Celery application. Tasks only nudge: what must not be lost is a row in the database."""

import logging
import os
import sys
import threading
from contextvars import Token
from typing import Any

import django
from celery import Celery
from celery.signals import (
    beat_init,
    before_task_publish,
    setup_logging,
    task_failure,
    task_postrun,
    task_prerun,
    worker_init,
    worker_shutting_down,
)
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.utils.module_loading import import_string
from kombu.transport import TRANSPORT_ALIASES

from console import ids, log_format, telemetry, tracing
from console.onboarding import migrate
from console.telemetry import RequestSpan

# The scheme of CELERY_BROKER_URL where no server is named.
TRANSPORT_ALIASES["files"] = "console.embedded_queue:Transport"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")

app = Celery("tradelatch")
_RUN = ("tradelatch_request_id", "traceparent")
"""Headers of a task's message: which request asked for it, and in whose trace that is."""
_runs: dict[str, tuple[Token[Any], RequestSpan | None]] = {}
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

_ENDS_AFTER_SECONDS = 8.0
"""From SIGTERM: what stops processes, here and in deploy/, gives them ten and more before it kills them."""


@setup_logging.connect
def _log_like_all_of_us(loglevel: int | str, logfile: str | None, **kwargs: object) -> None:
    """Workers and schedulers write the lines that Django's settings describe, as of the level they are asked for."""
    logging.getLogger().setLevel(loglevel)
    if logfile:
        log_format.log_to(logfile)


@worker_init.connect
def _be_a_worker(**kwargs: object) -> None:
    log_format.name_process("worker")
    telemetry.start()


@beat_init.connect
def _be_a_scheduler(**kwargs: object) -> None:
    log_format.name_process("scheduler", unless_named=True)


@before_task_publish.connect
def _tell_who_asks(headers: dict[str, Any], **kwargs: object) -> None:
    said = zip(_RUN, (tracing.current_request_id(), telemetry.traceparent()), strict=True)
    headers.update((name, value) for name, value in said if value)


@task_prerun.connect
def _begin_run(task_id: str, task: Any, **kwargs: object) -> None:
    """What a task logs names the request that asked for it; where the schedule did, this run."""
    request_id, traceparent = (task.request.get(name) or "" for name in _RUN)
    token = tracing.begin(str(request_id) or ids.new("run"), tracing.parse(traceparent))
    _runs[task_id] = token, telemetry.begin_task(f"task {task.name}")


@task_failure.connect
def _note_failure(task_id: str, exception: BaseException, **kwargs: object) -> None:
    if (run := _runs.get(task_id)) is not None and run[1] is not None:
        run[1].note(type(exception).__name__)


@task_postrun.connect
def _end_run(task_id: str, **kwargs: object) -> None:
    token, span = _runs.pop(task_id)
    if span is not None:
        span.end()
    tracing.end(token)


@worker_init.connect
@beat_init.connect
def _refuse_what_does_not_fit(**kwargs: object) -> None:
    if not apps.ready:  # a second time would give logging the stream that Celery has put in the place of stderr
        django.setup()
    try:
        migrate.refuse_newer()
        # Its models can be imported now, and not before.
        import_string("console.onboarding.sealing_keys.refuse_unfitting")()
    except ImproperlyConfigured as error:
        # The real one: Celery has put a logger in the place of sys.stderr, and says no last words through it.
        print(f"tradelatch: {error}", file=sys.__stderr__, flush=True)
        sys.exit(1)
    finally:
        connections.close_all()


@worker_shutting_down.connect
def _end_in_time(**kwargs: object) -> None:
    """Celery waits for its tasks however long they take, such as for a broker that does not answer."""
    ending = threading.Timer(_ENDS_AFTER_SECONDS, _end_now)
    ending.daemon = True
    ending.start()


def _end_now() -> None:
    """Any task may be cut: the next worker finds what is left of it in the database, as after a crash."""
    print("tradelatch: tasks still ran; the next worker continues them.", file=sys.__stderr__, flush=True)
    os._exit(0)
