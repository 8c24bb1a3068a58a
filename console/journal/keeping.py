"""Keeping the journal: copy what the broker says, work the round trips out, measure them. A bit at a time.

Every call does a bounded amount and the next goes on where it stopped; what is copied twice is kept once. No broker
is called inside a transaction.
"""

import hashlib
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import chain

from django.db import transaction
from django.db.models import F, Min, Q
from django.utils import timezone

from brokers.base import Broker
from brokers.errors import BrokerError, InvalidRequest, Rejected
from brokers.types import Ability, Bar, BarSize, Fill, Side, Transaction
from console.accounts.models import User
from console.audit import log as audit_log
from console.connections import broker_access
from console.connections.models import Connection
from console.journal import trips
from console.journal.models import FILLS, LEDGER, Execution, LedgerLine, Note, Progress, RoundTrip
from console.journal.trips import SHIFTS, Step, Trip

log = logging.getLogger(__name__)

OVERLAP = timedelta(hours=1)
"""How much of the last walk is read again: a broker may tell of a fill a while after it happened."""
MOST_BARS = 5_000
_PAGE = 500
_WALK = 10**9
_ZERO, _ONE = Decimal(0), Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The most that one call does."""

    pages: int
    """Of 500 rows, for each list of each account."""
    symbols: int
    measured: int
    """Round trips, each of which takes a call for bars or two."""


A_CALL = Bounds(pages=2, symbols=20, measured=3)
A_TURN = Bounds(pages=10, symbols=200, measured=20)


def keep(connection: Connection, bounds: Bounds = A_CALL, *, only: str = "") -> bool:
    """Bring the journal forward, of every account or ``only`` one; False when there is more to do.

    Raises BrokerError.
    """
    known = broker_access.capabilities(connection.broker)
    if known is None or Ability.FILLS not in known.abilities:
        return True
    Progress.objects.filter(connection=connection).update(looked_at=timezone.now())
    broker = broker_access.broker_of(connection)
    lists = [FILLS, LEDGER] if Ability.TRANSACTIONS in known.abilities else [FILLS]
    done = True
    for account in broker.accounts():
        if only and account.account_id != only:
            continue
        for what in lists:
            done &= _copy(broker, connection, account.account_id, what, bounds.pages)
        done &= _match(broker, connection, account.account_id, len(lists), bounds.symbols)
        if Ability.BARS in known.abilities:
            done &= _measure(broker, connection, account.account_id, bounds.measured)
    return done


def keep_all(seconds: float = 20) -> int:
    """As many connections as fit into the time, those first that have waited longest; returns how many."""
    until = time.monotonic() + seconds
    open_ones = Connection.objects.filter(closed_at=None).annotate(looked=Min("journal_progress__looked_at"))
    count = 0
    for connection in open_ones.order_by(F("looked").asc(nulls_first=True), "pk"):
        if time.monotonic() >= until:
            break
        count += 1
        try:
            keep(connection, A_TURN)
        except BrokerError as error:
            log.warning("The journal of connection %s waits for its broker: %s", connection.pk, error)
        except Exception:  # one broken connection must not keep the others from being copied
            log.exception("Keeping the journal of connection %s failed", connection.pk)
    return count


def is_whole(connection_id: int, account_id: str) -> bool:
    """Whether every fill has been copied and matched, as of the last call."""
    lists = Progress.objects.filter(connection_id=connection_id, account_id=account_id)
    if not lists.filter(what=FILLS, whole_at__isnull=False).exists() or lists.filter(whole_at=None).exists():
        return False
    mine = {"connection_id": connection_id, "account_id": account_id, "matched": False}
    return not (Execution.objects.filter(**mine).exists() or LedgerLine.objects.filter(**mine).exists())


@transaction.atomic
def rebuild(connection: Connection, *, by: User) -> None:
    """Forget everything but the notes, and begin at the first fill again: the same trips get the same ids."""
    Connection.objects.select_for_update().get(pk=connection.pk)
    for kind in (RoundTrip, Execution, LedgerLine, Progress):
        kind._default_manager.filter(connection=connection).delete()
    audit_log.record_change(by, "journal rebuilt", "connection", connection.pk, connection.name)


def trip_id(connection_id: int, account_id: str, symbol: str, first: str) -> str:
    """The same whenever it is worked out: a hash of what the trip began with."""
    named = "\n".join((str(connection_id), account_id, symbol, first))
    return f"trd_{hashlib.sha256(named.encode()).hexdigest()[:26]}"


# -- copying -------------------------------------------------------------------------------------------------


def _copy(broker: Broker, connection: Connection, account_id: str, what: str, pages: int) -> bool:
    """Walk on; True once nothing older is missing."""
    mine, _ = Progress.objects.get_or_create(connection=connection, account_id=account_id, what=what)
    for _ in range(pages):
        before = {"walk": mine.walk, "copied": mine.copied, "after": mine.after}
        if mine.began_at is None:
            mine.began_at, mine.after, mine.copied, mine.walk = timezone.now(), "", 0, mine.walk + 1
            mine.floor = mine.whole_at - OVERLAP if mine.whole_at else None
        try:
            rows = _page(broker, account_id, mine)
        except InvalidRequest:
            if not mine.after:
                raise
            # The broker no longer knows the place: from the top again.
            Progress.objects.filter(pk=mine.pk, **before).update(began_at=None)
            return False
        places = {_id(row): mine.walk * _WALK - mine.copied - number for number, row in enumerate(rows)}
        mine.copied += len(rows)
        if rows:
            mine.after = _id(rows[-1])
        if len(rows) < _PAGE:
            mine.whole_at, mine.began_at = mine.began_at, None
        with transaction.atomic():
            if not Progress.objects.filter(pk=mine.pk, **before).update(
                walk=mine.walk,
                began_at=mine.began_at,
                floor=mine.floor,
                after=mine.after,
                copied=mine.copied,
                whole_at=mine.whole_at,
            ):
                return False  # somebody else walks here, or it was forgotten
            _store(connection, mine, rows, places)
        if mine.began_at is None:
            break
    return mine.whole_at is not None


def _page(broker: Broker, account_id: str, mine: Progress) -> Sequence[Fill | Transaction]:
    if mine.what == FILLS:
        return broker.fills(account_id, start=mine.floor, limit=_PAGE, after=mine.after)
    return broker.transactions(account_id, start=mine.floor, end=None, limit=_PAGE, after=mine.after)


def _id(row: Fill | Transaction) -> str:
    return row.fill_id if isinstance(row, Fill) else row.transaction_id


def _store(
    connection: Connection, mine: Progress, rows: Sequence[Fill | Transaction], places: Mapping[str, int]
) -> None:
    common = {"connection": connection, "account_id": mine.account_id}
    kept: Iterable[str]
    if mine.what == FILLS:
        kept = Execution.objects.filter(**common, fill_id__in=places).values_list("fill_id", flat=True)
    else:
        kept = LedgerLine.objects.filter(**common, entry_id__in=places).values_list("entry_id", flat=True)
    known = set(kept)
    new = [row for row in rows if _id(row) not in known]
    Execution.objects.bulk_create(
        [
            Execution(
                **common,
                fill_id=row.fill_id,
                at=row.filled_at,
                place=places[row.fill_id],
                symbol=row.symbol,
                currency=row.currency,
                wire_id=row.client_order_id[:64],
                side=row.side.value,
                quantity=row.quantity,
                price=row.price,
                fee=row.fee,
                source=row.source[:100],
                model=row.model[:24],
            )
            for row in new
            if isinstance(row, Fill)
        ],
        ignore_conflicts=True,
    )
    LedgerLine.objects.bulk_create(
        [
            LedgerLine(
                **common,
                entry_id=row.transaction_id,
                at=row.at,
                place=places[row.transaction_id],
                symbol=row.symbol,
                currency=row.currency,
                wire_id=row.client_order_id[:64],
                kind=row.kind[:20],
                amount=row.amount,
                quantity=row.quantity,
                price=row.price,
                matched=not (row.kind in SHIFTS and row.symbol and row.quantity),
            )
            for row in new
            if isinstance(row, Transaction)
        ],
        ignore_conflicts=True,
    )


# -- matching ------------------------------------------------------------------------------------------------


def _match(broker: Broker, connection: Connection, account_id: str, lists: int, most: int) -> bool:
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
    made, realized = trips.match(steps(connection.pk, account_id, symbol, since=since), multiplier)
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
) -> list[Step]:
    """What moved the position in [since, until], in no order."""
    mine = Q(connection_id=connection_id, account_id=account_id, symbol=symbol)
    if since is not None:
        mine &= Q(at__gte=since)
    if until is not None:
        mine &= Q(at__lte=until)
    fills = (
        Step(
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
        Step(
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
        realized = trips.rounded(trip.realized)
        values: dict[str, object] = {
            "currency": currency or "",
            "side": "long" if trip.is_long else "short",
            "opened_at": trip.opened_at,
            "closed_at": trip.closed_at,
            "fresh_start": trip.fresh_start,
            "quantity": trips.rounded(trip.entered),
            "held": trips.rounded(abs(trip.held)),
            "entry_price": trip.entry_price,
            "exit_price": trip.exit_price,
            "realized": realized,
            "fees": trips.rounded(trip.fees),
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


# -- measuring -----------------------------------------------------------------------------------------------


def _measure(broker: Broker, connection: Connection, account_id: str, most: int) -> bool:
    """How far closed trips went for and against their owner; the newest first."""
    waiting = RoundTrip.objects.filter(
        connection=connection, account_id=account_id, closed_at__isnull=False, measured_by=""
    ).order_by("-closed_at")
    found = list(waiting[: most + 1])
    for row in found[:most]:
        trip = replayed(row, multiplier := multiplier_of(broker, row.symbol))
        if trip is None or trip.closed_at is None:
            continue  # somebody is matching it anew
        size, bars = _bars(broker, row.symbol, trip.opened_at, trip.closed_at)
        best, worst = trips.extremes(trip, bars, multiplier)
        # Only if it is still the trip that was measured.
        RoundTrip.objects.filter(pk=row.pk, closed_at=row.closed_at, fills=row.fills).update(
            best=best, worst=worst, measured_by=size
        )
    return len(found) <= most


def replayed(row: RoundTrip, multiplier: Decimal) -> Trip | None:
    """The trip step by step again, as it went."""
    anchor = (
        RoundTrip.objects.filter(
            connection_id=row.connection_id,
            account_id=row.account_id,
            symbol=row.symbol,
            fresh_start=True,
            opened_at__lte=row.opened_at,
        )
        .order_by("-opened_at")
        .first()
    )
    since = anchor.opened_at if anchor else None
    made, _ = trips.match(
        steps(row.connection_id, row.account_id, row.symbol, since=since, until=row.closed_at), multiplier
    )
    for trip in made:
        if trip_id(row.connection_id, row.account_id, row.symbol, trip.first) == row.public_id:
            return trip
    return None


def _bars(broker: Broker, symbol: str, start: datetime, end: datetime) -> tuple[str, list[tuple[datetime, Bar]]]:
    """With the smallest bars the broker has of that time, of which at most 5,000 are needed."""
    for size in BarSize:
        length = timedelta(seconds=size.seconds)
        if end - start < length or (end - start) / length > MOST_BARS:
            continue
        try:
            found = broker.bars(symbol, size, start=start, end=end, limit=MOST_BARS)
        except Rejected:
            continue
        if found:
            return size.value, [(bar.start + length, bar) for bar in found]
    return FILLS, []
