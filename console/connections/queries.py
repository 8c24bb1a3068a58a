"""Which connections are somebody's own: the rule that every page and endpoint asks."""

from django.db.models import QuerySet

from console.accounts.models import User
from console.connections.models import Connection


def open_connections(owner: User) -> QuerySet[Connection]:
    return Connection.objects.filter(owner=owner, closed_at=None)
