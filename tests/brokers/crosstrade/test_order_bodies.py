"""Every field of every order that is sent, to the letter and in its type: what is left out or turned round shows."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from brokers.crosstrade.adapter import CrossTradeBroker
from brokers.types import OrderType, Side, TimeInForce
from tests.brokers.crosstrade.fake import ACCOUNT, BASE, FakeCrossTrade
from tests.brokers.paper.support import order

ES = "ES 12-26"
Row = dict[str, Any]


def _writes(fake: FakeCrossTrade) -> list[tuple[str, Row]]:
    found = []
    for raw in fake.writes:
        path, _, body = raw.decode().partition("\n")
        found.append((path.removeprefix(f"{BASE}/accounts/{ACCOUNT}/"), json.loads(body, parse_float=Decimal)))
    return found


@pytest.mark.parametrize(
    ("terms", "body"),
    [
        ({}, {"orderType": "LIMIT", "limitPrice": Decimal("6000.25")}),
        ({"side": Side.SELL}, {"action": "SELL", "orderType": "LIMIT", "limitPrice": Decimal("6000.25")}),
        (
            {"tif": TimeInForce.DAY},
            {"timeInForce": "DAY", "orderType": "LIMIT", "limitPrice": Decimal("6000.25")},
        ),
        ({"order_type": OrderType.MARKET, "limit_price": None}, {"orderType": "MARKET"}),
        (
            {"order_type": OrderType.STOP, "limit_price": None, "stop_price": Decimal("7000.5")},
            {"orderType": "STOPMARKET", "stopPrice": Decimal("7000.5")},
        ),
        (
            {"order_type": OrderType.STOP_LIMIT, "stop_price": Decimal("7000.5")},
            {"orderType": "STOPLIMIT", "limitPrice": Decimal("6000.25"), "stopPrice": Decimal("7000.5")},
        ),
    ],
)
def test_an_order(crosstrade: CrossTradeBroker, fake: FakeCrossTrade, terms: Row, body: Row) -> None:
    asked = replace(order("BUY", "2", ES, limit="6000.25"), **terms)
    crosstrade.submit(ACCOUNT, asked)
    usual = {"instrument": ES, "action": "BUY", "quantity": 2, "timeInForce": "GTC", "orderId": asked.client_order_id}
    assert _writes(fake) == [("orders/place", {**usual, **body})]


def test_a_cancel(crosstrade: CrossTradeBroker, fake: FakeCrossTrade) -> None:
    asked = order("BUY", "2", ES, limit="6000.25")
    crosstrade.submit(ACCOUNT, asked)
    fake.writes.clear()
    crosstrade.cancel(ACCOUNT, asked.client_order_id)
    assert _writes(fake) == [(f"orders/{asked.client_order_id}/cancel", {})]
