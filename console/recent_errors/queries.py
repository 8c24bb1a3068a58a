"""Which groups a person may see, how they went, and how much an app or a key calls."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from django.db.models import Count, F, Max, Q, QuerySet, Sum
from django.db.models.functions import TruncDay
from django.utils import timezone

from brokers.compiled_queries import Statement
from console.accounts.models import User
from console.errors import Explanation, explanation_of
from console.recent_errors.models import CallHour, ErrorGroup, GroupHour, KeyUse, LastGoodCall


class _UtcDay(TruncDay):
    """On SQLite by a function of its own: Django's is Python's, which for each row takes longer than to read it."""

    def as_sqlite(self, compiler: Any, connection: Any, **more: Any) -> tuple[str, Any]:
        sql, parameters = compiler.compile(self.lhs)
        return f"strftime('%%Y-%%m-%%d 00:00:00', {sql})", parameters


SPANS = {
    "12h": (timedelta(hours=12), "12 hours"),
    "24h": (timedelta(hours=24), "24 hours"),
    "7d": (timedelta(days=7), "7 days"),
    "30d": (timedelta(days=30), "30 days"),
}
BARS = 12
SHOWN = 50
_DAYS = 30
_Id = TypeVar("_Id", int, str)


@dataclass(frozen=True, slots=True)
class GroupInSpan:
    """A group as a list has it: what it came to in the span that is looked at."""

    group: ErrorGroup
    calls: int
    apps: int
    last_seen: datetime
    bars: list[int]
    now: datetime

    @property
    def explanation(self) -> Explanation:
        return explanation_of(self.group.code)

    @property
    def state(self) -> str:
        if self.group.resolved_at is not None:
            return "resolved"
        if self.group.is_muted(self.now):
            return "muted"
        return "regression" if self.group.regressed_at is not None else "open"


def own_groups(user_id: int) -> QuerySet[ErrorGroup]:
    return ErrorGroup.objects.filter(user_id=user_id)


def visible_groups(user: User, *, everyone: bool = False) -> QuerySet[ErrorGroup]:
    """A person's own; for an operator who asks, everybody's, and those of calls refused before a name was known."""
    return ErrorGroup.objects.all() if everyone and user.is_operator else own_groups(user.pk)


def manageable_groups(user: User) -> QuerySet[ErrorGroup]:
    """Those a person may resolve and mute: their own, and for an operator also nobody's."""
    whose = Q(user_id=user.pk) | (Q(user_id=None) if user.is_operator else Q())
    return ErrorGroup.objects.filter(whose)


def open_faults(user: User) -> int:
    """How many causes wait to be looked at; what was refused as it was meant to be is none."""
    found = _OPEN_FAULTS.first(user.pk, timezone.now())
    return found[0] if found else 0


def newest_faults(user: User, most: int) -> list[ErrorGroup]:
    """Those that ``open_faults`` counts, the last seen first."""
    return list(_open_faults(user.pk, timezone.now()).order_by("-last_seen", "-pk")[:most])


def _open_faults(user_id: int, now: datetime) -> QuerySet[ErrorGroup]:
    return own_groups(user_id).filter(ErrorGroup.open_at(now), is_meant=False)


_OPEN_FAULTS = Statement(
    lambda user_id, now: (
        _open_faults(user_id, now).order_by().values("user_id").annotate(found=Count("pk")).values_list("found")
    )
)


def in_span(
    groups: QuerySet[ErrorGroup], *, span: timedelta, now: datetime, app_id: int | None = None
) -> list[GroupInSpan]:
    """The newest first, at most SHOWN, in two queries. Spans begin with a full hour. ``app_id``: of that app alone."""
    start = start_of(span, now)
    found = groups.filter(last_seen__gte=start)
    if app_id is not None:
        found = found.filter(
            pk__in=GroupHour.objects.filter(app_id=app_id, hour__gte=start).values("group_id"),
        )
    shown = list(found.order_by("-last_seen", "-pk")[:SHOWN])
    return counted(shown, span=span, now=now, app_id=app_id)


def counted(
    groups: Sequence[ErrorGroup], *, span: timedelta, now: datetime, app_id: int | None = None
) -> list[GroupInSpan]:
    start = start_of(span, now)
    hours = GroupHour.objects.filter(group__in=groups, hour__gte=start)
    if app_id is not None:
        hours = hours.filter(app_id=app_id)
    bars: dict[int, list[int]] = defaultdict(lambda: [0] * BARS)
    apps: dict[int, set[int]] = defaultdict(set)
    seen: dict[int, datetime] = {}
    # A day at a time where a bar is longer than that, so that a month is no more rows than a day.
    part = _UtcDay("hour", tzinfo=UTC) if span > BARS * timedelta(hours=2) else F("hour")
    found = hours.annotate(part=part).order_by().values_list("group_id", "part", "app_id")
    for group_id, hour, app, calls, last_seen in found.annotate(total=Sum("calls"), newest=Max("last_seen")):
        bars[group_id][_bar(hour, start, now)] += calls
        apps[group_id].add(app)
        seen[group_id] = max(last_seen, seen.get(group_id, last_seen))
    return [
        GroupInSpan(
            group,
            sum(bars[group.pk]),
            len(apps[group.pk] - {0}),
            seen.get(group.pk, group.last_seen),
            bars[group.pk],
            now,
        )
        for group in groups
    ]


def start_of(span: timedelta, now: datetime) -> datetime:
    return (now - span).replace(minute=0, second=0, microsecond=0)


def _bar(hour: datetime, start: datetime, now: datetime) -> int:
    return min(BARS - 1, max(0, int((hour - start) / ((now - start) / BARS))))


def people(group: ErrorGroup) -> int:
    """How many people ran into the same, on whichever connection. For operators."""
    same = ErrorGroup.objects.filter(code=group.code, tool=group.tool, pattern=group.pattern, user_id__isnull=False)
    return int(same.aggregate(people=Count("user_id", distinct=True))["people"])


def app_ids(group: ErrorGroup) -> list[int]:
    """The apps that ran into it, as far back as hours are kept."""
    found = GroupHour.objects.filter(group=group).exclude(app_id=0).values_list("app_id", flat=True)
    return sorted(set(found))


def last_good(group: ErrorGroup) -> LastGoodCall | None:
    """The newest call of its tool there that went well."""
    return LastGoodCall.objects.filter(
        user_id=group.user_id or 0, connection_id=group.connection_id or 0, tool=group.tool
    ).first()


@dataclass(frozen=True, slots=True)
class CallCounts:
    """How much something calls. Counted hour by hour, so the newest half minute may be missing."""

    day: int
    """Calls of the last 24 hours."""
    day_failed: int
    month: int
    """Of the last 30 days."""
    days: list[int]
    """The same by day, the oldest first; the last is today, in UTC."""
    days_failed: list[int]


def calls_of_apps(app_ids: Iterable[int]) -> dict[int, CallCounts]:
    """By app; one that made no call is there too."""
    wanted = list(app_ids)
    return _counts(wanted, CallHour.objects.filter(app_id__in=wanted), "app_id")


def calls_of_keys(public_ids: Iterable[str]) -> dict[str, CallCounts]:
    """By public id of the key, of an app or of management."""
    wanted = list(public_ids)
    return _counts(wanted, CallHour.objects.filter(key__in=wanted), "key")


def _counts(wanted: Sequence[_Id], rows: QuerySet[CallHour], by: str) -> dict[_Id, CallCounts]:
    """In one query, which gives one row a day for each."""
    now = timezone.now()
    day = start_of(timedelta(hours=24), now)
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    start = today - timedelta(days=_DAYS - 1)
    days: dict[object, list[int]] = defaultdict(lambda: [0] * _DAYS)
    bad: dict[object, list[int]] = defaultdict(lambda: [0] * _DAYS)
    last: dict[object, tuple[int, int]] = defaultdict(lambda: (0, 0))
    found = (
        rows.filter(hour__gte=start)
        .annotate(day=_UtcDay("hour", tzinfo=UTC))
        .order_by()
        .values_list(by, "day")
        .annotate(
            total=Sum("calls"),
            total_failed=Sum("failed"),
            recent=Sum("calls", filter=Q(hour__gte=day), default=0),
            recent_failed=Sum("failed", filter=Q(hour__gte=day), default=0),
        )
    )
    for of, each, total, failed, recent, recent_failed in found:
        place = (each - start).days
        days[of][place] += total
        bad[of][place] += failed
        last[of] = (last[of][0] + recent, last[of][1] + recent_failed)
    return {of: CallCounts(*last[of], sum(days[of]), days[of], bad[of]) for of in wanted}


def uses_of_keys(public_ids: Iterable[str]) -> dict[str, KeyUse]:
    """By public id of the key; one that made no call, or none since these are kept, is missing."""
    return KeyUse.objects.in_bulk(list(public_ids), field_name="key")


def by_day(counts: CallCounts) -> list[tuple[str, tuple[int, int]]]:
    """Each day of a month with the calls that went well and those that did not, the oldest first."""
    today = timezone.now().astimezone(UTC).date()
    pairs = zip(counts.days, counts.days_failed, strict=True)
    return [
        (f"{today - timedelta(days=_DAYS - 1 - place):%-d %b}", (calls - failed, failed))
        for place, (calls, failed) in enumerate(pairs)
    ]
