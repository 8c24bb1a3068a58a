"""Two orders that end each other at Interactive Brokers: one request, two ids of ours."""

from dataclasses import replace
from decimal import Decimal

import pytest

from brokers.errors import InvalidOrder, NeedsAnswer, NotSupported, Rejected, UnknownOutcome
from brokers.ibkr.adapter import IbkrBroker
from brokers.types import BrokerOrder, BrokerStatus, LegRequest, OrderClass, OrderRequest, OrderType, Side
from tests.brokers.ibkr.fake import BASE, PAPER, QUESTION, FakeIbkr
from tests.brokers.paper.support import new_id, order
from tests.brokers.recorded import answer_with

SYMBOL = "AAPL@265598"


def stop(price: str = "90") -> LegRequest:
    return LegRequest(client_order_id=new_id(), side=Side.SELL, order_type=OrderType.STOP, stop_price=Decimal(price))


def pair(*legs: LegRequest, kind: OrderClass = OrderClass.OCO) -> OrderRequest:
    return replace(order("SELL", "2", SYMBOL, limit="300"), order_class=kind, legs=legs or (stop(),))


def found(ibkr: IbkrBroker, client_order_id: str) -> BrokerOrder:
    told = ibkr.order(PAPER, client_order_id)
    assert told is not None
    return told


def test_both_go_out_in_one_request_as_a_group(ibkr: IbkrBroker, fake: FakeIbkr) -> None:
    asked = pair()
    ibkr.submit(PAPER, asked)
    assert [(each["cOID"], each["isSingleGroup"], each["orderType"]) for each in fake.sent] == [
        (asked.client_order_id, True, "LMT"),
        (asked.legs[0].client_order_id, True, "STP"),
    ]
    ibkr.submit(PAPER, order("BUY", "1", SYMBOL, limit="100"))
    assert "isSingleGroup" not in fake.sent[-1]


def test_one_of_them_ends_the_other(ibkr: IbkrBroker, fake: FakeIbkr) -> None:
    asked = pair()
    ibkr.submit(PAPER, asked)
    fake.fill(asked.legs[0].client_order_id, Decimal(2), Decimal(90))
    assert found(ibkr, asked.legs[0].client_order_id).status is BrokerStatus.FILLED
    assert found(ibkr, asked.client_order_id).status is BrokerStatus.CANCELLED


def test_a_question_is_about_both(ibkr: IbkrBroker, fake: FakeIbkr) -> None:
    fake.questions = [QUESTION]
    asked = pair()
    with pytest.raises(NeedsAnswer) as question:
        ibkr.submit(PAPER, asked)
    ibkr.answer(PAPER, asked.client_order_id, question.value.token, True)
    assert [found(ibkr, each).status for each in (asked.client_order_id, asked.legs[0].client_order_id)] == [
        BrokerStatus.WORKING
    ] * 2


def test_an_answer_that_names_only_one_of_them_is_no_yes(
    ibkr: IbkrBroker, fake: FakeIbkr, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = pair()
    ibkr.instrument(SYMBOL)
    row = {"order_id": "12", "local_order_id": asked.client_order_id, "order_status": "Submitted"}
    answer_with(monkeypatch, fake, "POST", f"{BASE}/iserver/account/{PAPER}/orders", [row, {"error": "No."}])
    with pytest.raises(UnknownOutcome):
        ibkr.submit(PAPER, asked)


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        (pair(kind=OrderClass.BRACKET), NotSupported),
        (pair(kind=OrderClass.OTO), NotSupported),
        (pair(stop(), stop("80")), NotSupported),
        (pair(stop("90.001")), InvalidOrder),
    ],
)
def test_what_it_does_not_take_is_refused_by_name_and_nothing_is_sent(
    ibkr: IbkrBroker, fake: FakeIbkr, asked: OrderRequest, kind: type[Rejected]
) -> None:
    with pytest.raises(kind):
        ibkr.submit(PAPER, asked)
    assert fake.sent == []
