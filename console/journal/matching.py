"""Round trips worked out of what was copied, symbol by symbol."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from itertools import chain

from django.db import transaction
from django.db.models import Min, Q

from brokers.base import Broker
from brokers.errors import Rejected
from brokers.types import Side
from console.connections.models import Connection
from console.journal import round_trips
from console.journal.models import FILLS, Execution, LedgerLine, Note, Progress, RoundTrip
from console.journal.round_trips import SHIFTS, PositionStep, Trip

_ZERO, _ONE = Decimal(0), Decimal(1)


def trip_id(connection_id: int, account_id: str, symbol: str, first: str) -> str:
    """The same whenever it is worked out: a hash of what the trip began with."""
    named = "\n".join((str(connection_id), account_id, symbol, first))
    return f"trd_{hashlib.sha256(named.encode()).hexdigest()[:26]}"


# -- matching ------------------------------------------------------------------------------------------------


def match_account(broker: Broker, connection: Connection, account_id: str, lists: int, most: int) -> bool:
    """Work the trips out of symbols with something new; nothing before the first walk is through."""
    mine = {"connection": connection, "account_id": account_id}
    if Progress.objects.filter(**mine, whole_at__isnull=False).count() < lists:
        return False
    new = set(Execution.objects.filter(**mine, matched=False).values_list("symbol", flat=True))
    new |= set(LedgerLine.objects.filter(**mine, matched=False).values_list("symbol", flat=True))
    for symbol in sorted(new)[:most]:
        multiplier = multiplier_of(broker, symbol)
        with transaction.atomic():
            # One at a time: two that match the same symbol would write each other's trips.
            Progress.objects.select_for_update().get(**mine, what=FILLS)
            _match_symbol(connection, account_id, symbol, multiplier)
    return len(new) <= most


def multiplier_of(broker: Broker, symbol: str) -> Decimal:
    """1 for what the broker no longer lists, such as an option that has expired unknown to it."""
    try:
        return broker.instrument(symbol).multiplier
    except Rejected:
        return _ONE


def _match_symbol(connection: Connection, account_id: str, symbol: str, multiplier: Decimal) -> None:
    mine = {"connection": connection, "account_id": account_id, "symbol": symbol}
    firsts = [
        found
        for found in (
            Execution.objects.filter(**mine, matched=False).aggregate(at=Min("at"))["at"],
            LedgerLine.objects.filter(**mine, matched=False).aggregate(at=Min("at"))["at"],
        )
        if found is not None
    ]
    if not firsts:
        return
    anchor = (
        RoundTrip.objects.filter(**mine, fresh_start=True, opened_at__lte=min(firsts)).order_by("-opened_at").first()
    )
    since = anchor.opened_at if anchor else None
    made, realized = round_trips.match(steps(connection.pk, account_id, symbol, since=since), multiplier)
    _write_trips(mine, made, since)
    fills = Execution.objects.filter(**mine) if since is None else Execution.objects.filter(**mine, at__gte=since)
    changed = []
    for fill in fills:
        earned = realized.get(fill.fill_id, _ZERO)
        if not fill.matched or fill.realized != earned:
            fill.matched, fill.realized = True, earned
            changed.append(fill)
    Execution.objects.bulk_update(changed, ["matched", "realized"], batch_size=200)
    LedgerLine.objects.filter(**mine, matched=False).update(matched=True)


def steps(
    connection_id: int, account_id: str, symbol: str, *, since: datetime | None = None, until: datetime | None = None
) -> list[PositionStep]:
    """What moved the position in [since, until], in no order."""
    mine = Q(connection_id=connection_id, account_id=account_id, symbol=symbol)
    if since is not None:
        mine &= Q(at__gte=since)
    if until is not None:
        mine &= Q(at__lte=until)
    fills = (
        PositionStep(
            at=row.at,
            place=row.place,
            ref=row.fill_id,
            kind="fill",
            quantity=row.quantity if row.side == Side.BUY else -row.quantity,
            price=row.price,
            fee=row.fee,
        )
        for row in Execution.objects.filter(mine)
    )
    shifts = (
        PositionStep(
            at=row.at,
            place=row.place,
            ref=f"ledger {row.entry_id}",
            kind=row.kind,
            quantity=row.quantity,
            price=row.price or _ZERO,
        )
        for row in LedgerLine.objects.filter(mine, kind__in=SHIFTS, quantity__isnull=False)
    )
    return list(chain(fills, shifts))


def _write_trips(mine: dict[str, object], made: Sequence[Trip], since: datetime | None) -> None:
    connection, account_id, symbol = mine["connection"], str(mine["account_id"]), str(mine["symbol"])
    assert isinstance(connection, Connection)
    rows = RoundTrip.objects.filter(**mine) if since is None else RoundTrip.objects.filter(**mine, opened_at__gte=since)
    before = {row.public_id: row for row in rows}
    currency = Execution.objects.filter(**mine).order_by("-at").values_list("currency", flat=True).first()
    currency = currency or LedgerLine.objects.filter(**mine).order_by("-at").values_list("currency", flat=True).first()
    now: dict[str, Trip] = {}
    for trip in made:
        public_id = trip_id(connection.pk, account_id, symbol, trip.first)
        now[public_id] = trip
        realized = round_trips.rounded(trip.realized)
        values: dict[str, object] = {
            "currency": currency or "",
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
        row = before.pop(public_id, None)
        if row is None:
            RoundTrip.objects.create(**mine, public_id=public_id, **values)
        elif any(getattr(row, name) != value for name, value in values.items()):
            RoundTrip.objects.filter(pk=row.pk).update(**values, best=None, worst=None, measured_by="")
    for gone in before.values():
        # A fill that came late may begin a trip earlier: what was noted on it stays with it.
        heir = next((each for each, trip in now.items() if _covers(trip, gone.opened_at)), None)
        if heir is not None:
            Note.objects.filter(connection=connection, about=gone.public_id).update(about=heir)
        gone.delete()


def _covers(trip: Trip, at: datetime) -> bool:
    return trip.opened_at <= at and (trip.closed_at is None or at <= trip.closed_at)
