"""Round trips worked out of what was copied, symbol by symbol."""

import hashlib
import heapq
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from django.db import transaction
from django.db.models import Min, Q, QuerySet

from brokers.base import Broker
from brokers.errors import InvalidRequest, InvalidSymbol, NotSupported
from brokers.symbol_lookup import parse_occ
from brokers.types import Side
from console import keyset
from console.connections.models import Connection
from console.journal import profit_rollups, round_trips
from console.journal.models import FILLS, Execution, LedgerLine, Note, Progress, RoundTrip
from console.journal.profit_rollups import Differences
from console.journal.round_trips import SHIFTS, PositionStep, Trip, TripMatcher

BLOCK = 5_000
"""Fills of one transaction, where nothing has to be worked out again: a database is not held for longer."""
_ROWS = 1_000
_LOOKED = 50_000
_ZERO, _ONE = Decimal(0), Decimal(1)
_OPTION = Decimal(100)
"""Units of an option whose size is no longer told: those of nearly all that are named as the OCC does."""


@dataclass(frozen=True, slots=True)
class MatchBounds:
    symbols: int
    until: float
    """By ``time.monotonic``: no further block is begun then."""


def trip_id(connection_id: int, account_id: str, symbol: str, first: str) -> str:
    """The same whenever it is worked out: a hash of what the trip began with."""
    named = "\n".join((str(connection_id), account_id, symbol, first))
    return f"trd_{hashlib.sha256(named.encode()).hexdigest()[:26]}"


# -- matching ------------------------------------------------------------------------------------------------


def match_account(broker: Broker, connection: Connection, account_id: str, lists: int, bounds: MatchBounds) -> bool:
    """Work the trips out of symbols with something new; nothing before the first walk is through."""
    mine = {"connection": connection, "account_id": account_id}
    if Progress.objects.filter(**mine, whole_at__isnull=False).count() < lists:
        return False
    # No DISTINCT: it would be read from an index of all rows.
    unmatched = [
        *Execution.objects.filter(**mine, matched=False).values_list("symbol", flat=True)[:_LOOKED],
        *LedgerLine.objects.filter(**mine, matched=False).values_list("symbol", flat=True)[:_LOOKED],
    ]
    new = set(unmatched)
    for symbol in sorted(new)[: bounds.symbols]:
        multiplier = multiplier_of(broker, symbol)
        is_through = False
        while not is_through:
            if time.monotonic() > bounds.until:
                return False
            with transaction.atomic():
                # One at a time: two that match the same symbol would write each other's trips.
                if not Progress.objects.select_for_update().filter(**mine, what=FILLS):
                    return False  # it was forgotten
                is_through = _match_symbol(connection, account_id, symbol, multiplier)
    return len(new) <= bounds.symbols and len(unmatched) < _LOOKED


def multiplier_of(broker: Broker, symbol: str) -> Decimal:
    """Of what the broker no longer lists 100 for an option by its OCC symbol, else 1.

    Raises BrokerError where the broker cannot tell now, as when it is asked too often.
    """
    try:
        return broker.instrument(symbol).multiplier
    except (InvalidSymbol, InvalidRequest, NotSupported):
        return _ONE if parse_occ(symbol) is None else _OPTION


def _match_symbol(connection: Connection, account_id: str, symbol: str, multiplier: Decimal) -> bool:
    """Go on where the last matching ended, a block at a time; False when there is more.

    Where something new lies before that, begin with the trip it falls into and go to the end.
    """
    mine = {"connection": connection, "account_id": account_id, "symbol": symbol}
    fills, shifts = Execution.objects.filter(**mine), LedgerLine.objects.filter(**mine)
    trips = RoundTrip.objects.filter(**mine)
    firsts = (
        fills.filter(matched=False).aggregate(at=Min("at"))["at"],
        shifts.filter(matched=False).aggregate(at=Min("at"))["at"],
    )
    first = min((at for at in firsts if at is not None), default=None)
    if first is None:
        return True
    since: datetime | None = first
    until: datetime | None = None
    replaced = trips.filter(closed_at=None)
    matcher = _going_on(fills, shifts, trips, first, multiplier)
    if matcher is not None:
        ahead = fills.filter(matched=False).order_by("at").values_list("at", flat=True)
        until = ahead[BLOCK - 1 : BLOCK].first() if ahead[BLOCK : BLOCK + 1].exists() else None
    else:
        matcher = TripMatcher(multiplier)
        anchor = trips.filter(fresh_start=True, opened_at__lte=first).order_by("-opened_at").first()
        since, replaced = (anchor.opened_at, trips.filter(opened_at__gte=anchor.opened_at)) if anchor else (None, trips)
    differences = Differences()
    made = {} if matcher.now is None else {matcher.now.first: matcher.now}
    changed: list[Execution] = []
    for step, fill in _steps(connection.pk, account_id, symbol, since, until):
        earned, touched = matcher.take(step)
        for trip in touched:
            made[trip.first] = trip
            trip.path.clear()
        if fill is not None and (not fill.matched or fill.realized != earned):
            if fill.matched:
                differences.fill(fill, -1)
            fill.matched, fill.realized = True, earned
            differences.fill(fill, 1)
            changed.append(fill)
            if len(changed) == BLOCK:
                _save(changed)
                changed = []
    _save(changed)
    _write_trips(mine, list(made.values()), replaced, matcher, differences)
    new_shifts = shifts.filter(matched=False)
    (new_shifts if until is None else new_shifts.filter(at__lte=until)).update(matched=True)
    profit_rollups.apply(connection.pk, account_id, differences)
    return until is None


def _going_on(
    fills: QuerySet[Execution],
    shifts: QuerySet[LedgerLine],
    trips: QuerySet[RoundTrip],
    first: datetime,
    multiplier: Decimal,
) -> TripMatcher | None:
    """The position as it stood before ``first``, where all that is matched happened before it; else None."""
    if fills.filter(matched=True, at__gte=first).exists():
        return None
    if shifts.filter(matched=True, kind__in=SHIFTS, at__gte=first).exists():
        return None
    if trips.filter(Q(opened_at__gte=first) | Q(closed_at__gte=first)).exists():
        return None
    open_one = trips.filter(closed_at=None).first()
    if open_one is None:
        return TripMatcher(multiplier)
    if open_one.checkpoint is None:
        return None
    trip, through = round_trips.resume(open_one.checkpoint)
    return TripMatcher(multiplier, now=trip, last=through) if through < first else None


def _save(fills: Sequence[Execution]) -> None:
    """That they are matched, and what they earned; ``bulk_update`` takes many times as long."""
    Execution.objects.bulk_create(
        fills, update_conflicts=True, update_fields=["matched", "realized"], unique_fields=["id"], batch_size=_ROWS
    )


def steps(
    connection_id: int, account_id: str, symbol: str, *, since: datetime | None = None, until: datetime | None = None
) -> Iterator[PositionStep]:
    """What moved the position in [since, until], in its order, read as it is asked for."""
    return (step for step, _ in _steps(connection_id, account_id, symbol, since, until))


_Step = tuple[PositionStep, Execution | None]


def _steps(
    connection_id: int, account_id: str, symbol: str, since: datetime | None, until: datetime | None
) -> Iterator[_Step]:
    """With the fill, where it is one."""
    mine = Q(connection_id=connection_id, account_id=account_id, symbol=symbol)
    if since is not None:
        mine &= Q(at__gte=since)
    if until is not None:
        mine &= Q(at__lte=until)
    fills = keyset.walk(Execution.objects.filter(mine), "at", "place")
    shifts = LedgerLine.objects.filter(mine, kind__in=SHIFTS, quantity__isnull=False)
    return heapq.merge(
        ((step, None) for step in _whole_splits(_of_shift(row) for row in shifts)),
        ((_of_fill(row), row) for row in fills),
        key=_order,
    )


def _whole_splits(shifts: Iterable[PositionStep]) -> list[PositionStep]:
    """In their order. A split that is told as the old units leaving and the new ones coming is one step."""
    found: list[PositionStep] = []
    splits: dict[datetime, int] = {}
    for step in sorted(shifts, key=lambda each: each.order):
        if step.kind == "split" and (place := splits.setdefault(step.at, len(found))) < len(found):
            found[place] = replace(found[place], quantity=found[place].quantity + step.quantity)
        else:
            found.append(step)
    return found


def _order(step: _Step) -> tuple[datetime, int, int]:
    return step[0].order


def _of_fill(row: Execution) -> PositionStep:
    return PositionStep(
        at=row.at,
        place=row.place,
        ref=row.fill_id,
        kind="fill",
        quantity=row.quantity if row.side == Side.BUY else -row.quantity,
        price=row.price,
        fee=row.fee,
    )


def _of_shift(row: LedgerLine) -> PositionStep:
    return PositionStep(
        at=row.at,
        place=row.place,
        ref=f"ledger {row.entry_id}",
        kind=row.kind,
        quantity=row.quantity,
        price=row.price or _ZERO,
    )


def _write_trips(
    mine: Mapping[str, object],
    made: Sequence[Trip],
    replaced: QuerySet[RoundTrip],
    matcher: TripMatcher,
    differences: Differences,
) -> None:
    """``made`` in the place of ``replaced``."""
    connection, account_id, symbol = mine["connection"], str(mine["account_id"]), str(mine["symbol"])
    assert isinstance(connection, Connection)
    before = {row.public_id: row for row in replaced}
    currency = Execution.objects.filter(**mine).order_by("-at").values_list("currency", flat=True).first()
    currency = currency or LedgerLine.objects.filter(**mine).order_by("-at").values_list("currency", flat=True).first()
    now: dict[str, Trip] = {}
    new: list[RoundTrip] = []
    for trip in made:
        public_id = trip_id(connection.pk, account_id, symbol, trip.first)
        now[public_id] = trip
        values = _values(trip, currency or "")
        row = before.pop(public_id, None)
        if row is None:
            row = RoundTrip(**mine, public_id=public_id)
            new.append(row)
        elif any(getattr(row, name) != value for name, value in values.items()):
            differences.trip(row, -1)
            values |= {"best": None, "worst": None, "measured_by": ""}
        else:
            values = {}
        checkpoint = None
        if trip is matcher.now and matcher.last is not None:
            checkpoint = round_trips.checkpoint_of(trip, matcher.last)
        if not values and row.checkpoint == checkpoint:
            continue
        values["checkpoint"] = checkpoint
        for name, value in values.items():
            setattr(row, name, value)
        if len(values) > 1:
            differences.trip(row, 1)
        if row.pk is not None:
            row.save(update_fields=values)
    RoundTrip.objects.bulk_create(new, batch_size=_ROWS)
    for gone in before.values():
        # A fill that came late may begin a trip earlier: what was noted on it stays with it.
        heir = next((each for each, trip in now.items() if _covers(trip, gone.opened_at)), None)
        if heir is not None:
            Note.objects.filter(connection=connection, about=gone.public_id).update(about=heir)
        differences.trip(gone, -1)
        gone.delete()


def _values(trip: Trip, currency: str) -> dict[str, object]:
    realized = round_trips.rounded(trip.realized)
    return {
        "currency": currency,
        "side": "long" if trip.is_long else "short",
        "opened_at": trip.opened_at,
        "closed_at": trip.closed_at,
        "fresh_start": trip.fresh_start,
        "quantity": round_trips.rounded(trip.entered),
        "held": round_trips.rounded(abs(trip.held)),
        "entry_price": trip.entry_price,
        "exit_price": trip.exit_price,
        "realized": realized,
        "fees": round_trips.rounded(trip.fees),
        "fills": trip.fills,
        "won": None if trip.closed_at is None else realized > trip.fees,
        "ended_by": trip.ended_by,
    }


def _covers(trip: Trip, at: datetime) -> bool:
    return trip.opened_at <= at and (trip.closed_at is None or at <= trip.closed_at)
