"""What the pages of approvals write of time that is left."""

import math
from datetime import datetime

from django import template
from django.utils import timezone

register = template.Library()


@register.filter
def time_left(until: datetime) -> str:
    """``45 s left``, ``1 min 59 s left``, ``3 h 12 min left``, as app.js counts it down; then ``expired``."""
    seconds = math.ceil((until - timezone.now()).total_seconds())
    if seconds <= 0:
        return "expired"
    minutes, rest = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s left" if minutes else f"{rest} s left"
    return f"{minutes // 60} h {minutes % 60} min left"
