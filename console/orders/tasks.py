from celery import shared_task

from console.orders import desk


@shared_task
def sweep() -> None:
    desk.sweep()
