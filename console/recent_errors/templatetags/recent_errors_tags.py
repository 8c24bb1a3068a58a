"""A row of small bars, and in a word whose fault an error is."""

from collections.abc import Sequence

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from console.errors import Blame, explanation_of

register = template.Library()

_HEIGHT, _WIDTH, _STEP = 22, 6, 8
_NARROW = 16
"""More bars than this are drawn half as wide."""
_FAULTS: dict[str, str] = {
    Blame.CALLER: "Caller",
    Blame.GATEWAY: "Tradelatch",
    Blame.BROKER: "Broker",
    Blame.NETWORK: "Network",
    Blame.NOBODY: "Nobody: it worked as intended",
}


@register.simple_tag
def bars(counts: Sequence[int], label: str, kind: str = "") -> SafeString:
    """The counts as bars, the oldest first. ``label`` is what a screen reader says, and the title."""
    width, step = (_WIDTH, _STEP) if len(counts) <= _NARROW else (_WIDTH // 2, _STEP // 2)
    tallest = max(*counts, 1)
    drawn = []
    for place, count in enumerate(counts):
        height = max(3, round(_HEIGHT * count / tallest)) if count else 1
        drawn.append((place * step, _HEIGHT - height, width, height, "" if count else "none"))
    return format_html(
        '<svg class="spark {}" width="{}" height="{}" viewBox="0 0 {} {}" role="img" aria-label="{}">'
        "<title>{}</title>{}</svg>",
        kind,
        len(counts) * step,
        _HEIGHT,
        len(counts) * step,
        _HEIGHT,
        label,
        label,
        format_html_join("", '<rect x="{}" y="{}" width="{}" height="{}" class="{}"></rect>', drawn),
    )


@register.filter
def fault(code: str) -> str:
    """``Broker``, for a code as it was stored."""
    return _FAULTS[explanation_of(code).blame]


@register.filter
def fault_kind(code: str) -> str:
    """The same as part of a class name."""
    return explanation_of(code).blame.name.lower()
