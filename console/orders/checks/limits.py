"""The limits of the connection and of the app, with what the orders say now."""

from decimal import Decimal

from django.utils import timezone

from brokers.types import OrderRequest
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.orders.checks import daily_usage, limit_rules, open_orders
from console.orders.checks.limit_rules import RiskInputs
from console.orders.models import Order


def check_limits(
    request: OrderRequest,
    facts: RiskInputs,
    connection: Connection,
    app: ConnectedApp,
    *,
    exclude: Order | None = None,
    closes: bool = False,
) -> Decimal | None:
    """``limit_rules.check_limits`` with what the orders say now. Returns the most the order can come to.

    ``exclude``: the order itself, which is not held against itself. ``closes``: it is sized by a position of its
    account, and is held against it by itself.
    """
    now = timezone.now()
    itself = None if exclude is None else exclude.pk
    sides = {request.side, *(leg.side for leg in request.legs)} if facts.held is not None and not closes else set()
    return limit_rules.check_limits(
        request,
        facts,
        daily_usage.scoped_limits(connection, app, now, exclude=itself),
        is_live=connection.is_live,
        pending={
            side: open_orders.pending_quantity(request.symbol, side, connection, facts, exclude=exclude)
            for side in sides
        },
        closes=closes,
        already=Decimal(0) if exclude is None else daily_usage.own_day_use(exclude, connection.currency, now),
        now=now,
    )
