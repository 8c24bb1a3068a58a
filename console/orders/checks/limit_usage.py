"""How an app or a connection stands against its limits: for pages, for the REST API and for the model that plans."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from console.connections.models import Connection
from console.limits import AMOUNTS, NUMBERS, TITLES, Limits
from console.orders.checks.limit_rules import LimitUsage


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitLine:
    """One number that is limited. Amounts in the connection's currency; None where it is not one number."""

    name: str
    title: str
    value: Decimal
    unit: str
    used: Decimal | None
    headroom: Decimal | None


def used_now(
    use: LimitUsage, connection: Connection, *, equity: Decimal | None, now: datetime
) -> dict[str, Decimal | None]:
    """What is used now of the numbers that add up over a day or a minute, limited or not."""
    return {
        "daily_notional": use.today,
        "orders_per_minute": Decimal(use.last_minute),
        "daily_loss": loss_today(connection, equity, now),
    }


def limit_lines(
    limits: Limits, use: LimitUsage, connection: Connection, *, equity: Decimal | None, now: datetime
) -> list[LimitLine]:
    """The numbers that are limited. ``equity`` is the newest that is known, over all accounts."""
    used = used_now(use, connection, equity=equity, now=now)
    made = []
    for name in (*NUMBERS, "orders_per_minute"):
        value = getattr(limits, name)
        if value is None:
            continue
        value, now_used = Decimal(value), used.get(name)
        unit = connection.currency if name in AMOUNTS else "orders" if name == "orders_per_minute" else "%"
        left = None if now_used is None else max(value - now_used, Decimal(0))
        made.append(LimitLine(name=name, title=TITLES[name], value=value, unit=unit, used=now_used, headroom=left))
    return made


def loss_today(connection: Connection, equity: Decimal | None, now: datetime) -> Decimal | None:
    """What the equity has lost since the UTC day began, nothing if it gained; None where it is not known."""
    began = connection.equity_at_start_of(now.astimezone(UTC).date())
    return None if began is None or equity is None else max(began - equity, Decimal(0))
