"""An order with its exits at Alpaca, which gives an exit an id of its own: ours stand in that of the order."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from brokers.alpaca import adapter
from brokers.alpaca.adapter import AlpacaBroker
from brokers.errors import BrokerUnavailable, InvalidOrder, NotSupported, Rejected
from brokers.types import (
    BrokerOrder,
    BrokerStatus,
    LegRequest,
    OrderChanges,
    OrderClass,
    OrderRequest,
    OrderType,
    Side,
    TimeInForce,
)
from tests.brokers.alpaca.conftest import settings_for
from tests.brokers.alpaca.fake import ACCOUNT, FakeAlpaca
from tests.brokers.paper.support import new_id, order

PROFIT, STOP = ({"limit_price": Decimal(300)}, {"stop_price": Decimal(90)})


@pytest.fixture(autouse=True)
def _only_what_alpaca_documents(fake: FakeAlpaca) -> Iterator[None]:
    yield
    assert fake.violations == []


def leg(kind: OrderType, **terms: Any) -> LegRequest:
    given: dict[str, Any] = {"tif": TimeInForce.GTC, "side": Side.SELL} | terms
    return LegRequest(client_order_id=new_id(), order_type=kind, **given)


def bracket(*legs: LegRequest, **terms: Any) -> OrderRequest:
    mine = legs or (leg(OrderType.LIMIT, **PROFIT), leg(OrderType.STOP, **STOP))
    given: dict[str, Any] = {"order_class": OrderClass.BRACKET, "tif": TimeInForce.GTC} | terms
    return replace(order("BUY", "2", "AAPL", limit="100"), legs=mine, **given)


def pair() -> OrderRequest:
    stop = leg(OrderType.STOP_LIMIT, stop_price=Decimal(90), limit_price=Decimal(89))
    return replace(bracket(stop, order_class=OrderClass.OCO), side=Side.SELL, limit_price=Decimal(300))


def found(alpaca: AlpacaBroker, client_order_id: str) -> BrokerOrder:
    told = alpaca.order(ACCOUNT, client_order_id, symbol="AAPL")
    assert told is not None
    return told


def test_a_bracket_is_one_request_that_holds_our_id_of_each_exit(alpaca: AlpacaBroker, fake: FakeAlpaca) -> None:
    stop, profit = leg(OrderType.STOP, **STOP), leg(OrderType.LIMIT, **PROFIT)
    asked = bracket(stop, profit)
    assert alpaca.submit(ACCOUNT, asked).client_order_id == asked.client_order_id
    (sent,) = fake.sent
    assert sent["client_order_id"] == "-".join([asked.client_order_id, profit.client_order_id, stop.client_order_id])
    assert (sent["order_class"], sent["take_profit"], sent["stop_loss"]) == (
        "bracket",
        {"limit_price": "300"},
        {"stop_price": "90"},
    )


def test_a_pair_and_a_single_exit_go_out_under_alpaca_s_names(alpaca: AlpacaBroker, fake: FakeAlpaca) -> None:
    alpaca.submit(ACCOUNT, pair())
    alpaca.submit(ACCOUNT, bracket(leg(OrderType.LIMIT, **PROFIT), order_class=OrderClass.OTO))
    terms = [
        {name: each[name] for name in each if name in ("order_class", "take_profit", "stop_loss")} for each in fake.sent
    ]
    assert terms == [
        {
            "order_class": "oco",
            "take_profit": {"limit_price": "300"},
            "stop_loss": {"stop_price": "90", "limit_price": "89"},
        },
        {"order_class": "oto", "take_profit": {"limit_price": "300"}},
    ]


def test_one_exit_ends_the_other_once_the_order_has_filled(alpaca: AlpacaBroker, fake: FakeAlpaca) -> None:
    asked = bracket()
    alpaca.submit(ACCOUNT, asked)
    profit, stop = (each.client_order_id for each in asked.legs)
    fake.control("price", {"symbol": "AAPL", "price": "99"})
    assert found(alpaca, asked.client_order_id).status is BrokerStatus.FILLED
    assert [found(alpaca, each).held for each in (profit, stop)] == [False, False]
    fake.control("price", {"symbol": "AAPL", "price": "301"})
    done = found(alpaca, profit)
    assert (done.status, [each.client_order_id for each in done.fills]) == (BrokerStatus.FILLED, [profit])
    assert found(alpaca, stop).status is BrokerStatus.CANCELLED
    assert {each.client_order_id for each in alpaca.fills(ACCOUNT, limit=9)} == {asked.client_order_id, profit}


def test_one_half_of_a_pair_ends_the_other(alpaca: AlpacaBroker, fake: FakeAlpaca) -> None:
    asked = pair()
    alpaca.submit(ACCOUNT, asked)
    fake.control("price", {"symbol": "AAPL", "price": "301"})
    assert found(alpaca, asked.client_order_id).status is BrokerStatus.FILLED
    assert found(alpaca, asked.legs[0].client_order_id).status is BrokerStatus.CANCELLED


def test_every_process_finds_an_exit_by_our_id_and_lists_it_under_that(alpaca: AlpacaBroker, fake: FakeAlpaca) -> None:
    asked = bracket()
    alpaca.submit(ACCOUNT, asked)
    adapter._legs.clear()
    fresh = AlpacaBroker.open(settings_for(fake.url))
    ids = {asked.client_order_id, *(each.client_order_id for each in asked.legs)}
    assert {each.client_order_id for each in fresh.orders(ACCOUNT, open_only=True)} == ids
    assert fresh.order(ACCOUNT, asked.legs[0].client_order_id) is not None


def test_exits_that_were_made_elsewhere_keep_their_own_ids(alpaca: AlpacaBroker, fake: FakeAlpaca) -> None:
    asked = bracket()
    alpaca.submit(ACCOUNT, asked)
    theirs = "made-elsewhere"
    root = next(each for each in fake.orders.values() if not each.get("parent"))
    root["client_order_id"] = theirs
    legs = [each["client_order_id"] for each in fake.orders.values() if each.get("parent")]
    assert {each.client_order_id for each in alpaca.orders(ACCOUNT, open_only=True)} == {theirs, *legs}
    assert alpaca.order(ACCOUNT, asked.legs[0].client_order_id, symbol="AAPL") is None


def test_an_exit_is_absent_only_after_every_order_was_read(
    alpaca: AlpacaBroker, fake: FakeAlpaca, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "_ORDERS_PAGE", 2)
    asked = bracket()
    alpaca.submit(ACCOUNT, asked)
    for _ in range(5):
        alpaca.submit(ACCOUNT, order("BUY", "1", "AAPL", limit="100"))
    assert found(alpaca, asked.legs[1].client_order_id).stop_price == 90
    assert alpaca.order(ACCOUNT, new_id(), symbol="AAPL") is None
    monkeypatch.setattr(adapter, "_PAGES", 2)
    with pytest.raises(BrokerUnavailable, match="more orders than can be read"):
        alpaca.order(ACCOUNT, new_id(), symbol="AAPL")


def test_an_order_with_exits_is_not_changed_and_says_so(alpaca: AlpacaBroker) -> None:
    asked = bracket()
    alpaca.submit(ACCOUNT, asked)
    for each in (asked.client_order_id, asked.legs[0].client_order_id):
        with pytest.raises(NotSupported, match="Cancel it and send another"):
            alpaca.replace(ACCOUNT, each, OrderChanges(limit_price=Decimal(101)), new_id())


@pytest.mark.parametrize(
    ("asked", "kind", "words"),
    [
        (replace(bracket(), symbol="BTC/USD"), NotSupported, "stocks alone"),
        (
            bracket(leg(OrderType.TRAIL, trail_percent=Decimal(2)), leg(OrderType.LIMIT, **PROFIT)),
            NotSupported,
            "trailing",
        ),
        (bracket(leg(OrderType.LIMIT, **PROFIT), leg(OrderType.LIMIT, **PROFIT)), NotSupported, "one profit target"),
        (bracket(leg(OrderType.LIMIT, **PROFIT), order_class=OrderClass.OCO), NotSupported, "a pair of"),
        (bracket(order_type=OrderType.STOP, stop_price=Decimal(99), limit_price=None), NotSupported, "MKT and LMT"),
        (bracket(quantity=Decimal("1.5")), InvalidOrder, "whole shares"),
        (bracket(outside_rth=True), InvalidOrder, "regular session"),
        (bracket(tif=TimeInForce.DAY), InvalidOrder, "these are GTC"),
        (
            bracket(leg(OrderType.LIMIT, **PROFIT, quantity=Decimal(1)), leg(OrderType.STOP, **STOP)),
            NotSupported,
            "quantity",
        ),
        (
            bracket(leg(OrderType.LIMIT, limit_price=Decimal("300.001")), leg(OrderType.STOP, **STOP)),
            InvalidOrder,
            "multiple",
        ),
    ],
)
def test_what_it_does_not_take_is_refused_by_name_and_nothing_is_sent(
    alpaca: AlpacaBroker, fake: FakeAlpaca, asked: OrderRequest, kind: type[Rejected], words: str
) -> None:
    with pytest.raises(kind, match=words):
        alpaca.submit(ACCOUNT, asked)
    assert fake.sent == []
