"""Calls and errors by the hour, of one app or of one key: what the audit log has, bounded to a day."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from django.db.models import Count, Q, QuerySet
from django.db.models.functions import TruncHour

from console.audit.models import Call, CallOutcome
from console.charts import figures
from console.charts.figures import BarChart, Spark

HOURS = 24
_KEYS = (("plain", "Answered"), ("loss", "Refused or failed"))


def of_app(app_id: int, now: datetime) -> BarChart | None:
    return _chart(Call.objects.filter(app_id=app_id), now)


def of_credential(credential_id: str, now: datetime) -> BarChart | None:
    return _chart(Call.objects.filter(credential_id=credential_id), now)


def sparks_of_apps(app_ids: Sequence[int], now: datetime) -> dict[int, Spark]:
    """A small bar for each hour, of each app that called, in one query for a whole list."""
    first = _first_hour(now)
    rows = _since(Call.objects.filter(app_id__in=app_ids), first)
    by_hour = rows.annotate(hour=TruncHour("at", tzinfo=UTC)).values_list("app_id", "hour").annotate(calls=Count("id"))
    counts: dict[int, list[int]] = {}
    for app_id, hour, calls in by_hour.order_by():
        if app_id is not None:
            counts.setdefault(app_id, [0] * HOURS)[_place(hour, first)] = calls
    return {
        app_id: figures.spark_bars(each, label=f"{sum(each):,} calls in 24 hours", look="plain")
        for app_id, each in counts.items()
    }


def _chart(calls: QuerySet[Call], now: datetime) -> BarChart | None:
    """None where there was no call."""
    first = _first_hour(now)
    rows = _since(calls, first).annotate(hour=TruncHour("at", tzinfo=UTC)).values_list("hour")
    told = rows.annotate(ok=Count("id", filter=Q(outcome=CallOutcome.OK)), calls=Count("id")).order_by()
    counts = [(0, 0)] * HOURS
    for hour, ok, all_of_them in told:
        counts[_place(hour, first)] = (ok, all_of_them - ok)
    if not any(sum(each) for each in counts):
        return None
    named = [(f"{first + timedelta(hours=index):%H}:00", each) for index, each in enumerate(counts)]
    return figures.stacked(named, label="Calls by the hour, UTC", name="Hour", keys=_KEYS)


def _first_hour(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS - 1)


def _place(hour: datetime, first: datetime) -> int:
    return min(int((hour - first) / timedelta(hours=1)), HOURS - 1)


def _since(calls: QuerySet[Call], moment: datetime) -> QuerySet[Call]:
    """By id, which the indexes of app and key have after it: the time alone would read every call of all."""
    oldest = Call.objects.filter(at__gte=moment).order_by("at").values_list("id", flat=True).first()
    return calls.none() if oldest is None else calls.filter(id__gte=oldest, at__gte=moment)
