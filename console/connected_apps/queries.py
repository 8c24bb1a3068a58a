"""Which connected apps are somebody's own."""

from datetime import datetime

from django.db.models import F, Min, QuerySet

from console.accounts.models import User
from console.connected_apps.models import ConnectedApp


def active_apps(owner: User) -> QuerySet[ConnectedApp]:
    """Those that can act, or could once resumed; last used first. A grant never redeemed is no app yet."""
    found = ConnectedApp.objects.filter(owner=owner, revoked_at=None, activated_at__isnull=False)
    return found.select_related("connection", "client").order_by(F("last_used_at").desc(nulls_last=True), "-id")


def oldest_made_at(owner: User) -> datetime | None:
    """Of all that the person ever had; None: of none."""
    at: datetime | None = ConnectedApp.objects.filter(owner=owner).aggregate(at=Min("created_at"))["at"]
    return at
