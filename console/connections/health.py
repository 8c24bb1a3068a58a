"""The last thing the broker said about a connection, stored for pages."""

import logging
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Literal

from django.utils import timezone

from brokers.errors import BrokerError
from console.connections import equity as equity_kept
from console.connections import reads
from console.connections.models import Connection

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    check: str
    ok: bool
    detail: str
    next: str = ""
    """What to do about it, where something is wrong."""


def examine(connection: Connection) -> list[Finding]:
    """Ask the broker now, step by step, up to the first step that fails. Writes nothing, raises no BrokerError."""
    found: list[Finding] = []
    step = "broker"
    try:
        broker = reads.broker_of(connection)
        accounts = broker.accounts()
        found.append(Finding(check=step, ok=True, detail="It answers."))
        step = "accounts"
        names = {account.account_id for account in accounts}
        if connection.default_account and connection.default_account not in names:
            found.append(
                Finding(
                    check=step,
                    ok=False,
                    detail=f"The default account {connection.default_account} is no longer there.",
                    next="Name one of get_accounts as account_id.",
                )
            )
        else:
            found.append(
                Finding(
                    check=step,
                    ok=bool(accounts),
                    detail=f"{len(accounts)} account{'' if len(accounts) == 1 else 's'}.",
                    next="" if accounts else "Open an account at the broker, or link another connection.",
                )
            )
        step = "balances"
        for account in accounts:
            broker.account_state(account.account_id)
        found.append(Finding(check=step, ok=True, detail="They can be read."))
    except BrokerError as error:
        found.append(
            Finding(
                check=step,
                ok=False,
                detail=str(error)[:300],
                next="Try again in a minute; if it stays, the owner looks at the connection in the console.",
            )
        )
    return found


def state(connection: Connection) -> Literal["ok", "error", "paused", "not_checked"]:
    """In one word, from what is stored."""
    if connection.paused_at is not None:
        return "paused"
    if connection.checked_at is None:
        return "not_checked"
    return "error" if connection.last_error else "ok"


def check(connection: Connection) -> None:
    """Ask the broker for the equity and keep it, or keep what went wrong. Never raises a broker's error."""
    broker = reads.broker_of(connection)
    try:
        states = [broker.account_state(account.account_id) for account in broker.accounts()]
    except BrokerError as error:
        Connection.objects.filter(pk=connection.pk).update(last_error=str(error)[:300], checked_at=timezone.now())
        return
    now = timezone.now()
    for state in states:
        equity_kept.record(
            connection,
            state.account_id,
            currency=state.currency,
            equity=state.equity,
            cash=sum((held.total for held in state.cash if held.currency == state.currency), Decimal(0)),
            now=now,
        )
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
