from celery import shared_task

from console.journal import sync


@shared_task
def keep() -> None:
    sync.sync_all()
