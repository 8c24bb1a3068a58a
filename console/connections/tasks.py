from celery import shared_task

from console.connections import health


@shared_task
def check_all() -> None:
    health.check_all()
