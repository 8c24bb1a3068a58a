"""How fast brokers answer, from the checks of everybody's connections, which run anyway."""

import math
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.dispatch import receiver
from django.utils import timezone

from brokers.errors import BrokerError
from console.connections import health
from console.connections.models import Connection
from console.operator.models import BrokerChecks

_STEP = 1.1
"""Each bucket reaches a tenth further than the one before, so a figure is at most that much too large."""
_FROM = 0.001
_KEPT = timedelta(days=7)
SHOWN = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSpeed:
    broker: str
    answers: int
    failures: int
    p50: float | None
    """Seconds."""
    p95: float | None
    last_error: str


@receiver(health.checked)
def record(connection: Connection, seconds: float, error: BrokerError | None, **sent: object) -> None:
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    with transaction.atomic():
        row, is_new = BrokerChecks.objects.select_for_update().get_or_create(broker=connection.broker, hour=hour)
        if error is None:
            bucket = str(_bucket(seconds))
            row.times[bucket] = row.times.get(bucket, 0) + 1
        else:
            row.failures += 1
            row.last_error = type(error).__name__[:60]
        row.save()
        if is_new:
            BrokerChecks.objects.filter(hour__lt=hour - _KEPT).delete()


def speeds(now: datetime) -> list[BrokerSpeed]:
    """Of each broker that was asked in the last 24 hours, by name."""
    rows = list(BrokerChecks.objects.filter(hour__gte=now - SHOWN).order_by("broker", "hour"))
    return [
        _speed(broker, [row for row in rows if row.broker == broker]) for broker in sorted({r.broker for r in rows})
    ]


def _speed(broker: str, rows: list[BrokerChecks]) -> BrokerSpeed:
    times: Counter[int] = Counter()
    for row in rows:
        times.update({int(bucket): count for bucket, count in row.times.items()})
    return BrokerSpeed(
        broker=broker,
        answers=times.total(),
        failures=sum(row.failures for row in rows),
        p50=_percentile(times, 0.5),
        p95=_percentile(times, 0.95),
        last_error=next((row.last_error for row in reversed(rows) if row.last_error), ""),
    )


def _bucket(seconds: float) -> int:
    return max(0, math.ceil(math.log(max(seconds, _FROM) / _FROM, _STEP)))


def _percentile(times: Counter[int], share: float) -> float | None:
    wanted, seen = share * times.total(), 0
    for bucket in sorted(times):
        seen += times[bucket]
        if seen >= wanted:
            return float(_FROM * _STEP**bucket)
    return None
