"""One line of the timeline. Written in one piece: fifty of them are most of what the page costs."""

from typing import Any

from django import template
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from console.onboarding.templatetags.console_tags import brief_time, environment
from console.timeline import saved_views as saved
from console.timeline.entries import TimelineEntry

register = template.Library()
_NOTHING = SafeString("")


@register.simple_tag
def entry_line(entry: TimelineEntry, everyone: bool) -> SafeString:
    """Its cells, the first with the link that opens it; ``everyone``: with the person it belongs to."""
    if entry.source == "call":
        url = reverse("activity:call", args=[entry.request_id])
    else:
        url = reverse("timeline:entry", args=[entry.source, entry.position.id])
    where = [entry.app, entry.connection]
    if everyone:
        where.insert(0, entry.person)
    place = " \N{MIDDLE DOT} ".join(part for part in where if part)
    return format_html(
        "<a href={}{}>{}</a><b>{}{}</b>{}{}{}",
        url,
        _NOTHING if entry.outcome == "ok" else format_html(" class={}", entry.outcome),
        entry.title,
        entry.about,
        format_html(" <code>{}</code>", entry.code) if entry.code else _NOTHING,
        format_html("<i>{}</i>", place) if place else _NOTHING,
        environment(entry.environment) if entry.environment == "live" else _NOTHING,
        brief_time(entry.at, timezone.now()),
    )


@register.inclusion_tag("timeline/saved_views.html", takes_context=True)
def saved_views(context: dict[str, Any], page: str, address: str) -> dict[str, Any]:
    """The views somebody saved of a page, and the form that saves the filter of its address as another."""
    request = context["request"]
    views = saved.own_views(context["user"], page)
    current = saved.filter_of(page, request.GET) if request.GET else ""
    return {
        "page": page,
        "address": address,
        "views": views,
        "has_default": any(view.is_default for view in views),
        "current": current,
        "is_new": current and all(view.query != current for view in views),
        "csrf_token": context.get("csrf_token"),
    }
