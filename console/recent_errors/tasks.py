from celery import shared_task

from console.recent_errors import rollup


@shared_task
def sweep() -> None:
    rollup.sweep()


@shared_task
def forget() -> None:
    rollup.delete_old()
