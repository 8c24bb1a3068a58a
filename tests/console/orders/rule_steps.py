"""What the tests of standing rules share."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.utils import timezone

from brokers.types import OrderType, Side
from console.accounts.models import User
from console.connections.models import Connection
from console.halts.services import Proof
from console.orders.models import StandingRule
from console.orders.owner import standing_rules
from console.orders.owner.approvals import Evidence
from console.orders.owner.standing_rules import RuleTerms
from console.principal import Principal
from mcpserver import pipeline

EVERY_DAY = tuple(range(7))


def terms(**changed: Any) -> RuleTerms:
    """Buys of bitcoin at a limit, to 1,000 an order and 2,500 a day, at any time."""
    usual: dict[str, Any] = {
        "name": "Small buys",
        "app": None,
        "symbols": ("BTC/USD",),
        "sides": (Side.BUY,),
        "order_types": (OrderType.LIMIT,),
        "order_value": Decimal(1000),
        "day_value": Decimal(2500),
        "orders_a_day": 10,
        "weekdays": EVERY_DAY,
        "starts": None,
        "ends": None,
        "time_zone": "UTC",
        "last_day": last_day(),
    }
    return RuleTerms(**{**usual, **changed})


def last_day(days: int = 30) -> date:
    return (timezone.now() + timedelta(days=days)).date()


def form(**changed: Any) -> dict[str, Any]:
    """The same, as its owner types it."""
    usual: dict[str, Any] = {
        "name": "Small buys",
        "symbols": "BTC/USD",
        "sides": ["BUY"],
        "order_types": ["LMT"],
        "order_value": "1000",
        "day_value": "2500",
        "orders_a_day": "10",
        "weekdays": [str(day) for day in EVERY_DAY],
        "time_zone": "UTC",
        "last_day": last_day().isoformat(),
    }
    return {**usual, **changed}


def make(connection: Connection, owner: User, **changed: Any) -> StandingRule:
    evidence = Evidence(proof=Proof.PASSKEY, label="passkey Laptop", ip="203.0.113.7")
    return standing_rules.create(connection, terms(**changed), by=owner, evidence=evidence)


def tool(trader: Principal, name: str, **arguments: Any) -> Any:
    return pipeline.attempt(trader, name, arguments, request_id="req_test").answer().content


def place(trader: Principal, quantity: str = "1", limit: str | None = "1000", **more: Any) -> Any:
    given = {
        "symbol": "BTC/USD",
        "side": "BUY",
        "order_type": "LMT",
        "quantity": quantity,
        "limit_price": limit,
        **more,
    }
    return tool(trader, "place_order", **{name: value for name, value in given.items() if value is not None})


def confirm(trader: Principal, placed: Any) -> Any:
    return tool(trader, "confirm_trade", confirmation_id=placed["confirmation_id"])
