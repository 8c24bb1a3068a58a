from celery import shared_task

from console.orders import letters, sweeps


@shared_task
def sweep() -> None:
    sweeps.sweep()


@shared_task
def tell_owners() -> None:
    letters.tell()
