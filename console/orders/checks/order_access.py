"""Which orders an app may take back or change. Its owner, in the console, reaches all of them.

own order          those it made, and those it made before the same client signed in again
another app's      never: whoever may trade there may halt, and the owner may cancel
the owner's        never
waits for release  never, where it is the owner's to release
guards a position  where the owner releases orders, its cancel waits for the owner; see ``protective_cancels``
"""

from brokers.errors import BrokerError
from brokers.types import OrderClass, Side
from console.connected_apps.models import ConnectedApp
from console.connections import broker_access
from console.connections.models import Connection, Policy
from console.errors import Code, Refusal
from console.orders import states
from console.orders.checks import facts
from console.orders.models import Confirmation, Order
from console.orders.states import Status
from console.principal import Redeemer

OWN_ORDERS, ALL_ORDERS = "own orders", "all orders"
"""What closing everything takes back first, in the terms that were shown."""


def check_may_change(app: ConnectedApp, order: Order) -> None:
    """May ``app`` take this order back, or ask for a change of it? Raises Refusal."""
    if app.is_console:
        return
    if order.app.is_console:
        raise Refusal(
            Code.OWNERS_ORDER,
            f"The owner made order {order.public_id} in the console, so only the owner can cancel or change it there. "
            "Nothing was done.",
            order_id=order.public_id,
        )
    if not app.is_same(order.app):
        raise Refusal(
            Code.ANOTHER_APPS_ORDER,
            f"Another app made order {order.public_id}. That app can cancel or change it, and the owner in the "
            "console. Nothing was done.",
            order_id=order.public_id,
        )
    if order.state is Status.AWAITING:
        check_not_owners_to_release(order.confirmation)


def check_not_owners_to_release(confirmation: Confirmation) -> None:
    """What waits for its owner's release is not an app's to take back. Raises Refusal."""
    if confirmation.rule_id is None and confirmation.decided_by(confirmation.app.connection) is Redeemer.OWNER:
        order = confirmation.order
        raise Refusal(
            Code.WAITS_FOR_OWNER,
            f"Order {order.public_id} waits for its owner, who approves or declines it in the console; unanswered, it "
            "ends by itself. Nothing was done.",
            order_id=order.public_id,
        )


def flatten_scope(confirmation: Confirmation) -> ConnectedApp | None:
    """Whose orders closing everything takes back: those of its app, or, where its owner releases it, all (None).

    As it was shown: what was prepared as the app's own stays so, though its owner may have to release it since.
    """
    cancels = confirmation.terms.get("cancels")
    if cancels is None:  # prepared before the terms said it
        return None if confirmation.redeemer == Redeemer.OWNER else confirmation.app
    return confirmation.app if cancels == OWN_ORDERS else None


def check_no_other_orders(
    app: ConnectedApp | None,
    connection: Connection,
    account_id: str,
    symbol: str,
    *,
    exclude: Confirmation | None = None,
) -> None:
    """Closing a position takes every order in its symbol away, so none of somebody else's may stand. Raises Refusal."""
    if app is None:
        return
    rows = Order.objects.filter(connection=connection, account_id=account_id, status__in=states.OPEN)
    others = (
        facts.trading(rows, symbol).exclude(app__in=ConnectedApp.objects.filter(app.same)).exclude(confirmation=exclude)
    )
    for order in others.select_related("app")[:1]:
        check_may_change(app, order)


def cancel_needs_owner(order: Order) -> bool:
    """Whether the cancel of an app's own order waits for the owner: the owner releases orders there, and it guards."""
    return order.connection.policy != Policy.TWO_STEP and order.state in facts.LIVE and _guards_position(order)


def _guards_position(order: Order) -> bool:
    """Whether a position may lose its stop, its target or its way out with the order."""
    if order.parent_id is not None or order.order_class == OrderClass.OCO or order.reduce_only or order.closes:
        return True
    if order.filled_quantity and order.has_legs:
        return True  # its exits guard what it has filled, and most brokers end them with it
    try:
        positions = broker_access.broker_of(order.connection).positions(order.account_id)
    except BrokerError:
        return True  # not known is not no, and the owner can cancel it all the same
    if (spread := order.spread) is not None:
        traded = spread if order.side == Side.BUY else spread.turned
        return any(
            leg.sign * each.quantity < 0 for leg in traded.legs for each in positions if leg.is_called(each.symbol)
        )
    held = [each.quantity for each in positions if each.is_in(order.symbol, order.asset_class)]
    return any(each < 0 if order.side == Side.BUY else each > 0 for each in held)
