from threading import Lock

from celery import shared_task

from console.strategies import running

_RUNS = Lock()


@shared_task
def run() -> None:
    """One at a time in a process: the other thread of its worker is for orders."""
    if _RUNS.acquire(blocking=False):
        try:
            running.run_next()
        finally:
            _RUNS.release()
