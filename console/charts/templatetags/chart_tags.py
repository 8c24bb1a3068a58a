"""Draws a chart on a page."""

from django import template
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from console.charts import figures
from console.charts.figures import BarChart, LineChart, Spark

register = template.Library()


@register.simple_tag
def chart(drawn: LineChart | BarChart | Spark | None) -> SafeString:
    """Nothing where there is nothing to draw. The page links ``console/charts.css``."""
    if drawn is None:
        return SafeString("")
    sizes = {"width": figures.WIDTH, "height": figures.HEIGHT}
    return render_to_string(drawn.template, {"chart": drawn, **sizes})
