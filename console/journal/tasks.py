from celery import shared_task

from console.journal import keeping


@shared_task
def keep() -> None:
    keeping.keep_all()
