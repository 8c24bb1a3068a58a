"""An order with its exits at TWS: sent together or not at all, each found, cancelled and told apart by its own id."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from brokers.errors import InvalidOrder, NotSupported, Rejected, UnknownOutcome
from brokers.tws.adapter import TwsBroker
from brokers.types import BrokerOrder, BrokerStatus, OrderClass, OrderRequest, OrderType, Side
from tests.brokers.paper.support import order
from tests.brokers.tws.conftest import opened
from tests.brokers.tws.fake import ACCOUNT, FakeTws
from tests.brokers.tws.steps import SYMBOL, bracket, leg

MARGIN = "Order rejected - reason:The margin is too small."


def found(tws: TwsBroker, client_order_id: str) -> BrokerOrder:
    told = tws.order(ACCOUNT, client_order_id)
    assert told is not None
    return told


def test_a_bracket_goes_out_as_one_and_waits_for_its_last_exit(tws: TwsBroker, fake: FakeTws) -> None:
    asked = bracket()
    assert tws.submit(ACCOUNT, asked).client_order_id == asked.client_order_id
    first, profit, stop = fake.sent
    assert [each[27] for each in fake.sent] == ["0", "0", "1"]
    assert [each[28] for each in fake.sent] == ["0", first[1], first[1]]
    assert [(each[22], each[46]) for each in fake.sent] == [("", "0"), *[(asked.client_order_id, "2")] * 2]
    assert [each[26] for each in fake.sent] == [asked.client_order_id, *(each.client_order_id for each in asked.legs)]
    assert (profit[18], profit[19], stop[18], stop[20]) == ("LMT", "300", "STP", "90")


@pytest.mark.parametrize("fresh", [False, True])
def test_each_is_found_by_its_own_id_and_waits_for_the_first(tws: TwsBroker, fake: FakeTws, fresh: bool) -> None:
    asked = bracket()
    tws.submit(ACCOUNT, asked)
    broker = opened(fake) if fresh else tws
    first = found(broker, asked.client_order_id)
    assert (first.held, first.limit_price) == (False, Decimal(100))
    for each in asked.legs:
        told = found(broker, each.client_order_id)
        assert (told.held, told.status, told.side) == (True, BrokerStatus.WORKING, Side.SELL)
        assert (told.parent_client_order_id, told.quantity) == (asked.client_order_id, Decimal(2))
        assert (told.limit_price, told.stop_price) == (each.limit_price, each.stop_price)
    assert len(broker.orders(ACCOUNT, open_only=True)) == 3


def test_the_exits_live_once_the_first_has_filled_and_one_of_them_ends_the_other(tws: TwsBroker, fake: FakeTws) -> None:
    asked = bracket()
    tws.submit(ACCOUNT, asked)
    profit, stop = (each.client_order_id for each in asked.legs)
    fake.fill(asked.client_order_id)
    assert found(tws, asked.client_order_id).status is BrokerStatus.FILLED
    assert [found(tws, each).held for each in (profit, stop)] == [False, False]
    fake.fill(profit)
    assert found(tws, profit).status is BrokerStatus.FILLED
    assert stop not in [each.client_order_id for each in tws.orders(ACCOUNT, open_only=True)]


def test_cancelling_the_first_ends_its_exits_and_an_exit_can_be_cancelled_alone(tws: TwsBroker, fake: FakeTws) -> None:
    one, other = bracket(), bracket()
    for each in (one, other):
        tws.submit(ACCOUNT, each)
    assert tws.cancel(ACCOUNT, one.client_order_id).status is BrokerStatus.CANCELLED
    assert [found(tws, each.client_order_id).status for each in one.legs] == [BrokerStatus.CANCELLED] * 2
    assert tws.cancel(ACCOUNT, other.legs[1].client_order_id).status is BrokerStatus.CANCELLED
    assert found(tws, other.client_order_id).status.is_open


def test_a_refused_exit_takes_the_order_with_it_and_nothing_stands(tws: TwsBroker, fake: FakeTws) -> None:
    fake.refuses = (OrderType.STOP.value, 201, MARGIN)
    asked = bracket()
    with pytest.raises(Rejected, match="margin is too small"):
        tws.submit(ACCOUNT, asked)
    assert (fake.orders, fake.waiting) == ({}, [])


def test_a_refused_exit_beside_an_order_that_cannot_be_cancelled_is_left_open(tws: TwsBroker, fake: FakeTws) -> None:
    fake.refuses = (OrderType.STOP.value, 201, MARGIN)
    fake.not_cancelled = (10148, "OrderId 1 that needs to be cancelled cannot be cancelled, state: Filled.")
    fake.keeps_waiting = True
    with pytest.raises(UnknownOutcome, match="margin is too small"):
        tws.submit(ACCOUNT, bracket())


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        (bracket(leg(OrderType.LIMIT, limit_price="300"), kind=OrderClass.OCO), NotSupported),
        (
            bracket(leg(OrderType.LIMIT, limit_price="300"), leg(OrderType.STOP, stop_price="9"), kind=OrderClass.OTO),
            NotSupported,
        ),
        (bracket(leg(OrderType.LIMIT, limit_price="300"), leg(OrderType.STOP, stop_price="90.001")), InvalidOrder),
        (bracket(leg(OrderType.TRAIL, trail_percent="1.2345678901234567"), kind=OrderClass.OTO), InvalidOrder),
    ],
)
def test_what_it_does_not_take_is_refused_by_name_and_nothing_is_sent(
    tws: TwsBroker, fake: FakeTws, asked: OrderRequest, kind: type[Rejected]
) -> None:
    with pytest.raises(kind):
        tws.submit(ACCOUNT, asked)
    assert fake.sent == []


@pytest.mark.parametrize(
    ("terms", "field", "sent"), [({"trail_amount": "1.5"}, 20, "1.5"), ({"trail_percent": "2.5"}, 69, "2.5")]
)
def test_a_trailing_stop_goes_out_and_reads_back(
    tws: TwsBroker, fake: FakeTws, terms: dict[str, Any], field: int, sent: str
) -> None:
    prices: dict[str, Any] = {name: Decimal(value) for name, value in terms.items()}
    asked = replace(order("SELL", "2", SYMBOL, limit="100"), limit_price=None, order_type=OrderType.TRAIL, **prices)
    tws.submit(ACCOUNT, asked)
    assert (fake.sent[0][18], fake.sent[0][field]) == ("TRAIL", sent)
    for broker in (tws, opened(fake)):
        told = found(broker, asked.client_order_id)
        assert told.order_type is OrderType.TRAIL
        assert (told.trail_amount, told.trail_percent) == (asked.trail_amount, asked.trail_percent)


def test_a_trailing_stop_can_follow_an_order(tws: TwsBroker, fake: FakeTws) -> None:
    asked = bracket(leg(OrderType.TRAIL, trail_percent="2.5"), kind=OrderClass.OTO)
    tws.submit(ACCOUNT, asked)
    told = found(tws, asked.legs[0].client_order_id)
    assert (told.held, told.order_type, told.trail_percent) == (True, OrderType.TRAIL, Decimal("2.5"))
