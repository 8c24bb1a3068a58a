"""That a standing rule released an order: written with its intent, in the transaction that decided it."""

from datetime import datetime
from decimal import Decimal

from console.orders.models import Order, RuleRelease, StandingRule
from console.orders.transitions import order_state


def record(rule: StandingRule, order: Order, value: Decimal, at: datetime, *, by: str, request_id: str) -> None:
    """``value``: the most that it can come to, which its day counts from now on."""
    RuleRelease.objects.create(rule=rule, order=order, value=value, at=at)
    said = f"Released by the owner's standing rule {rule.name}, without an approval of its own."
    order_state.add_event(order, order.status, said, by, request_id, {"rule": rule.public_id})
