"""Exports of a timeline: who may make one now, that it is on record, and its columns."""

import json
from collections.abc import Iterator

from console.audit import export_limit
from console.audit import log as audit_log
from console.timeline import stream
from console.timeline.entries import TimelineEntry
from console.timeline.filters import TimelineFilters
from console.timeline.sources import Viewer

FORMATS = ("csv", "ndjson")
COLUMNS = (
    *("at", "kind", "title", "about", "outcome", "code", "tool", "person", "app", "connection", "environment"),
    *("credential_id", "order_id", "request_id", "ip", "detail"),
)


def begin(viewer: Viewer, filters: TimelineFilters, query: str, form: str) -> Iterator[TimelineEntry]:
    """Put the export on record and return its entries, newest first. Raises Refusal for too many in an hour.

    ``query`` is the query string the filters were read from, ``form`` one of ``FORMATS``.
    """
    export_limit.check(viewer.user, "timeline")
    asked = {"filters": query, "everyone": viewer.everyone}
    audit_log.record_change(viewer.user, "exported", "timeline", form, form.upper(), after=asked)
    return stream.every(filters, viewer)


def cells(entry: TimelineEntry) -> list[str]:
    """What ``COLUMNS`` says of one entry; all that has no column is JSON in the last one."""
    known = entry.as_json()
    named = [str(known.pop(name, "")) for name in COLUMNS[:-1]]
    return [*named, json.dumps(known, ensure_ascii=False, default=str)]
