"""A row with something in it that the adapter does not know takes no other row with it, and is named."""

from decimal import Decimal
from typing import Any

import pytest

from brokers.crosstrade.adapter import CrossTradeBroker
from brokers.types import BrokerStatus
from tests.brokers.crosstrade.fake import ACCOUNT, BASE, FakeCrossTrade
from tests.brokers.paper.support import order
from tests.brokers.recorded import answer_with

SYMBOL = "ES 12-26"


def two_orders(broker: CrossTradeBroker, fake: FakeCrossTrade, **odd: Any) -> tuple[Any, list[str]]:
    """The odd order as it is listed among two, and what was not known."""
    first, second = (order("BUY", "2", SYMBOL, limit="6000") for _ in range(2))
    for each in (first, second):
        broker.submit(ACCOUNT, each)
    fake.orders[second.client_order_id] |= odd
    found = {each.client_order_id: each for each in broker.orders(ACCOUNT)}
    assert set(found) == {first.client_order_id, second.client_order_id}
    return found[second.client_order_id], [each.word for each in broker.unknown_words]


@pytest.mark.parametrize("theirs", ["WORKING", "Accepted", "Trigger Pending", "Unknown"])
def test_every_state_is_known_however_it_is_written(
    crosstrade: CrossTradeBroker, fake: FakeCrossTrade, theirs: str
) -> None:
    found, unknown = two_orders(crosstrade, fake, orderState=theirs)
    assert (found.status, unknown) == (BrokerStatus.WORKING, [])


def test_a_state_that_is_not_known_is_open_says_so_and_is_named(
    crosstrade: CrossTradeBroker, fake: FakeCrossTrade
) -> None:
    found, unknown = two_orders(crosstrade, fake, orderState="Levitating")
    assert (found.status, unknown) == (BrokerStatus.WORKING, ["orderState Levitating"])
    assert "Levitating" in found.reason


@pytest.mark.parametrize(
    ("odd", "field"),
    [({"orderType": "MIT"}, "order_type"), ({"timeInForce": "Gtd"}, "tif"), ({"orderAction": "Hop"}, "side")],
)
def test_what_is_not_known_of_an_order_is_left_out_of_it_and_named(
    crosstrade: CrossTradeBroker, fake: FakeCrossTrade, odd: dict[str, str], field: str
) -> None:
    found, unknown = two_orders(crosstrade, fake, **odd)
    assert (getattr(found, field), found.quantity) == (None, Decimal(2))
    assert unknown == [" ".join(each) for each in odd.items()]


def test_an_order_that_cannot_be_read_at_all_is_left_out_by_name(
    crosstrade: CrossTradeBroker, fake: FakeCrossTrade
) -> None:
    good = order("BUY", "2", SYMBOL, limit="6000")
    crosstrade.submit(ACCOUNT, good)
    fake.orders["theirs"] = fake.orders[good.client_order_id] | {"orderId": "7", "filled": "lots"}
    assert [each.client_order_id for each in crosstrade.orders(ACCOUNT)] == [good.client_order_id]
    assert [str(each) for each in crosstrade.unknown_words] == ["order 7: A number was expected., left out"]


@pytest.mark.parametrize(
    ("odd", "word"),
    [
        ({"instrument": "FDAX 12-26"}, "in a contract that cannot be traded here"),
        ({"instrument": "MES"}, "in a contract that cannot be traded here"),
        ({"marketPosition": "Sideways"}, "marketPosition Sideways"),
        ({"quantity": None}, "A number is missing."),
    ],
)
def test_a_position_that_cannot_be_read_is_named_and_the_others_stay(
    crosstrade: CrossTradeBroker,
    fake: FakeCrossTrade,
    monkeypatch: pytest.MonkeyPatch,
    odd: dict[str, Any],
    word: str,
) -> None:
    good = fake._positions()[0]
    path = f"{BASE}/accounts/{ACCOUNT}/positions"
    answer_with(monkeypatch, fake, "GET", path, {"positions": [good | odd, good], "success": True})
    assert [each.symbol for each in crosstrade.positions(ACCOUNT)] == [SYMBOL]
    assert [(each.word, each.left_out) for each in crosstrade.unknown_words] == [(word, True)]


def test_a_position_without_a_price_is_shown_at_what_it_cost(
    crosstrade: CrossTradeBroker, fake: FakeCrossTrade, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = fake._positions()[0] | {"marketPrice": None}
    answer_with(monkeypatch, fake, "GET", f"{BASE}/accounts/{ACCOUNT}/positions", {"positions": [row], "success": True})
    (found,) = crosstrade.positions(ACCOUNT)
    assert (found.last, found.quantity) == (Decimal("6600.25"), Decimal(-2))
    assert "at cost" in found.source


def test_a_side_that_nobody_quotes_is_shown_at_the_last_trade(
    crosstrade: CrossTradeBroker, fake: FakeCrossTrade, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = fake._quote(SYMBOL)[1] | {"bid": 0, "ask": None, "last": 6614.25}
    answer_with(monkeypatch, fake, "GET", f"{BASE}/market/quote", told)
    (quote,) = crosstrade.quotes([SYMBOL])
    assert (quote.bid, quote.last, quote.ask) == (Decimal("6614.25"),) * 3
    assert "no quote" in quote.source
