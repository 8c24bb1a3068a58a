"""Profit and fees kept as sums by UTC day, month and year, so that what is asked of them costs the same however long
an account has traded.

They are the sums of the fills that are matched and of the round trips that are closed, to the last digit. Whoever
changes one of those gives the difference to ``apply`` in the same transaction, with the account's progress row locked.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any, Literal

from django.db import transaction
from django.db.models import QuerySet

from console.journal.models import FILLS, Execution, ProfitRollup, Progress, RoundTrip

log = logging.getLogger(__name__)

_ZERO = Decimal(0)
_ROWS = 2_000
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
"""No fill lies outside; both begin a year."""

Grain = Literal["day", "month", "year"]
Key = tuple[str, str, date]
"""Symbol, currency and UTC day."""


@dataclass(slots=True)
class ProfitSum:
    realized: Decimal = _ZERO
    fees: Decimal = _ZERO
    fills: int = 0
    trips: int = 0
    won: int = 0
    trips_net: Decimal = _ZERO

    def add(self, other: "ProfitSum") -> None:
        self.realized += other.realized
        self.fees += other.fees
        self.fills += other.fills
        self.trips += other.trips
        self.won += other.won
        self.trips_net += other.trips_net

    @property
    def net(self) -> Decimal:
        return self.realized - self.fees


_SUMMED = ("realized", "fees", "fills", "trips", "won", "trips_net")
_NOTHING = ProfitSum()


class Differences:
    """What changes of the sums of one account, collected until it is written."""

    def __init__(self) -> None:
        self.by_day: dict[Key, ProfitSum] = defaultdict(ProfitSum)

    def fill(self, row: Execution, sign: int) -> None:
        """A matched fill as the row is now: 1 when it joins, -1 when it leaves."""
        self._add(row.symbol, row.currency, row.at, ProfitSum(sign * row.realized, sign * row.fee, sign))

    def trip(self, row: RoundTrip, sign: int) -> None:
        """The same of a round trip; nothing while it is open."""
        if row.closed_at is not None:
            told = ProfitSum(trips=sign, won=sign * bool(row.won), trips_net=sign * row.net)
            self._add(row.symbol, row.currency, row.closed_at, told)

    def _add(self, symbol: str, currency: str, at: datetime, told: ProfitSum) -> None:
        self.by_day[symbol, currency, at.astimezone(UTC).date()].add(told)


def apply(connection_id: int, account_id: str, differences: Differences) -> None:
    """Bring the sums of an account up to date: the last act of the transaction that changes what they sum."""
    cells = {key: told for key, told in _in_all_grains(differences.by_day).items() if told != _NOTHING}
    if not cells:
        return
    days = [start for _, _, _, start in cells]
    stored = ProfitRollup.objects.filter(
        connection_id=connection_id,
        account_id=account_id,
        symbol__in={symbol for symbol, *_ in cells},
        start__gte=min(days),
        start__lte=max(days),
    )
    for row in stored.iterator(chunk_size=_ROWS):
        if told := cells.get((row.symbol, row.currency, row.grain, row.start)):
            told.add(ProfitSum(*(getattr(row, name) for name in _SUMMED)))
    if any(min(told.fills, told.trips, told.won) < 0 for told in cells.values()):
        log.error("Sums of connection %s did not match its executions and were added up again.", connection_id)
        _rebuild({"connection_id": connection_id, "account_id": account_id})
        return
    _write(connection_id, account_id, cells)
    empty = {key for key, told in cells.items() if told == _NOTHING}
    if empty:
        gone = [row.pk for row in stored if (row.symbol, row.currency, row.grain, row.start) in empty]
        ProfitRollup.objects.filter(pk__in=gone).delete()


def rebuild(connection_id: int, account_id: str) -> int:
    """Sum everything again; returns how many rows differed from what was stored. None should."""
    mine = {"connection_id": connection_id, "account_id": account_id}
    with transaction.atomic():
        # As whoever matches: nobody writes fills or trips of the account meanwhile.
        list(Progress.objects.select_for_update().filter(**mine, what=FILLS))
        return _rebuild(mine)


def rebuild_all() -> tuple[int, int]:
    """Every account with anything stored: how many accounts, and how many rows differed."""
    accounts = set(Progress.objects.values_list("connection_id", "account_id"))
    accounts |= set(ProfitRollup.objects.order_by().values_list("connection_id", "account_id").distinct())
    return len(accounts), sum(rebuild(*each) for each in sorted(accounts))


# -- reading -------------------------------------------------------------------------------------------------


def by_symbol(
    connection_id: int, account_id: str, start: datetime | None, end: datetime | None
) -> dict[tuple[str, str], ProfitSum]:
    """By symbol and currency, of the fills in [start, end)."""
    found: dict[tuple[str, str], ProfitSum] = defaultdict(ProfitSum)
    span = _Span(start, end)
    for symbol, currency, _, told in span.edge_fills(connection_id, account_id):
        found[symbol, currency].add(told)
    for grain, first, until in span.periods("year"):
        rows = _rows(connection_id, account_id, grain, first, until).exclude(symbol="")
        for symbol, currency, *sums in rows.values_list("symbol", "currency", *_SUMMED).iterator(chunk_size=_ROWS):
            found[symbol, currency].add(ProfitSum(*sums))
    return {key: told for key, told in found.items() if told.fills}


def totals(connection_id: int, account_id: str, start: datetime | None, end: datetime | None) -> dict[str, ProfitSum]:
    """By currency, of the fills in [start, end)."""
    found: dict[str, ProfitSum] = defaultdict(ProfitSum)
    span = _Span(start, end)
    for _, currency, _, told in span.edge_fills(connection_id, account_id):
        found[currency].add(told)
    for grain, first, until in span.periods("year"):
        rows = _rows(connection_id, account_id, grain, first, until).filter(symbol="")
        for currency, *sums in rows.values_list("currency", *_SUMMED):
            found[currency].add(ProfitSum(*sums))
    return {currency: told for currency, told in found.items() if told.fills}


def by_period(
    connection_id: int, account_id: str, by: Grain, start: datetime | None, end: datetime | None, most: int
) -> dict[tuple[date, str], ProfitSum]:
    """By the first day of each day, month or year and by currency, of the fills in [start, end): the newest, at least
    ``most`` of them where there are so many."""
    found: dict[tuple[date, str], ProfitSum] = defaultdict(ProfitSum)
    span = _Span(start, end)
    for _, currency, day, told in span.edge_fills(connection_id, account_id):
        found[_floor(by, day), currency].add(told)
    for grain, first, until in span.periods(by):
        rows = _rows(connection_id, account_id, grain, first, until).filter(symbol="", fills__gt=0).order_by("-start")
        for day, currency, *sums in rows.values_list("start", "currency", *_SUMMED)[: most if grain == by else None]:
            found[_floor(by, day), currency].add(ProfitSum(*sums))
    return {key: told for key, told in found.items() if told.fills}


class _Span:
    """A time in whole days, months and years as far as it has such, and what is left at its ends."""

    def __init__(self, start: datetime | None, end: datetime | None) -> None:
        start = _FIRST if start is None else min(max(start.astimezone(UTC), _FIRST), _LAST)
        end = _LAST if end is None else min(max(end.astimezone(UTC), start), _LAST)
        self._first, self._until = _ceiling("day", start), end.date()
        if self._first > self._until:  # within one day
            self._edges = [(start, end)]
            self._first = self._until
        else:
            self._edges = [(start, _midnight(self._first)), (_midnight(self._until), end)]

    def edge_fills(self, connection_id: int, account_id: str) -> Iterable[tuple[str, str, date, ProfitSum]]:
        """Symbol, currency, UTC day and sum of each matched fill on a day that is not in it as a whole."""
        for start, end in self._edges:
            if start < end:
                fills = Execution.objects.filter(
                    connection_id=connection_id, account_id=account_id, matched=True, at__gte=start, at__lt=end
                )
                for symbol, currency, realized, fee in fills.values_list(
                    "symbol", "currency", "realized", "fee"
                ).iterator(chunk_size=_ROWS):
                    yield symbol, currency, start.date(), ProfitSum(realized, fee, 1)

    def periods(self, longest: Grain) -> list[tuple[Grain, date, date]]:
        """Every whole day once: grain, first day, and the day after the last. None longer than ``longest``."""
        found: list[tuple[Grain, date, date]] = []
        first, until = self._first, self._until
        grains: Sequence[Grain] = ("day", "month", "year")
        for grain, longer in pairwise(grains):
            if grain == longest:
                break
            inner, outer = _ceiling(longer, _midnight(first)), _floor(longer, until)
            if inner >= outer:
                return [*found, (grain, first, until)] if first < until else found
            found += [(grain, *ends) for ends in ((first, inner), (outer, until)) if ends[0] < ends[1]]
            first, until = inner, outer
        return [*found, (longest, first, until)] if first < until else found


def _rows(connection_id: int, account_id: str, grain: Grain, first: date, until: date) -> QuerySet[ProfitRollup]:
    return ProfitRollup.objects.filter(
        connection_id=connection_id, account_id=account_id, grain=grain, start__gte=first, start__lt=until
    )


# -- writing -------------------------------------------------------------------------------------------------

_Cell = tuple[str, str, str, date]
"""Symbol or nothing, currency, grain, first day."""


def _in_all_grains(by_day: Mapping[Key, ProfitSum]) -> dict[_Cell, ProfitSum]:
    cells: dict[_Cell, ProfitSum] = defaultdict(ProfitSum)
    grains: Sequence[Grain] = ("day", "month", "year")
    for (symbol, currency, day), told in by_day.items():
        for grain in grains:
            for named in {symbol, ""}:
                cells[named, currency, grain, _floor(grain, day)].add(told)
    return dict(cells)


def _rebuild(mine: Mapping[str, Any]) -> int:
    cells = {key: told for key, told in _in_all_grains(_summed(mine).by_day).items() if told != _NOTHING}
    missing, gone, differ = dict(cells), list[int](), 0
    for row in ProfitRollup.objects.filter(**mine).iterator(chunk_size=_ROWS):
        key = (row.symbol, row.currency, row.grain, row.start)
        told = missing.pop(key, None)
        if told is not None and told == ProfitSum(*(getattr(row, name) for name in _SUMMED)):
            del cells[key]
            continue
        differ += 1
        if told is None:
            gone.append(row.pk)
    for place in range(0, len(gone), _ROWS):
        ProfitRollup.objects.filter(pk__in=gone[place : place + _ROWS]).delete()
    _write(mine["connection_id"], mine["account_id"], cells)
    return differ + len(missing)


def _summed(mine: Mapping[str, Any]) -> Differences:
    found = Differences()
    for fill in Execution.objects.filter(**mine, matched=True).iterator(chunk_size=_ROWS):
        found.fill(fill, 1)
    for trip in RoundTrip.objects.filter(**mine, closed_at__isnull=False).iterator(chunk_size=_ROWS):
        found.trip(trip, 1)
    return found


def _write(connection_id: int, account_id: str, cells: Mapping[_Cell, ProfitSum]) -> None:
    ProfitRollup.objects.bulk_create(
        [
            ProfitRollup(
                connection_id=connection_id,
                account_id=account_id,
                symbol=symbol,
                currency=currency,
                grain=grain,
                start=start,
                **{name: getattr(told, name) for name in _SUMMED},
            )
            for (symbol, currency, grain, start), told in cells.items()
            if told != _NOTHING
        ],
        update_conflicts=True,
        update_fields=_SUMMED,
        unique_fields=["connection", "account_id", "symbol", "grain", "start", "currency"],
        batch_size=_ROWS,
    )


def _floor(grain: Grain, day: date) -> date:
    if grain == "day":
        return day
    return day.replace(day=1) if grain == "month" else day.replace(month=1, day=1)


def _ceiling(grain: Grain, at: datetime) -> date:
    """The first period that begins at ``at`` or later."""
    day = at.date()
    first = _floor(grain, day)
    if at == _midnight(first):
        return first
    if grain == "day":
        return day + timedelta(days=1)
    if grain == "year" or first.month == 12:
        return date(first.year + 1, 1, 1)
    return first.replace(month=first.month + 1)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
