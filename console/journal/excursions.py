"""How far closed round trips went for and against their owner."""

from datetime import datetime, timedelta
from decimal import Decimal

from brokers.base import Broker
from brokers.errors import Rejected
from brokers.types import Bar, BarSize
from console.connections.models import Connection
from console.journal import matching, round_trips
from console.journal.models import FILLS, RoundTrip
from console.journal.round_trips import Trip

MOST_BARS = 5_000


# -- measuring -----------------------------------------------------------------------------------------------


def measure_account(broker: Broker, connection: Connection, account_id: str, most: int) -> bool:
    """How far closed trips went for and against their owner; the newest first."""
    waiting = RoundTrip.objects.filter(
        connection=connection, account_id=account_id, closed_at__isnull=False, best__isnull=True
    ).order_by("-closed_at")
    found = list(waiting[: most + 1])
    for row in found[:most]:
        trip = replayed(row, multiplier := matching.multiplier_of(broker, row.symbol))
        if trip is None or trip.closed_at is None:
            continue  # somebody is matching it anew
        size, bars = _bars(broker, row.symbol, trip.opened_at, trip.closed_at)
        best, worst = round_trips.extremes(trip, bars, multiplier)
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
    made, _ = round_trips.match(
        matching.steps(row.connection_id, row.account_id, row.symbol, since=since, until=row.closed_at), multiplier
    )
    for trip in made:
        if matching.trip_id(row.connection_id, row.account_id, row.symbol, trip.first) == row.public_id:
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
