"""Every field of every order that is sent, to the letter and in its type: what is left out or turned round shows."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from brokers.alpaca.adapter import AlpacaBroker
from brokers.types import OrderChanges, OrderClass, OrderRequest, OrderType, Side, TimeInForce
from tests.brokers.alpaca.fake import ACCOUNT, FakeAlpaca
from tests.brokers.alpaca.steps import one_exit, with_exits
from tests.brokers.paper.support import new_id, order

Row = dict[str, Any]
_COIN = {"symbol": "BTC/USD"}


def _writes(fake: FakeAlpaca) -> list[tuple[str, Row]]:
    """Path and body of each, the ids of an order by their name."""
    names = {told["id"]: told["client_order_id"] for told in fake.orders.values()}
    found = []
    for raw in fake.writes:
        path, _, body = raw.decode().partition("\n")
        for theirs, ours in names.items():
            path = path.replace(theirs, ours)
        found.append((path, json.loads(body) if body else {}))
    return found


def _is(fake: FakeAlpaca, *expected: tuple[str, Row]) -> None:
    """Equal, in whatever order the fields come."""
    assert _writes(fake) == list(expected)


@pytest.mark.parametrize(
    ("terms", "body"),
    [
        ({}, {"qty": "2", "limit_price": "90"}),
        ({"side": Side.SELL}, {"side": "sell", "qty": "2", "limit_price": "90"}),
        ({"tif": TimeInForce.DAY}, {"time_in_force": "day", "qty": "2", "limit_price": "90"}),
        ({"tif": TimeInForce.IOC}, {"time_in_force": "ioc", "qty": "2", "limit_price": "90"}),
        (
            {"outside_rth": True, "tif": TimeInForce.DAY},
            {"time_in_force": "day", "qty": "2", "limit_price": "90", "extended_hours": True},
        ),
        ({"order_type": OrderType.MARKET, "limit_price": None}, {"type": "market", "qty": "2"}),
        (
            {
                "order_type": OrderType.MARKET,
                "limit_price": None,
                "quantity": None,
                "notional": Decimal("100.5"),
                "tif": TimeInForce.DAY,
            },
            {"type": "market", "time_in_force": "day", "notional": "100.5"},
        ),
        (
            {"order_type": OrderType.STOP, "limit_price": None, "stop_price": Decimal(220)},
            {"type": "stop", "qty": "2", "stop_price": "220"},
        ),
        (
            {"order_type": OrderType.STOP_LIMIT, "limit_price": Decimal(221), "stop_price": Decimal(220)},
            {"type": "stop_limit", "qty": "2", "limit_price": "221", "stop_price": "220"},
        ),
        (
            {"order_type": OrderType.TRAIL, "limit_price": None, "trail_amount": Decimal("5.5")},
            {"type": "trailing_stop", "qty": "2", "trail_price": "5.5"},
        ),
        (
            {"order_type": OrderType.TRAIL, "limit_price": None, "trail_percent": Decimal(5)},
            {"type": "trailing_stop", "qty": "2", "trail_percent": "5"},
        ),
        (_COIN, {"symbol": "BTC/USD", "qty": "2", "limit_price": "90"}),
    ],
)
def test_an_order(alpaca: AlpacaBroker, fake: FakeAlpaca, terms: Row, body: Row) -> None:
    asked = replace(order("BUY", "2", limit="90"), **terms)
    alpaca.submit(ACCOUNT, asked)
    usual = {"symbol": "AAPL", "side": "buy", "type": "limit", "time_in_force": "gtc"}
    _is(fake, ("/v2/orders", {**usual, **body, "client_order_id": asked.client_order_id}))


@pytest.mark.parametrize(
    ("kind", "legs", "body"),
    [
        (
            OrderClass.BRACKET,
            (("LMT", "200", None), ("STP", None, "80")),
            {"take_profit": {"limit_price": "200"}, "stop_loss": {"stop_price": "80"}},
        ),
        (
            OrderClass.BRACKET,
            (("LMT", "200", None), ("STP_LIMIT", "79", "80")),
            {"take_profit": {"limit_price": "200"}, "stop_loss": {"stop_price": "80", "limit_price": "79"}},
        ),
        (OrderClass.OTO, (("STP", None, "80"),), {"stop_loss": {"stop_price": "80"}}),
        (OrderClass.OTO, (("LMT", "200", None),), {"take_profit": {"limit_price": "200"}}),
    ],
)
def test_an_order_with_exits(alpaca: AlpacaBroker, fake: FakeAlpaca, kind: OrderClass, legs: Any, body: Row) -> None:
    asked = with_exits(kind, legs)
    alpaca.submit(ACCOUNT, asked)
    ((path, sent),) = _writes(fake)
    assert path == "/v2/orders"
    assert sent == {
        "symbol": "AAPL",
        "side": "buy",
        "type": "limit",
        "time_in_force": "gtc",
        "client_order_id": _joined(asked),
        "qty": "2",
        "limit_price": "90",
        "order_class": kind.value,
        **body,
    }


def test_two_exits_of_which_one_ends_the_other(alpaca: AlpacaBroker, fake: FakeAlpaca) -> None:
    alpaca.submit(ACCOUNT, order("BUY", "2"))
    fake.writes.clear()
    asked = replace(order("SELL", "2", limit="200"), order_class=OrderClass.OCO, legs=(one_exit("STP", None, "80"),))
    alpaca.submit(ACCOUNT, asked)
    ((_, sent),) = _writes(fake)
    assert sent == {
        "symbol": "AAPL",
        "side": "sell",
        "type": "limit",
        "time_in_force": "gtc",
        "client_order_id": _joined(asked),
        "qty": "2",
        "limit_price": "200",
        "order_class": "oco",
        "take_profit": {"limit_price": "200"},
        "stop_loss": {"stop_price": "80"},
    }


def _joined(asked: OrderRequest) -> str:
    return "-".join([asked.client_order_id, *(each.client_order_id for each in asked.legs)])


@pytest.mark.parametrize(
    ("terms", "changes", "body"),
    [
        (
            {},
            {"quantity": Decimal(1), "limit_price": Decimal(91), "tif": TimeInForce.DAY},
            {"qty": "1", "limit_price": "91", "time_in_force": "day"},
        ),
        (
            {"order_type": OrderType.STOP, "limit_price": None, "stop_price": Decimal(220)},
            {"stop_price": Decimal(230)},
            {"stop_price": "230"},
        ),
        (
            {"order_type": OrderType.TRAIL, "limit_price": None, "trail_amount": Decimal(5)},
            {"trail_amount": Decimal(6)},
            {"trail": "6"},
        ),
    ],
)
def test_a_change(alpaca: AlpacaBroker, fake: FakeAlpaca, terms: Row, changes: Row, body: Row) -> None:
    asked, new = replace(order("BUY", "2", limit="90"), **terms), new_id()
    alpaca.submit(ACCOUNT, asked)
    fake.writes.clear()
    alpaca.replace(ACCOUNT, asked.client_order_id, OrderChanges(**changes), new)
    _is(fake, (f"/v2/orders/{asked.client_order_id}", {**body, "client_order_id": new}))


def test_a_cancel(alpaca: AlpacaBroker, fake: FakeAlpaca) -> None:
    asked = order("BUY", "2", limit="90")
    alpaca.submit(ACCOUNT, asked)
    fake.writes.clear()
    alpaca.cancel(ACCOUNT, asked.client_order_id)
    _is(fake, (f"/v2/orders/{asked.client_order_id}", {}))
