"""What came to signal addresses: read for pages and tools, and deleted when it is old."""

from datetime import timedelta

from django.db.models import QuerySet
from django.utils import timezone

from console.accounts.models import User
from console.signals.models import Signal, SignalOutcome

KEPT = timedelta(days=90)


def of_owner(owner: User) -> QuerySet[Signal]:
    return Signal.objects.filter(address__app__owner=owner).select_related("address__app__connection", "order")


def of_connection(connection_id: int) -> QuerySet[Signal]:
    return Signal.objects.filter(address__app__connection_id=connection_id).select_related("address__app", "order")


def delete_old() -> int:
    """Signals that ended so long ago. An id of a sender's is remembered as long."""
    old = Signal.objects.filter(at__lt=timezone.now() - KEPT).exclude(outcome=SignalOutcome.WAITING)
    return old.delete()[0]
