"""What an account was worth over time: one row an interval, kept fine for days and coarse for years.

A row covers a slot of time and keeps the first, last, highest and lowest equity that was read in it, so thinning
loses the order of events inside a slot and never a high or a low.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby

from django.db import transaction
from django.utils import timezone

from brokers.base import Broker
from brokers.types import AccountState
from console.connections.models import Connection, EquitySnapshot

FINE = timedelta(minutes=5)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
KEPT_FINE = timedelta(days=2)
KEPT_HOURLY = timedelta(days=90)

FROM_OUTSIDE = ("deposit", "withdrawal", "transfer")
"""Kinds of transactions that move the equity without earning or losing anything."""

_PAGE = 500
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What is known of one slot: ``opened`` is the first equity in it, ``equity`` and ``cash`` the last."""

    start: datetime
    opened_at: datetime
    opened: Decimal
    at: datetime
    equity: Decimal
    high: Decimal
    low: Decimal
    cash: Decimal

    @property
    def high_at(self) -> datetime:
        """When the high was read, as near as it is known."""
        return self.opened_at if self.high == self.opened else self.at

    @property
    def low_at(self) -> datetime:
        return self.opened_at if self.low == self.opened else self.at


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawdown:
    """A fall from a peak. The peak of a slot counts for later slots and for the slot's own last value."""

    amount: Decimal
    percent: Decimal
    """Of the peak, exact."""
    peak: Decimal
    peak_at: datetime
    trough: Decimal
    trough_at: datetime


def record(
    connection: Connection, account_id: str, *, currency: str, equity: Decimal, cash: Decimal, now: datetime
) -> None:
    """Keep what the account is worth now: a new row, or the running slot's row brought up to date."""
    with transaction.atomic():
        row, made = EquitySnapshot.objects.select_for_update().get_or_create(
            connection=connection,
            account_id=account_id,
            slot=floor(now, FINE),
            grain=FINE // _SECOND,
            defaults={
                "currency": currency,
                "opened_at": now,
                "opened": equity,
                "at": now,
                "equity": equity,
                "high": equity,
                "low": equity,
                "cash": cash,
            },
        )
        if not made and row.at <= now:
            row.at, row.equity, row.cash = now, equity, cash
            row.high, row.low = max(row.high, equity), min(row.low, equity)
            row.save(update_fields=["at", "equity", "cash", "high", "low"])


def forget(connection_id: int, account_id: str) -> None:
    """The account starts anew, as a practice account that is reset does."""
    EquitySnapshot.objects.filter(connection_id=connection_id, account_id=account_id).delete()


def points(connection_id: int, account_id: str, *, since: datetime | None = None, bar: timedelta = FINE) -> list[Point]:
    """Oldest first, one for each ``bar`` of UTC time that has any; coarser where only coarser is kept."""
    rows = EquitySnapshot.objects.filter(connection_id=connection_id, account_id=account_id)
    if since is not None:
        rows = rows.filter(at__gte=since)
    return [_merge_slot(start, list(group)) for start, group in _by_slot(rows.order_by("slot", "at"), bar)]


def with_current(known: list[Point], state: AccountState, now: datetime, bar: timedelta) -> list[Point]:
    """The history with what the broker says at this moment, in the slot that is running."""
    cash = sum((held.total for held in state.cash if held.currency == state.currency), Decimal(0))
    start, value = floor(now, bar), state.equity
    if known and known[-1].start == start:
        last = known[-1]
        merged = replace(last, at=now, equity=value, high=max(last.high, value), low=min(last.low, value), cash=cash)
        return [*known[:-1], merged]
    point = Point(start=start, opened_at=now, opened=value, at=now, equity=value, high=value, low=value, cash=cash)
    return [*known, point]


def equity_at(connection_id: int, account_id: str, moment: datetime | None = None) -> tuple[Decimal, datetime] | None:
    """The last equity known before ``moment``, else the first that is known at all; and when that was read."""
    rows = EquitySnapshot.objects.filter(connection_id=connection_id, account_id=account_id)
    if moment is not None and (before := rows.filter(at__lt=moment).order_by("-at").first()):
        return before.equity, before.at
    first = rows.order_by("at").first()
    return (first.opened, first.opened_at) if first else None


def net_deposits(broker: Broker, account_id: str, currency: str, since: datetime) -> Decimal:
    """What came from outside less what went out since then, which is not earned. Raises BrokerError."""
    total, after = Decimal(0), ""
    while page := broker.transactions(account_id, start=since, end=None, limit=_PAGE, kinds=FROM_OUTSIDE, after=after):
        total += sum((entry.amount for entry in page if entry.currency == currency), Decimal(0))
        after = page[-1].transaction_id
        if len(page) < _PAGE:
            break
    return total


def max_drawdown(known: Iterable[Point]) -> Drawdown | None:
    """The fall that was largest in percent of its peak; None where there was none."""
    found: Drawdown | None = None
    peak: tuple[Decimal, datetime] | None = None
    for point in known:
        if peak is not None:
            found = _deeper(found, peak, point.low, point.low_at)
        if peak is None or point.high > peak[0]:
            peak = (point.high, point.high_at)
        found = _deeper(found, peak, point.equity, point.at)
    return found


def compact(now: datetime | None = None) -> int:
    """Put rows together that are old enough; how many are gone. Doing it twice changes nothing."""
    now = now or timezone.now()
    gone = _merge(FINE, HOUR, floor(now - KEPT_FINE, HOUR))
    return gone + _merge(HOUR, DAY, floor(now - KEPT_HOURLY, DAY))


def floor(moment: datetime, size: timedelta) -> datetime:
    return moment - (moment - _EPOCH) % size


def _merge(fine: timedelta, coarse: timedelta, before: datetime) -> int:
    old = EquitySnapshot.objects.filter(grain=fine // _SECOND, slot__lt=before)
    gone = 0
    for connection_id, account_id in old.order_by().values_list("connection_id", "account_id").distinct():
        with transaction.atomic():
            mine = old.select_for_update().filter(connection_id=connection_id, account_id=account_id)
            for start, group in _by_slot(mine.order_by("slot", "at"), coarse):
                rows = list(group)
                whole = _merge_slot(start, rows)
                EquitySnapshot.objects.create(
                    connection_id=connection_id,
                    account_id=account_id,
                    currency=rows[-1].currency,
                    slot=start,
                    grain=coarse // _SECOND,
                    opened_at=whole.opened_at,
                    opened=whole.opened,
                    at=whole.at,
                    equity=whole.equity,
                    high=whole.high,
                    low=whole.low,
                    cash=whole.cash,
                )
                EquitySnapshot.objects.filter(pk__in=[row.pk for row in rows]).delete()
                gone += len(rows) - 1
    return gone


def _by_slot(rows: Iterable[EquitySnapshot], size: timedelta) -> Iterable[tuple[datetime, Iterable[EquitySnapshot]]]:
    return groupby(rows, key=lambda row: floor(row.slot, size))


def _merge_slot(start: datetime, rows: list[EquitySnapshot]) -> Point:
    last = rows[-1]
    return Point(
        start=start,
        opened_at=rows[0].opened_at,
        opened=rows[0].opened,
        at=last.at,
        equity=last.equity,
        high=max(row.high for row in rows),
        low=min(row.low for row in rows),
        cash=last.cash,
    )


def _deeper(found: Drawdown | None, peak: tuple[Decimal, datetime], trough: Decimal, at: datetime) -> Drawdown | None:
    amount = peak[0] - trough
    if amount <= 0 or peak[0] <= 0:
        return found
    percent = amount / peak[0] * 100
    if found is not None and percent <= found.percent:
        return found
    return Drawdown(amount=amount, percent=percent, peak=peak[0], peak_at=peak[1], trough=trough, trough_at=at)
