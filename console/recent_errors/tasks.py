from celery import shared_task

from console.recent_errors import rollup


@shared_task
def sweep() -> None:
    rollup.sweep()
