"""A new connection together with its default key, and its end together with its apps."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils import timezone

from console.accounts.models import User
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections import linking
from console.connections import paper_linking as paper_connections
from console.connections import services as connections
from console.connections.link_specs import LinkSpec
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.keys import child_keys, minting
from console.orders.models import Order
from console.orders.states import Status
from console.scopes import Scope

DEFAULT_KEY_LASTS = timedelta(days=90)


@transaction.atomic
def open_paper(
    owner: User,
    *,
    name: str,
    starting_cash: Decimal,
    currency: str = "USD",
    hours: str = "always",
    trading_enabled: bool = True,
    prices: str = "",
    kind: str = "cash",
    preset: str = "standard",
    settlement_days: int = 0,
    key_name: str = "",
    by_key: str = "",
    with_key: bool = True,
) -> tuple[Connection, str]:
    """A paper connection and the only copy of its default key, which may read and never trade, and ends after
    DEFAULT_KEY_LASTS; empty without ``with_key``.

    ``by_key``: the public id of the owner's management key that asks. The default key then is one it made.
    """
    connection = paper_connections.link_paper(
        owner,
        name=name,
        starting_cash=starting_cash,
        currency=currency,
        hours=hours,
        trading_enabled=trading_enabled,
        prices=prices,
        kind=kind,
        preset=preset,
        settlement_days=settlement_days,
    )
    return connection, _default_key(connection, key_name, by_key) if with_key else ""


def link(owner: User, kind: LinkSpec, *, with_key: bool = False, **told: Any) -> tuple[Connection, str]:
    """As ``linking.link``; with the only copy of a default key as ``open_paper`` has it, where one is wanted."""
    connection = linking.link(owner, kind, **told)
    return connection, _default_key(connection) if with_key else ""


def unlink(connection: Connection, *, by: User) -> bool:
    """Close it, shred its credentials and end its apps. Orders that stand at the broker are followed no longer.

    Raises Refusal while an order is being sent: its outcome could not be learned any more.
    """
    with transaction.atomic():
        if Order.objects.filter(connection=connection, status__in=(Status.INTENT, Status.SENDING)).exists():
            raise Refusal(
                Code.INVALID_REQUEST,
                "An order is being sent there now. Try again in a minute. Nothing was changed.",
            )
        for app in ConnectedApp.objects.filter(connection=connection, revoked_at=None):
            grants.revoke(app, by=by, reason="Its connection was unlinked")
        return connections.close(connection, by=by)


def _default_key(connection: Connection, name: str = "", by_key: str = "") -> str:
    name, reads = name or f"Default key of {connection.name}", frozenset({Scope.READ})
    ends = timezone.now() + DEFAULT_KEY_LASTS
    if by_key:
        _, secret = child_keys.mint(by_key, connection, reads, name=name, expires_at=ends, is_default=True)
    else:
        _, secret = minting.mint(connection.owner, connection, reads, name=name, expires_at=ends, is_default=True)
    return secret
