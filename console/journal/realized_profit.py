"""What trading an account has earned up to this moment: from the journal's sums, after it has copied what is new.

While the first copy is under way, from every fill as the broker tells it.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache

from django.utils import timezone

from brokers.base import Broker
from brokers.types import Fill
from console.connections import pnl
from console.connections.models import Connection
from console.journal import matching, performance, profit_rollups, sync
from console.journal.performance import GROUPS
from console.journal.profit_rollups import ProfitSum
from console.journal.sync import SyncBudget

_BUDGET = SyncBudget(pages=20, symbols=200, measured=0, seconds=5)
_PATIENCE = 6.0
"""Seconds for several that copy the same account at once."""

Grouped = Mapping[tuple[str, str], ProfitSum]
"""By currency and by symbol, day or month as it is written."""


@dataclass(frozen=True, slots=True)
class RealizedProfit:
    totals: Mapping[str, ProfitSum]
    """By currency."""
    groups: Grouped


def up_to_now(
    broker: Broker,
    connection: Connection,
    account_id: str,
    by: str | None,
    *,
    start: datetime | None,
    end: datetime | None,
    most: int,
) -> RealizedProfit:
    """Of the fills in [start, end), since the last reset of a practice account; no groups without ``by``.

    Of days and months the newest, at least ``most`` where there are so many. Raises BrokerError, and Refusal where the
    copy is not through and there are too many fills to read them all.
    """
    if _bring_up(broker, connection, account_id):
        return _from_rollups(connection.pk, account_id, by, start, end, most)
    return _from_broker(broker, account_id, by, start, end)


def _bring_up(broker: Broker, connection: Connection, account_id: str) -> bool:
    """Whether the journal has every fill from before this call."""
    asked, until = timezone.now(), time.monotonic() + _PATIENCE
    while True:
        sync.sync_account(broker, connection, account_id, _BUDGET)
        if sync.is_complete(connection.pk, account_id, since=asked):
            return True
        if time.monotonic() > until or not sync.is_whole(connection.pk, account_id):
            return False


def _from_rollups(
    connection_id: int, account_id: str, by: str | None, start: datetime | None, end: datetime | None, most: int
) -> RealizedProfit:
    start = performance.since_reset(connection_id, account_id, start)
    totals = profit_rollups.totals(connection_id, account_id, start, end)
    groups: dict[tuple[str, str], ProfitSum] = {}
    if by == "symbol":
        found = profit_rollups.by_symbol(connection_id, account_id, start, end)
        groups = {(currency, symbol): told for (symbol, currency), told in found.items()}
    elif by is not None:
        grain: profit_rollups.Grain = "day" if by == "day" else "month"
        periods = profit_rollups.by_period(connection_id, account_id, grain, start, end, most)
        groups = {(currency, day.strftime(GROUPS[by])): told for (day, currency), told in periods.items()}
    return RealizedProfit(totals, groups)


def _from_broker(
    broker: Broker, account_id: str, by: str | None, start: datetime | None, end: datetime | None
) -> RealizedProfit:
    @cache
    def multiplier(symbol: str) -> Decimal:
        return matching.multiplier_of(broker, symbol)

    def name(fill: Fill) -> str:
        return fill.symbol if by == "symbol" else fill.filled_at.strftime(GROUPS[by or "day"])

    realized = list(pnl.realize(pnl.history(broker, account_id), multiplier))
    totals = pnl.totals(realized, lambda fill: "", start=start, end=end)
    groups = pnl.totals(realized, name, start=start, end=end) if by else {}
    return RealizedProfit(
        {currency: _sum(told) for (currency, _), told in totals.items()},
        {key: _sum(told) for key, told in groups.items()},
    )


def _sum(told: pnl.Sum) -> ProfitSum:
    return ProfitSum(told.profit, told.fees, told.fills)
