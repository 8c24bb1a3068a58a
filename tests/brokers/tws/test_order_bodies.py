"""Every place of every message that sends an order: what is left out, added or put elsewhere shows here."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from brokers.tws.adapter import TwsBroker
from brokers.types import OrderChanges, OrderClass, OrderRequest, OrderType, Side, TimeInForce
from tests.brokers.paper.support import order
from tests.brokers.tws.fake import ACCOUNT, FakeTws
from tests.brokers.tws.steps import SYMBOL, bracket, leg, opened_anew

_PLACES = 114
"""Of a message to a TWS of version 178."""
_CONTRACT = {
    2: "265598", 3: "AAPL", 4: "STK", 6: "0.0", 9: "SMART", 10: "NASDAQ", 11: "USD", 12: "AAPL", 13: "NMS",
}  # fmt: skip
_NOTHING = (28, 29, 30, 31, 32, 33, 34, 43, 46, 49, 52, 53, 55, 61, 66, 77, 80, 81, 84, 86, 87, 88, 89, 96, 105, 106,
            107, 108, 111)  # fmt: skip
"""Written as 0 in every order of ours; every place that is not named is empty."""
_ALWAYS = {0: "3", **_CONTRACT, 21: "GTC", 23: ACCOUNT, 24: "O", 25: "0", 27: "1", 36: "0.0", 45: "-1"}


def _sent(fake: FakeTws) -> list[dict[int, str]]:
    """Without the number that ib_async gives an order."""
    assert {len(said) for said in fake.sent} == {_PLACES}
    return [{place: text for place, text in enumerate(said) if text and place != 1} for said in fake.sent]


def _of(asked: OrderRequest, **places: str) -> dict[int, str]:
    terms = {16: asked.side.value, 17: "2", 26: asked.client_order_id}
    named = {int(name.removeprefix("at_")): text for name, text in places.items()}
    return {**_ALWAYS, **dict.fromkeys(_NOTHING, "0"), **terms, **named}


@pytest.mark.parametrize(
    ("terms", "places"),
    [
        ({}, {"at_18": "LMT", "at_19": "100"}),
        ({"side": Side.SELL}, {"at_18": "LMT", "at_19": "100"}),
        ({"tif": TimeInForce.DAY}, {"at_18": "LMT", "at_19": "100", "at_21": "DAY"}),
        ({"outside_rth": True}, {"at_18": "LMT", "at_19": "100", "at_33": "1"}),
        ({"order_type": OrderType.MARKET, "limit_price": None}, {"at_18": "MKT"}),
        (
            {"order_type": OrderType.STOP, "limit_price": None, "stop_price": Decimal("200.5")},
            {"at_18": "STP", "at_20": "200.5"},
        ),
        (
            {"order_type": OrderType.STOP_LIMIT, "stop_price": Decimal(99)},
            {"at_18": "STP LMT", "at_19": "100", "at_20": "99"},
        ),
        (
            {"order_type": OrderType.TRAIL, "limit_price": None, "trail_amount": Decimal(5)},
            {"at_18": "TRAIL", "at_20": "5"},
        ),
        (
            {"order_type": OrderType.TRAIL, "limit_price": None, "trail_percent": Decimal("2.5")},
            {"at_18": "TRAIL", "at_69": "2.5"},
        ),
    ],
)
def test_an_order(tws: TwsBroker, fake: FakeTws, terms: dict[str, object], places: dict[str, str]) -> None:
    asked = replace(order("BUY", "2", SYMBOL, limit="100"), **terms)  # type: ignore[arg-type]
    tws.submit(ACCOUNT, asked)
    assert _sent(fake) == [_of(asked, **places)]


def test_the_orders_of_a_bracket(tws: TwsBroker, fake: FakeTws) -> None:
    profit, stop = leg(OrderType.LIMIT, limit_price="300"), leg(OrderType.STOP, stop_price="90")
    asked = bracket(profit, stop)
    tws.submit(ACCOUNT, asked)
    number = fake.sent[0][1]
    group = {"at_16": "SELL", "at_22": asked.client_order_id, "at_28": number, "at_46": "2"}
    assert _sent(fake) == [
        _of(asked, at_18="LMT", at_19="100", at_27="0"),
        _of(asked, **group, at_18="LMT", at_19="300", at_26=profit.client_order_id, at_27="0"),
        _of(asked, **group, at_18="STP", at_20="90", at_26=stop.client_order_id),
    ]
    assert len({said[1] for said in fake.sent}) == 3


def test_an_exit_alone_is_in_no_group(tws: TwsBroker, fake: FakeTws) -> None:
    stop = leg(OrderType.STOP, stop_price="90")
    asked = bracket(stop, kind=OrderClass.OTO)
    tws.submit(ACCOUNT, asked)
    assert _sent(fake)[1] == _of(
        asked, at_16="SELL", at_18="STP", at_20="90", at_26=stop.client_order_id, at_28=fake.sent[0][1]
    )


@pytest.mark.parametrize(
    ("terms", "changes", "places"),
    [
        ({}, {"limit_price": "99.5"}, {"at_18": "LMT", "at_19": "99.5"}),
        ({"side": Side.SELL}, {"quantity": "3"}, {"at_17": "3", "at_18": "LMT", "at_19": "100"}),
        (
            {"tif": TimeInForce.DAY, "outside_rth": True},
            {"limit_price": "99"},
            {"at_18": "LMT", "at_19": "99", "at_21": "DAY", "at_33": "1"},
        ),
        (
            {"order_type": OrderType.STOP, "limit_price": None, "stop_price": Decimal(200)},
            {"stop_price": "201"},
            {"at_18": "STP", "at_20": "201"},
        ),
        (
            {"order_type": OrderType.STOP_LIMIT, "stop_price": Decimal(99)},
            {"stop_price": "98", "limit_price": "101"},
            {"at_18": "STP LMT", "at_19": "101", "at_20": "98"},
        ),
        (
            {"order_type": OrderType.TRAIL, "limit_price": None, "trail_amount": Decimal(5)},
            {"trail_amount": "6"},
            {"at_18": "TRAIL", "at_20": "6"},
        ),
        (
            {"order_type": OrderType.TRAIL, "limit_price": None, "trail_percent": Decimal("2.5")},
            {"trail_percent": "3.5"},
            {"at_18": "TRAIL", "at_69": "3.5"},
        ),
        (
            {"order_type": OrderType.TRAIL, "limit_price": None, "trail_percent": Decimal("2.5")},
            {"quantity": "3"},
            {"at_17": "3", "at_18": "TRAIL", "at_68": "195.5", "at_69": "2.5"},
        ),
    ],
)
@pytest.mark.parametrize("fresh", [False, True])
def test_a_change(
    tws: TwsBroker,
    fake: FakeTws,
    terms: dict[str, object],
    changes: dict[str, str],
    places: dict[str, str],
    fresh: bool,
) -> None:
    asked = replace(order("BUY", "2", SYMBOL, limit="100"), **terms)  # type: ignore[arg-type]
    tws.submit(ACCOUNT, asked)
    if asked.order_type is OrderType.TRAIL:
        fake.orders[asked.client_order_id]["trail_stop"] = "195.5"
    broker = opened_anew(fake) if fresh else tws
    wanted: dict[str, Any] = {name: Decimal(value) for name, value in changes.items()}
    broker.replace(ACCOUNT, asked.client_order_id, OrderChanges(**wanted))
    assert _sent(fake)[1:] == [_of(asked, **places)]
    assert fake.sent[0][1] == fake.sent[1][1]


@pytest.mark.parametrize("fresh", [False, True])
def test_a_change_of_each_order_of_a_bracket(tws: TwsBroker, fake: FakeTws, fresh: bool) -> None:
    profit, stop = leg(OrderType.LIMIT, limit_price="300"), leg(OrderType.STOP, stop_price="90")
    asked = bracket(profit, stop)
    tws.submit(ACCOUNT, asked)
    broker = opened_anew(fake) if fresh else tws
    broker.replace(ACCOUNT, asked.client_order_id, OrderChanges(limit_price=Decimal(101)))
    broker.replace(ACCOUNT, profit.client_order_id, OrderChanges(limit_price=Decimal(310)))
    broker.replace(ACCOUNT, stop.client_order_id, OrderChanges(stop_price=Decimal(85)))
    group = {"at_16": "SELL", "at_22": asked.client_order_id, "at_28": fake.sent[0][1], "at_46": "2"}
    assert _sent(fake)[3:] == [
        _of(asked, at_18="LMT", at_19="101"),
        _of(asked, **group, at_18="LMT", at_19="310", at_26=profit.client_order_id),
        _of(asked, **group, at_18="STP", at_20="85", at_26=stop.client_order_id),
    ]
    assert [said[1] for said in fake.sent[3:]] == [said[1] for said in fake.sent[:3]]


def test_a_cancel(tws: TwsBroker, fake: FakeTws) -> None:
    asked = order("BUY", "2", SYMBOL, limit="100")
    tws.submit(ACCOUNT, asked)
    tws.cancel(ACCOUNT, asked.client_order_id)
    assert fake.cancels == [["4", "1", fake.sent[0][1], ""]]
