"""The rows of the list of causes, and in a word whose fault an error is."""

from collections.abc import Sequence

from django import template
from django.template import Context
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from brokers.types import Environment
from console.charts.figures import SMALL_USUAL, small_path, small_width
from console.errors import Blame, explanation_of
from console.onboarding.templatetags.console_tags import relative
from console.recent_errors.queries import GroupInSpan

register = template.Library()

_FAULTS: dict[str, str] = {
    Blame.CALLER: "Caller",
    Blame.GATEWAY: "Tradelatch",
    Blame.BROKER: "Broker",
    Blame.NETWORK: "Network",
    Blame.NOBODY: "Nobody: it worked as intended",
}

_LOOKS = {"broker": " class=outside", "network": " class=outside", "gateway": " class=ours"}


@register.simple_tag(takes_context=True)
def error_rows(context: Context, groups: Sequence[GroupInSpan]) -> SafeString:
    """A row a cause. The style sheet knows its parts by their elements."""
    query = context["request"].GET.copy()
    query.pop("kind", None)
    prefix = "" if context["request"].path == reverse("errors") else reverse("errors")
    address = format_html('"{}{{}}/?{}"', prefix, query.urlencode()) if query else f"{prefix}{{}}/"
    chosen, meant, everyone, now = context["selected"], context["meant"], context["everyone"], timezone.now()
    rows = []
    for each in groups:
        group = each.group
        current = SafeString(" aria-current=true") if group.pk == chosen.group.pk else ""
        where = group.connection_label or "No connection"
        tag: str = ""
        if group.connection_label:
            paper = group.environment == Environment.PAPER
            tag = SafeString(" <b>Paper</b>" if paper else " <b class=live>Live</b>")
        blame = "Intended" if meant else fault(group.code)
        who = f"{each.apps} apps" if each.apps > 1 else group.app_label or "Not signed in"
        calls = f"{each.calls:,} call{'' if each.calls == 1 else 's'}"
        rows.append(
            format_html(
                '<li{}><a href={}>{}</a><b>{}</b><code>{}</code><small>{}</small><svg{}><path d="{}"/></svg>'
                "<p>{}{} <i{}>{}</i>{}<small>{}</small>",
                current,
                SafeString(address.format(group.pk)),
                each.explanation.title,
                calls,
                " \N{MIDDLE DOT} ".join(part for part in (group.tool, group.code or "no code") if part),
                relative(each.last_seen, now),
                "" if len(each.bars) == SMALL_USUAL else format_html(" width={}", small_width(each.bars)),
                small_path(each.bars),
                where,
                tag,
                SafeString(_LOOKS.get(fault_kind(group.code), "")),
                blame,
                "" if each.state == "open" else format_html(" <i>{}</i>", each.state.capitalize()),
                f"{who}, {group.user_label}" if everyone and group.user_label else who,
            )
        )
    return SafeString("".join(rows))


@register.filter
def fault(code: str) -> str:
    """``Broker``, for a code as it was stored."""
    return _FAULTS[explanation_of(code).blame]


@register.filter
def fault_kind(code: str) -> str:
    """The same as part of a class name."""
    return explanation_of(code).blame.name.lower()
