"""The scheduler inside the worker's process, for an instance that has one worker."""

import logging
import os
import signal
import threading
from typing import Any

from celery import bootsteps
from celery.beat import Service

from console.operations.scheduler import Scheduler

log = logging.getLogger(__name__)

_LONGEST_WAIT_SECONDS = 1
"""Between two looks: how long the worker's end may wait for it."""


class ScheduleInWorker(bootsteps.StartStopStep):
    """Celery's own ``-B`` forks a process for it; a thread is enough for what only sends names."""

    requires = ("celery.worker.components:Pool",)

    def create(self, worker: Any) -> Any:
        return _Schedule(worker.app)


class _Schedule(threading.Thread):
    def __init__(self, app: Any) -> None:
        super().__init__(name="schedule", daemon=True)
        self._app = app
        self._service = Service(app, max_interval=_LONGEST_WAIT_SECONDS, scheduler_cls=Scheduler, remote_control=False)  # type: ignore[call-arg]  # the stubs lack it

    def run(self) -> None:
        self._app.set_current()
        try:
            self._service.start()
        except Exception:
            # A worker without a schedule looks well and does nothing: better to end, and be started again.
            log.exception("The schedule ended")
            os.kill(os.getpid(), signal.SIGTERM)

    def stop(self) -> None:
        self._service.stop(wait=self.is_alive())
