"""What an account was worth over time: one row an interval, kept fine for days and coarse for years.

A row covers a slot of time and keeps the first, last, highest and lowest equity that was read in it, so thinning
loses the order of events inside a slot and never a high or a low.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any

from django.db import transaction
from django.utils import timezone

from brokers.base import Broker
from brokers.types import AccountState
from console import keyset
from console.connections.models import Connection, EquityMarks, EquitySnapshot

FINE = timedelta(minutes=5)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
KEPT_FINE = timedelta(days=2)
KEPT_HOURLY = timedelta(days=90)

FROM_OUTSIDE = ("deposit", "withdrawal", "transfer")
"""Kinds of transactions that move the equity without earning or losing anything."""

_PAGE = 500
_ROWS = 500
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """Of all readings until a moment."""

    high: Decimal
    high_at: datetime
    low: Decimal
    low_at: datetime
    deepest: Drawdown | None

    def with_reading(self, equity: Decimal, at: datetime) -> "Marks":
        """With one more; of one that is older than the high, only whether it is lower than all."""
        high, high_at = (equity, at) if equity > self.high else (self.high, self.high_at)
        low, low_at = (equity, at) if equity < self.low else (self.low, self.low_at)
        deepest = self.deepest
        if at >= high_at:
            deepest = _deeper(deepest, (high, high_at), equity, at)
        return Marks(high=high, high_at=high_at, low=low, low_at=low_at, deepest=deepest)


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
        elif not made:
            return
        _mark(connection.pk, account_id, equity, now)


def forget(connection_id: int, account_id: str) -> None:
    """The account starts anew, as a practice account that is reset does."""
    for kind in (EquitySnapshot, EquityMarks):
        kind._default_manager.filter(connection_id=connection_id, account_id=account_id).delete()


def points(
    connection_id: int,
    account_id: str,
    *,
    since: datetime | None = None,
    bar: timedelta = FINE,
    most: int | None = None,
) -> list[Point]:
    """Oldest first, one for each ``bar`` of UTC time that has any; coarser where only coarser is kept.

    The newest ``most`` of them, read backwards, so that it does not matter how many there are.
    """
    rows = EquitySnapshot.objects.filter(connection_id=connection_id, account_id=account_id)
    if since is not None:
        rows = rows.filter(at__gte=since)
    found: list[Point] = []
    for start, group in _by_slot(keyset.walk(rows, "at", newest_first=True, size=_ROWS), bar):
        if most is not None and len(found) == most:
            break
        found.append(_merge_slot(start, list(group)[::-1]))
    return found[::-1]


def marks(connection_id: int, account_id: str) -> Marks | None:
    """None where nothing was read yet."""
    row = EquityMarks.objects.filter(connection_id=connection_id, account_id=account_id).first()
    if row is not None:
        return _marks_of_row(row)
    known = points(connection_id, account_id)
    return marks_of(known) if known else None


def marks_of(known: Sequence[Point]) -> Marks:
    """Of at least one point, as near as points tell."""
    high, low = max(known, key=lambda each: each.high), min(known, key=lambda each: each.low)
    return Marks(high=high.high, high_at=high.high_at, low=low.low, low_at=low.low_at, deepest=max_drawdown(known))


def first_in(connection_id: int, account_id: str, since: datetime | None) -> tuple[Decimal, datetime] | None:
    """The first equity of the first slot that was read at ``since`` or later, and when."""
    rows = EquitySnapshot.objects.filter(connection_id=connection_id, account_id=account_id)
    if since is not None:
        rows = rows.filter(at__gte=since)
    return rows.order_by("at").values_list("opened", "opened_at").first()


def latest(connection_id: int, account_id: str) -> tuple[Decimal, datetime] | None:
    rows = EquitySnapshot.objects.filter(connection_id=connection_id, account_id=account_id)
    return rows.order_by("-at").values_list("equity", "at").first()


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


def _mark(connection_id: int, account_id: str, equity: Decimal, now: datetime) -> None:
    """Inside the transaction that keeps the reading."""
    rows = EquityMarks.objects.select_for_update().filter(connection_id=connection_id, account_id=account_id)
    row = rows.first()
    if row is None:
        # Readings from before there were marks; with them the one that was just kept.
        known = marks_of(points(connection_id, account_id))
        EquityMarks.objects.get_or_create(connection_id=connection_id, account_id=account_id, defaults=_columns(known))
        return
    before = _marks_of_row(row)
    after = before.with_reading(equity, now)
    if after != before:
        rows.update(**_columns(after))


def _columns(marks: Marks) -> dict[str, Any]:
    fall = marks.deepest
    return {
        "high": marks.high,
        "high_at": marks.high_at,
        "low": marks.low,
        "low_at": marks.low_at,
        "peak": fall and fall.peak,
        "peak_at": fall and fall.peak_at,
        "trough": fall and fall.trough,
        "trough_at": fall and fall.trough_at,
    }


def _marks_of_row(row: EquityMarks) -> Marks:
    deepest = None
    if row.peak is not None and row.trough is not None and row.peak_at is not None and row.trough_at is not None:
        deepest = _deeper(None, (row.peak, row.peak_at), row.trough, row.trough_at)
    return Marks(high=row.high, high_at=row.high_at, low=row.low, low_at=row.low_at, deepest=deepest)


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
