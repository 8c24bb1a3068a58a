"""Asks a broker what an account holds, in a bounded time and outside any transaction, and keeps it for pages."""

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

from django.db.models import Q
from django.utils import timezone

from brokers.base import Broker
from brokers.decimals import plain
from brokers.errors import BrokerError, BrokerUnavailable
from brokers.types import AccountState, Position
from console.connections import broker_access
from console.connections.models import Connection
from console.desk.models import PortfolioSnapshot

log = logging.getLogger(__name__)
T = TypeVar("T")

EVERY = timedelta(seconds=15)
"""However many pages are open, a broker is not asked more often."""
PATIENCE = 10.0
"""Seconds a request waits for a broker; what comes later is dropped and asked again."""
_KEPT_ANSWERS = 60


@dataclass(slots=True)
class PortfolioAnswer:
    """What a broker said, or what went wrong."""

    accounts: list[dict[str, Any]] = field(default_factory=list)
    took_ms: list[int] = field(default_factory=list)
    error: BrokerError | None = None


def refresh(connection: Connection) -> bool:
    """Ask the broker unless it was asked a moment ago; whether it was. Never raises a broker's error."""
    now = timezone.now()
    snapshot, _ = PortfolioSnapshot.objects.get_or_create(connection=connection)
    due = PortfolioSnapshot.objects.filter(Q(asked_at=None) | Q(asked_at__lte=now - EVERY), pk=snapshot.pk)
    if not due.update(asked_at=now):
        return False
    _store(snapshot, _ask_in_time(connection))
    return True


def account_record(state: AccountState, positions: list[Position]) -> dict[str, Any]:
    """As it is stored: every amount as plain text, None where the broker does not say."""
    return {
        "account_id": state.account_id,
        "currency": state.currency,
        "equity": plain(state.equity),
        "buying_power": plain(state.buying_power),
        "cash": [{"currency": held.currency, "total": plain(held.total)} for held in state.cash],
        "positions": [
            {
                "symbol": held.symbol,
                "asset_class": held.asset_class.value,
                "currency": held.currency,
                "quantity": plain(held.quantity),
                "average_price": None if held.average_price is None else plain(held.average_price),
                "last": plain(held.last),
                "market_value": plain(held.market_value),
                "unrealized": None if held.unrealized_pnl is None else plain(held.unrealized_pnl),
            }
            for held in positions
        ],
    }


def _ask_in_time(connection: Connection) -> PortfolioAnswer:
    if not broker_access.is_remote(connection.broker):
        return _ask(connection)
    threads = ThreadPoolExecutor(1, thread_name_prefix="desk")
    try:
        return threads.submit(_ask, connection).result(PATIENCE)
    except TookTooLong:
        title = broker_access.broker_title(connection.broker)
        return PortfolioAnswer(error=BrokerUnavailable(f"{title} did not answer within {PATIENCE:.0f} s."))
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


def _ask(connection: Connection) -> PortfolioAnswer:
    """Touches no row of ours but those of a broker that has its books here."""
    answer = PortfolioAnswer()

    def timed(act: Callable[..., T], *args: Any) -> T:
        began = time.monotonic()
        got = act(*args)
        answer.took_ms.append(round((time.monotonic() - began) * 1000))
        return got

    try:
        broker: Broker = broker_access.broker_of(connection)
        for account in timed(broker.accounts):
            state = timed(broker.account_state, account.account_id)
            answer.accounts.append(account_record(state, timed(broker.positions, account.account_id)))
    except BrokerError as error:
        answer.error = error
    return answer


def _store(snapshot: PortfolioSnapshot, answer: PortfolioAnswer) -> None:
    now = timezone.now()
    changed: dict[str, Any] = {"answers_ms": [*snapshot.answers_ms, *answer.took_ms][-_KEPT_ANSWERS:]}
    if answer.error is None:
        changed |= {"accounts": answer.accounts, "read_at": now, "trouble": ""}
    else:
        changed |= {"trouble": str(answer.error)[:300], "failed_at": now}
    PortfolioSnapshot.objects.filter(pk=snapshot.pk).update(**changed)
