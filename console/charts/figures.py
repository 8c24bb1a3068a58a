"""From numbers to what a template draws: lines, bars, stacked bars and sparklines, with words for each point.

Everything is drawn on the server into an SVG that the page stretches, so a chart prints, works without scripts and
passes a strict content security policy. The numbers stand in a table behind it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from typing import ClassVar

from brokers import decimals
from console.charts import scales
from console.charts.scales import AxisMark

WIDTH, HEIGHT = 1000, 200
MOST_POINTS = 100
"""What a line is drawn through at most."""
MOST_ROWS = 24
"""What a chart names one by one at most, on hovering and in its table."""
SPARK_WIDTH, SPARK_HEIGHT = 96, 24

Point = tuple[datetime, Decimal]


@dataclass(frozen=True, slots=True)
class Band:
    """A part of the chart that says ``title`` while the pointer is over it."""

    x: str
    width: str
    title: str


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row of the table behind a chart."""

    name: str
    values: tuple[str, ...]
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ChartFrame:
    """What a chart has around its drawing. ``levels`` are the lines of the value axis, the highest first."""

    label: str
    unit: str
    levels: tuple[tuple[str, str], ...]
    marks: tuple[AxisMark, ...]
    columns: tuple[str, ...]
    rows: tuple[TableRow, ...]


@dataclass(frozen=True, slots=True)
class LineChart:
    template: ClassVar[str] = "charts/line.html"
    frame: ChartFrame
    line: str
    area: str
    bands: tuple[Band, ...]


@dataclass(frozen=True, slots=True)
class Rect:
    """One bar, or one part of a stacked bar."""

    x: str
    y: str
    width: str
    height: str
    look: str


@dataclass(frozen=True, slots=True)
class BarChart:
    template: ClassVar[str] = "charts/bars.html"
    frame: ChartFrame
    rects: tuple[Rect, ...]
    bands: tuple[Band, ...]
    zero: str
    keys: tuple[tuple[str, str], ...] = ()
    """Of stacked bars: what each look means."""


@dataclass(frozen=True, slots=True)
class Spark:
    """A line without axes, the size of a word; ``label`` says it in words."""

    template: ClassVar[str] = "charts/spark.html"
    label: str
    line: str
    look: str = ""
    width: int = SPARK_WIDTH
    height: int = SPARK_HEIGHT


def line(points: Sequence[Point], *, label: str, unit: str) -> LineChart | None:
    """``points`` oldest first. None for fewer than two."""
    if len(points) < 2:
        return None
    picked = thinned(points, MOST_POINTS)
    levels = scales.values(min(value for _, value in picked), max(value for _, value in picked))
    low, room = levels[0], levels[-1] - levels[0]
    first, last = picked[0][0], picked[-1][0]
    whole = (last - first).total_seconds() or 1.0

    def across(moment: datetime) -> float:
        return (moment - first).total_seconds() / whole * WIDTH

    drawn = " ".join(f"{across(at):.0f},{_down(value, low, room):.0f}" for at, value in picked)
    named = thinned(picked, MOST_ROWS)
    edges = [0.0, *((across(one[0]) + across(two[0])) / 2 for one, two in pairwise(named)), WIDTH]
    places = _places(levels)
    bands = tuple(
        Band(f"{start:.0f}", f"{end - start:.0f}", f"{_moment(at)}: {amount(value, places)} {unit}".rstrip())
        for (at, value), start, end in zip(named, edges[:-1], edges[1:], strict=True)
    )
    rows = tuple(TableRow("", (amount(value, places),), at) for at, value in reversed(named))
    frame = ChartFrame(label, unit, _levels(levels), tuple(scales.moments(first, last)), ("Time", _heading(unit)), rows)
    return LineChart(frame, drawn, f"0,{HEIGHT} {drawn} {WIDTH},{HEIGHT}", bands)


def bars(values: Sequence[tuple[str, Decimal]], *, label: str, unit: str, name: str) -> BarChart | None:
    """One bar for each name, left to right; gains and losses on their own side of zero. None without any."""
    if not values:
        return None
    amounts = [Decimal(0), *(value for _, value in values)]
    levels = scales.values(min(amounts), max(amounts))
    low, room = levels[0], levels[-1] - levels[0]
    zero, step, places = _down(Decimal(0), low, room), WIDTH / len(values), _places(levels)
    rects, bands = [], []
    for index, (each, value) in enumerate(values):
        top = _down(value, low, room)
        rects.append(_bar(index * step, step, min(top, zero), abs(top - zero), "loss" if value < 0 else "gain"))
        bands.append(Band(f"{index * step:.0f}", f"{step:.0f}", f"{each}: {amount(value, places)} {unit}".rstrip()))
    rows = tuple(TableRow(each, (amount(value, places),)) for each, value in reversed(values))
    frame = ChartFrame(label, unit, _levels(levels), _names([each for each, _ in values]), (name, _heading(unit)), rows)
    return BarChart(frame, tuple(rects), tuple(bands), f"{zero:.1f}")


def stacked(
    values: Sequence[tuple[str, Sequence[int]]], *, label: str, name: str, keys: Sequence[tuple[str, str]]
) -> BarChart | None:
    """Counts that add up to a bar, the first at the bottom. ``keys``: a look ("plain", "gain" or "loss") and its name.

    None without any bar.
    """
    if not values:
        return None
    levels = scales.values(Decimal(0), Decimal(max(1, *(sum(counts) for _, counts in values))))
    levels = [each for each in levels if each == each.to_integral_value()]
    room, step = levels[-1], WIDTH / len(values)
    rects, bands = [], []
    for index, (each, counts) in enumerate(values):
        below = 0
        for (look, _), count in zip(keys, counts, strict=True):
            if count:
                top = _down(Decimal(below + count), Decimal(0), room)
                rects.append(_bar(index * step, step, top, _down(Decimal(below), Decimal(0), room) - top, look))
            below += count
        said = ", ".join(f"{count:,} {word.lower()}" for (_, word), count in zip(keys, counts, strict=True))
        bands.append(Band(f"{index * step:.1f}", f"{step:.1f}", f"{each}: {said}"))
    rows = tuple(TableRow(each, tuple(f"{count:,}" for count in counts)) for each, counts in reversed(values))
    columns = (name, *(word for _, word in keys))
    frame = ChartFrame(label, "", _levels(levels), _names([each for each, _ in values]), columns, rows)
    return BarChart(frame, tuple(rects), tuple(bands), f"{HEIGHT}", tuple(keys))


def spark(values: Sequence[Decimal], *, label: str) -> Spark | None:
    """A line through ``values``, oldest first; None for fewer than two. It looks as it ended: a gain or a loss."""
    if len(values) < 2:
        return None
    low, room = min(values), max(values) - min(values)
    step = (SPARK_WIDTH - 4) / (len(values) - 1)
    places = (
        f"{2 + index * step:.1f},{SPARK_HEIGHT / 2 if not room else _within(value, low, room, SPARK_HEIGHT):.1f}"
        for index, value in enumerate(values)
    )
    look = "gain" if values[-1] > values[0] else "loss" if values[-1] < values[0] else ""
    return Spark(label, " ".join(places), look)


def thinned(points: Sequence[Point], most: int) -> list[Point]:
    """At most ``most`` of them: the first, the last, and of each stretch between the one farthest from its neighbours.

    So a spike stays in the drawing.
    """
    if len(points) <= most:
        return list(points)
    inner, room = points[1:-1], most - 2
    picked, before = [points[0]], points[0][1]
    for index in range(room):
        stretch = inner[index * len(inner) // room : (index + 1) * len(inner) // room]
        kept = max(stretch, key=lambda each: abs(each[1] - before))
        picked.append(kept)
        before = kept[1]
    return [*picked, points[-1]]


def amount(value: Decimal, places: int) -> str:
    """Thousands apart, with so many decimals."""
    return f"{value:,.{places}f}".replace("-", "\N{MINUS SIGN}")


def _places(levels: Sequence[Decimal]) -> int:
    """Decimals of an amount that stands beside these levels: two, or more where the levels are closer."""
    step = levels[1] - levels[0]
    return max(2, -step.adjusted() + 1) if step < 1 else 2


def _levels(levels: Sequence[Decimal]) -> tuple[tuple[str, str], ...]:
    """Where each line is, and its number."""
    low, room = levels[0], levels[-1] - levels[0]
    return tuple(
        (f"{_down(each, low, room):.1f}", decimals.grouped(each).replace("-", "\N{MINUS SIGN}"))
        for each in reversed(levels)
    )


def _down(value: Decimal, low: Decimal, room: Decimal) -> float:
    """How far from the top."""
    return float((low + room - value) / room * HEIGHT)


def _within(value: Decimal, low: Decimal, room: Decimal, height: int) -> float:
    return 2 + float((low + room - value) / room) * (height - 4)


def _bar(x: float, step: float, y: float, height: float, look: str) -> Rect:
    gap = step * 0.15
    return Rect(f"{x + gap:.1f}", f"{y:.1f}", f"{step - 2 * gap:.1f}", f"{height:.1f}", look)


def _names(names: Sequence[str]) -> tuple[AxisMark, ...]:
    """Some of the names of bars, beneath their middle."""
    every = -(-len(names) // 6)
    return tuple(
        AxisMark(f"{(index + 0.5) / len(names) * 100:.2f}%", name, "middle")
        for index, name in enumerate(names)
        if index % every == every // 2
    )


def _heading(unit: str) -> str:
    return unit or "Count"


def _moment(at: datetime) -> str:
    at = at.astimezone(UTC)
    return f"{at.day} {at:%b %Y %H:%M} UTC"


# -- bars small enough for a row -------------------------------------------------------------------------------

SMALL_HEIGHT = 22
SMALL_USUAL = 12
"""So many bars have their width in the style sheet."""
_SMALL_STEP, _SMALL_WIDTH, _MOST_WIDE = 8, 6, 16


def small_width(counts: Sequence[int]) -> int:
    return len(counts) * _small_step(counts)


def small_path(counts: Sequence[int]) -> str:
    """The counts as bars, the oldest first. One path: fifty rows of twelve rectangles each would be half a page."""
    step, tallest = _small_step(counts), max(*counts, 1)
    width = step * _SMALL_WIDTH // _SMALL_STEP
    heights = [max(3, round(SMALL_HEIGHT * count / tallest)) if count else 0 for count in counts]
    return "".join(
        f"M{place * step} {SMALL_HEIGHT - height}h{width}v{height}h-{width}z"
        for place, height in enumerate(heights)
        if height
    )


def _small_step(counts: Sequence[int]) -> int:
    """Many are drawn half as wide."""
    return _SMALL_STEP if len(counts) <= _MOST_WIDE else _SMALL_STEP // 2
