"""The checks of one order when it is released, outside any transaction."""

from contextlib import suppress
from dataclasses import dataclass

from brokers.errors import InsufficientFunds, InsufficientPosition
from brokers.types import OrderType, Preview, Side
from console.connections import broker_access
from console.orders.checks import facts as check_facts
from console.orders.checks import limit_rules, position_checks
from console.orders.checks.limit_rules import RiskInputs
from console.orders.models import Order


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseChecks:
    """An order that passed every check outside a transaction, and what those inside one need."""

    preview: Preview | None
    """None where the broker cannot estimate it yet."""
    facts: RiskInputs
    held: position_checks.PositionSnapshot | None
    """For an order that was sized by a position: what that is now."""


def check_release(order: Order) -> ReleaseChecks:
    """Funds and rules by the broker's own word, and the price against the one shown. Raises BrokerError, Refusal.

    What it returns is for the transaction that releases the order.
    """
    broker = broker_access.broker_of(order.connection)
    held = None
    if order.position_shown is not None:
        held = position_checks.snapshot(order, broker)
        position_checks.check_still_covers(order, held)
    request = order.request
    preview = broker.preview(order.account_id, request)
    limit_rules.check_drift(OrderType(order.order_type), order.shown_price, preview.price)
    instrument = broker.instrument(order.symbol)
    facts = check_facts.load(broker, order.connection, order.app, instrument, preview.quote, request=request)
    return ReleaseChecks(preview=preview, facts=facts, held=held)


def check_at_question(order: Order) -> ReleaseChecks:
    """``check_release`` of an order its broker asks about: by quotes, as a preview beside it could undo the question.

    Raises BrokerError, Refusal.
    """
    broker = broker_access.broker_of(order.connection)
    held = None
    if order.position_shown is not None:
        held = position_checks.snapshot(order, broker)
        position_checks.check_still_covers(order, held)
    quote = broker.quotes([order.symbol])[0]
    price = order.limit_price or order.stop_price or (quote.bid if order.side == Side.SELL else quote.ask)
    limit_rules.check_drift(OrderType(order.order_type), order.shown_price, price)
    instrument = broker.instrument(order.symbol)
    facts = check_facts.load(broker, order.connection, order.app, instrument, quote, request=order.request)
    return ReleaseChecks(preview=None, facts=facts, held=held)


def check_before_cancels(order: Order) -> ReleaseChecks:
    """What can be told of a close while other orders still hold its position: that it is as shown, and the price.

    Raises BrokerError, Refusal.
    """
    broker = broker_access.broker_of(order.connection)
    position_checks.check_as_shown(order, position_checks.snapshot(order, broker))
    quote = broker.quotes([order.symbol])[0]
    limit_rules.check_drift(
        OrderType(order.order_type), order.shown_price, quote.bid if order.side == Side.SELL else quote.ask
    )
    instrument = broker.instrument(order.symbol)
    facts = check_facts.load(broker, order.connection, order.app, instrument, quote)
    # Whatever else its broker would refuse it for is known before anything that guards the position is cancelled.
    with suppress(InsufficientPosition, InsufficientFunds):
        broker.preview(order.account_id, order.request)
    return ReleaseChecks(preview=None, facts=facts, held=None)
