"""The last thing the broker said about a connection, stored for pages."""

import logging
from decimal import ROUND_HALF_EVEN, Decimal

from django.utils import timezone

from brokers.errors import BrokerError
from console.connections import reads
from console.connections.models import Connection

log = logging.getLogger(__name__)


def check(connection: Connection) -> None:
    """Ask the broker for the equity and keep it, or keep what went wrong. Never raises a broker's error."""
    broker = reads.broker_of(connection)
    try:
        states = [broker.account_state(account.account_id) for account in broker.accounts()]
    except BrokerError as error:
        Connection.objects.filter(pk=connection.pk).update(last_error=str(error)[:300], checked_at=timezone.now())
        return
    now = timezone.now()
    equity = sum((state.equity for state in states), Decimal(0))
    began = connection.equity_at_start_of(now.date())
    Connection.objects.filter(pk=connection.pk).update(
        equity=equity,
        day=now.date(),
        day_equity=began if began is not None else equity,
        day_change_percent=_change(began, equity),
        currency=states[0].currency if states else connection.currency,
        last_error="",
        checked_at=now,
    )


def _change(before: Decimal | None, after: Decimal) -> Decimal | None:
    """In percent, to two decimals; None where there is nothing to compare with."""
    if not before:
        return None
    return ((after / before - 1) * 100).quantize(Decimal("0.01"), ROUND_HALF_EVEN)


def check_all() -> int:
    connections = list(Connection.objects.filter(closed_at=None))
    for connection in connections:
        try:
            check(connection)
        except Exception:  # one broken connection must not keep the others from being checked
            log.exception("Checking connection %s failed", connection.pk)
    return len(connections)
