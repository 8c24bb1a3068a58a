"""A row of small bars, and in a word whose fault an error is."""

from collections.abc import Sequence

from django import template
from django.template import Context
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from console.errors import Blame, explanation_of
from console.onboarding.templatetags.console_tags import brief_time, environment
from console.recent_errors.queries import GroupInSpan

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
    # One path for all bars: fifty rows of twelve rectangles each would be half the page.
    drawn: list[str] = []
    for place, count in enumerate(counts):
        if count:
            height = max(3, round(_HEIGHT * count / tallest))
            drawn.append(f"M{place * step} {_HEIGHT - height}h{width}v{height}h-{width}z")
    return format_html(
        '<svg class="spark {}" width={} height={} role=img><title>{}</title><path d="{}"/></svg>',
        kind,
        len(counts) * step,
        _HEIGHT,
        label,
        "".join(drawn),
    )


@register.simple_tag(takes_context=True)
def error_rows(context: Context, groups: Sequence[GroupInSpan]) -> SafeString:
    """A row a cause. The style sheet knows its parts by their elements."""
    query = context["request"].GET.copy()
    query.pop("kind", None)
    after = f"?{query.urlencode()}" if query else ""
    chosen, meant, everyone, now = context["selected"], context["meant"], context["everyone"], timezone.now()
    rows = []
    for each in groups:
        group = each.group
        current = SafeString(" aria-current=true") if group.pk == chosen.group.pk else ""
        where = group.connection_label or "No connection"
        tag = SafeString(" ") + environment(group.environment) if group.connection_label else ""
        blame = "Intended" if meant else fault(group.code)
        who = f"{each.apps} apps" if each.apps > 1 else group.app_label or "Not signed in"
        calls = f"{each.calls:,} call{'' if each.calls == 1 else 's'}"
        rows.append(
            format_html(
                '<li{}><a href="{}">{}</a><b>{}</b><code>{}</code>{}'
                '<p>{}{} <i class="{}">{}</i>{}<small>{}</small></p>{}',
                current,
                reverse("error-group", args=[group.pk]) + after,
                each.explanation.title,
                calls,
                " \N{MIDDLE DOT} ".join(part for part in (group.tool, group.code or "no code") if part),
                brief_time(each.last_seen, now),
                where,
                tag,
                f"fault-{fault_kind(group.code)}",
                blame,
                "" if each.state == "open" else format_html(" <i>{}</i>", each.state.capitalize()),
                f"{who}, {group.user_label}" if everyone and group.user_label else who,
                bars(each.bars, f"{calls} in the time shown", "spark-quiet" if meant else ""),
            )
        )
    return SafeString("\n".join(rows))


@register.filter
def fault(code: str) -> str:
    """``Broker``, for a code as it was stored."""
    return _FAULTS[explanation_of(code).blame]


@register.filter
def fault_kind(code: str) -> str:
    """The same as part of a class name."""
    return explanation_of(code).blame.name.lower()
