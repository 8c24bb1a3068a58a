from celery import shared_task

from console.orders.execution import external_orders, reconcile
from console.orders.owner import notifications


@shared_task
def sweep() -> None:
    reconcile.sweep()


@shared_task
def tell_owners() -> None:
    notifications.notify()


@shared_task
def look_outside() -> None:
    external_orders.store_all()
