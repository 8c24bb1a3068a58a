"""An order with one exit at Kraken: its conditional close, which has no id of ours and is found through its order."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from brokers import leg_ids
from brokers.errors import BrokerUnavailable, InvalidOrder, NotSupported, Rejected
from brokers.types import (
    BrokerStatus,
    OrderChanges,
    OrderClass,
    OrderRequest,
    OrderType,
    Side,
)
from tests.brokers.contract.cases import KRAKEN, Rig, new_id
from tests.brokers.crypto.exit_steps import bracket, exit_leg, seen
from tests.brokers.exchange import SimOrder
from tests.brokers.kraken.fake import KrakenFake


@pytest.fixture
def rig() -> Iterator[Rig]:
    with KRAKEN.opened() as opened:
        yield opened


def fake_of(rig: Rig) -> KrakenFake:
    assert isinstance(rig.fake, KrakenFake)
    return rig.fake


def with_exit(rig: Rig, kind: OrderType, **terms: Any) -> OrderRequest:
    """To buy at 29,000, below the market, and one exit after that."""
    prices: dict[str, Any] = {name: Decimal(value) for name, value in terms.items()}
    return bracket(rig, exit_leg(kind, **prices), order_class=OrderClass.OTO)


def closes(rig: Rig) -> list[SimOrder]:
    return [each for each in fake_of(rig).orders.values() if each.placed_by]


KINDS = [
    (OrderType.LIMIT, {"limit_price": "32000"}, {"close[ordertype]": "limit", "close[price]": "32000"}),
    (OrderType.STOP, {"stop_price": "28000"}, {"close[ordertype]": "stop-loss", "close[price]": "28000"}),
    (
        OrderType.STOP_LIMIT,
        {"stop_price": "28000", "limit_price": "27900.5"},
        {"close[ordertype]": "stop-loss-limit", "close[price]": "28000", "close[price2]": "27900.5"},
    ),
    (OrderType.TRAIL, {"trail_percent": "5"}, {"close[ordertype]": "trailing-stop", "close[price]": "+5%"}),
    (OrderType.TRAIL, {"trail_amount": "150.5"}, {"close[ordertype]": "trailing-stop", "close[price]": "+150.5"}),
]


@pytest.mark.parametrize(("kind", "prices", "sent"), KINDS)
def test_each_kind_of_exit_goes_out_as_the_close_of_its_order_and_is_told_before_and_after(
    rig: Rig, kind: OrderType, prices: dict[str, str], sent: dict[str, str]
) -> None:
    asked = with_exit(rig, kind, **prices)
    rig.broker.submit(rig.account_id, asked)
    body = fake_of(rig).bodies[-1]
    assert {name: value for name, value in body.items() if name.startswith("close")} == sent
    leg = asked.legs[0]
    for price, is_held in (("29500", True), ("29000", False)):
        fake_of(rig).move(rig.symbol, price)
        told = seen(rig, leg.client_order_id)
        assert (told.held, told.status, told.side, told.order_type) == (is_held, BrokerStatus.WORKING, Side.SELL, kind)
        assert (told.limit_price, told.trail_amount, told.trail_percent) == (
            leg.limit_price,
            leg.trail_amount,
            leg.trail_percent,
        )
        assert told.stop_price == leg.stop_price or kind is OrderType.TRAIL
        assert (told.quantity, told.parent_client_order_id) == (asked.quantity, asked.client_order_id)
    assert seen(rig, asked.client_order_id).status is BrokerStatus.FILLED


def test_a_stop_that_triggers_fills_the_exit_by_our_id_in_every_process(rig: Rig) -> None:
    asked = with_exit(rig, OrderType.STOP, stop_price="28000")
    rig.broker.submit(rig.account_id, asked)
    fake_of(rig).move(rig.symbol, "29000")
    fake_of(rig).move(rig.symbol, "27950")
    done = seen(rig, asked.legs[0].client_order_id)
    assert (done.status, done.filled_quantity, done.average_price) == (
        BrokerStatus.FILLED,
        asked.quantity,
        Decimal(27950),
    )
    assert {each.client_order_id for each in done.fills} == {asked.legs[0].client_order_id}
    # Of the coin sold, where Kraken takes the fee in that.
    assert (done.fills[0].fee_asset, done.fills[0].fee) == ("BTC", Decimal("0.0005") * 27950)


def test_a_trailing_stop_follows_the_price_and_never_goes_back(rig: Rig) -> None:
    asked = with_exit(rig, OrderType.TRAIL, trail_percent="5")
    rig.broker.submit(rig.account_id, asked)
    for price in ("29000", "30000", "29500"):
        fake_of(rig).move(rig.symbol, price)
    told = seen(rig, asked.legs[0].client_order_id)
    assert (told.status, told.stop_price) == (BrokerStatus.WORKING, Decimal(28500))
    fake_of(rig).move(rig.symbol, "28500")
    assert seen(rig, asked.legs[0].client_order_id).status is BrokerStatus.FILLED


def test_an_order_that_fills_in_parts_has_one_exit_of_all_that_was_placed(rig: Rig) -> None:
    asked = with_exit(rig, OrderType.STOP, stop_price="28000")
    rig.broker.submit(rig.account_id, asked)
    order = fake_of(rig).by_client(asked.client_order_id)
    assert order is not None
    leg = asked.legs[0].client_order_id
    fake_of(rig).fill(order, "29000", "0.2")
    coming = seen(rig, leg)
    assert (coming.held, coming.quantity, coming.status) == (False, asked.quantity, BrokerStatus.WORKING)
    with pytest.raises(NotSupported, match="cancel the order"):
        rig.broker.cancel(rig.account_id, leg, symbol=rig.symbol)
    fake_of(rig).fill(order, "29000", "0.3")
    assert len(closes(rig)) == 2
    listed = [each.client_order_id for each in rig.broker.orders(rig.account_id, open_only=True)]
    assert listed == [leg]
    with pytest.raises(NotSupported, match="as one order"):
        rig.broker.replace(rig.account_id, leg, OrderChanges(stop_price=Decimal(28100)))
    assert rig.broker.cancel(rig.account_id, leg, symbol=rig.symbol).status is BrokerStatus.CANCELLED
    assert {each.status for each in closes(rig)} == {"canceled"}


def test_an_exit_that_stands_by_itself_is_changed_and_cancelled_by_our_id(rig: Rig) -> None:
    asked = with_exit(rig, OrderType.STOP, stop_price="28000")
    rig.broker.submit(rig.account_id, asked)
    leg = asked.legs[0].client_order_id
    with pytest.raises(NotSupported, match="stands by itself"):
        rig.broker.replace(rig.account_id, leg, OrderChanges(stop_price=Decimal(28100)))
    fake_of(rig).move(rig.symbol, "29000")
    assert rig.broker.replace(rig.account_id, leg, OrderChanges(stop_price=Decimal(28100))).stop_price == 28100
    ended = rig.broker.cancel(rig.account_id, leg, symbol=rig.symbol)
    assert (ended.client_order_id, ended.status) == (leg, BrokerStatus.CANCELLED)


def test_an_exit_ends_with_an_order_that_never_filled(rig: Rig) -> None:
    asked = with_exit(rig, OrderType.STOP, stop_price="28000")
    rig.broker.submit(rig.account_id, asked)
    rig.broker.cancel(rig.account_id, asked.client_order_id, symbol=rig.symbol)
    told = seen(rig, asked.legs[0].client_order_id)
    assert (told.status, told.held) == (BrokerStatus.CANCELLED, False)
    assert "before it filled" in told.reason


def test_an_exit_that_is_late_waits_and_one_that_never_comes_is_told_as_refused(rig: Rig) -> None:
    fake_of(rig).closes_late = True
    asked = with_exit(rig, OrderType.STOP, stop_price="28000")
    rig.broker.submit(rig.account_id, asked)
    fake_of(rig).move(rig.symbol, "29000")
    leg = asked.legs[0].client_order_id
    assert (seen(rig, leg).status, seen(rig, leg).held) == (BrokerStatus.WORKING, True)
    with pytest.raises(BrokerUnavailable, match="not placed this exit yet"):
        rig.broker.cancel(rig.account_id, leg, symbol=rig.symbol)
    order = fake_of(rig).by_client(asked.client_order_id)
    assert order is not None
    order.updated -= 121_000
    told = seen(rig, leg)
    assert (told.status, told.held) == (BrokerStatus.REJECTED, False)
    assert "look there" in told.reason


def test_a_close_that_cannot_be_read_is_told_without_its_terms(rig: Rig) -> None:
    asked = with_exit(rig, OrderType.STOP, stop_price="28000")
    rig.broker.submit(rig.account_id, asked)
    order = fake_of(rig).by_client(asked.client_order_id)
    assert order is not None
    order.exits = {"ordertype": "levitating", "price": "up"}
    told = seen(rig, asked.legs[0].client_order_id)
    assert (told.order_type, told.held, told.status) == (None, True, BrokerStatus.WORKING)


def test_the_exit_of_an_order_that_cannot_be_read_is_not_told_as_missing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = with_exit(rig, OrderType.STOP, stop_price="28000")
    rig.broker.submit(rig.account_id, asked)
    fake, made = fake_of(rig), fake_of(rig)._order
    monkeypatch.setattr(fake, "_order", lambda order: made(order) | {"descr": "?"})
    with pytest.raises(BrokerUnavailable, match="could not be read"):
        rig.broker.order(rig.account_id, asked.legs[0].client_order_id, symbol=rig.symbol)


def test_an_id_that_names_no_exit_is_not_there(rig: Rig) -> None:
    asked, plain = with_exit(rig, OrderType.STOP, stop_price="28000"), rig.order()
    for each in (asked, plain):
        rig.broker.submit(rig.account_id, each)
    for ours in (asked.client_order_id, plain.client_order_id):
        second = leg_ids.of_exit(ours, 1)
        assert rig.broker.order(rig.account_id, second, symbol=rig.symbol) is None
    first = leg_ids.of_exit(plain.client_order_id, 0)
    assert rig.broker.order(rig.account_id, first, symbol=rig.symbol) is None


def _but(asked: OrderRequest, **terms: Any) -> OrderRequest:
    return replace(asked, legs=(replace(asked.legs[0], **terms),))


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (lambda asked: _but(asked, side=Side.BUY), InvalidOrder, "on the other side"),
        (lambda asked: _but(asked, client_order_id=new_id()), InvalidOrder, "which order it belongs to"),
        (lambda asked: _but(asked, stop_price=Decimal("28000.05")), InvalidOrder, "steps of 0.1"),
        (lambda asked: _but(asked, quantity=Decimal("0.1")), NotSupported, "quantity of its order"),
        (lambda asked: replace(asked, order_class=OrderClass.SIMPLE), NotSupported, "profit target"),
        (lambda asked: replace(asked, legs=()), NotSupported, "profit target"),
        (lambda asked: replace(asked, order_class=OrderClass.BRACKET), NotSupported, "bracket orders"),
        (
            lambda asked: replace(
                asked,
                legs=(*asked.legs, replace(asked.legs[0], client_order_id=leg_ids.of_exit(asked.client_order_id, 1))),
            ),
            NotSupported,
            "one of the two",
        ),
    ],
)
def test_what_it_does_not_take_is_refused_by_name_and_nothing_is_sent(
    rig: Rig, make: Any, kind: type[Rejected], words: str
) -> None:
    asked = make(with_exit(rig, OrderType.STOP, stop_price="28000"))
    with pytest.raises(kind, match=words):
        rig.broker.submit(rig.account_id, asked)
    assert fake_of(rig).bodies == []


def test_a_trailing_stop_is_an_order_by_itself_and_is_not_changed(rig: Rig) -> None:
    asked = rig.order(side=Side.SELL, order_type=OrderType.TRAIL, limit_price=None, trail_amount=Decimal("150.5"))
    told = rig.broker.submit(rig.account_id, asked)
    assert (told.order_type, told.trail_amount, told.trail_percent) == (OrderType.TRAIL, Decimal("150.5"), None)
    for changes in (OrderChanges(trail_amount=Decimal(100)), OrderChanges(quantity=Decimal("0.4"))):
        with pytest.raises(NotSupported, match="cancel it and send another"):
            rig.broker.replace(rig.account_id, asked.client_order_id, changes)


@pytest.mark.parametrize("trail", [{"trail_amount": Decimal("150.55")}, {"trail_percent": Decimal(100)}, {}])
def test_a_distance_that_makes_no_sense_is_refused(rig: Rig, trail: dict[str, Decimal]) -> None:
    with pytest.raises(InvalidOrder):
        rig.broker.submit(rig.account_id, rig.order(order_type=OrderType.TRAIL, limit_price=None, **trail))
    assert fake_of(rig).bodies == []
