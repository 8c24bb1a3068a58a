"""Whether an order may go: decided from values, no database, no broker."""

from decimal import Decimal

from brokers.decimals import plain
from brokers.types import OrderType, Preview, Side
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection, Policy
from console.errors import Code, Refusal
from console.orders.terms import Terms

MAX_DRIFT = Decimal("0.02")
"""How far a price may move between showing an order and releasing it, as a share of the shown price."""


def check_permission(app: ConnectedApp, connection: Connection) -> None:
    """May this app trade on this connection now? Trading takes the scope and the connection's own switch."""
    if app.revoked_at is not None:
        raise Refusal(Code.APP_REVOKED, "This app's access was taken back in the console.")
    if app.paused_at is not None:
        raise Refusal(Code.APP_PAUSED, "This app is paused. Its owner can resume it under Connected apps.")
    if not app.can_trade:
        raise Refusal(
            Code.INSUFFICIENT_SCOPE,
            "This app may only read. Trading needs the scope mcp:trade; its owner can grant it in the console.",
        )
    if connection.closed_at is not None or connection.paused_at is not None:
        raise Refusal(
            Code.CONNECTION_PAUSED,
            f"The connection {connection.name} is paused. Its owner can resume it under Connections.",
        )
    if not connection.trading_enabled:
        raise Refusal(
            Code.TRADING_DISABLED,
            f"Trading is switched off for the connection {connection.name}, whatever the app's scope. "
            "Its owner can switch it on under Connections.",
        )
    if connection.is_live and connection.owner.live_is_frozen:
        raise Refusal(
            Code.LIVE_FROZEN,
            f"Live trading rests until {connection.owner.live_frozen_until:%Y-%m-%d %H:%M} UTC, because the owner's "
            "account was recovered. Nothing was sent.",
        )


def check_policy(connection: Connection) -> None:
    """May an assistant redeem a confirmation here? Any policy this code does not know is one that says no."""
    if connection.policy != Policy.TWO_STEP:
        raise Refusal(
            Code.APPROVAL_REQUIRED,
            f"On {connection.name} only its owner can release an order, in the console. Nothing was sent.",
        )


def check_drift(order_type: OrderType, shown: Decimal, preview: Preview) -> None:
    """A price limit bounds itself; an order without one must not be released far from where it was shown."""
    if order_type.needs_limit or shown == 0:
        return
    drift = abs(preview.price - shown) / shown
    if drift > MAX_DRIFT:
        raise Refusal(
            Code.PRICE_MOVED,
            f"The price moved from {plain(shown)} to {plain(preview.price)} since the order was shown, more than "
            f"{plain(MAX_DRIFT * 100)} %. Nothing was sent; prepare the order again.",
        )


def warnings(terms: Terms, preview: Preview) -> list[str]:
    """What passes every check and may still surprise the person."""
    said = []
    if not terms.order_type.needs_limit:
        said.append(
            f"It has no limit price: it fills at the price of its moment. It is shown at {plain(preview.price)}, and "
            f"refused at confirmation if that moves more than {plain(MAX_DRIFT * 100)} %."
        )
    if terms.order_type is OrderType.LIMIT and terms.limit_price is not None:
        buys = terms.side is Side.BUY
        other = preview.quote.ask if buys else preview.quote.bid
        if terms.limit_price >= other if buys else terms.limit_price <= other:
            said.append(
                f"Its limit is through the {'ask' if buys else 'bid'} of {plain(other)}: it would fill at once."
            )
    return said
