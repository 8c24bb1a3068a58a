"""Keeping the journal: copy what the broker says, work the round trips out, measure them. A bit at a time.

Every call does a bounded amount and the next goes on where it stopped; what is copied twice is kept once. No broker
is called inside a transaction.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Min, Model
from django.utils import timezone

from brokers import registry
from brokers.base import Broker
from brokers.errors import BrokerError, InvalidRequest
from brokers.types import Ability, Fill, Transaction
from console.accounts.models import User
from console.audit import log as audit_log
from console.connections import broker_access
from console.connections.models import Connection
from console.journal import excursions, matching, profit_rollups
from console.journal.matching import MatchBounds
from console.journal.models import FILLS, LEDGER, Execution, LedgerLine, ProfitRollup, Progress, RoundTrip
from console.journal.profit_rollups import Differences
from console.journal.round_trips import SHIFTS, rounded

log = logging.getLogger(__name__)

OVERLAP = timedelta(hours=1)
LOOK_BACK = timedelta(days=7)
_PAGE = 500
_USUAL_CALLS = 240
"""A minute, of a broker whose adapter counts by itself."""
_WALK = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncBudget:
    """The most that one call does."""

    pages: int
    """Of 500 rows, for each list of each account."""
    symbols: int
    measured: int
    """Round trips, each of which takes a call for bars or two."""
    seconds: float = 10
    """No further page or block is begun after them."""


PER_CALL = SyncBudget(pages=2, symbols=20, measured=3)
PER_TURN = SyncBudget(pages=1_000, symbols=2_000, measured=20)


def sync_connection(connection: Connection, bounds: SyncBudget = PER_CALL, *, only: str = "") -> bool:
    """Bring the journal forward, of every account or ``only`` one; False when there is more to do.

    Raises BrokerError.
    """
    if not _lists(connection):
        return True
    # Before the broker is asked: one that does not answer must not stay the first of all.
    Progress.objects.filter(connection=connection).update(looked_at=timezone.now())
    broker = broker_access.broker_of(connection)
    done = True
    for account in broker.accounts():
        if only in ("", account.account_id):
            done &= sync_account(broker, connection, account.account_id, bounds)
    return done


def sync_account(broker: Broker, connection: Connection, account_id: str, bounds: SyncBudget) -> bool:
    """The same of one account, by its broker. Raises BrokerError."""
    lists = _lists(connection)
    if not lists:
        return True
    until = time.monotonic() + bounds.seconds
    pages = _affordable(connection.broker, bounds.pages)
    done = True
    for what in lists:
        done &= _copy(broker, connection, account_id, what, pages, until)
    asked = MatchBounds(bounds.symbols, until)
    done &= matching.match_account(broker, connection, account_id, len(lists), asked)
    if bounds.measured and Ability.BARS in broker.capabilities.abilities:
        done &= excursions.measure_account(broker, connection, account_id, bounds.measured)
    return done


def _lists(connection: Connection) -> list[str]:
    """What its broker has to copy; nothing where it tells no fills."""
    known = broker_access.capabilities(connection.broker)
    if known is None or Ability.FILLS not in known.abilities:
        return []
    return [FILLS, LEDGER] if Ability.TRANSACTIONS in known.abilities else [FILLS]


def sync_all(seconds: float = 20) -> int:
    """As many connections as fit into the time, those first that have waited longest; returns how many."""
    until = time.monotonic() + seconds
    open_ones = Connection.objects.filter(closed_at=None).annotate(looked=Min("journal_progress__looked_at"))
    count = 0
    for connection in open_ones.order_by(F("looked").asc(nulls_first=True), "pk"):
        if time.monotonic() >= until:
            break
        count += 1
        try:
            sync_connection(connection, PER_TURN)
        except BrokerError as error:
            log.warning("The journal of connection %s waits for its broker: %s", connection.pk, error)
        except Exception:  # one broken connection must not keep the others from being copied
            log.exception("Keeping the journal of connection %s failed", connection.pk)
    return count


def is_complete(connection_id: int, account_id: str, *, since: datetime | None = None) -> bool:
    """Whether every fill has been copied and matched, as of the last call, or of ``since``."""
    if not is_whole(connection_id, account_id, since=since):
        return False
    mine = {"connection_id": connection_id, "account_id": account_id, "matched": False}
    return not (Execution.objects.filter(**mine).exists() or LedgerLine.objects.filter(**mine).exists())


def is_whole(connection_id: int, account_id: str, *, since: datetime | None = None) -> bool:
    """Whether every fill has been copied, as of the last call, or of ``since``."""
    whole = dict(
        Progress.objects.filter(connection_id=connection_id, account_id=account_id).values_list("what", "whole_at")
    )
    return FILLS in whole and all(at is not None and (since is None or at >= since) for at in whole.values())


@transaction.atomic
def rebuild(connection: Connection, *, by: User) -> None:
    """Forget everything but the notes, and begin at the first fill again: the same trips get the same ids."""
    Connection.objects.select_for_update().get(pk=connection.pk)
    trips = RoundTrip.objects.filter(connection=connection).count()
    # The progress first: it waits for whoever writes the others, whose rows would outlive it otherwise.
    for kind in (Progress, RoundTrip, Execution, LedgerLine, ProfitRollup):
        kind._default_manager.filter(connection=connection).delete()
    audit_log.record_change(
        by,
        "journal rebuilt",
        "connection",
        connection.pk,
        connection.name,
        before={"round_trips": trips},
        after={"round_trips": 0},
    )


# -- copying -------------------------------------------------------------------------------------------------


def _affordable(broker: str, pages: int) -> int:
    """No more than leaves most of the key's calls of a minute to others."""
    if not registry.is_remote(broker):
        return pages
    return min(pages, registry.CALLS_PER_MINUTE.get(broker, _USUAL_CALLS) // 8)


def _copy(broker: Broker, connection: Connection, account_id: str, what: str, pages: int, until: float) -> bool:
    """Walk on; True once nothing older is missing."""
    mine, _ = Progress.objects.get_or_create(connection=connection, account_id=account_id, what=what)
    for turn in range(pages):
        if turn and time.monotonic() > until:
            break
        before = {"walk": mine.walk, "copied": mine.copied, "after": mine.after}
        if mine.began_at is None:
            mine.began_at, mine.after, mine.copied, mine.walk = timezone.now(), "", 0, mine.walk + 1
            mine.floor = floor(mine.whole_at, mine.began_at)
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


def floor(whole_at: datetime | None, now: datetime) -> datetime | None:
    """How far down a walk goes. The first of a UTC day finds what was told late, or told otherwise since."""
    if whole_at is None:
        return None
    return whole_at - (OVERLAP if whole_at.date() == now.date() else LOOK_BACK)


def _page(broker: Broker, account_id: str, mine: Progress) -> Sequence[Fill | Transaction]:
    if mine.what == FILLS:
        return broker.fills(account_id, start=mine.floor, limit=_PAGE, after=mine.after)
    return broker.transactions(account_id, start=mine.floor, end=None, limit=_PAGE, after=mine.after)


def _id(row: Fill | Transaction) -> str:
    return row.fill_id if isinstance(row, Fill) else row.transaction_id


def _store(
    connection: Connection, mine: Progress, rows: Sequence[Fill | Transaction], places: Mapping[str, int]
) -> None:
    if mine.what == FILLS:
        told = {row.fill_id: _execution(connection, mine, row, places) for row in rows if isinstance(row, Fill)}
        kept = Execution.objects.filter(connection=connection, account_id=mine.account_id, fill_id__in=told)
        differences = Differences()
        for fill in kept:
            if _corrected(fill, now := told.pop(fill.fill_id), _OF_FILL):
                log.info("%s reported execution %s with other values than before.", connection.broker, fill.fill_id)
                if fill.matched:
                    differences.fill(fill, -1)
                _take_over(fill, now, _OF_FILL)
        profit_rollups.apply(connection.pk, mine.account_id, differences)
        Execution.objects.bulk_create(told.values(), ignore_conflicts=True)
    else:
        lines = {row.transaction_id: _line(connection, mine, row, places) for row in rows if not isinstance(row, Fill)}
        known = LedgerLine.objects.filter(connection=connection, account_id=mine.account_id, entry_id__in=lines)
        for line in known:
            if _corrected(line, later := lines.pop(line.entry_id), _OF_LINE):
                _take_over(line, later, _OF_LINE)
        LedgerLine.objects.bulk_create(lines.values(), ignore_conflicts=True)


_OF_FILL = ("side", "quantity", "price", "fee", "currency")
_OF_LINE = ("amount", "quantity", "price", "currency")
"""What a broker may tell otherwise later, such as a commission that was not known at first."""


# Rows are made of what a column keeps, or one of more digits would be taken for corrected each time.
def _corrected(kept: Model, told: Model, names: Sequence[str]) -> bool:
    return any(getattr(kept, name) != getattr(told, name) for name in names)


def _take_over(kept: Execution | LedgerLine, told: Execution | LedgerLine, names: Sequence[str]) -> None:
    """What is told now, to be matched again from there."""
    for name in (*names, "matched"):
        setattr(kept, name, getattr(told, name))
    kept.save(update_fields=[*names, "matched"])


def _execution(connection: Connection, mine: Progress, row: Fill, places: Mapping[str, int]) -> Execution:
    return Execution(
        connection=connection,
        account_id=mine.account_id,
        fill_id=row.fill_id,
        at=row.filled_at,
        place=places[row.fill_id],
        symbol=row.symbol,
        currency=row.currency,
        wire_id=row.client_order_id[:64],
        side=row.side.value,
        quantity=rounded(row.quantity),
        price=rounded(row.price),
        fee=rounded(row.fee),
        source=row.source[:100],
        model=row.model[:24],
    )


def _line(connection: Connection, mine: Progress, row: Transaction, places: Mapping[str, int]) -> LedgerLine:
    return LedgerLine(
        connection=connection,
        account_id=mine.account_id,
        entry_id=row.transaction_id,
        at=row.at,
        place=places[row.transaction_id],
        symbol=row.symbol,
        currency=row.currency,
        wire_id=row.client_order_id[:64],
        kind=row.kind[:20],
        amount=rounded(row.amount),
        quantity=None if row.quantity is None else rounded(row.quantity),
        price=None if row.price is None else rounded(row.price),
        matched=not (row.kind in SHIFTS and row.symbol and row.quantity),
    )
