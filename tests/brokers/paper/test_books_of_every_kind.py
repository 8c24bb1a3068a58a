"""Whatever is ordered, on cash or margin and under any preset: after every step the books follow from the ledger."""

from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from brokers.errors import Rejected
from brokers.paper import accounts, costs, ledger
from brokers.paper.adapter import PaperBroker
from brokers.paper.models import OPEN_STATUSES, LedgerEntry, PaperAccount, PaperFill, PaperOrder
from brokers.types import LegRequest, OrderChanges, OrderClass, OrderRequest, OrderType, Side, TimeInForce

from .support import Clock, new_id, order

pytestmark = pytest.mark.django_db
LOTS = {"AAPL": Decimal(1), "INTC": Decimal(40), "BTC/USD": Decimal("0.01234567")}
CENT = Decimal("0.01")

away = st.integers(-30, 30)
"""Prices lie up to 1.5 % from the market."""
sides = st.sampled_from(["BUY", "SELL"])
symbols = st.sampled_from(sorted(LOTS))
lots = st.one_of(st.integers(1, 12), st.sampled_from([100, 4000]))
"""Now and then more than the volume limits of a preset let through at once."""
kinds = st.sampled_from(["TRAIL", "LMT", "MKT", "STP", "STP_LIMIT", "TRAIL"])
tifs = st.sampled_from(["GTC", "DAY", "GTC", "IOC", "FOK"])
rarely = st.sampled_from([False, False, False, False, True])
simple = st.tuples(st.just("order"), sides, symbols, lots, kinds, away, away, tifs, rarely)
classes = st.sampled_from([OrderClass.BRACKET, OrderClass.OCO, OrderClass.OTO])
linked = st.tuples(st.just("linked"), sides, symbols, lots, classes, st.sampled_from(["MKT", "LMT"]), away, away, away)
moves = st.tuples(st.just("clock"), st.sampled_from([1, 60, 61, 600, 7200, 90_000]))
cancels = st.tuples(st.just("cancel"), st.integers(0, 9))
changes = st.tuples(st.just("replace"), st.integers(0, 9), st.integers(1, 14), away)
steps = st.lists(st.one_of(simple, simple, linked, linked, moves, moves, cancels, changes), min_size=8, max_size=20)


def near(last: Decimal, tenths: int) -> Decimal:
    return (last * (2000 + tenths) / 2000).quantize(CENT)


def simple_order(last: Decimal, step: tuple[Any, ...]) -> OrderRequest:
    _, side, symbol, count, kind, limit, stop, tif, reduce_only = step
    made = order(
        side,
        str(LOTS[symbol] * count),
        symbol,
        limit=str(near(last, limit)) if kind in ("LMT", "STP_LIMIT") else None,
        stop=str(near(last, stop)) if kind in ("STP", "STP_LIMIT") else None,
        tif=tif,
    )
    if kind == "TRAIL":
        made = replace(made, order_type=OrderType.TRAIL, trail_amount=abs(near(last, stop) - last) + CENT)
    return replace(made, reduce_only=reduce_only)


def linked_order(last: Decimal, step: tuple[Any, ...]) -> OrderRequest:
    _, side, symbol, count, order_class, kind, entry, first, second = step
    own, other = Side(side), Side(side).opposite
    up = 1 if own is Side.BUY else -1

    def leg(leg_side: Side, order_type: OrderType, price: Decimal) -> LegRequest:
        limited = order_type is OrderType.LIMIT
        return LegRequest(
            client_order_id=new_id(),
            side=leg_side,
            order_type=order_type,
            limit_price=price if limited else None,
            stop_price=None if limited else price,
        )

    limit = near(last, entry) if kind == "LMT" or order_class is OrderClass.OCO else None
    made = order(side, str(LOTS[symbol] * count), symbol, limit=None if limit is None else str(limit))
    if order_class is OrderClass.OCO:
        legs: tuple[LegRequest, ...] = (leg(own, OrderType.STOP, near(last, up * (abs(second) + 1))),)
    elif order_class is OrderClass.OTO:
        legs = (leg(other, OrderType.LIMIT, near(last, first)),)
    else:
        target, stop = near(last, up * (abs(first) + 1)), near(last, -up * (abs(second) + 1))
        legs = (leg(other, OrderType.LIMIT, target), leg(other, OrderType.STOP, stop))
    return replace(made, order_class=order_class, legs=legs)


def check(broker: PaperBroker, account: PaperAccount, asked: dict[str, Decimal]) -> None:
    kept = ledger.account_balances(account)
    assert ledger.rebuild(account) == kept
    fills = list(PaperFill.objects.filter(order__account=account).select_related("order"))
    entries = list(LedgerEntry.objects.filter(account=account))
    # The ledger says of trades and fees exactly what the fills say.
    signed = [(1 if fill.order.side == "BUY" else -1, fill) for fill in fills]
    worth = sum(
        (sign * (fill.price * fill.quantity).quantize(CENT, "ROUND_HALF_UP") for sign, fill in signed), Decimal(0)
    )
    assert -sum((each.amount for each in entries if each.kind == "trade"), Decimal(0)) == worth
    assert -sum((each.amount for each in entries if each.kind == "fee"), Decimal(0)) == sum(f.fee for f in fills)
    for symbol in LOTS:
        units = sum((sign * fill.quantity for sign, fill in signed if fill.order.symbol == symbol), Decimal(0))
        assert kept.holdings.get(symbol, (Decimal(0),))[0] == units
    for row in account.orders.all():
        own = [fill for fill in fills if fill.order_id == row.pk]
        assert row.filled_quantity == sum((fill.quantity for fill in own), Decimal(0)) <= row.quantity
        assert row.fees == sum((fill.fee for fill in own), Decimal(0))
        assert row.reserved_cash >= 0 and row.reserved_quantity >= 0
        if row.status in OPEN_STATUSES:
            assert row.reserved_quantity <= row.quantity - row.filled_quantity
        else:
            assert row.reserved_cash == row.reserved_quantity == 0
        if row.limit_price is not None:
            assert all((row.limit_price - f.price) * (1 if row.side == "BUY" else -1) >= 0 for f in own)
        if row.reduce_only:
            assert not row.legs.exists()
    check_pairs(account, asked)
    state = broker.account_state(account.key)
    for position in broker.positions(account.key):
        assert position.reserved <= abs(position.quantity)
        assert position.quantity > 0 or (account.kind == "margin" and position.symbol != "BTC/USD")
    if account.kind == "cash":
        assert 0 <= state.cash[0].reserved <= state.cash[0].total
        assert state.cash[0].available >= 0
    else:
        for symbol in LOTS:
            check_margin_reserves(account, symbol, kept.holdings.get(symbol, (Decimal(0),))[0])


def check_margin_reserves(account: PaperAccount, symbol: str, position: Decimal) -> None:
    """Orders that close share the position, the oldest first and a pair as one; what is beyond it holds its margin."""
    for side, against in (("SELL", position), ("BUY", -position)):
        able = max(Decimal(0), against)
        rows = account.orders.filter(symbol=symbol, side=side, status__in=OPEN_STATUSES, held=False).order_by("pk")
        slots: dict[str, list[PaperOrder]] = {}
        for row in rows:
            slots.setdefault(row.pair or row.client_order_id, []).append(row)
        for slot in slots.values():
            for row in slot:
                left = row.quantity - row.filled_quantity
                assert row.reserved_quantity == min(left, able)
                opens = left - row.reserved_quantity
                assert (row.reserved_cash > 0) == (opens > 0 and not row.reduce_only)
                if opens and not row.reduce_only and row.limit_price is not None:
                    share = 1 if symbol == "BTC/USD" else 2
                    assert row.reserved_cash >= (row.limit_price * opens / share).quantize(CENT, "ROUND_DOWN")
            able -= max(row.reserved_quantity for row in slot)


def check_pairs(account: PaperAccount, asked: dict[str, Decimal]) -> None:
    """Of two orders that end each other never more fills than one of them was for."""
    for pair in set(PaperOrder.objects.filter(account=account).exclude(pair="").values_list("pair", flat=True)):
        rows = list(account.orders.filter(pair=pair).select_related("parent"))
        if rows[0].order_class == OrderClass.OCO:
            most = next(asked[row.client_order_id] for row in rows if row.parent_id is None)
        else:
            most = max(row.parent.filled_quantity for row in rows if row.parent is not None)
        assert sum((row.filled_quantity for row in rows), Decimal(0)) <= most


def act(
    broker: PaperBroker, account: PaperAccount, clock: Clock, step: tuple[Any, ...], asked: dict[str, Decimal]
) -> None:
    if step[0] == "clock":
        clock.advance(seconds=step[1])
        accounts.match_resting(clock.now)
    elif step[0] in ("order", "linked"):
        last = broker.quotes([step[2]])[0].last
        request = simple_order(last, step) if step[0] == "order" else linked_order(last, step)
        broker.submit(account.key, request)
        asked[request.client_order_id] = request.units
        event(f"{request.order_class} {request.order_type} taken")
    elif resting := broker.orders(account.key, open_only=True):
        chosen = resting[step[1] % len(resting)].client_order_id
        if step[0] == "cancel":
            broker.cancel(account.key, chosen)
        else:
            found = broker.order(account.key, chosen)
            assert found is not None and found.symbol
            wanted = OrderChanges(
                quantity=LOTS[found.symbol] * step[2],
                limit_price=None if found.limit_price is None else near(found.limit_price, step[3]),
                stop_price=None if found.stop_price is None else near(found.stop_price, step[3]),
            )
            if step[2] % 2:
                wanted = replace(wanted, quantity=None)
            broker.replace(account.key, chosen, wanted)
            event(f"{found.order_type} replaced")


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    script=steps,
    cash=st.sampled_from(["2000000", "60000", "5000"]),
    kind=st.sampled_from(["margin", "cash"]),
    preset=st.sampled_from(sorted(costs.PRESETS)),
    settlement=st.sampled_from([0, 1]),
)
def test_after_every_step_the_books_follow_from_the_ledger(
    script: list[tuple[Any, ...]], cash: str, kind: str, preset: str, settlement: int
) -> None:
    with transaction.atomic():
        clock = Clock()
        account = accounts.open_account(
            "T", Decimal(cash), kind=kind, preset=preset, settlement_days=settlement, now=clock.now
        )
        broker = PaperBroker.open({"account": account.key}, clock=clock)
        asked: dict[str, Decimal] = {}
        with suppress(Rejected):
            act(broker, account, clock, ("order", "BUY", "INTC", 5, "MKT", 0, 0, TimeInForce.GTC, False), asked)
        for step in script:
            with suppress(Rejected):
                act(broker, account, clock, step, asked)
            check(broker, account, asked)
        if any(quantity < 0 for quantity, _ in ledger.account_balances(account).holdings.values()):
            event("short at the end")
        for row in account.orders.all():
            event(f"ended {row.status}")
        transaction.set_rollback(True)
