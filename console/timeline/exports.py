"""Exports of a timeline: who may make one now, that it is on record, and its columns."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from console.audit import export_limit
from console.audit import log as audit_log
from console.audit.models import Call
from console.audit.policy_revisions import PolicyRevisions
from console.timeline import stream
from console.timeline.entries import CONTEXT, TimelineEntry
from console.timeline.filters import TimelineFilters
from console.timeline.sources import Viewer

FORMATS = ("csv", "ndjson")
COLUMNS = (
    *("at", "kind", "title", "about", "outcome", "code", "tool", "person", "app", "connection", "environment"),
    *("credential_id", "order_id", "request_id", "ip", *CONTEXT, "policy_revision", "detail"),
)


def begin(viewer: Viewer, filters: TimelineFilters, query: str, form: str) -> Iterator[TimelineEntry]:
    """Put the export on record and return its entries, newest first. Raises Refusal for too many in an hour.

    ``query`` is the query string the filters were read from, ``form`` one of ``FORMATS``.
    """
    export_limit.check(viewer.user, "timeline")
    asked = {"filters": query, "everyone": viewer.everyone}
    audit_log.record_change(viewer.user, "exported", "timeline", form, form.upper(), after=asked)
    return stream.every(filters, viewer)


def rows(found: Iterable[TimelineEntry]) -> Iterator[dict[str, Any]]:
    """Each entry in full, a call also with the number of the change that made the rules it was judged by."""
    revisions = PolicyRevisions()
    for entry in found:
        row = entry.as_json()
        if isinstance(entry.row, Call) and (revision := revisions.of(entry.row)) is not None:
            row["policy_revision"] = revision
        yield row


def cells(row: dict[str, Any]) -> list[str]:
    """What ``COLUMNS`` says of one row; all that has no column is JSON in the last one."""
    known = dict(row)
    named = [str(known.pop(name, "")) for name in COLUMNS[:-1]]
    return [*named, json.dumps(known, ensure_ascii=False, default=str)]
