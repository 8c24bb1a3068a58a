"""No task of its own: what the worker runs is written down here. Only a worker imports it."""

import logging
import time
from typing import Any

from celery.signals import task_failure, task_postrun, task_prerun
from django.conf import settings
from django.db import DatabaseError

from console.operator import sweeps

log = logging.getLogger(__name__)
_PERIODIC = frozenset(entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values())
_began: dict[str, float] = {}
_failed: dict[str, str] = {}


@task_prerun.connect
def _begins(task_id: str, **sent: Any) -> None:
    _began[task_id] = time.monotonic()


@task_failure.connect
def _fails(task_id: str, exception: BaseException, **sent: Any) -> None:
    _failed[task_id] = type(exception).__name__


@task_postrun.connect
def _ended(task_id: str, task: Any, **sent: Any) -> None:
    began, error = _began.pop(task_id, None), _failed.pop(task_id, "")
    if began is None or task.name not in _PERIODIC:
        return
    try:
        sweeps.record(task.name, time.monotonic() - began, error)
    except DatabaseError as failed:  # the work is done; that it was is not worth more
        log.warning("When %s ran cannot be written down: %s", task.name, failed)
