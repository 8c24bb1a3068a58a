from threading import Lock

from celery import shared_task

from console.plans import execution

_SWEEPS = Lock()


@shared_task
def sweep() -> None:
    """One at a time in a process, as of orders."""
    if _SWEEPS.acquire(blocking=False):
        try:
            execution.sweep()
        finally:
            _SWEEPS.release()
