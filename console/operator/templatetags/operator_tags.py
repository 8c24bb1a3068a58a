from django import template

from console.onboarding.templatetags.console_tags import NOTHING

register = template.Library()


@register.filter
def seconds(value: float | None) -> str:
    """``84 ms``, ``1.2 s``, ``3 min``: two digits are enough to see what is slow."""
    if value is None:
        return NOTHING
    if value < 1:
        return f"{value * 1000:.0f} ms"
    return f"{value:.1f} s" if value < 120 else f"{value / 60:.0f} min"
