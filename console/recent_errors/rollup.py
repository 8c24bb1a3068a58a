"""Counts the audit log: a window of ids at a time, each call once, by the sweep and before a page is shown.

What a page then reads does not grow with the number of calls. Nothing is asked of whoever writes a call.

Ids are given out in order, but PostgreSQL may commit them in another. So a call is *settled*, and never looked at
again, only once it is older than ``_LAG``. Failed calls go into their groups at once; those that are not settled yet
are noted, so that none is counted twice. A row that took longer than that to commit is not counted.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Case, CharField, Count, F, Max, Min, Q, QuerySet, Value, When
from django.db.models.functions import TruncHour
from django.utils import timezone

from console.audit.models import Call, CallOutcome
from console.errors import Blame, explanation_of
from console.recent_errors.fingerprints import fingerprint, pattern_of
from console.recent_errors.models import CallHour, CountProgress, ErrorGroup, GroupHour, KeyUse, LastGoodCall
from console.recent_errors.queries import own_groups
from console.scopes import Source

WINDOW = 2_000
"""Calls that are looked at in one transaction, which on SQLite keeps other writers waiting meanwhile."""
MOST_GROUPS = 1_000
"""Of one person. Beyond them a new group is made by code and connection alone, as the rest is the caller's own text."""
SAMPLES = 6
KEPT_HOURS = timedelta(days=31)
_FURTHEST = timedelta(days=90)
"""Calls that are older are counted nowhere: a worker that was away for longer leaves them out."""
_LAG = timedelta(seconds=30)
_MOST_AHEAD = 500
_WINDOWS_OF_A_SWEEP = 40
_CAUSE = ("user_id", "code", "tool", "connection_id")
_NEWEST = ("user_label", "connection_label", "environment", "message", "app_label")
_COUNTED = ("calls", "first_seen", "last_seen", "samples", *_NEWEST)
_FIELDS = ("id", "request_id", "at", "app_id", *_CAUSE, *_NEWEST)


def has_work() -> bool:
    """Whether any call is not settled yet: one short look, for the scheduler."""
    newest = _newest()
    return newest > 0 and not _is_settled(newest)


def sweep() -> None:
    """Count what is new, at most 80,000 calls."""
    for _ in range(_WINDOWS_OF_A_SWEEP):
        if not catch_up():
            break


def delete_old() -> None:
    now = timezone.now()
    CallHour.objects.filter(hour__lt=now - KEPT_HOURS).delete()
    GroupHour.objects.filter(hour__lt=now - KEPT_HOURS).delete()
    kept = timedelta(days=settings.KEEP_DAYS["errors"])
    ErrorGroup.objects.filter(last_seen__lt=now - kept).delete()


def catch_up() -> bool:
    """Count one window. Whether there is another; nothing is written where there is nothing new."""
    newest = _newest()
    if _is_settled(newest):
        return False
    with transaction.atomic():
        if not CountProgress.objects.filter(pk=1).exists():
            CountProgress.objects.get_or_create(pk=1, defaults={"settled": _start()})
        progress = CountProgress.objects.select_for_update().get(pk=1)
        return _count(progress, newest)


def _newest() -> int:
    return _recent().aggregate(newest=Max("id"))["newest"] or 0


def _is_settled(newest: int) -> bool:
    return CountProgress.objects.filter(pk=1, settled__gte=newest).exists()


def _recent() -> QuerySet[Call]:
    """Without the months of before, which a query that says nothing of time would ask too."""
    return Call.objects.filter(at__gte=timezone.now() - _FURTHEST)


def _start() -> int:
    """Before the calls of the last month: what is older is on no page. Asked once in the life of an instance."""
    # By time, which its index serves: for the least id PostgreSQL reads all that is older.
    recent = Call.objects.filter(at__gte=timezone.now() - KEPT_HOURS).order_by("at").values_list("id", flat=True)
    return min(recent[:WINDOW], default=1) - 1


def _count(progress: CountProgress, newest: int) -> bool:
    end = min(newest, progress.settled + WINDOW)
    window = _recent().filter(id__gt=progress.settled, id__lte=end)
    young = window.filter(at__gt=timezone.now() - _LAG).aggregate(first=Min("id"))["first"]
    last = (window if young is None else window.filter(id__lt=young)).aggregate(last=Max("id"))["last"]
    # Not just below the first young one: the ids between may be on their way.
    settled: int = last if last is not None else end if young is None else progress.settled
    failed = window.exclude(outcome=CallOutcome.OK).exclude(id__in=progress.ahead).order_by("id").values(*_FIELDS)
    rows = [dict(row) for row in failed.filter(id__lte=settled)]
    ahead = [dict(row) for row in failed.filter(id__gt=settled)[: _MOST_AHEAD - len(progress.ahead)]]
    _add_failed([*rows, *ahead])
    _add_calls(window.filter(id__lte=settled))
    _note_good(window)
    _note_keys(window)
    progress.ahead = [pk for pk in (*progress.ahead, *(row["id"] for row in ahead)) if pk > settled]
    progress.settled = settled
    progress.save()
    return young is None and end < newest


@dataclass(frozen=True, slots=True)
class _Cause:
    user_id: int | None
    fingerprint: str


def _add_failed(rows: list[dict[str, Any]]) -> None:
    """Into their groups, which are made where there are none. ``rows`` by id, the oldest first."""
    if not rows:
        return
    users = {row["user_id"] for row in rows}
    room = {user_id: MOST_GROUPS - _of(user_id).count() for user_id in users}
    groups = {
        _Cause(group.user_id, group.fingerprint): group
        for group in ErrorGroup.objects.filter(
            Q(user_id__in=users - {None}) | (Q(user_id=None) if None in users else Q(pk=None)),
            fingerprint__in={_cause_of(row).fingerprint for row in rows}
            | {_cause_of(row, coarse=True).fingerprint for row in rows},
        )
    }
    hours: dict[tuple[int, datetime, int], list[datetime]] = defaultdict(list)
    for row in rows:
        group = _group_of(row, groups, room)
        _take_in(group, row)
        hours[group.pk, _hour(row["at"]), row["app_id"] or 0].append(row["at"])
    touched = {pk for pk, _, _ in hours}
    for group in groups.values():
        if group.pk in touched:
            # Not the whole row: what its owner decides meanwhile stays.
            group.save(update_fields=_COUNTED)
    again = ErrorGroup.objects.filter(pk__in=touched, resolved_at__lt=F("last_seen"))
    again.update(resolved_at=None, regressed_at=F("last_seen"))
    known = {
        (each.group_id, each.hour, each.app_id): each
        for each in GroupHour.objects.filter(group_id__in=touched, hour__in={hour for _, hour, _ in hours})
    }
    for place, times in hours.items():
        group_id, hour, app_id = place
        each = known.get(place) or GroupHour(group_id=group_id, hour=hour, app_id=app_id, last_seen=max(times))
        each.calls += len(times)
        each.last_seen = max(each.last_seen, *times)
        each.save()


def _of(user_id: int | None) -> QuerySet[ErrorGroup]:
    return ErrorGroup.objects.filter(user_id__isnull=True) if user_id is None else own_groups(user_id)


def _cause_of(row: Mapping[str, Any], *, coarse: bool = False) -> _Cause:
    tool, pattern = ("", "") if coarse else (row["tool"], pattern_of(row["message"]))
    made = fingerprint(code=row["code"], tool=tool, connection_id=row["connection_id"], pattern=pattern)
    return _Cause(row["user_id"], made)


def _group_of(row: Mapping[str, Any], groups: dict[_Cause, ErrorGroup], room: dict[int | None, int]) -> ErrorGroup:
    cause = _cause_of(row)
    is_coarse = cause not in groups and room[row["user_id"]] <= 0
    if is_coarse:
        cause = _cause_of(row, coarse=True)
    if cause not in groups:
        room[row["user_id"]] -= 1
        groups[cause] = ErrorGroup.objects.create(
            user_id=row["user_id"],
            fingerprint=cause.fingerprint,
            code=row["code"],
            tool="" if is_coarse else row["tool"],
            connection_id=row["connection_id"],
            pattern="" if is_coarse else pattern_of(row["message"]),
            is_meant=explanation_of(row["code"]).blame is Blame.NOBODY,
            first_seen=row["at"],
            last_seen=row["at"],
        )
    return groups[cause]


def _take_in(group: ErrorGroup, row: Mapping[str, Any]) -> None:
    group.calls += 1
    group.first_seen = min(group.first_seen, row["at"])
    if row["at"] >= group.last_seen:
        group.last_seen = row["at"]
        for name in _NEWEST:
            setattr(group, name, row[name])
    group.samples = [row["request_id"], *group.samples][:SAMPLES]


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def _add_calls(calls: QuerySet[Call]) -> None:
    own = Case(
        When(source__in=(Source.API_KEY, Source.MANAGEMENT), then=F("credential_id")),
        default=Value(""),
        output_field=CharField(),
    )
    found = (
        calls.exclude(app_id=None, credential_id="")
        .annotate(own=own, hour=TruncHour("at", tzinfo=UTC))
        .order_by()
        .values_list("app_id", "own", "hour")
        .annotate(calls=Count("id"), failed=Count("id", filter=~Q(outcome=CallOutcome.OK)))
    )
    counts = {(app_id or 0, own, hour): (count, failed) for app_id, own, hour, count, failed in found}
    known = {
        (each.app_id, each.key, each.hour): each
        for each in CallHour.objects.filter(hour__in={hour for _, _, hour in counts})
    }
    for place, (count, failed) in counts.items():
        each = known.get(place) or CallHour(app_id=place[0], key=place[1], hour=place[2])
        each.calls += count
        each.failed += failed
        each.save()


def _note_good(calls: QuerySet[Call]) -> None:
    good = calls.filter(outcome=CallOutcome.OK, user_id__isnull=False).exclude(tool="")
    newest = good.order_by().values_list("user_id", "connection_id", "tool").annotate(newest=Max("id"))
    rows = _recent().in_bulk([pk for *_, pk in newest])
    _keep_newest(rows.values())


def _keep_newest(calls: Iterable[Call]) -> None:
    for call in calls:
        LastGoodCall.objects.update_or_create(
            user_id=call.user_id or 0,
            connection_id=call.connection_id or 0,
            tool=call.tool,
            defaults={"call_id": call.pk, "request_id": call.request_id, "at": call.at},
        )


def _note_keys(calls: QuerySet[Call]) -> None:
    with_key = calls.filter(source__in=(Source.API_KEY, Source.MANAGEMENT)).exclude(credential_id="")
    found = with_key.order_by().values_list("credential_id").annotate(first=Min("at"), newest=Max("id"))
    firsts = {newest: first for _, first, newest in found}
    known = KeyUse.objects.in_bulk({key for key, *_ in found}, field_name="key")
    for call in _recent().filter(pk__in=firsts):
        use = known.get(call.credential_id)
        if use is None:
            use = KeyUse(key=call.credential_id, first_at=firsts[call.pk], last_at=call.at)
        elif call.at <= use.last_at:
            continue
        use.last_at, use.tool, use.user_agent = call.at, call.tool, call.user_agent
        use.save()
