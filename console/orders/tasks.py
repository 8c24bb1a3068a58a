from threading import Lock

from celery import shared_task

from console.notifications import sending
from console.orders.execution import external_orders, reconcile
from console.orders.owner import notifications, order_news
from console.orders.transitions import old_events

_SWEEPS = Lock()


@shared_task
def sweep() -> None:
    """One at a time in a process: with a slow broker, every thread of a worker would soon ask for the same orders."""
    if _SWEEPS.acquire(blocking=False):
        try:
            reconcile.sweep()
        finally:
            _SWEEPS.release()


@shared_task
def tell_owners() -> None:
    if notifications.notify():
        sending.send_due(urgent_only=True)


@shared_task
def tell_of_orders() -> None:
    order_news.tell()


@shared_task
def look_outside() -> None:
    external_orders.store_all()


@shared_task
def drop_old_events() -> None:
    old_events.drop_old()
