"""Stops, trailing stops and order lists at Binance: one request, each order by our id, the other side told as ended."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from brokers.binance.adapter import BinanceBroker
from brokers.errors import BrokerError, InsufficientPosition, InvalidOrder, NotSupported, Rejected, UnknownOutcome
from brokers.types import BrokerStatus, OrderChanges, OrderClass, OrderRequest, OrderType, Side
from tests.brokers.binance.fake import BinanceFake
from tests.brokers.contract.cases import BINANCE, Rig, new_id
from tests.brokers.crypto.exit_steps import bracket, exit_leg, ids, pair, profit_leg, seen, stop_leg
from tests.brokers.crypto.recorded import steady
from tests.brokers.faults import Fault

_ABOUT_THE_CALL = frozenset({"timestamp", "signature", "recvWindow"})


@pytest.fixture
def rig() -> Iterator[Rig]:
    with steady(BINANCE) as opened:
        yield opened


def _fake(rig: Rig) -> BinanceFake:
    assert isinstance(rig.fake, BinanceFake)
    return rig.fake


def _sent(rig: Rig, order: OrderRequest) -> dict[str, str]:
    """The body without its own names; our ids as their place in the order."""
    rig.broker.submit(rig.account_id, order)
    names = {ours: str(place) for place, ours in enumerate(ids(order))}
    body = {name: value for name, value in rig.wire.bodies[-1].items() if name not in _ABOUT_THE_CALL}
    assert body.pop("listClientOrderId") == f"l-{order.client_order_id}"
    assert body.pop("newOrderRespType") == "RESULT"
    return {name: names.get(value, value) for name, value in body.items()}


_ENTRY = {
    "symbol": "BTCUSDT", "workingType": "LIMIT", "workingSide": "BUY", "workingClientOrderId": "0",
    "workingPrice": "29000", "workingQuantity": "0.5", "workingTimeInForce": "GTC", "pendingSide": "SELL",
}  # fmt: skip


def test_a_pair_to_sell_has_its_limit_above_and_one_to_buy_below(rig: Rig) -> None:
    assert _sent(rig, pair(rig)) == {
        "symbol": "BTCUSDT", "side": "SELL", "quantity": "0.5",
        "aboveType": "LIMIT_MAKER", "aboveClientOrderId": "0", "abovePrice": "33000",
        "belowType": "STOP_LOSS", "belowClientOrderId": "1", "belowStopPrice": "27000",
    }  # fmt: skip
    stop = exit_leg(OrderType.STOP_LIMIT, Side.BUY, stop_price=Decimal(33000), limit_price=Decimal(33100))
    assert _sent(rig, pair(rig, stop, side=Side.BUY, limit_price=Decimal(27000))) == {
        "symbol": "BTCUSDT", "side": "BUY", "quantity": "0.5",
        "aboveType": "STOP_LOSS_LIMIT", "aboveClientOrderId": "1", "abovePrice": "33100", "aboveStopPrice": "33000",
        "aboveTimeInForce": "GTC",
        "belowType": "LIMIT_MAKER", "belowClientOrderId": "0", "belowPrice": "27000",
    }  # fmt: skip


def test_the_exits_of_a_purchase_have_no_quantity_of_their_own(rig: Rig) -> None:
    trail = exit_leg(OrderType.TRAIL, trail_percent=Decimal("2.5"))
    assert _sent(rig, bracket(rig, profit_leg(), trail)) == {
        **_ENTRY,
        "pendingAboveType": "LIMIT_MAKER", "pendingAboveClientOrderId": "1", "pendingAbovePrice": "33000",
        "pendingBelowType": "STOP_LOSS", "pendingBelowClientOrderId": "2", "pendingBelowTrailingDelta": "250",
    }  # fmt: skip
    assert ("POST", "/api/v3/orderList/opoco") in _fake(rig).received
    assert _sent(rig, bracket(rig, profit_leg(), order_class=OrderClass.OTO)) == {
        **_ENTRY,
        "pendingType": "LIMIT", "pendingClientOrderId": "1", "pendingPrice": "33000", "pendingTimeInForce": "GTC",
    }  # fmt: skip
    assert ("POST", "/api/v3/orderList/opo") in _fake(rig).received


def test_the_exits_of_a_sale_say_how_much_they_buy(rig: Rig) -> None:
    exits = (profit_leg(29000, Side.BUY), stop_leg(33000, Side.BUY))
    assert _sent(rig, bracket(rig, *exits, side=Side.SELL, limit_price=Decimal(31000), post_only=True)) == {
        "symbol": "BTCUSDT", "workingType": "LIMIT_MAKER", "workingSide": "SELL", "workingClientOrderId": "0",
        "workingPrice": "31000", "workingQuantity": "0.5", "pendingSide": "BUY", "pendingQuantity": "0.5",
        "pendingAboveType": "STOP_LOSS", "pendingAboveClientOrderId": "2", "pendingAboveStopPrice": "33000",
        "pendingBelowType": "LIMIT_MAKER", "pendingBelowClientOrderId": "1", "pendingBelowPrice": "29000",
    }  # fmt: skip
    assert ("POST", "/api/v3/orderList/otoco") in _fake(rig).received


def test_the_exits_sell_what_arrived_and_one_ends_the_other(rig: Rig) -> None:
    order = bracket(rig)
    rig.broker.submit(rig.account_id, order)
    profit, stop = (leg.client_order_id for leg in order.legs)
    assert [seen(rig, each).held for each in ids(order)] == [False, True, True]
    _fake(rig).move(rig.symbol, "28900")
    assert seen(rig, order.client_order_id).status is BrokerStatus.FILLED
    assert [(seen(rig, each).held, seen(rig, each).quantity) for each in (profit, stop)] == [
        (False, Decimal("0.4995"))
    ] * 2
    _fake(rig).move(rig.symbol, "26900")
    done, other = seen(rig, stop), seen(rig, profit)
    assert (done.status, done.filled_quantity, [each.client_order_id for each in done.fills]) == (
        BrokerStatus.FILLED, Decimal("0.4995"), [stop],
    )  # fmt: skip
    assert (other.status, other.filled_quantity) == (BrokerStatus.EXPIRED, Decimal(0))
    assert other.reason == "Binance ended it with another order of its list."


def test_one_half_of_a_pair_ends_the_other_and_both_keep_the_same_coins(rig: Rig) -> None:
    order = pair(rig, quantity=Decimal("1.5"))
    rig.broker.submit(rig.account_id, order)
    (held,) = [each for each in rig.broker.positions(rig.account_id) if each.symbol == rig.symbol]
    assert held.reserved == Decimal("1.5")
    _fake(rig).move(rig.symbol, "33001")
    assert [seen(rig, each).status for each in ids(order)] == [BrokerStatus.FILLED, BrokerStatus.EXPIRED]


def test_another_process_names_the_first_order_and_the_kind_of_the_list(rig: Rig) -> None:
    orders = [bracket(rig), bracket(rig, stop_leg(), order_class=OrderClass.OTO), pair(rig)]
    for order in orders:
        rig.broker.submit(rig.account_id, order)
    assert isinstance(rig.broker, BinanceBroker)
    rig.broker._client.memory.traits.clear()
    listed = {each.client_order_id: each for each in rig.broker.orders(rig.account_id, open_only=True)}
    for order in orders:
        for ours in ids(order):
            assert listed[ours].order_class is order.order_class
            parent = "" if ours == order.client_order_id else order.client_order_id
            assert listed[ours].parent_client_order_id == parent


def test_a_list_that_was_sent_elsewhere_is_told_without_a_first_order(rig: Rig) -> None:
    order = pair(rig)
    rig.broker.submit(rig.account_id, order)
    _fake(rig).groups[0].name = "theirs"
    assert isinstance(rig.broker, BinanceBroker)
    rig.broker._client.memory.traits.clear()
    assert [(seen(rig, each).order_class, seen(rig, each).parent_client_order_id) for each in ids(order)] == [
        (OrderClass.OCO, "")
    ] * 2


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_cancel_of_one_order_of_a_list_ends_them_all_and_each_is_told_as_ended(rig: Rig, place: int) -> None:
    order = bracket(rig)
    rig.broker.submit(rig.account_id, order)
    rig.broker.cancel(rig.account_id, ids(order)[place], symbol=rig.symbol)
    assert [seen(rig, each).status for each in ids(order)] == [BrokerStatus.CANCELLED] * 3


def test_an_order_of_a_list_is_not_changed_and_stays(rig: Rig) -> None:
    order = bracket(rig)
    rig.broker.submit(rig.account_id, order)
    for each in ids(order):
        with pytest.raises(NotSupported, match="Binance ends all orders of a list"):
            rig.broker.replace(rig.account_id, each, OrderChanges(quantity=Decimal("0.25")), new_id())
    assert [seen(rig, each).status for each in ids(order)] == [BrokerStatus.WORKING] * 3


@pytest.mark.parametrize("kind", ["hang", "500", "cut"])
def test_after_a_lost_answer_every_order_is_found_by_our_id(rig: Rig, kind: str) -> None:
    order = bracket(rig)
    rig.server.faults.set(Fault(kind=kind, effect=True, path="/api/v3/orderList/opoco"))
    with pytest.raises(UnknownOutcome):
        rig.broker.submit(rig.account_id, order)
    assert [seen(rig, each).client_order_id for each in ids(order)] == ids(order)
    assert rig.wire.sent[order.client_order_id] == 1


def test_a_stop_fires_at_its_price_and_one_that_is_through_already_is_refused(rig: Rig) -> None:
    stop = rig.order(order_type=OrderType.STOP, side=Side.SELL, limit_price=None, stop_price=Decimal(29000))
    assert rig.broker.submit(rig.account_id, stop).stop_price == 29000
    _fake(rig).move(rig.symbol, "28500")
    assert seen(rig, stop.client_order_id).average_price == 28500
    through = replace(stop, client_order_id=new_id(), stop_price=Decimal(28600))
    with pytest.raises(Rejected):
        rig.broker.submit(rig.account_id, through)
    assert rig.look(through.client_order_id) is None


def test_a_trailing_stop_follows_the_price_up_and_never_back(rig: Rig) -> None:
    order = rig.order(order_type=OrderType.TRAIL, side=Side.SELL, limit_price=None, trail_percent=Decimal(5))
    taken = rig.broker.submit(rig.account_id, order)
    assert (taken.order_type, taken.trail_percent, taken.status) == (OrderType.TRAIL, Decimal(5), BrokerStatus.WORKING)
    for price in ("40000", "38500"):
        _fake(rig).move(rig.symbol, price)
        assert seen(rig, order.client_order_id).status is BrokerStatus.WORKING
    with pytest.raises(NotSupported, match="cannot change a trailing stop"):
        rig.broker.replace(rig.account_id, order.client_order_id, OrderChanges(quantity=Decimal(1)), new_id())
    _fake(rig).move(rig.symbol, "37999")
    assert seen(rig, order.client_order_id).status is BrokerStatus.FILLED


def _without(name: str) -> Any:
    return lambda rig: rig.broker._require(rig.symbol)["info"].update({name: False})


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda rig: bracket(rig, order_type=OrderType.MARKET, limit_price=None), NotSupported, "beside a LMT order"),
        (
            lambda rig: bracket(rig, profit_leg(), replace(stop_leg(), quantity=Decimal("0.25"))),
            NotSupported,
            "quantity",
        ),
        (lambda rig: bracket(rig, profit_leg(), profit_leg()), NotSupported, "one profit target and one stop"),
        (lambda rig: bracket(rig, profit_leg(), stop_leg(side=Side.BUY)), InvalidOrder, "the other side"),
        (
            lambda rig: bracket(rig, replace(profit_leg(), limit_price=Decimal("33000.001")), stop_leg()),
            InvalidOrder,
            "steps",
        ),
        (
            lambda rig: bracket(rig, profit_leg(), exit_leg(OrderType.TRAIL, trail_amount=Decimal(500))),
            NotSupported,
            "no trail_amount",
        ),
        (
            lambda rig: rig.order(order_type=OrderType.TRAIL, limit_price=None, trail_percent=Decimal("0.125")),
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


@pytest.mark.parametrize(
    ("flag", "make", "words"),
    [
        ("ocoAllowed", pair, "no oco orders in BTC/USDT"),
        ("otoAllowed", bracket, "no bracket orders in BTC/USDT"),
        (
            "allowTrailingStop",
            lambda rig: bracket(rig, profit_leg(), exit_leg(OrderType.TRAIL, trail_percent=Decimal(2))),
            "no trailing stops in BTC/USDT",
        ),
    ],
)
def test_what_a_pair_of_coins_does_not_have_is_refused_by_name(rig: Rig, flag: str, make: Any, words: str) -> None:
    order = make(rig)
    _without(flag)(rig)
    with pytest.raises(NotSupported, match=words):
        rig.broker.submit(rig.account_id, order)
    assert rig.wire.sent[order.client_order_id] == 0


def test_where_what_arrives_cannot_be_sold_the_exits_name_the_quantity(rig: Rig) -> None:
    order = bracket(rig)
    _without("opoAllowed")(rig)
    assert _sent(rig, order) == {
        **_ENTRY, "pendingQuantity": "0.5",
        "pendingAboveType": "LIMIT_MAKER", "pendingAboveClientOrderId": "1", "pendingAbovePrice": "33000",
        "pendingBelowType": "STOP_LOSS", "pendingBelowClientOrderId": "2", "pendingBelowStopPrice": "27000",
    }  # fmt: skip
    assert ("POST", "/api/v3/orderList/otoco") in _fake(rig).received


def test_exits_that_the_fee_would_leave_short_are_refused_before_anything_is_sent(rig: Rig) -> None:
    """Without OPO the exits of a purchase are held against coins that are there when it is placed."""
    order = bracket(rig)
    _fake(rig).balances["BTC"] = Decimal("0.4999")
    assert rig.broker.preview(rig.account_id, order).notional > 0
    _without("opoAllowed")(rig)
    with pytest.raises(InsufficientPosition, match=r"0\.4999 BTC are free. Buy first"):
        rig.broker.preview(rig.account_id, order)
    with pytest.raises(Rejected):
        rig.broker.submit(rig.account_id, order)
    assert list(_fake(rig).orders) == []
    _fake(rig).balances["BTC"] = Decimal("0.5")
    assert rig.broker.preview(rig.account_id, order).notional > 0
