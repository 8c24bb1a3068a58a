"""The largest order that each limit leaves, found by what refuses an order: ``limit_rules`` itself."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import partial

from django.utils import timezone

from brokers.types import Side
from console.errors import Code, Refusal
from console.limits import Limits
from console.orders.checks import daily_usage, limit_rules, open_orders
from console.orders.checks.limit_rules import PendingQuantity, ScopedLimits
from console.orders.largest.at_broker import SizesAtBroker
from console.orders.largest.bounds import LARGEST_STEPS, BoundKind, SizeBound

_SIZED = ("order_notional", "daily_notional", "position_value", "equity_share", "daily_loss", "orders_per_minute")
"""The limits that a smaller order may pass, or that leave no room for any."""


class SizesAtLimits:
    """What the limits need, read once for every size, as ``checks.limits`` has it."""

    def __init__(self, order: SizesAtBroker) -> None:
        self._order, self._inputs = order, order.facts.inputs
        subject = order.facts.subject
        self._connection, self._request = subject.connection, subject.request
        self._now = timezone.now()
        self._limits = daily_usage.scoped_limits(self._connection, subject.app, self._now)
        self._pending: dict[Side, PendingQuantity] = {}
        if self._inputs.held is not None:
            side = self._request.side
            self._pending[side] = open_orders.pending_quantity(
                self._request.symbol, side, self._connection, self._inputs
            )

    def bounds(self) -> list[SizeBound]:
        """One for each limit that is a number, by itself."""
        collar = limit_rules.collar_of(
            self._limits,
            is_live=self._connection.is_live,
            takes_market=limit_rules.takes_market(self._request, self._inputs.quote),
        )
        made = []
        for scoped in self._limits:
            for name in _SIZED:
                value = getattr(scoped.limits, name)
                if value is None:
                    continue
                alone = replace(scoped, limits=Limits(**{name: value}, price_collar=collar))
                most, refusal = _largest(self._order.first, partial(self._refusal_at, alone))
                if most is not None and refusal is not None:
                    made.append(
                        SizeBound(
                            kind=BoundKind.LIMIT,
                            of=scoped.of,
                            name=name,
                            size=most * self._order.step,
                            has=Decimal(value),
                            unit=_unit(name, self._inputs.currency),
                            refusal=refusal,
                        )
                    )
        return made

    def _refusal_at(self, limits: ScopedLimits, steps: int) -> Refusal | None:
        try:
            limit_rules.check_limits(
                self._order.sized(steps).request,
                self._inputs,
                (limits,),
                is_live=False,
                pending=self._pending,
                now=self._now,
            )
        except Refusal as refusal:
            return refusal
        return None


def _largest(first: int, refusal_at: Callable[[int], Refusal | None]) -> tuple[int | None, Refusal | None]:
    """The largest size that is not refused and what refuses one step more; None where none is."""
    if (refused := refusal_at(first)) is not None:
        return 0, refused
    low = first
    high = first * 2
    while (refused := refusal_at(high)) is None:
        low, high = high, high * 2
        if high > LARGEST_STEPS:
            return None, None
    if refused.code is Code.LIMIT_UNPROVABLE:
        return None, None  # more than can be put on record, which no limit says
    while high - low > 1:
        middle = (low + high) // 2
        found = refusal_at(middle)
        low, high, refused = (middle, high, refused) if found is None else (low, middle, found)
    return low, refused


def _unit(name: str, currency: str) -> str:
    return {"orders_per_minute": "orders", "equity_share": "%"}.get(name, currency)
