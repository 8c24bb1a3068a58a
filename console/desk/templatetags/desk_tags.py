"""The cells of an order and of a position in a table."""

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from brokers.decimals import grouped, money
from brokers.types import OrderType
from console.orders.models import Order
from console.orders.terms import TYPE_TEXT

register = template.Library()


@register.filter
def order_symbol(order: Order) -> str:
    """``AAPL spread`` for several options in one order: their own name is longer than a column."""
    spread = order.spread
    return order.symbol if spread is None else f"{spread.root} spread"


@register.filter
def order_size(order: Order) -> SafeString:
    """Units, or the amount of an order by money."""
    if order.quantity is not None:
        return format_html("{}", grouped(order.quantity))
    if order.notional is not None:
        return format_html('{} <span class="faint">{}</span>', money(order.notional), order.currency)
    return SafeString("\N{EN DASH}")


@register.filter
def order_type(order: Order) -> str:
    return TYPE_TEXT[OrderType(order.order_type)]


@register.filter
def order_price(order: Order) -> SafeString:
    """The price or distance that the order itself names; none for one at the market."""
    shown = [money(each) for each in (order.stop_price, order.limit_price) if each is not None]
    if order.trail_amount is not None:
        shown.append(f"by {money(order.trail_amount)}")
    elif order.trail_percent is not None:
        return format_html("by {}%", grouped(order.trail_percent))
    if not shown:
        return SafeString("\N{EN DASH}")
    return format_html('{} <span class="faint">{}</span>', " / ".join(shown), order.currency)


@register.filter
def side_class(side: str) -> str:
    return "buy" if side == "BUY" else "sell"
