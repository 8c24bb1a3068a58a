from threading import Lock

from celery import shared_task

from console.alerts import evaluation, services

_PASSES = Lock()


@shared_task
def look() -> None:
    """One at a time in a process: with a slow broker, every thread of a worker would soon wait for it."""
    if _PASSES.acquire(blocking=False):
        try:
            evaluation.run()
        finally:
            _PASSES.release()


@shared_task
def forget() -> None:
    services.delete_old()
