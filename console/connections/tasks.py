from celery import shared_task

from console.connections import equity, health


@shared_task
def check_all() -> None:
    health.check_all()


@shared_task
def thin_equity() -> None:
    equity.compact()
