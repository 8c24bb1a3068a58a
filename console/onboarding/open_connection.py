"""A new connection together with its default key."""

from decimal import Decimal

from django.db import transaction

from console.accounts.models import User
from console.connections import linking
from console.connections.models import Connection
from console.keys import minting
from console.scopes import Scope


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
) -> tuple[Connection, str]:
    """A paper connection and the only copy of its default key, which may read and never trade."""
    connection = linking.link_paper(
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
    _, secret = minting.mint(
        owner,
        connection,
        frozenset({Scope.READ}),
        name=key_name or f"Default key of {name}",
        is_default=True,
    )
    return connection, secret
