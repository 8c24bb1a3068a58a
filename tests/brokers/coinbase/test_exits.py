"""A profit target and a stop at Coinbase: one order there, two here, each by its own id and with its own fills."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from brokers.coinbase.adapter import CoinbaseBroker
from brokers.errors import BrokerUnavailable, InvalidOrder, NotSupported, Rejected
from brokers.types import (
    BrokerOrder,
    BrokerStatus,
    OrderChanges,
    OrderClass,
    OrderRequest,
    OrderType,
    Side,
)
from tests.brokers.coinbase.fake import CoinbaseFake
from tests.brokers.contract.cases import COINBASE, Rig, new_id
from tests.brokers.crypto import exit_steps
from tests.brokers.crypto.exit_steps import profit_leg, seen, stop_leg
from tests.brokers.exchange import SimOrder

_WORKING, _FILLED, _CANCELLED = BrokerStatus.WORKING, BrokerStatus.FILLED, BrokerStatus.CANCELLED


@pytest.fixture
def rig() -> Iterator[Rig]:
    with COINBASE.opened() as opened:
        yield opened


def fake_of(rig: Rig) -> CoinbaseFake:
    assert isinstance(rig.fake, CoinbaseFake)
    return rig.fake


def bracket(rig: Rig) -> OrderRequest:
    """To buy at 29,000, and then to sell at 32,000 or below 28,000."""
    return exit_steps.bracket(rig, profit_leg(32000), stop_leg(28000))


def pair(rig: Rig) -> OrderRequest:
    """To sell at 32,000 or below 28,000."""
    return exit_steps.pair(rig, stop_leg(28000), limit_price=Decimal(32000))


def halves(rig: Rig, asked: OrderRequest) -> tuple[BrokerOrder, BrokerOrder]:
    """The target and the stop."""
    names = [each.client_order_id for each in asked.legs]
    target, stop = names if len(names) == 2 else (asked.client_order_id, names[0])
    return seen(rig, target), seen(rig, stop)


def states(rig: Rig, asked: OrderRequest) -> tuple[BrokerStatus, BrokerStatus]:
    target, stop = halves(rig, asked)
    return target.status, stop.status


def placed(rig: Rig) -> SimOrder:
    return next(each for each in fake_of(rig).orders.values() if each.kind == "trigger_bracket_gtc")


def forget(rig: Rig) -> None:
    """As in a process that has just started."""
    assert isinstance(rig.broker, CoinbaseBroker)
    rig.broker._client.memory.client_ids.clear()
    rig.broker._client.memory.pairs.clear()


@pytest.fixture(params=[bracket, pair], ids=["bracket", "oco"])
def live(request: pytest.FixtureRequest, rig: Rig) -> OrderRequest:
    """A target and a stop that are live, after an order or by themselves."""
    asked: OrderRequest = request.param(rig)
    rig.broker.submit(rig.account_id, asked)
    if asked.order_class is OrderClass.BRACKET:
        fake_of(rig).move(rig.symbol, "29000")
    return asked


def test_each_goes_out_in_one_order_under_coinbase_s_names(rig: Rig) -> None:
    for asked in (bracket(rig), pair(rig)):
        rig.broker.submit(rig.account_id, asked)
    with_exits, alone = fake_of(rig).bodies
    prices = {"limit_price": "32000", "stop_trigger_price": "28000"}
    assert with_exits["attached_order_configuration"] == {"trigger_bracket_gtc": prices}
    assert with_exits["order_configuration"] == {
        "limit_limit_gtc": {"base_size": "0.5", "limit_price": "29000", "post_only": False}
    }
    assert alone["order_configuration"] == {"trigger_bracket_gtc": {"base_size": "0.5", **prices}}
    assert (alone["side"], "attached_order_configuration" in alone) == ("SELL", False)


def test_the_exits_wait_for_their_order_and_are_live_once_it_has_filled(rig: Rig) -> None:
    asked = bracket(rig)
    told = rig.broker.submit(rig.account_id, asked)
    assert (told.order_class, told.parent_client_order_id) == (OrderClass.BRACKET, "")
    for price, held in (("29500", True), ("29000", False)):
        fake_of(rig).move(rig.symbol, price)
        forget(rig)
        target, stop = halves(rig, asked)
        for each in (target, stop):
            assert (each.held, each.status, each.side, each.quantity) == (held, _WORKING, Side.SELL, asked.quantity)
            assert each.parent_client_order_id == asked.client_order_id
        assert (target.order_type, target.limit_price, target.stop_price) == (OrderType.LIMIT, Decimal(32000), None)
        assert (stop.order_type, stop.limit_price, stop.stop_price) == (OrderType.STOP, None, Decimal(28000))


@pytest.mark.parametrize(
    ("price", "at", "ends"), [("32100", 32000, (_FILLED, _CANCELLED)), ("27900", 27900, (_CANCELLED, _FILLED))]
)
def test_one_exit_ends_the_other_and_has_the_fills(
    rig: Rig, live: OrderRequest, price: str, at: int, ends: tuple[BrokerStatus, BrokerStatus]
) -> None:
    fake_of(rig).move(rig.symbol, price)
    forget(rig)
    both = halves(rig, live)
    assert tuple(each.status for each in both) == ends
    won, lost = sorted(both, key=lambda each: each.status is _CANCELLED)
    assert (won.filled_quantity, won.average_price) == (live.quantity, Decimal(at))
    assert {each.client_order_id for each in won.fills} == {won.client_order_id}
    assert (lost.filled_quantity, lost.fills) == (Decimal(0), ())
    assert "other exit" in lost.reason
    sold = [each.client_order_id for each in rig.broker.fills(rig.account_id, limit=9) if each.side is Side.SELL]
    assert sold == [won.client_order_id]


def test_a_target_that_filled_in_part_before_the_stop_keeps_its_part(rig: Rig, live: OrderRequest) -> None:
    fake_of(rig).fill(placed(rig), "32000", "0.2")
    target, stop = halves(rig, live)
    assert (target.status, target.filled_quantity) == (BrokerStatus.PARTIALLY_FILLED, Decimal("0.2"))
    assert (stop.status, stop.filled_quantity, stop.quantity) == (_WORKING, Decimal(0), Decimal("0.3"))
    fake_of(rig).move(rig.symbol, "27900")
    target, stop = halves(rig, live)
    assert (target.status, target.filled_quantity, target.average_price) == (_CANCELLED, Decimal("0.2"), Decimal(32000))
    assert (stop.status, stop.filled_quantity, stop.average_price) == (_FILLED, Decimal("0.3"), Decimal(27900))
    assert [each.quantity for each in (*target.fills, *stop.fills)] == [Decimal("0.2"), Decimal("0.3")]


def test_the_list_names_every_part_by_our_id_in_every_process(rig: Rig, live: OrderRequest) -> None:
    names = {*(each.client_order_id for each in live.legs)}
    names |= {live.client_order_id} if live.order_class is OrderClass.OCO else set()
    forget(rig)
    listed = rig.broker.orders(rig.account_id, open_only=True)
    assert {each.client_order_id for each in listed} == names
    assert {each.order_class for each in listed} == {live.order_class}


def test_cancelling_the_stop_ends_both_and_cancelling_the_target_of_a_position_is_refused(
    rig: Rig, live: OrderRequest
) -> None:
    target, stop = halves(rig, live)
    if live.order_class is OrderClass.BRACKET:
        with pytest.raises(NotSupported, match="cancel the stop, which ends both"):
            rig.broker.cancel(rig.account_id, target.client_order_id, symbol=rig.symbol)
        assert states(rig, live) == (_WORKING, _WORKING)
    ended = rig.broker.cancel(rig.account_id, stop.client_order_id, symbol=rig.symbol)
    assert (ended.client_order_id, ended.status) == (stop.client_order_id, _CANCELLED)
    assert states(rig, live) == (_CANCELLED, _CANCELLED)


def test_an_order_with_exits_and_an_exit_are_not_changed_and_say_so(rig: Rig, live: OrderRequest) -> None:
    waiting = replace(bracket(rig), limit_price=Decimal(28500))
    rig.broker.submit(rig.account_id, waiting)
    target, stop = halves(rig, live)
    for ours in (waiting.client_order_id, target.client_order_id, stop.client_order_id):
        with pytest.raises(NotSupported, match="cancel this one and send another"):
            rig.broker.replace(rig.account_id, ours, OrderChanges(quantity=Decimal("0.4")))


def test_exits_have_the_quantity_that_their_order_filled_before_it_was_cancelled(rig: Rig) -> None:
    asked = bracket(rig)
    rig.broker.submit(rig.account_id, asked)
    order = fake_of(rig).by_client(asked.client_order_id)
    assert order is not None
    fake_of(rig).fill(order, "29000", "0.2")
    rig.broker.cancel(rig.account_id, asked.client_order_id, symbol=rig.symbol)
    assert [each.quantity for each in halves(rig, asked)] == [Decimal("0.2")] * 2


def test_exits_end_with_an_order_that_never_filled(rig: Rig) -> None:
    asked = bracket(rig)
    rig.broker.submit(rig.account_id, asked)
    rig.broker.cancel(rig.account_id, asked.client_order_id, symbol=rig.symbol)
    assert states(rig, asked) == (_CANCELLED, _CANCELLED)


def test_exits_that_are_late_wait_and_those_that_never_come_are_told_as_refused(rig: Rig) -> None:
    fake_of(rig).exits_late = True
    asked = bracket(rig)
    rig.broker.submit(rig.account_id, asked)
    fake_of(rig).move(rig.symbol, "29000")
    assert [(each.status, each.held) for each in halves(rig, asked)] == [(_WORKING, True)] * 2
    order = fake_of(rig).by_client(asked.client_order_id)
    assert order is not None
    order.updated -= 121_000
    order.created -= 121_000
    for each in halves(rig, asked):
        assert (each.status, each.held, "look there" in each.reason) == (BrokerStatus.REJECTED, False, True)


def _spoil(rig: Rig, monkeypatch: pytest.MonkeyPatch, order_id: str) -> None:
    """One order has a row that cannot be read."""
    fake, made = fake_of(rig), fake_of(rig)._order
    odd: dict[str, Any] = {"order_configuration": {"limit_limit_gtc": {"stop_direction": []}}}
    monkeypatch.setattr(fake, "_order", lambda order: made(order) | (odd if order.order_id == order_id else {}))


@pytest.mark.parametrize("which", ["order", "exits"])
def test_exits_that_cannot_be_read_are_not_told_as_ended_or_missing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    asked = bracket(rig)
    rig.broker.submit(rig.account_id, asked)
    fake_of(rig).move(rig.symbol, "29000")
    order = fake_of(rig).by_client(asked.client_order_id)
    assert order is not None
    order.updated -= 121_000
    order.created -= 121_000
    _spoil(rig, monkeypatch, (order if which == "order" else placed(rig)).order_id)
    for each in asked.legs:
        with pytest.raises(BrokerUnavailable, match="could not be read"):
            rig.broker.order(rig.account_id, each.client_order_id, symbol=rig.symbol)


def test_a_target_and_a_stop_that_were_made_elsewhere_are_one_order_without_a_type(rig: Rig) -> None:
    asked = pair(rig)
    rig.broker.submit(rig.account_id, asked)
    placed(rig).client_id = "made-elsewhere"
    forget(rig)
    (listed,) = rig.broker.orders(rig.account_id, open_only=True)
    assert (listed.client_order_id, listed.order_type) == ("made-elsewhere", None)
    assert (listed.limit_price, listed.stop_price) == (Decimal(32000), Decimal(28000))
    assert rig.broker.order(rig.account_id, asked.legs[0].client_order_id, symbol=rig.symbol) is None


def _with_stop(asked: OrderRequest, **terms: Any) -> OrderRequest:
    return replace(asked, legs=(asked.legs[0], replace(asked.legs[1], **terms)))


_TRAIL = {"order_type": OrderType.TRAIL, "stop_price": None, "trail_percent": Decimal(5)}
_LIMITED = {"order_type": OrderType.STOP_LIMIT, "limit_price": Decimal(27900)}


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (lambda asked: _with_stop(asked, **_TRAIL), NotSupported, "cannot trail"),
        (lambda asked: _with_stop(asked, **_LIMITED), NotSupported, "protective stop is a STP order"),
        (lambda asked: _with_stop(asked, stop_price=Decimal("28000.001")), InvalidOrder, "steps of 0.01"),
        (lambda asked: _with_stop(asked, client_order_id=new_id()), InvalidOrder, "which order it belongs to"),
        (
            lambda asked: replace(asked, order_type=OrderType.STOP_LIMIT, stop_price=Decimal(31000)),
            NotSupported,
            "beside LMT orders",
        ),
        (lambda asked: replace(asked, order_class=OrderClass.OTO, legs=asked.legs[:1]), NotSupported, "oto orders"),
    ],
)
def test_what_it_does_not_take_is_refused_by_name_and_nothing_is_sent(
    rig: Rig, make: Any, kind: type[Rejected], words: str
) -> None:
    with pytest.raises(kind, match=words):
        rig.broker.submit(rig.account_id, make(bracket(rig)))
    assert fake_of(rig).bodies == []


def test_a_pair_on_the_wrong_side_of_the_price_is_refused_by_coinbase_itself(rig: Rig) -> None:
    asked = pair(rig)
    for wrong in (
        replace(asked, limit_price=Decimal(29000)),
        replace(asked, legs=(replace(asked.legs[0], stop_price=Decimal(31000)),)),
    ):
        with pytest.raises(InvalidOrder):
            rig.broker.submit(rig.account_id, wrong)
        assert fake_of(rig).orders == {}
