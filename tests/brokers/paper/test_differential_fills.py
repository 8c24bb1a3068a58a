"""The same orders on the same real bars, through the exchange and through the oracle beside this file.

=======================  ==============================================================================================
where they differ        why
=======================  ==============================================================================================
nowhere, order by order  Both follow the rules of ``brokers.paper.fill_rules``. Each order has an account of its own, so
                         that neither money nor the volume that an account's orders share comes between them.
on the loop's edge       Not compared: the recording ends and begins again there, which is a jump of two days. The
                         orders begin where that is further away than they are watched.
=======================  ==============================================================================================

What an engine of somebody else does differently: ``test_another_engine``.
"""

import random
from dataclasses import replace
from decimal import Decimal

import pytest

from brokers import market_hours
from brokers.paper import accounts, costs, replay_market
from brokers.paper.adapter import PaperBroker
from brokers.types import OrderRequest, OrderType, Side, TimeInForce

from . import oracle
from .support import NOON, Clock, new_id

pytestmark = pytest.mark.django_db
WATCHED = 180
"""Minutes."""


def _bars(first: int, count: int) -> list[oracle.Bar]:
    tape = replay_market.btc_usd()
    found = []
    for minute in range(first, first + count):
        bar = tape.aggregate(minute, minute + 1)
        assert bar is not None
        found.append((bar.open, bar.high, bar.low, bar.close, bar.volume))
    return found


def _orders(draw: random.Random, last: Decimal, count: int) -> list[oracle.Order]:
    found = []

    def near() -> Decimal:
        return (last * (10_000 + draw.randint(-90, 90)) / 10_000).quantize(Decimal("0.01"))

    for _ in range(count):
        kind = draw.choice(["MKT", "LMT", "LMT", "STP", "STP", "STP_LIMIT", "STP_LIMIT", "TRAIL"])
        found.append(
            oracle.Order(
                side=draw.choice(["BUY", "SELL"]),
                kind=kind,
                quantity=Decimal(draw.randint(1, 40)) / 10,
                limit=near() if kind in ("LMT", "STP_LIMIT") else None,
                stop=near() if kind in ("STP", "STP_LIMIT") else None,
                trail=Decimal(draw.randint(1, 12)) / 10 if kind == "TRAIL" else None,
            )
        )
    return found


@pytest.mark.parametrize(("preset", "share"), [("standard", None), ("limited", Decimal("0.10"))])
def test_every_fill_is_that_of_the_oracle(preset: str, share: Decimal | None, monkeypatch: pytest.MonkeyPatch) -> None:
    # A volume limit alone: slippage is arithmetic and not matching.
    limited = replace(costs.PRESETS["realistic"], name="limited", slippage=Decimal(0))
    monkeypatch.setitem(costs.PRESETS, "limited", limited)
    draw = random.Random(20180406)  # noqa: S311 - a repeatable load, not a secret
    clock = Clock(NOON)
    now = market_hours.minute_of(NOON)
    last, bars = _bars(now - 1, 1)[0], _bars(now + 1, WATCHED)
    sent = []
    for order in _orders(draw, last[3], 120):
        bitcoin = accounts.Lot(symbol="BTC/USD", quantity=Decimal(4), average_price=last[3])
        account, _ = accounts.clone("O", Decimal(10) ** 7, [bitcoin], preset=preset, now=clock.now)
        broker = PaperBroker.open({"account": account.key}, clock=clock)
        sent.append((order, broker, account.key, broker.submit(account.key, _request(order))))
    clock.advance(minutes=WATCHED, seconds=41)
    accounts.match_resting(clock.now)
    differences = []
    filled = parts = 0
    for order, broker, key, answer in sent:
        oracle.run(order, last, bars, share)
        found = broker.order(key, answer.client_order_id)
        assert found is not None
        ours = [(fill.price, fill.quantity) for fill in found.fills]
        theirs = [(price, quantity) for _, price, quantity in order.fills]
        if ours != theirs:
            differences.append((order, ours))
        filled += bool(ours)
        parts += len(ours) > 1
    assert differences == []
    assert filled > 60
    assert share is None or parts > 20


def _request(order: oracle.Order) -> OrderRequest:
    return OrderRequest(
        client_order_id=new_id(),
        symbol="BTC/USD",
        side=Side(order.side),
        order_type=OrderType(order.kind),
        quantity=order.quantity,
        tif=TimeInForce.GTC,
        limit_price=order.limit,
        stop_price=order.stop,
        trail_percent=order.trail,
    )
