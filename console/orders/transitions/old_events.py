"""Deletes the steps of orders that ended long ago, where the settings say so. The orders themselves stay."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from console.audit import log as audit_log
from console.orders import states
from console.orders.models import OrderEvent

_AT_ONCE = 1_000
_MOST = 200
"""So many times that at once."""


def drop_old(now: datetime | None = None) -> int:
    """Delete them. Returns how many steps went; what is left of a long backlog goes in the next hour."""
    days = int(settings.KEEP_DAYS["order_events"])
    if not days:
        return 0
    before, last, gone = (now or timezone.now()) - timedelta(days=days), 0, 0
    for _ in range(_MOST):
        # By id, which is the order they were written in: those that stay belong to orders that are open for as long.
        some = list(OrderEvent.objects.filter(pk__gt=last).order_by("pk").values_list("pk", "at")[:_AT_ONCE])
        old = [pk for pk, at in some if at < before]
        if not old:
            break
        last = old[-1]
        gone += _drop(old, before)
    audit_log.record_system_act("old steps deleted", "order", gone, kept_days=days)
    return gone


@transaction.atomic
def _drop(events: list[int], before: datetime) -> int:
    ended = OrderEvent.objects.filter(order__status__in=states.ENDED, order__moved_at__lt=before)
    return ended.filter(pk__in=events).delete()[0]
