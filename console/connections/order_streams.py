"""What is known of brokers' streams of order updates: which are up, and since when. Who holds them writes it here."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet
from django.utils import timezone

from brokers import registry
from console.connections.models import Connection, OrderStreamStatus

LOST_AFTER = timedelta(seconds=30)
"""Without a word of its worker a stream counts as down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamState:
    """As a page shows it."""

    is_up: bool
    since: datetime | None
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class StreamCounts:
    up: int
    down: int


def brokers() -> list[str]:
    """Names of the brokers that have such a stream."""
    known = {name: registry.capabilities(name) for name in registry.NAMES}
    return [name for name, can in known.items() if can is not None and can.order_stream]


def record(connection_id: int, *, is_up: bool, trouble: str = "") -> None:
    """Raises django.db.Error."""
    now = timezone.now()
    told = {"is_up": is_up, "seen_at": now, "trouble": trouble[:300]}
    row, made = OrderStreamStatus.objects.get_or_create(connection_id=connection_id, defaults={**told, "since": now})
    if not made:
        since = {} if row.is_up is is_up else {"since": now}
        OrderStreamStatus.objects.filter(connection_id=connection_id).update(**told, **since)


def renew(connection_ids: Collection[int]) -> int:
    """Their worker is still there. How many of them are on record. Raises django.db.Error."""
    return OrderStreamStatus.objects.filter(connection_id__in=connection_ids).update(seen_at=timezone.now())


def forget(connection_ids: Collection[int]) -> None:
    """Nobody listens to them any more, and nobody has to. Raises django.db.Error."""
    OrderStreamStatus.objects.filter(connection_id__in=connection_ids).delete()


def up(now: datetime | None = None) -> QuerySet[OrderStreamStatus]:
    return OrderStreamStatus.objects.filter(_is_up(now or timezone.now()))


def _is_up(now: datetime) -> Q:
    # What is further ahead was written before the clock was set back.
    return Q(is_up=True, seen_at__gte=now - LOST_AFTER, seen_at__lte=now + LOST_AFTER)


def counts() -> StreamCounts:
    """Of those that somebody listens to, or should."""
    of_linked = OrderStreamStatus.objects.filter(connection__closed_at=None)
    running = up().filter(connection__closed_at=None).count()
    return StreamCounts(running, of_linked.count() - running)


def state_of(connection: Connection) -> StreamState | None:
    """None where nobody listens: no order rests there, or its broker has no such stream."""
    row = OrderStreamStatus.objects.filter(connection=connection).first()
    if row is None:
        return None
    now = timezone.now()
    if row.is_up and not now - LOST_AFTER <= row.seen_at <= now + LOST_AFTER:
        return StreamState(is_up=False, since=row.seen_at, trouble="The worker that listened has stopped.")
    return StreamState(is_up=row.is_up, since=row.since, trouble=row.trouble)
