"""Every field of every order that is sent, to the letter and in its type: what is left out or turned round shows."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from brokers.errors import NeedsAnswer
from brokers.ibkr.adapter import IbkrBroker
from brokers.types import LegRequest, OrderChanges, OrderClass, OrderType, Side, TimeInForce
from tests.brokers.ibkr.fake import APPLE, BASE, PAPER, QUESTION, FakeIbkr
from tests.brokers.paper.support import new_id, order

SYMBOL = f"AAPL@{APPLE}"
Row = dict[str, Any]
_TICKET = {"conid": APPLE, "orderType": "LMT", "side": "BUY", "tif": "GTC", "quantity": 2, "outsideRTH": False}


def _writes(fake: FakeIbkr) -> list[tuple[str, Row]]:
    """Of orders: the other questions that go by POST are left out."""
    found = []
    for raw in fake.writes:
        path, _, body = raw.decode().partition("\n")
        path = path.removeprefix(f"{BASE}/iserver/")
        if path.startswith((f"account/{PAPER}/order", "reply/")):
            found.append((path, json.loads(body, parse_float=Decimal)))
    return found


_TERMS = [
    ({}, {"price": 100}),
    ({"side": Side.SELL}, {"side": "SELL", "price": 100}),
    ({"tif": TimeInForce.DAY}, {"tif": "DAY", "price": 100}),
    ({"outside_rth": True}, {"outsideRTH": True, "price": 100}),
    ({"limit_price": Decimal("100.25")}, {"price": Decimal("100.25")}),
    ({"order_type": OrderType.MARKET, "limit_price": None}, {"orderType": "MKT"}),
    (
        {"order_type": OrderType.STOP, "limit_price": None, "stop_price": Decimal(200)},
        {"orderType": "STP", "price": 200},
    ),
    (
        {"order_type": OrderType.STOP_LIMIT, "limit_price": Decimal(201), "stop_price": Decimal(200)},
        {"orderType": "STOP_LIMIT", "price": 201, "auxPrice": 200},
    ),
    (
        {"order_type": OrderType.TRAIL, "limit_price": None, "trail_amount": Decimal("5.5")},
        {"orderType": "TRAIL", "trailingType": "amt", "trailingAmt": Decimal("5.5")},
    ),
    (
        {"order_type": OrderType.TRAIL, "limit_price": None, "trail_percent": Decimal(5)},
        {"orderType": "TRAIL", "trailingType": "%", "trailingAmt": 5},
    ),
]


@pytest.mark.parametrize(("terms", "ticket"), _TERMS)
def test_an_order(ibkr: IbkrBroker, fake: FakeIbkr, terms: Row, ticket: Row) -> None:
    asked = replace(order("BUY", "2", SYMBOL, limit="100"), **terms)
    ibkr.submit(PAPER, asked)
    sent = {**_TICKET, **ticket, "cOID": asked.client_order_id}
    assert _writes(fake) == [(f"account/{PAPER}/orders", {"orders": [sent]})]


def test_two_orders_of_which_one_ends_the_other(ibkr: IbkrBroker, fake: FakeIbkr) -> None:
    stop = LegRequest(
        client_order_id=new_id(), side=Side.SELL, order_type=OrderType.STOP, quantity=Decimal(2), stop_price=Decimal(90)
    )
    asked = replace(order("SELL", "2", SYMBOL, limit="300"), order_class=OrderClass.OCO, legs=(stop,))
    ibkr.submit(PAPER, asked)
    pair = {**_TICKET, "side": "SELL", "isSingleGroup": True}
    first = {**pair, "price": 300, "cOID": asked.client_order_id}
    second = {**pair, "orderType": "STP", "price": 90, "cOID": stop.client_order_id}
    assert _writes(fake) == [(f"account/{PAPER}/orders", {"orders": [first, second]})]


@pytest.mark.parametrize("yes", [True, False])
def test_an_answer(ibkr: IbkrBroker, fake: FakeIbkr, yes: bool) -> None:
    fake.questions = [QUESTION]
    asked = order("BUY", "2", SYMBOL, limit="100")
    with pytest.raises(NeedsAnswer) as asks:
        ibkr.submit(PAPER, asked)
    fake.writes.clear()
    ibkr.answer(PAPER, asked.client_order_id, asks.value.token, yes)
    assert _writes(fake) == [(f"reply/{asks.value.token}", {"confirmed": yes})]


@pytest.mark.parametrize(
    ("terms", "changes", "ticket"),
    [
        (
            {},
            {"quantity": Decimal(1), "limit_price": Decimal("101.25"), "tif": TimeInForce.DAY},
            {"quantity": 1, "price": Decimal("101.25"), "tif": "DAY"},
        ),
        ({"side": Side.SELL}, {"limit_price": Decimal(300)}, {"side": "SELL", "price": 300}),
        (
            {"order_type": OrderType.STOP_LIMIT, "limit_price": Decimal(201), "stop_price": Decimal(200)},
            {"stop_price": Decimal("200.5")},
            {"orderType": "STOP_LIMIT", "price": 201, "auxPrice": Decimal("200.5")},
        ),
    ],
)
def test_a_change(ibkr: IbkrBroker, fake: FakeIbkr, terms: Row, changes: Row, ticket: Row) -> None:
    asked = replace(order("BUY", "2", SYMBOL, limit="100"), **terms)
    theirs = ibkr.submit(PAPER, asked).broker_order_id
    fake.writes.clear()
    ibkr.replace(PAPER, asked.client_order_id, OrderChanges(**changes))
    assert _writes(fake) == [(f"account/{PAPER}/order/{theirs}", {**_TICKET, **ticket})]


def test_a_cancel(ibkr: IbkrBroker, fake: FakeIbkr) -> None:
    asked = order("BUY", "2", SYMBOL, limit="100")
    theirs = ibkr.submit(PAPER, asked).broker_order_id
    fake.writes.clear()
    ibkr.cancel(PAPER, asked.client_order_id)
    assert _writes(fake) == [(f"account/{PAPER}/order/{theirs}", {})]
