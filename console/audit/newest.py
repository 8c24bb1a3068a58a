"""The newest calls of many, and calls by request id: asked of the months that can have them.

A query that says nothing of time is planned for each month there is, which for three years takes longer than most
pages. So the last weeks are asked first, and what lies further back only where they do not have enough.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.db import connection
from django.db.models import Model, QuerySet
from django.utils import timezone

from console import ids
from console.audit.models import Call

Row = TypeVar("Row", bound=Model)

SPANS = (timedelta(days=40), timedelta(days=400))
SPARE = timedelta(hours=1)
"""Ids and times are not in quite the same order: nearer than this to the end of a span there may be others."""
_IDS_APART = 10_000
"""The same in ids."""
_EARLIEST = datetime.fromisoformat("2020-01-01T00:00:00+00:00")
_LONGEST = timedelta(days=2)
"""Of a call: its id is made when it begins, and its row when it ends."""


def by_id(found: QuerySet[Row], count: int, *, back_from: datetime | None = None) -> list[Row]:
    """The first ``count`` by id, the newest first. ``back_from``: none is newer."""
    rows = found.order_by("-pk")
    for since in _since(found, back_from or timezone.now()):
        some = list(rows.filter(at__gte=since)[:count])
        if len(some) == count and getattr(some[-1], "at") >= since + SPARE:  # noqa: B009  not every model has it
            return some
    return list(rows[:count])


def row_at(found: QuerySet[Row], place: int, *, back_from: datetime | None = None) -> Row | None:
    """The row that has so many newer ones in ``found``; None: none has."""
    rows = found.order_by("-at")
    for since in _since(found, back_from or timezone.now()):
        row = rows.filter(at__gte=since)[place : place + 1].first()
        if row is not None:
            return row
    return rows[place : place + 1].first()


def above(found: QuerySet[Row], row: Row) -> QuerySet[Row]:
    """Those with a higher id; said by time too, for the months."""
    return found.filter(pk__gt=row.pk, at__gte=getattr(row, "at") - SPARE)  # noqa: B009  not every model has it


def until(found: QuerySet[Call], end: datetime) -> QuerySet[Call]:
    """Those before ``end``, below an id that none of them is beyond: a list by id would walk through what is newer."""
    older = found.filter(at__lt=end)
    newest_of_them = by_time(older.order_by("-at"), 1, back_from=end)
    return older.filter(pk__lte=newest_of_them[0].pk + _IDS_APART) if newest_of_them else older


def by_time(rows: QuerySet[Any], count: int, *, back_from: datetime | None = None) -> list[Any]:
    """The first ``count`` of ``rows``, which are ordered by time, the newest first, and none after ``back_from``."""
    for since in _since(rows, back_from or timezone.now()):
        some = list(rows.filter(at__gte=since)[:count])
        if len(some) == count:
            return some
    return list(rows[:count])


def time_at(rows: QuerySet[Any], place: int, *, back_from: datetime | None = None) -> datetime | None:
    """When the row was written that has so many before it in ``rows``, which are ordered as above; None: none has."""
    times = rows.values_list("at", flat=True)
    for since in _since(rows, back_from or timezone.now()):
        at: datetime | None = times.filter(at__gte=since)[place : place + 1].first()
        if at is not None:
            return at
    last: datetime | None = times[place : place + 1].first()
    return last


def _since(found: QuerySet[Any], back_from: datetime) -> list[datetime]:
    if found.model is not Call or connection.vendor != "postgresql":
        return []
    return [back_from - span for span in SPANS]


def of_request(calls: QuerySet[Call], request_id: str) -> Call | None:
    found = of_requests(calls, [request_id])
    return found[0] if found else None


def of_requests(calls: QuerySet[Call], request_ids: Iterable[str]) -> list[Call]:
    """Those that are there, in any order."""
    wanted = set(request_ids)
    made = [at for each in wanted if (at := ids.made_at(each)) is not None and at > _EARLIEST]
    found = calls.filter(request_id__in=wanted)
    if made and len(made) == len(wanted):
        near = list(found.filter(at__gte=min(made) - SPARE, at__lte=max(made) + _LONGEST))
        if len(near) == len(wanted):
            return near
    return list(found) if wanted else []


def since_made(calls: QuerySet[Call], public_id: str) -> QuerySet[Call]:
    """Those that can be about what has this id: none is from before it was made."""
    made = ids.made_at(public_id)
    return calls if made is None or made < _EARLIEST else calls.filter(at__gte=made - SPARE)
