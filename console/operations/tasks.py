from celery import shared_task

from console.config import table_statistics
from console.operations import heartbeat, order_listener


@shared_task(bind=True)
def seen(self) -> None:  # type: ignore[no-untyped-def]  # Celery's task, whose class is private
    heartbeat.record(self.request.hostname or "")


@shared_task
def forget() -> None:
    heartbeat.delete_old()


@shared_task
def listen_to_orders() -> None:
    order_listener.ensure_listening()


@shared_task
def refresh_statistics() -> None:
    table_statistics.refresh()
