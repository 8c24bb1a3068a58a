"""What a setup guide notices while it is open: that something reached this instance, and what it asked first."""

from dataclasses import dataclass
from datetime import datetime

from console.accounts.models import User
from console.audit import queries as call_queries
from console.audit.models import Call
from console.connected_apps import queries as app_queries
from console.connected_apps.models import ConnectedApp


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """At most one of the two: a call says more than a list of tools."""

    call: Call | None
    """The first since then, of one of the person's own apps."""
    app: ConnectedApp | None
    """One that has asked for the list of tools since then, and called nothing yet."""


def heard_since(owner: User, since: datetime) -> Heard:
    calls = call_queries.own_calls(owner).filter(at__gte=since, app_id__isnull=False)
    call = calls.exclude(source="management").order_by("pk").first()
    if call is not None:
        return Heard(call=call, app=None)
    return Heard(call=None, app=app_queries.active_apps(owner).filter(last_used_at__gte=since).first())
