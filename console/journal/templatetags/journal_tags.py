"""Trades as rows of a table. Written in one piece, without end tags: fifty of them are most of what the page weighs."""

from collections.abc import Sequence

from django import template
from django.urls import reverse
from django.utils import timezone
from django.utils.html import conditional_escape
from django.utils.safestring import SafeString

from brokers.decimals import grouped
from brokers.types import Environment
from console.journal.models import Note, RoundTrip
from console.onboarding.templatetags.console_tags import brief_time, direction, gain, price, signed

register = template.Library()


@register.simple_tag
def trade_rows(trades: Sequence[tuple[RoundTrip, Sequence[Note]]]) -> SafeString:
    """A row a trade. The style sheet knows the columns by their place."""
    now, prefix = timezone.now(), reverse("journal:list")
    rows = []
    for trade, notes in trades:
        state = " <i>Open</i>" if trade.closed_at is None else " <i>Written off</i>" if trade.ended_by else ""
        noted = f"<small>{len(notes)} note{'' if len(notes) == 1 else 's'}</small>" if notes else ""
        name = conditional_escape(f"{trade.symbol} {trade.get_side_display().lower()}")
        where = trade.connection
        tag = "<b>Paper</b>" if where.environment == Environment.PAPER else "<b class=live>Live</b>"
        if trade.measured_by and trade.best is not None and trade.worst is not None:
            swing = f"{signed(trade.best)} / {signed(trade.worst)}"
        else:
            swing = "Soon" if trade.closed_at else "After closing"
        look = direction(trade.net)
        rows.append(
            f"<tr><td><a href={prefix}{trade.public_id}/>{name}</a>{state}{noted}"
            f"<td>{conditional_escape(where.name)} {tag}"
            f"<td>{grouped(trade.quantity)}<td>{price(trade.entry_price)}<td>{price(trade.exit_price)}"
            f"<td{look and f' class={look}'}>{conditional_escape(gain(trade.net, trade.currency))}"
            f"<td>{swing}<td>{brief_time(trade.opened_at, now)}"
        )
    return SafeString("\n".join(rows))
