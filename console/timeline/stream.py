"""The timeline: entries of every source in one order, a page at a time, counted, or all of them as a stream."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Count

from brokers.compiled_queries import Statement
from console.audit import newest
from console.audit.models import Call, Change
from console.orders.models import OrderEvent
from console.outbox.models import OutgoingMail
from console.timeline import entries
from console.timeline.entries import EntryPosition, TimelineEntry
from console.timeline.filters import TimelineFilters
from console.timeline.sources import SOURCES, EntrySource, Selection, Viewer, back_from, newer, select

PAGE = 50
MOST_NEW = 100
"""So many new entries are counted; beyond that it is "100+"."""
_CHUNK = 500
_BELOW_ALL = -1
"""The rank of a position that lies below every entry of its moment: nothing of that moment follows."""
_START = datetime(1970, 1, 1, tzinfo=UTC)
_MARK = re.compile(r"(\d{1,17})-(-?\d)-(\d{1,19})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryPage:
    entries: list[TimelineEntry]
    following: EntryPosition | None
    """Where the next page begins; None: this is the last."""
    looked_back_to: datetime | None
    """No entry before this was looked at, though fewer fit than a page has; None: the page is full, or all was."""


def mark(position: EntryPosition) -> str:
    """As it stands in an address."""
    return f"{(position.at - _START) // timedelta(microseconds=1)}-{position.rank}-{position.id}"


def parse_mark(text: str) -> EntryPosition | None:
    """None for what ``mark`` has not written."""
    found = _MARK.fullmatch(text)
    if found is None:
        return None
    try:
        at = _START + timedelta(microseconds=int(found[1]))
    except OverflowError:
        return None
    number = int(found[3])
    return EntryPosition(at=at, rank=int(found[2]), id=number) if number < 2**63 else None


def page(
    filters: TimelineFilters, viewer: Viewer, *, before: EntryPosition | None = None, size: int = PAGE
) -> EntryPage:
    found: list[tuple[EntryPosition, EntrySource, Any]] = []
    floors: list[datetime] = []
    for source in SOURCES:
        selection = select(source, filters, viewer, before)
        if selection is None:
            continue
        if source.model is Call:
            rows = newest.by_time(selection.rows, size + 1, back_from=back_from(filters, before))
        else:
            rows = list(selection.rows[: size + 1])
        found += [
            (EntryPosition(at=getattr(row, source.time), rank=source.rank, id=row.pk), source, row) for row in rows
        ]
        if selection.floor is not None and len(rows) <= size:
            floors.append(selection.floor)
    floor = max(floors, default=None)
    if floor is not None:
        # Below it one of the sources was not looked at.
        found = [each for each in found if each[0].at >= floor]
    found.sort(key=lambda each: each[0].key, reverse=True)
    shown = entries.with_orders([source.entry(row, source.rank) for _, source, row in found[:size]], viewer.user)
    if len(found) > size:
        return EntryPage(entries=shown, following=shown[-1].position, looked_back_to=None)
    if floor is not None:
        return EntryPage(entries=shown, following=EntryPosition(at=floor, rank=_BELOW_ALL, id=0), looked_back_to=floor)
    return EntryPage(entries=shown, following=None, looked_back_to=None)


def every(filters: TimelineFilters, viewer: Viewer) -> Iterator[TimelineEntry]:
    """All that fits, newest first, read as more is asked for: never more than a chunk is in memory."""
    before: EntryPosition | None = None
    while True:
        chunk = page(filters, viewer, before=before, size=_CHUNK)
        yield from chunk.entries
        if chunk.following is None:
            return
        before = chunk.following


def count_new(filters: TimelineFilters, viewer: Viewer, after: EntryPosition) -> int:
    """How many that fit lie above, at most ``MOST_NEW`` and one."""
    count = 0
    for source in SOURCES:
        selection = select(source, filters, viewer)
        if selection is not None:
            count += newer(selection.rows, source, after)[: MOST_NEW + 1].values("pk").count()
    return min(count, MOST_NEW + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facet:
    """One filter and how often each of its values occurs."""

    name: str
    values: list[tuple[str, str, int]]
    """What the filter is given, what it is called, how often; the most frequent first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facets:
    facets: list[Facet]
    counted_back_to: datetime | None
    """None: everything that fits was counted."""


_OLDEST_OWN = (
    Statement(lambda user_id: Call.objects.filter(user_id=user_id).order_by("at").values_list("at")[:1]),
    Statement(lambda user_id: OrderEvent.objects.filter(owner_id=user_id).order_by("at").values_list("at")[:1]),
    Statement(lambda user_id: Change.objects.filter(owner_id=user_id).order_by("at").values_list("at")[:1]),
    Statement(
        lambda user_id: (
            OutgoingMail.objects.filter(user_id=user_id).order_by("created_at").values_list("created_at")[:1]
        )
    ),
)
"""Of each source of somebody's own entries, as ``sources`` has them: compiled once, for each page asks all."""
COUNTED = 1_000
"""Entries of one source whose values are counted."""
_MOST_VALUES = 12


class _Counts:
    def __init__(self) -> None:
        self.by_filter: dict[str, Counter[str]] = {
            name: Counter() for name in ("kind", "outcome", "tool", "code", "app", "connection")
        }
        self.labels: dict[tuple[str, str], str] = {}

    def add(self, name: str, value: object, count: int, label: str = "") -> None:
        if value not in (None, ""):
            self.by_filter[name][str(value)] += count
            if label:
                self.labels.setdefault((name, str(value)), label)


def facets(filters: TimelineFilters, viewer: Viewer) -> Facets:
    """Counted over the newest entries that fit, ``COUNTED`` of each source."""
    counts = _Counts()
    ends: list[datetime] = []
    for source in SOURCES:
        selection = select(source, filters, viewer)
        if selection is None:
            continue
        end = _count(selection, counts, back_from(filters, None))
        if end is not None:
            ends.append(end)
    return Facets(
        facets=[
            Facet(
                name=name,
                values=[
                    (value, counts.labels.get((name, value), value), count)
                    for value, count in found.most_common(_MOST_VALUES)
                ],
            )
            for name, found in counts.by_filter.items()
            if found
        ],
        counted_back_to=max(ends, default=None),
    )


def _count(selection: Selection, counts: _Counts, until: datetime | None) -> datetime | None:
    """Adds what the newest rows have, counted by the database. Returns the moment before which nothing was counted."""
    source = selection.source
    if source.model is Call:
        end = newest.time_at(selection.rows, COUNTED, back_from=until)
    else:
        end = selection.rows.values_list(source.time, flat=True)[COUNTED : COUNTED + 1].first()
    rows = selection.rows.filter(**{f"{source.time}__gt": end}) if end is not None else selection.rows
    columns = [column for pair in source.counted.values() for column in pair if column]
    groups = (
        rows.order_by()
        .annotate(of_kind=source.kind, with_outcome=source.outcome)
        .values("of_kind", "with_outcome", *columns)
        .annotate(count=Count("pk"))
    )
    for group in groups:
        counts.add("kind", group["of_kind"], group["count"])
        counts.add("outcome", group["with_outcome"], group["count"])
        for name, (column, label) in source.counted.items():
            counts.add(name, group[column], group["count"], group[label] if label else "")
    return end or selection.floor


def oldest(viewer: Viewer) -> datetime | None:
    """When the oldest entry that the viewer can see was made."""
    if not viewer.everyone:
        firsts = [first[0] for each in _OLDEST_OWN if (first := each.first(viewer.user.pk)) is not None]
        return min(firsts, default=None)
    found = []
    for source in SOURCES:
        first = source.visible(viewer).order_by(source.time).values_list(source.time, flat=True).first()
        if first is not None:
            found.append(first)
    return min(found, default=None)
