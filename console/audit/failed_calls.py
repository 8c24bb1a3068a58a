"""Failed calls, grouped by what went wrong, in which tool, on which connection."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Max, Q, QuerySet

from console.audit.models import Call, CallOutcome
from console.errors import EXPLANATIONS, Code, Explanation

SPANS = {
    "12h": (timedelta(hours=12), "12 hours"),
    "24h": (timedelta(hours=24), "24 hours"),
    "7d": (timedelta(days=7), "7 days"),
}
BARS = 12
SHOWN = 100
_BAR_WIDTH, _BAR_HEIGHT, _STEP = 6, 22, 8


@dataclass(frozen=True, slots=True)
class ChartBar:
    x: int
    y: int
    width: int
    height: int
    count: int


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    code: str
    tool: str
    connection_id: int | None
    connection_label: str
    environment: str
    app_label: str
    apps: int
    calls: int
    last_seen: datetime
    newest_id: int
    bars: list[ChartBar]

    @property
    def key(self) -> str:
        """The tool stands last: it is the caller's text and may hold any character."""
        return f"{self.code}:{'' if self.connection_id is None else self.connection_id}:{self.tool}"

    @property
    def title(self) -> str:
        return explain(self.code).title

    @property
    def width(self) -> int:
        return BARS * _STEP

    @property
    def height(self) -> int:
        return _BAR_HEIGHT


def explain(code: str) -> Explanation:
    try:
        return EXPLANATIONS[Code(code)]
    except (ValueError, KeyError):
        return Explanation(code or "No code", "Look for the request id in the server's log.")


def failed(calls: QuerySet[Call]) -> QuerySet[Call]:
    return calls.exclude(outcome=CallOutcome.OK)


def groups(calls: QuerySet[Call], *, span: timedelta, now: datetime) -> list[ErrorGroup]:
    """The newest groups first, at most SHOWN; one query, however many calls failed."""
    step = span / BARS
    start = now - span
    bars = {
        f"bar{index}": Count("id", filter=Q(at__gte=start + index * step, at__lt=start + (index + 1) * step))
        for index in range(BARS)
    }
    rows = (
        failed(calls)
        .filter(at__gte=start)
        .values("code", "tool", "connection_id", "environment")
        .annotate(
            calls=Count("id"),
            last_seen=Max("at"),
            newest_id=Max("id"),
            connection_label=Max("connection_label"),
            app_label=Max("app_label"),
            apps=Count("app_id", distinct=True),
            **bars,
        )
        .order_by("-last_seen")
    )
    return [_group(dict(row)) for row in rows[:SHOWN]]


def _group(row: dict[str, Any]) -> ErrorGroup:
    counts = [row.pop(f"bar{index}") for index in range(BARS)]
    tallest = max(*counts, 1)
    bars = []
    for index, count in enumerate(counts):
        height = max(3, round(_BAR_HEIGHT * count / tallest)) if count else 1
        bars.append(ChartBar(index * _STEP, _BAR_HEIGHT - height, _BAR_WIDTH, height, count))
    return ErrorGroup(bars=bars, **row)


def of_group(calls: QuerySet[Call], group: ErrorGroup) -> QuerySet[Call]:
    return failed(calls).filter(code=group.code, tool=group.tool, connection_id=group.connection_id).order_by("-id")
