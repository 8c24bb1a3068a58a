"""Draws a chart on a page. Bands and rows are written in one piece: they are most of what a chart weighs."""

from collections.abc import Iterable, Sequence
from typing import Any

from django import template
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString

from console.charts import figures
from console.charts.figures import Band, BarChart, LineChart, Rect, Spark, TableRow
from console.onboarding.templatetags.console_tags import brief_time

register = template.Library()


@register.simple_tag
def chart(drawn: LineChart | BarChart | Spark | None) -> SafeString:
    """Nothing where there is nothing to draw. The page links ``console/charts.css``."""
    if drawn is None:
        return SafeString("")
    shown: dict[str, Any] = {"chart": drawn, "width": figures.WIDTH, "height": figures.HEIGHT}
    if not isinstance(drawn, Spark):
        shown |= {"bands": _bands(drawn.bands), "rows": _rows(drawn.frame.rows)}
    if isinstance(drawn, BarChart):
        shown["paths"] = _paths(drawn.rects)
    return render_to_string(drawn.template, shown)


@register.simple_tag
def small_bars(counts: Sequence[int], label: str, look: str = "") -> SafeString:
    """A row of bars as high as a line. ``label`` is what a screen reader says, and the title."""
    return format_html(
        '<svg class="spark {}" width={} height={} role=img><title>{}</title><path d="{}"/></svg>',
        look,
        figures.small_width(counts),
        figures.SMALL_HEIGHT,
        label,
        figures.small_path(counts),
    )


def _bands(bands: Iterable[Band]) -> SafeString:
    return SafeString(
        "".join(f"<rect x={each.x} width={each.width}><title>{escape(each.title)}</title></rect>" for each in bands)
    )


def _rows(rows: Iterable[TableRow]) -> SafeString:
    now = timezone.now()
    return SafeString(
        "".join(
            f"<tr><td>{brief_time(row.at, now) if row.at else escape(row.name)}"
            + "".join(f"<td>{escape(value)}" for value in row.values)
            for row in rows
        )
    )


def _paths(rects: Sequence[Rect]) -> list[tuple[str, str]]:
    """All bars of one look in one path."""
    return [
        (look, "".join(f"M{r.x} {r.y}h{r.width}v{r.height}h-{r.width}z" for r in rects if r.look == look))
        for look in dict.fromkeys(each.look for each in rects)
    ]
