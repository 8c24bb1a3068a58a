from celery import shared_task

from console.orders import sweeps


@shared_task
def sweep() -> None:
    sweeps.sweep()
