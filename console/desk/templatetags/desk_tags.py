"""Orders as rows of a table. Written in one piece, without end tags: fifty of them are most of what a list weighs."""

from collections.abc import Sequence

from django import template
from django.template import Context
from django.urls import reverse
from django.utils import timezone
from django.utils.html import conditional_escape
from django.utils.safestring import SafeString

from brokers.decimals import grouped, money
from brokers.types import Environment, OrderType
from console.onboarding.templatetags.console_tags import app_name, brief_time, price
from console.orders.models import Order
from console.orders.states import Status
from console.orders.terms import TYPE_TEXT

register = template.Library()

_LOOKS: dict[str, str] = {
    **dict.fromkeys(
        (Status.REJECTED, Status.UNANSWERED, Status.DENIED, Status.UNKNOWN, Status.NOT_SENT, Status.NOT_FOUND), "bad"
    ),
    **dict.fromkeys((Status.LAPSED, Status.REJECTED_BY_OWNER, Status.CANCELLED, Status.EXPIRED), "faint"),
    Status.FILLED: "good",
}


@register.filter
def status_class(status: str) -> str:
    """How the word for it is coloured: ``bad``, ``good``, ``faint`` or not at all."""
    return _LOOKS.get(status, "")


@register.simple_tag(takes_context=True)
def order_rows(context: Context, orders: Sequence[Order], named: bool = False) -> SafeString:
    """A row an order; ``named``: with its connection. The style sheet knows the columns by their place."""
    now, prefix = timezone.now(), reverse("orders:list")
    if context["request"].path == prefix:
        prefix = ""
    rows = []
    for order in orders:
        buys, look = order.side == "BUY", status_class(order.status)
        filled = ""
        if order.filled_quantity:
            filled = grouped(order.filled_quantity)
            if order.average_price is not None:
                filled += f" at {price(order.average_price)}"
        cells = [
            f"<td>{brief_time(order.created_at, now)}",
            "<td>Buy" if buys else "<td class=sell>Sell",
            f"<td>{_size(order)}",
            f"<td><a href={prefix}{order.public_id}/>{conditional_escape(order_symbol(order))}</a>",
            f"<td>{TYPE_TEXT[OrderType(order.order_type)]}",
            f"<td>{_price(order)}",
            f"<td{'' if not filled or order.status == Status.FILLED else ' class=part'}>{filled}",
            f"<td{look and f' class={look}'}>{conditional_escape(order.status_words)}",
            f"<td>{conditional_escape(app_name(order.app))}",
        ]
        if named:
            where = order.connection
            tag = "<b>Paper</b>" if where.environment == Environment.PAPER else "<b class=live>Live</b>"
            cells.append(f"<td>{conditional_escape(where.name)} {tag}")
        rows.append("<tr>" + "".join(cells))
    return SafeString("\n".join(rows))


def order_symbol(order: Order) -> str:
    """``AAPL spread`` for several options in one order: their own name is longer than a column."""
    spread = order.spread
    return order.symbol if spread is None else f"{spread.root} spread"


def _size(order: Order) -> str:
    """Units, or the amount of an order by money."""
    if order.quantity is not None:
        return grouped(order.quantity)
    return "" if order.notional is None else f"{money(order.notional)} {conditional_escape(order.currency)}"


def _price(order: Order) -> str:
    """The price or distance that the order itself names; none for one at the market."""
    if order.trail_percent is not None and order.trail_amount is None:
        return f"by {grouped(order.trail_percent)}%"
    shown = [money(each) for each in (order.stop_price, order.limit_price) if each is not None]
    if order.trail_amount is not None:
        shown.append(f"by {money(order.trail_amount)}")
    # The price and its currency stay on one line.
    return f"{' / '.join(shown)}\N{NO-BREAK SPACE}{conditional_escape(order.currency)}" if shown else ""
