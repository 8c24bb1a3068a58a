"""What tools and pages read of the journal: stored rows alone, never a broker."""

import heapq
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import Q, QuerySet

from console import keyset
from console.accounts.models import User
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.journal.models import Execution, Note, ProfitRollup, Progress, RoundTrip
from console.orders.models import Order

MOST_SUMMED = 5_000


def own_trips(user: User) -> QuerySet[RoundTrip]:
    """Of the connections the person has open."""
    mine = RoundTrip.objects.filter(connection__owner=user, connection__closed_at=None)
    return mine.select_related("connection")


def newest_first(
    found: QuerySet[RoundTrip], connections: Iterable[int], limit: int, after: str = ""
) -> tuple[list[RoundTrip], str]:
    """Those of ``connections`` by when they were opened, and the id to go on after; "" at the end.

    Each connection is asked by itself: its index has them in this order. Raises Refusal for an unknown id.
    """
    if after:
        last = found.filter(public_id=after).first()
        if last is None:
            raise Refusal(
                Code.INVALID_ARGUMENT,
                "This page of the list no longer exists. Start again from the first page.",
                field="cursor",
            )
        found = found.filter(opened_at__lte=last.opened_at)
        found = found.filter(Q(opened_at__lt=last.opened_at) | Q(pk__lt=last.pk))
    rows: list[RoundTrip] = []
    for pk in connections:
        rows += found.filter(connection_id=pk).order_by("-opened_at", "-pk")[: limit + 1]
    rows.sort(key=_opened, reverse=True)
    return rows[:limit], rows[limit - 1].public_id if len(rows) > limit else ""


def _opened(trip: RoundTrip) -> tuple[datetime, int]:
    return trip.opened_at, trip.pk


def every(found: QuerySet[RoundTrip], connections: Iterable[int]) -> Iterator[RoundTrip]:
    """In the order of ``newest_first``, a piece at a time: each connection's are in that order by an index."""
    each = (keyset.walk(found.filter(connection_id=pk), "opened_at", newest_first=True) for pk in connections)
    return heapq.merge(*each, key=_opened, reverse=True)


def of_symbol(found: QuerySet[RoundTrip], connections: Iterable[int], typed: str) -> QuerySet[RoundTrip]:
    """Those of one symbol in any spelling of its case, as it was traded."""
    ids = list(connections)
    accounts = Progress.objects.filter(connection_id__in=ids).values_list("account_id", flat=True)
    traded = ProfitRollup.objects.filter(
        connection_id__in=ids, account_id__in=set(accounts), grain="year", symbol__iexact=typed
    )
    names = set(traded.values_list("symbol", flat=True)) or {typed.upper()}
    return found.filter(symbol=names.pop()) if len(names) == 1 else found.filter(symbol__in=names)


def opened_within(found: QuerySet[RoundTrip], start: datetime | None, end: datetime | None) -> QuerySet[RoundTrip]:
    """Opened in [start, end)."""
    if start is not None:
        found = found.filter(opened_at__gte=start)
    return found if end is None else found.filter(opened_at__lt=end)


def notes_on(connections: Collection[int], about: Iterable[str]) -> dict[str, list[Note]]:
    """By what they are about, oldest first."""
    found: dict[str, list[Note]] = {}
    for note in Note.objects.filter(connection_id__in=connections, about__in=list(about)):
        found.setdefault(note.about, []).append(note)
    return found


def executions_of(trip: RoundTrip) -> QuerySet[Execution]:
    """The fills from its first to its last moment, oldest first; one through zero belongs to two trips."""
    found = Execution.objects.filter(
        connection_id=trip.connection_id, account_id=trip.account_id, symbol=trip.symbol, at__gte=trip.opened_at
    )
    if trip.closed_at is not None:
        found = found.filter(at__lte=trip.closed_at)
    return found.order_by("at", "place")


def order_ids(connection_id: int, wire_ids: Iterable[str]) -> dict[str, str]:
    """Our public order id by the id the broker knows; an order made elsewhere has none."""
    orders = Order.objects.filter(connection_id=connection_id, wire_id__in=set(wire_ids))
    return dict(orders.values_list("wire_id", "public_id"))


@dataclass(frozen=True, slots=True)
class Total:
    """Of closed round trips in one currency."""

    currency: str
    trips: int
    won: int
    net: Decimal


def all_totals(connections: Collection[int], symbol: str = "") -> list[Total]:
    """By currency, of every closed round trip, or of those of one symbol in any spelling of its case."""
    accounts = Progress.objects.filter(connection_id__in=connections).values_list("account_id", flat=True)
    rows = ProfitRollup.objects.filter(
        connection_id__in=connections, account_id__in=set(accounts), grain="year", symbol__iexact=symbol, trips__gt=0
    )
    found: dict[str, Total] = {}
    for currency, trips, won, net in rows.values_list("currency", "trips", "won", "trips_net"):
        so_far = found.get(currency, Total(currency, 0, 0, Decimal(0)))
        found[currency] = Total(currency, so_far.trips + trips, so_far.won + won, so_far.net + net)
    return [found[currency] for currency in sorted(found)]


def totals(found: QuerySet[RoundTrip]) -> list[Total] | None:
    """By currency; None where there are more than 5,000 to add up."""
    rows = list(
        found.filter(closed_at__isnull=False).values_list("currency", "realized", "fees", "won")[: MOST_SUMMED + 1]
    )
    if len(rows) > MOST_SUMMED:
        return None
    return [
        _total(currency, [row for row in rows if row[0] == currency]) for currency in sorted({row[0] for row in rows})
    ]


def _total(currency: str, rows: Sequence[tuple[str, Decimal, Decimal, bool | None]]) -> Total:
    net = sum((realized - fees for _, realized, fees, _ in rows), Decimal(0))
    return Total(currency, len(rows), sum(bool(won) for *_, won in rows), net)


def target(connection: Connection | int, about: str) -> RoundTrip | Order | None:
    """The round trip or the order of the connection with that public id."""
    key = connection if isinstance(connection, int) else connection.pk
    trip = RoundTrip.objects.filter(connection_id=key, public_id=about).first()
    return trip or Order.objects.filter(connection_id=key, public_id=about).first()
