"""A second matching engine, written from the rules' text and sharing no code with the exchange: slow and naive.

It walks one order over a list of bars, one after the other, for buys and sells apart, and knows no database, no index
and no mirror. Prices are Decimal, a bar is (open, high, low, close, volume).
"""

from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal

Bar = tuple[Decimal, Decimal, Decimal, Decimal, Decimal]
LOT = Decimal("0.00000001")
TICK = Decimal("0.01")


@dataclass
class Order:
    side: str
    kind: str
    quantity: Decimal
    limit: Decimal | None = None
    stop: Decimal | None = None
    trail: Decimal | None = None
    """Percent."""
    fills: list[tuple[int, Decimal, Decimal]] = field(default_factory=list)
    """(bar, price, quantity); bar -1 is on arrival."""


def run(order: Order, last: Bar, bars: list[Bar], share: Decimal | None) -> None:
    """``last`` is the bar that had just ended when the order came: its close was bid, ask and last price."""
    here = last[3]
    left = order.quantity
    state = "waiting"
    best = here
    if order.kind in ("STP", "STP_LIMIT") and order.stop is not None and _reached(order.side, here, order.stop):
        state = "triggered"
    price = None
    limit = order.limit if order.kind == "LMT" or state == "triggered" else None
    met = limit is not None and not _beyond(order.side, here, limit)
    if order.kind == "MKT" or (order.kind == "STP" and state == "triggered") or met:
        price = here
    left = take(order, -1, price, left, last[4], share)
    for place, bar in enumerate(bars):
        if left == 0:
            return
        price, state, best = meet(order, bar, state, best)
        left = take(order, place, price, left, bar[4], share)


def _reached(side: str, price: Decimal, stop: Decimal) -> bool:
    return price >= stop if side == "BUY" else price <= stop


def _beyond(side: str, price: Decimal, limit: Decimal) -> bool:
    return price > limit if side == "BUY" else price < limit


def take(
    order: Order, place: int, price: Decimal | None, left: Decimal, volume: Decimal, share: Decimal | None
) -> Decimal:
    if price is None:
        return left
    allowed = left
    if share is not None:
        allowed = min(left, (volume * share / LOT).to_integral_value(ROUND_DOWN) * LOT)
    if allowed > 0:
        order.fills.append((place, price, allowed))
    return left - allowed


def meet(order: Order, bar: Bar, state: str, best: Decimal) -> tuple[Decimal | None, str, Decimal]:
    opened, high, low, close, _ = bar
    buy = order.side == "BUY"
    if order.kind == "MKT" or (order.kind in ("STP", "TRAIL") and state == "triggered"):
        return opened, state, best
    if order.kind == "TRAIL":
        return trailing(order, bar, best)
    limit, stop = order.limit, order.stop
    if order.kind == "STP":
        assert stop is not None
        if buy and high >= stop:
            return (opened if opened > stop else stop), "triggered", best
        if not buy and low <= stop:
            return (opened if opened < stop else stop), "triggered", best
        return None, state, best
    assert limit is not None
    if order.kind == "STP_LIMIT" and state == "waiting":
        assert stop is not None
        if (buy and high < stop) or (not buy and low > stop):
            return None, state, best
        state = "triggered"
        at_open = opened >= stop if buy else opened <= stop
        if not at_open:
            if (buy and limit >= stop) or (not buy and limit <= stop):
                return stop, state, best
            through = close <= limit if buy else close >= limit
            return (limit if through else None), state, best
    if buy and low <= limit:
        return (opened if opened < limit else limit), state, best
    if not buy and high >= limit:
        return (opened if opened > limit else limit), state, best
    return None, state, best


def trailing(order: Order, bar: Bar, best: Decimal) -> tuple[Decimal | None, str, Decimal]:
    """Open, then whichever extreme hurts, then the close against the stop that the other extreme has drawn."""
    opened, high, low, close, _ = bar
    assert order.trail is not None

    def stop(top: Decimal) -> Decimal:
        exact = top * (100 + order.trail) / 100 if order.side == "BUY" else top * (100 - order.trail) / 100  # type: ignore[operator]
        ticks = exact // TICK
        if order.side == "BUY" and exact % TICK:
            ticks += 1
        return ticks * TICK

    if order.side == "BUY":
        if opened >= stop(best):
            return opened, "triggered", best
        best = min(best, opened)
        if high >= stop(best):
            return stop(best), "triggered", best
        best = min(best, low)
        return (stop(best) if close >= stop(best) else None), "triggered" if close >= stop(best) else "waiting", best
    if opened <= stop(best):
        return opened, "triggered", best
    best = max(best, opened)
    if low <= stop(best):
        return stop(best), "triggered", best
    best = max(best, high)
    return (stop(best) if close <= stop(best) else None), "triggered" if close <= stop(best) else "waiting", best
