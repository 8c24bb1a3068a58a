"""Making, pausing and closing connections."""

from decimal import Decimal

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from brokers.paper import books
from brokers.types import Environment
from console.accounts.models import User
from console.audit import journal
from console.connections import equity
from console.connections.models import Connection
from console.errors import Code, Refusal

HOURS = {
    "always": "Open at all hours",
    "venue": "Trade only while the real exchange is open",
}


def link_paper(
    owner: User,
    *,
    name: str,
    starting_cash: Decimal,
    currency: str = "USD",
    hours: str = "always",
    trading_enabled: bool = True,
) -> Connection:
    """A new paper account and its connection. Raises Refusal when the owner has a connection of that name."""
    try:
        with transaction.atomic():
            account = books.open_account(name=name, starting_cash=starting_cash, currency=currency, hours=hours)
            now = timezone.now()
            connection = Connection.objects.create(
                owner=owner,
                name=name,
                broker="paper",
                environment=Environment.PAPER,
                settings={"account": account.key},
                default_account=account.key,
                trading_enabled=trading_enabled,
                currency=currency,
                equity=starting_cash,
                detail=HOURS[hours],
                checked_at=now,
            )
            equity.record(connection, account.key, currency=currency, equity=starting_cash, cash=starting_cash, now=now)
            journal.record_change(
                owner, "added", "connection", connection.pk, name, broker="paper", trading=trading_enabled
            )
    except IntegrityError as error:
        raise Refusal(Code.INVALID_ARGUMENT, f"You have a connection called {name} already.", field="name") from error
    return connection


def _change(connection: Connection, by: User, action: str, condition: Q, **fields: object) -> bool:
    with transaction.atomic():
        if not Connection.objects.filter(condition, pk=connection.pk, closed_at=None).update(**fields):
            return False
        journal.record_change(by, action, "connection", connection.pk, connection.name)
    connection.refresh_from_db()
    return True


def pause(connection: Connection, *, by: User) -> bool:
    return _change(connection, by, "paused", Q(paused_at=None), paused_at=timezone.now())


def resume(connection: Connection, *, by: User) -> bool:
    return _change(connection, by, "resumed", Q(paused_at__isnull=False), paused_at=None)


def enable_trading(connection: Connection, *, by: User) -> bool:
    return _change(connection, by, "trading enabled", Q(trading_enabled=False), trading_enabled=True)


def disable_trading(connection: Connection, *, by: User) -> bool:
    return _change(connection, by, "trading disabled", Q(trading_enabled=True), trading_enabled=False)
