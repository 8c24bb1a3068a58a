"""Which connections a caller of the REST API reaches: an app its own, a person all that are open."""

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404

from console.authority.drf import Caller
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection


def connections(caller: Caller) -> QuerySet[Connection]:
    found = Connection.objects.filter(closed_at=None)
    who = caller.principal
    return found.filter(owner_id=caller.user_id) if who is None else found.filter(pk=who.connection_id)


def connection(caller: Caller, pk: int) -> Connection:
    """Raises Http404 for one that is not there for this caller."""
    return get_object_or_404(connections(caller), pk=pk)


def app_of(caller: Caller) -> ConnectedApp | None:
    """The app that acts; None for a person."""
    who = caller.principal
    return None if who is None else ConnectedApp.objects.select_related("connection", "owner").get(pk=who.app_id)
