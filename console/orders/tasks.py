from celery import shared_task

from console.orders import letters, outside, sweeps


@shared_task
def sweep() -> None:
    sweeps.sweep()


@shared_task
def tell_owners() -> None:
    letters.tell()


@shared_task
def look_outside() -> None:
    outside.keep_all()
