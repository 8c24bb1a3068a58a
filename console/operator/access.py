"""All clients, grants, connections and halts of an instance, as an operator sees them: what may act, and how it is.

Positions, orders and money are nobody's but their owner's: nothing here reads any.
"""

from datetime import timedelta

from django.db import transaction
from django.db.models import Count, Max, Q, QuerySet
from django.utils import timezone

from console.accounts.models import User
from console.audit import log as audit_log
from console.clients import registration
from console.clients.models import Client
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.halts.models import Halt
from console.keys import management_keys
from console.keys.models import ManagementKey
from console.scopes import Source

UNUSED_FOR = timedelta(days=1)
"""What registered itself today may still be in the middle of its first sign-in."""
_ACTIVE = Q(connected_apps__revoked_at=None, connected_apps__activated_at__isnull=False)
_REASON = "Revoked by an operator"


def clients(words: str = "") -> QuerySet[Client]:
    """With the number of people and the last use of what came through each; ``words``: of a name, address or id."""
    found = Client.objects.filter(deleted_at=None)
    if words:
        found = found.filter(
            Q(name__icontains=words) | Q(client_id__icontains=words) | Q(redirect_uris__icontains=words)
        )
    return found.annotate(
        people=Count("connected_apps__owner", filter=_ACTIVE, distinct=True),
        last_used=Max("connected_apps__last_used_at"),
    )


def active_grants(words: str = "") -> QuerySet[ConnectedApp]:
    """``words``: of an app's name, its owner's address or the name of its connection."""
    found = ConnectedApp.objects.filter(revoked_at=None, activated_at__isnull=False).exclude(source=Source.CONSOLE)
    if words:
        found = found.filter(
            Q(name__icontains=words) | Q(owner__email__icontains=words) | Q(connection__name__icontains=words)
        )
    return found.select_related("owner", "connection", "client")


def connections(words: str = "") -> QuerySet[Connection]:
    found = Connection.objects.filter(closed_at=None)
    if words:
        found = found.filter(Q(name__icontains=words) | Q(owner__email__icontains=words) | Q(broker__icontains=words))
    # What is not loaded cannot be shown.
    return found.select_related("owner").defer("equity", "day_equity", "default_account", "settings", "sealed")


def halts() -> QuerySet[Halt]:
    return Halt.objects.filter(lifted_at=None).select_related("owner", "connection", "app__connection", "by_app")


def revoke(app: ConnectedApp, *, by: User) -> bool:
    return grants.revoke(app, by=by, reason=_REASON)


def revoke_all(*, by: User, person: User | None = None, client: Client | None = None) -> int:
    """All grants of a person, of a client, or of everybody; with a person's go their management keys.

    Each ends by itself, so that many do not hold one another up. Returns how many there were.
    """
    apps = active_grants()
    keys = ManagementKey.objects.filter(revoked_at=None)
    if person is not None:
        apps, keys = apps.filter(owner=person), keys.filter(owner=person)
    if client is not None:
        apps, keys = apps.filter(client=client), keys.none()
    gone = sum(management_keys.revoke(key, by=by, reason=_REASON) for key in keys.select_related("owner"))
    return gone + sum(revoke(app, by=by) for app in apps)


def unused_clients() -> QuerySet[Client]:
    """Those that registered themselves and that nobody ever allowed."""
    return registration.never_allowed(timezone.now(), UNUSED_FOR)


@transaction.atomic
def prune_unused(*, by: User) -> int:
    gone = unused_clients().delete()[0]
    if gone:
        audit_log.record_change(
            by, "unused clients deleted", "clients", "", before={"unused": gone}, after={"unused": 0}, times=gone
        )
    return gone
