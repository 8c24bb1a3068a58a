"""Stops, trailing stops, pairs and exits at OKX: one request, each order by our id, the other side told as ended."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from brokers.errors import (
    BrokerError,
    BrokerUnavailable,
    InvalidOrder,
    NotCancellable,
    NotSupported,
    Rejected,
    UnknownOutcome,
)
from brokers.types import BrokerStatus, OrderChanges, OrderClass, OrderRequest, OrderType, Side
from tests.brokers.contract.cases import OKX, Rig, new_id
from tests.brokers.crypto.exit_steps import bracket, exit_leg, ids, pair, profit_leg, seen, stop_leg
from tests.brokers.crypto.recorded import steady
from tests.brokers.faults import Asked, Fault, Reply
from tests.brokers.okx.fake import OkxFake

_SELL = {"instId": "BTC-USDT", "tdMode": "cash", "side": "sell", "sz": "0.5"}


@pytest.fixture
def rig() -> Iterator[Rig]:
    with steady(OKX) as opened:
        yield opened


def _fake(rig: Rig) -> OkxFake:
    assert isinstance(rig.fake, OkxFake)
    return rig.fake


def _single(rig: Rig, kind: OrderType, **terms: Any) -> OrderRequest:
    return rig.order(order_type=kind, **{"side": Side.SELL, "limit_price": None, **terms})


def _stop_order(rig: Rig, **terms: Any) -> OrderRequest:
    return _single(rig, OrderType.STOP, **{"stop_price": Decimal(29000), **terms})


def _sent(rig: Rig, order: OrderRequest) -> dict[str, Any]:
    """The body without its own names; our ids as their place in the order."""
    rig.broker.submit(rig.account_id, order)
    names = {ours: str(place) for place, ours in enumerate(ids(order))}
    body = dict(rig.wire.bodies[-1])
    algo = "algoClOrdId" in body
    assert names[body.pop("algoClOrdId" if algo else "clOrdId")] == "0"
    # What ccxt would name by itself has a name that is no order's, and the same when it is sent again.
    assert not algo or body.pop("clOrdId") == uuid.uuid5(uuid.NAMESPACE_OID, order.client_order_id).hex
    return body


def _written(rig: Rig, path: str) -> list[Any]:
    """From now on the bodies that are sent to this path."""
    bodies, speak = list[Any](), rig.wire.speak

    def spoken(asked: Asked) -> Reply:
        if (asked.method, asked.path) == ("POST", path):
            bodies.append(asked.body)
        return speak(asked)

    rig.wire.speak = spoken  # type: ignore[method-assign]
    return bodies


@pytest.mark.parametrize(
    ("make", "body"),
    [
        (
            _stop_order,
            {**_SELL, "ordType": "conditional", "slTriggerPx": "29000", "slOrdPx": "-1", "slTriggerPxType": "last"},
        ),
        (
            lambda rig: _single(
                rig, OrderType.STOP_LIMIT, side=Side.BUY, stop_price=Decimal(31000), limit_price=Decimal(31100)
            ),
            {
                **_SELL, "side": "buy", "tgtCcy": "base_ccy", "ordType": "conditional", "slTriggerPx": "31000",
                "slOrdPx": "31100", "slTriggerPxType": "last",
            },
        ),
        (
            lambda rig: _single(rig, OrderType.TRAIL, trail_percent=Decimal("2.5")),
            {**_SELL, "ordType": "move_order_stop", "callbackRatio": "0.025"},
        ),
        (
            lambda rig: _single(rig, OrderType.TRAIL, trail_amount=Decimal(500)),
            {**_SELL, "ordType": "move_order_stop", "callbackSpread": "500"},
        ),
        (
            pair,
            {
                **_SELL, "ordType": "oco", "tag": "pair", "tpTriggerPx": "33000", "tpOrdPx": "33000",
                "tpTriggerPxType": "last", "slTriggerPx": "27000", "slOrdPx": "-1", "slTriggerPxType": "last",
            },
        ),
        (
            lambda rig: replace(
                _stop_order(rig, quantity=Decimal("0.5"), reduce_only=True), symbol=rig.symbol + ":USDT"
            ),
            {
                **_SELL, "instId": "BTC-USDT-SWAP", "tdMode": "cross", "reduceOnly": True, "ordType": "conditional",
                "slTriggerPx": "29000", "slOrdPx": "-1", "slTriggerPxType": "last",
            },
        ),
    ],
)  # fmt: skip
def test_an_algo_order_goes_out_under_okx_s_names(rig: Rig, make: Any, body: dict[str, Any]) -> None:
    assert _sent(rig, make(rig)) == body


def test_exits_go_out_with_their_order_under_one_id(rig: Rig) -> None:
    order = bracket(rig)
    body = _sent(rig, order)
    assert body.pop("attachAlgoOrds") == [
        {
            "attachAlgoClOrdId": order.legs[0].client_order_id, "tpTriggerPx": "33000", "tpOrdPx": "33000",
            "tpTriggerPxType": "last", "slTriggerPx": "27000", "slOrdPx": "-1", "slTriggerPxType": "last",
        }
    ]  # fmt: skip
    assert body == {**_SELL, "side": "buy", "ordType": "limit", "px": "29000"}


@pytest.mark.parametrize(("level", "mode"), [("1", "cash"), ("2", "cash"), ("3", "cross"), ("4", "cross")])
def test_coins_are_traded_in_the_mode_that_the_account_has(rig: Rig, level: str, mode: str) -> None:
    _fake(rig).level = level
    assert _sent(rig, _stop_order(rig))["tdMode"] == mode


def test_one_exit_ends_the_other_once_the_order_has_filled(rig: Rig) -> None:
    order = bracket(rig)
    rig.broker.submit(rig.account_id, order)
    profit, stop = (leg.client_order_id for leg in order.legs)
    assert [(seen(rig, each).held, seen(rig, each).order_class) for each in ids(order)] == [
        (False, OrderClass.BRACKET), (True, OrderClass.BRACKET), (True, OrderClass.BRACKET),
    ]  # fmt: skip
    _fake(rig).move(rig.symbol, "28900")
    assert seen(rig, order.client_order_id).status is BrokerStatus.FILLED
    assert [seen(rig, each).held for each in (profit, stop)] == [False, False]
    listed = {each.client_order_id for each in rig.broker.orders(rig.account_id, open_only=True)}
    assert listed == {profit, stop}
    _fake(rig).move(rig.symbol, "26900")
    done, other = seen(rig, stop), seen(rig, profit)
    assert (done.status, done.average_price, [each.client_order_id for each in done.fills]) == (
        BrokerStatus.FILLED, Decimal(26900), [stop],
    )  # fmt: skip
    assert (other.status, other.filled_quantity, other.fills) == (BrokerStatus.CANCELLED, Decimal(0), ())
    assert other.reason == "OKX ended it when the other order of the pair was triggered."


def test_the_target_of_a_pair_ends_the_stop_and_fills_at_its_price_or_better(rig: Rig) -> None:
    order = pair(rig)
    rig.broker.submit(rig.account_id, order)
    (stop,) = (leg.client_order_id for leg in order.legs)
    assert seen(rig, stop).parent_client_order_id == order.client_order_id
    _fake(rig).move(rig.symbol, "33010")
    done = seen(rig, order.client_order_id)
    assert (done.status, done.order_type, done.average_price) == (BrokerStatus.FILLED, OrderType.LIMIT, Decimal(33010))
    assert seen(rig, stop).status is BrokerStatus.CANCELLED


def test_a_stop_that_was_triggered_goes_by_our_id_as_the_order_it_became(rig: Rig) -> None:
    order = _single(rig, OrderType.STOP_LIMIT, stop_price=Decimal(29000), limit_price=Decimal(28900))
    rig.broker.submit(rig.account_id, order)
    _fake(rig).move(rig.symbol, "28000")
    found = seen(rig, order.client_order_id)
    assert (found.status, found.order_type, found.filled_quantity) == (
        BrokerStatus.WORKING, OrderType.STOP_LIMIT, Decimal(0),
    )  # fmt: skip
    (listed,) = rig.broker.orders(rig.account_id, open_only=True)
    assert listed.client_order_id == order.client_order_id
    with pytest.raises(NotSupported, match="was triggered"):
        rig.broker.replace(rig.account_id, order.client_order_id, OrderChanges(stop_price=Decimal(27000)))
    moved = rig.broker.replace(rig.account_id, order.client_order_id, OrderChanges(limit_price=Decimal(28800)))
    assert (moved.limit_price, moved.client_order_id) == (Decimal(28800), order.client_order_id)
    assert rig.broker.cancel(rig.account_id, order.client_order_id, symbol=rig.symbol).status is BrokerStatus.CANCELLED
    assert rig.broker.orders(rig.account_id, open_only=True) == []
    (ended,) = rig.broker.orders(rig.account_id)
    assert ended.client_order_id == order.client_order_id


def test_what_a_trigger_could_not_place_is_told_as_rejected_with_okx_s_code(rig: Rig) -> None:
    order = _stop_order(rig)
    rig.broker.submit(rig.account_id, order)
    rig.wire.balances["BTC"] = Decimal(0)
    _fake(rig).move(rig.symbol, "28000")
    found = seen(rig, order.client_order_id)
    assert (found.status, found.reason) == (BrokerStatus.REJECTED, "OKX could not place it (51008).")


def test_an_exit_that_okx_could_not_place_is_told_as_rejected(rig: Rig) -> None:
    order = bracket(rig, stop_leg(), order_class=OrderClass.OTO)
    rig.broker.submit(rig.account_id, order)
    (exits,) = _fake(rig).attached.values()
    _fake(rig).move(rig.symbol, "28900")
    _fake(rig).algos.clear()
    (stop,) = (leg.client_order_id for leg in order.legs)
    exits["failCode"] = "51020"
    assert (seen(rig, stop).status, seen(rig, stop).reason) == (
        BrokerStatus.REJECTED, "OKX could not place it (51020).",
    )  # fmt: skip


def _partly_filled(rig: Rig, order: OrderRequest, amount: str = "0.2") -> None:
    rig.broker.submit(rig.account_id, order)
    entry = rig.wire.by_client(order.client_order_id)
    assert entry is not None
    rig.wire.fill(entry, "29000", amount)


def test_exits_of_what_filled_before_the_rest_was_cancelled_stand_and_are_told(rig: Rig) -> None:
    order = bracket(rig)
    _partly_filled(rig, order)
    profit, stop = (leg.client_order_id for leg in order.legs)
    assert seen(rig, stop).held
    ended = rig.broker.cancel(rig.account_id, order.client_order_id, symbol=rig.symbol)
    assert (ended.status, ended.filled_quantity) == (BrokerStatus.CANCELLED, Decimal("0.2"))
    for each in (profit, stop):
        told = seen(rig, each)
        assert (told.status, told.quantity, told.held) == (BrokerStatus.WORKING, Decimal("0.2"), False)
    _fake(rig).move(rig.symbol, "26900")
    done, other = seen(rig, stop), seen(rig, profit)
    assert (done.status, done.filled_quantity) == (BrokerStatus.FILLED, Decimal("0.2"))
    assert other.status is BrokerStatus.CANCELLED


@pytest.mark.parametrize("place", [1, 2])
def test_an_exit_of_an_order_that_has_filled_in_part_is_not_ended_with_the_rest_of_it(rig: Rig, place: int) -> None:
    order = bracket(rig)
    _partly_filled(rig, order)
    with pytest.raises(NotSupported, match="cancel the order"):
        rig.broker.cancel(rig.account_id, ids(order)[place], symbol=rig.symbol)
    statuses = [seen(rig, each).status for each in ids(order)]
    assert statuses == [BrokerStatus.PARTIALLY_FILLED, BrokerStatus.WORKING, BrokerStatus.WORKING]


def test_a_fill_is_told_of_one_order_of_a_pair_even_while_okx_does_not_say_of_which(rig: Rig) -> None:
    order = pair(rig)
    rig.broker.submit(rig.account_id, order)
    _fake(rig).move(rig.symbol, "26900")
    (algo,) = _fake(rig).algos.values()
    algo.actual = ""
    for each in ids(order):
        told = seen(rig, each)
        assert (told.status, told.filled_quantity) == (BrokerStatus.WORKING, Decimal(0))
    algo.actual = "sl"
    assert [seen(rig, each).status for each in ids(order)] == [BrokerStatus.CANCELLED, BrokerStatus.FILLED]


def test_exits_that_cannot_be_read_are_not_told_as_missing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    order = bracket(rig)
    rig.broker.submit(rig.account_id, order)
    monkeypatch.setattr(_fake(rig), "attached_rows", lambda one: ["?"])
    for leg in order.legs:
        with pytest.raises(BrokerUnavailable, match="could not be read"):
            rig.broker.order(rig.account_id, leg.client_order_id, symbol=rig.symbol)


@pytest.mark.parametrize("in_part", [False, True])
def test_exits_that_are_late_wait_and_those_that_never_come_are_told_as_refused(rig: Rig, in_part: bool) -> None:
    _fake(rig).exits_late = True
    order = bracket(rig)
    _partly_filled(rig, order, "0.2" if in_part else "0.5")
    entry = rig.wire.by_client(order.client_order_id)
    assert entry is not None
    if in_part:
        rig.wire.take_back(entry)
    for leg in order.legs:
        told = seen(rig, leg.client_order_id)
        assert (told.status, told.held, told.quantity) == (BrokerStatus.WORKING, True, Decimal(entry.filled))
        with pytest.raises(BrokerUnavailable, match="not placed this exit yet"):
            rig.broker.cancel(rig.account_id, leg.client_order_id, symbol=rig.symbol)
    entry.updated -= 121_000
    for leg in order.legs:
        told = seen(rig, leg.client_order_id)
        assert told.status is BrokerStatus.REJECTED
        assert told.reason == "OKX lists no exit of this order: look there whether one is open."


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_cancel_before_the_order_fills_ends_it_and_its_exits(rig: Rig, place: int) -> None:
    order = bracket(rig)
    rig.broker.submit(rig.account_id, order)
    rig.broker.cancel(rig.account_id, ids(order)[place], symbol=rig.symbol)
    assert [seen(rig, each).status for each in ids(order)] == [BrokerStatus.CANCELLED] * 3
    with pytest.raises(NotCancellable):
        rig.broker.cancel(rig.account_id, order.legs[1].client_order_id, symbol=rig.symbol)


@pytest.mark.parametrize("place", [1, 2])
def test_a_cancel_of_one_exit_after_it_ends_both(rig: Rig, place: int) -> None:
    order = bracket(rig)
    rig.broker.submit(rig.account_id, order)
    _fake(rig).move(rig.symbol, "28900")
    rig.broker.cancel(rig.account_id, ids(order)[place], symbol=rig.symbol)
    assert [seen(rig, each).status for each in ids(order)] == [
        BrokerStatus.FILLED, BrokerStatus.CANCELLED, BrokerStatus.CANCELLED,
    ]  # fmt: skip


@pytest.mark.parametrize("filled", [False, True])
def test_an_exit_is_moved_by_itself_before_and_after_its_order_fills(rig: Rig, filled: bool) -> None:
    order = bracket(rig)
    rig.broker.submit(rig.account_id, order)
    profit, stop = (leg.client_order_id for leg in order.legs)
    if filled:
        _fake(rig).move(rig.symbol, "28900")
    moved = rig.broker.replace(rig.account_id, stop, OrderChanges(stop_price=Decimal(28000)))
    assert (moved.client_order_id, moved.stop_price, moved.held) == (stop, Decimal(28000), not filled)
    moved = rig.broker.replace(rig.account_id, profit, OrderChanges(limit_price=Decimal(34000)))
    assert (moved.client_order_id, moved.limit_price) == (profit, Decimal(34000))
    assert seen(rig, stop).stop_price == Decimal(28000)
    with pytest.raises(NotSupported, match="the quantity of its order"):
        rig.broker.replace(rig.account_id, stop, OrderChanges(quantity=Decimal("0.25")))


def test_a_stop_is_changed_in_place_and_a_trailing_stop_is_not(rig: Rig) -> None:
    stop = _stop_order(rig)
    rig.broker.submit(rig.account_id, stop)
    changes = OrderChanges(stop_price=Decimal(28000), quantity=Decimal("0.25"))
    moved = rig.broker.replace(rig.account_id, stop.client_order_id, changes)
    assert (moved.stop_price, moved.quantity, moved.order_type) == (Decimal(28000), Decimal("0.25"), OrderType.STOP)
    trail = _single(rig, OrderType.TRAIL, trail_percent=Decimal(5))
    rig.broker.submit(rig.account_id, trail)
    with pytest.raises(NotSupported, match="cannot change a trailing stop"):
        rig.broker.replace(rig.account_id, trail.client_order_id, OrderChanges(trail_percent=Decimal(4)))


@pytest.mark.parametrize(
    ("make", "place", "changes", "new"),
    [
        (
            _stop_order,
            0,
            OrderChanges(stop_price=Decimal(28000), quantity=Decimal("0.25")),
            {"newSlTriggerPx": "28000", "newSlOrdPx": "-1", "newSz": "0.25"},
        ),
        (
            lambda rig: _single(rig, OrderType.STOP_LIMIT, stop_price=Decimal(29000), limit_price=Decimal(28900)),
            0,
            OrderChanges(limit_price=Decimal(28800)),
            {"newSlTriggerPx": "29000", "newSlOrdPx": "28800"},
        ),
        (pair, 0, OrderChanges(limit_price=Decimal(34000)), {"newTpTriggerPx": "34000", "newTpOrdPx": "34000"}),
        (pair, 1, OrderChanges(stop_price=Decimal(28000)), {"newSlTriggerPx": "28000", "newSlOrdPx": "-1"}),
    ],
)
def test_a_change_of_an_algo_order_goes_out_under_okx_s_names(
    rig: Rig, make: Any, place: int, changes: OrderChanges, new: dict[str, Any]
) -> None:
    order = make(rig)
    rig.broker.submit(rig.account_id, order)
    bodies, (algo_id,) = _written(rig, "/api/v5/trade/amend-algos"), _fake(rig).algos
    rig.broker.replace(rig.account_id, ids(order)[place], changes)
    assert bodies == [{"instId": "BTC-USDT", "algoId": algo_id, **new}]


def test_a_change_of_exits_that_wait_names_them_and_their_order(rig: Rig) -> None:
    order = bracket(rig)
    rig.broker.submit(rig.account_id, order)
    profit, stop = (leg.client_order_id for leg in order.legs)
    bodies, (order_id,) = _written(rig, "/api/v5/trade/amend-order"), _fake(rig).attached
    rig.broker.replace(rig.account_id, stop, OrderChanges(stop_price=Decimal(28000)))
    rig.broker.replace(rig.account_id, profit, OrderChanges(limit_price=Decimal(34000)))
    exits = {"attachAlgoId": f"9{order_id}", "attachAlgoClOrdId": profit}
    assert bodies == [
        {"instId": "BTC-USDT", "ordId": order_id, "attachAlgoOrds": [{**exits, **new}]}
        for new in (
            {"newSlTriggerPx": "28000", "newSlOrdPx": "-1"},
            {"newTpTriggerPx": "34000", "newTpOrdPx": "34000"},
        )
    ]


def test_a_cancel_of_an_algo_order_names_it_by_okx_s_id(rig: Rig) -> None:
    order = _stop_order(rig)
    rig.broker.submit(rig.account_id, order)
    bodies, (algo_id,) = _written(rig, "/api/v5/trade/cancel-algos"), _fake(rig).algos
    rig.broker.cancel(rig.account_id, order.client_order_id, symbol=rig.symbol)
    assert bodies == [[{"instId": "BTC-USDT", "algoId": algo_id}]]


def test_a_trailing_stop_follows_the_price_and_never_goes_back(rig: Rig) -> None:
    order = _single(rig, OrderType.TRAIL, trail_percent=Decimal(5))
    taken = rig.broker.submit(rig.account_id, order)
    assert (taken.order_type, taken.trail_percent, taken.stop_price) == (OrderType.TRAIL, Decimal(5), Decimal(28500))
    for price in ("40000", "38500"):
        _fake(rig).move(rig.symbol, price)
        assert seen(rig, order.client_order_id).stop_price == Decimal(38000)
    _fake(rig).move(rig.symbol, "37999")
    assert seen(rig, order.client_order_id).status is BrokerStatus.FILLED


@pytest.mark.parametrize("kind", ["hang", "500", "cut"])
@pytest.mark.parametrize("make", [bracket, pair])
def test_after_a_lost_answer_every_order_is_found_by_our_id(rig: Rig, kind: str, make: Any) -> None:
    order = make(rig)
    rig.server.faults.set(Fault(kind=kind, effect=True, path="/api/v5/trade/order"))
    with pytest.raises(UnknownOutcome):
        rig.broker.submit(rig.account_id, order)
    assert [seen(rig, each).client_order_id for each in ids(order)] == ids(order)
    for each in ids(order):
        found = rig.broker.order(rig.account_id, each)
        assert found is not None
        assert found.client_order_id == each
    assert rig.wire.sent[order.client_order_id] == 1


def test_a_stop_that_is_through_already_is_refused_and_does_not_stand(rig: Rig) -> None:
    order = _stop_order(rig, stop_price=Decimal(31000))
    with pytest.raises(Rejected, match="51280"):
        rig.broker.submit(rig.account_id, order)
    assert rig.look(order.client_order_id) is None


def test_what_was_sent_elsewhere_is_listed_as_what_it_is(rig: Rig) -> None:
    terms = {"tpTriggerPx": "33000", "tpOrdPx": "-1", "slTriggerPx": "27000", "slOrdPx": "26900"}
    _fake(rig)._keep("", "BTC-USDT", "sell", "oco", "0.5", terms)
    target, stop = sorted(rig.broker.orders(rig.account_id, open_only=True), key=lambda each: each.broker_order_id)
    assert [each.client_order_id for each in (target, stop)] == ["", ""]
    assert (target.order_type, target.stop_price, target.limit_price) == (None, Decimal(33000), None)
    assert (stop.order_type, stop.stop_price, stop.limit_price) == (
        OrderType.STOP_LIMIT, Decimal(27000), Decimal(26900),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (
            lambda rig: bracket(rig, profit_leg(), exit_leg(OrderType.TRAIL, trail_percent=Decimal(2))),
            NotSupported,
            "not a trailing stop",
        ),
        (lambda rig: pair(rig, post_only=True), NotSupported, "not post-only"),
        (lambda rig: bracket(rig, profit_leg(), replace(stop_leg(), quantity=Decimal(1))), NotSupported, "quantity"),
        (lambda rig: bracket(rig, profit_leg(), profit_leg()), NotSupported, "one profit target and one stop"),
        (
            lambda rig: replace(bracket(rig), client_order_id=new_id()),
            InvalidOrder,
            "does not tell which order it belongs to",
        ),
        (
            lambda rig: _single(rig, OrderType.TRAIL, trail_percent=Decimal("0.125")),
            NotSupported,
            "steps of 0.01",
        ),
    ],
)
def test_what_it_does_not_take_is_refused_by_name_and_nothing_is_sent(
    rig: Rig, make: Any, error: type[BrokerError], words: str
) -> None:
    order = make(rig)
    with pytest.raises(error, match=words):
        rig.broker.submit(rig.account_id, order)
    assert rig.wire.sent[order.client_order_id] == 0


def test_in_long_short_mode_no_stop_on_a_contract_is_sent(rig: Rig) -> None:
    _fake(rig).pos_mode = "long_short_mode"
    order = replace(_stop_order(rig), symbol=rig.symbol + ":USDT")
    with pytest.raises(NotSupported, match="long/short mode"):
        rig.broker.submit(rig.account_id, order)
    assert rig.wire.sent[order.client_order_id] == 0
