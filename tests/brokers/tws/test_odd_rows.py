"""A row with something in it that the adapter does not know takes no other row with it, and is named."""

from decimal import Decimal
from typing import Any

import pytest

from brokers.tws.adapter import TwsBroker
from brokers.types import AssetClass, BrokerStatus, Environment, Side, TimeInForce
from tests.brokers.paper.support import order
from tests.brokers.tws.conftest import opened
from tests.brokers.tws.fake import ACCOUNT, FakeTws

SYMBOL = "AAPL@265598"
UNSET = "1.7976931348623157E308"


@pytest.mark.parametrize(("theirs", "ours"), [("SSHORT", Side.SELL), ("SLONG", Side.SELL), ("BUY", Side.BUY)])
def test_every_side_is_read(tws: TwsBroker, fake: FakeTws, theirs: str, ours: Side) -> None:
    tws.submit(ACCOUNT, order("BUY", "2", SYMBOL, limit="100"))
    elsewhere = fake.orders.popitem()[1] | {"ref": "theirs", "id": 5, "perm": 5, "action": theirs}
    fake.orders["theirs"] = elsewhere
    found = {each.client_order_id: each for each in opened(fake).orders(ACCOUNT)}
    assert found["theirs"].side is ours


def test_what_is_not_known_of_an_order_is_left_out_of_it_and_named(tws: TwsBroker, fake: FakeTws) -> None:
    tws.submit(ACCOUNT, order("BUY", "2", SYMBOL, limit="100"))
    known = fake.orders.popitem()[1]
    odd = {"ref": "odd", "id": 5, "perm": 5, "action": "HOP", "type": "PEG MID", "tif": "GTD", "status": "Levitating"}
    fake.orders |= {"odd": known | odd | {"listed": True}, "good": known | {"ref": "good", "id": 6, "perm": 6}}
    broker = opened(fake)
    found = {each.client_order_id: each for each in broker.orders(ACCOUNT)}
    assert found["good"].status is BrokerStatus.WORKING
    assert (found["odd"].side, found["odd"].order_type, found["odd"].tif) == (None, None, None)
    assert (found["odd"].status, found["odd"].quantity) == (BrokerStatus.WORKING, Decimal(2))
    assert "Levitating" in found["odd"].reason
    assert {each.word for each in broker.unknown_words} == {
        "side HOP",
        "order type PEG MID",
        "time in force GTD",
        "status Levitating",
    }


def test_an_order_without_a_time_in_force_is_for_the_day(tws: TwsBroker, fake: FakeTws) -> None:
    tws.submit(ACCOUNT, order("BUY", "2", SYMBOL, limit="100"))
    fake.orders["theirs"] = fake.orders.popitem()[1] | {"ref": "theirs", "id": 5, "perm": 5, "tif": ""}
    found = {each.client_order_id: each for each in opened(fake).orders(ACCOUNT)}
    assert found["theirs"].tif is TimeInForce.DAY


def holding(kind: str, *numbers: Any, symbol: str = "ODD") -> list[Any]:
    """Position, price, worth, cost, profit."""
    return ["9", symbol, kind, "", "0.0", "", "", "NASDAQ", "USD", symbol, symbol, *numbers, "0"]


@pytest.mark.parametrize(("theirs", "kind"), [("FOP", AssetClass.OPTION), ("CRYPTO", AssetClass.CRYPTO)])
def test_what_is_not_traded_here_is_still_held(tws: TwsBroker, fake: FakeTws, theirs: str, kind: AssetClass) -> None:
    fake.portfolio = [holding(theirs, "2", "5", "10", "4", "2")]
    assert [each.asset_class for each in tws.positions(ACCOUNT)] == [AssetClass.STOCK, kind]
    assert tws.unknown_words == ()


@pytest.mark.parametrize("theirs", ["BOND", "FUND", "WAR"])
def test_a_holding_of_a_kind_that_is_not_known_is_named_with_its_worth(
    tws: TwsBroker, fake: FakeTws, theirs: str
) -> None:
    fake.portfolio = [holding(theirs, "2", "5", "10", "4", "2")]
    assert [each.symbol for each in tws.positions(ACCOUNT)] == [SYMBOL]
    assert [str(each) for each in tws.unknown_words] == [
        f"position ODD: security type {theirs}, worth 10.0 USD, left out"
    ]


@pytest.mark.parametrize(
    ("numbers", "last", "source"),
    [
        (("2", UNSET, "10", "4", "2"), "5", "Gateway"),
        (("2", UNSET, UNSET, "4", UNSET), "4", "at cost"),
    ],
)
def test_a_position_without_a_price_is_shown_at_what_is_known_of_it(
    tws: TwsBroker, fake: FakeTws, numbers: tuple[str, ...], last: str, source: str
) -> None:
    fake.portfolio = [holding("STK", *numbers)]
    found = {each.symbol: each for each in tws.positions(ACCOUNT)}
    assert set(found) == {SYMBOL, "ODD@9"}
    assert (found["ODD@9"].last, found["ODD@9"].market_value) == (Decimal(last), Decimal(last) * 2)
    assert source in found["ODD@9"].source


def test_a_position_of_which_no_number_is_told_is_left_out_by_name(tws: TwsBroker, fake: FakeTws) -> None:
    fake.portfolio = [holding("STK", "2", UNSET, UNSET, UNSET, UNSET)]
    assert [each.symbol for each in tws.positions(ACCOUNT)] == [SYMBOL]
    assert [str(each) for each in tws.unknown_words] == ["position ODD: no price, left out"]


@pytest.mark.parametrize(
    ("number", "environment"),
    [
        *((f"{each}123456", Environment.PAPER) for each in ("DU", "DF", "DUM", "DUH", "DUP")),
        *((f"{each}123456", Environment.LIVE) for each in ("U", "F", "I")),
    ],
)
def test_paper_and_live_are_told_by_the_letters_of_the_account(number: str, environment: Environment) -> None:
    with FakeTws(account=number) as fake:
        assert opened(fake).connect().environment is environment


def test_an_execution_that_was_corrected_counts_once(tws: TwsBroker, fake: FakeTws) -> None:
    asked = order("BUY", "3", SYMBOL)
    tws.submit(ACCOUNT, asked)
    corrected = list(fake.executions[0])
    corrected[12] = corrected[12].removesuffix(".01") + ".02"
    corrected[18] = Decimal("190.00")
    fake.executions.append(corrected)
    found = tws.order(ACCOUNT, asked.client_order_id)
    assert found is not None
    assert [(each.quantity, each.price) for each in found.fills] == [(Decimal(3), Decimal(190))]
