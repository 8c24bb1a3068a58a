"""Which orders are whose: for apps, and for owners."""

from django.db.models import QuerySet
from django.utils import timezone

from console.accounts.models import User
from console.orders.models import Order
from console.orders.states import Status


def awaiting(owner: User) -> QuerySet[Order]:
    """Orders that are not sent yet, by whomever they can be released; what hangs on one is not counted."""
    return Order.objects.filter(
        connection__owner=owner, parent=None, status=Status.AWAITING, confirmation__expires_at__gt=timezone.now()
    ).select_related("connection", "app", "confirmation")
