"""A row with something in it that the adapter does not know takes no other row with it, and is named."""

from decimal import Decimal
from typing import Any

import pytest

from brokers.alpaca.adapter import AlpacaBroker
from brokers.errors import InvalidSymbol
from brokers.types import AssetClass, BrokerStatus, OrderClass, OrderType, Side, TimeInForce
from tests.brokers.alpaca.fake import ACCOUNT, FakeAlpaca, asset
from tests.brokers.paper.support import order
from tests.brokers.recorded import answer_with


def positions_with(
    patch: pytest.MonkeyPatch, broker: AlpacaBroker, fake: FakeAlpaca, **odd: Any
) -> tuple[list[Any], list[str]]:
    """Two positions, the first of them odd; and what was not known."""
    fake.held["AAPL"] = 3
    good = fake._position("AAPL")
    row = good | {"symbol": "ODD"} | odd
    answer_with(patch, fake, "GET", "/v2/positions", [{name: row[name] for name in row if row[name] != "gone"}, good])
    return broker.positions(ACCOUNT), [str(each) for each in broker.unknown_words]


@pytest.mark.parametrize(("theirs", "kind"), [("ipo", AssetClass.STOCK), ("crypto_perp", AssetClass.PERPETUAL)])
def test_a_kind_of_asset_that_cannot_be_traded_here_is_still_held(
    alpaca: AlpacaBroker, fake: FakeAlpaca, monkeypatch: pytest.MonkeyPatch, theirs: str, kind: AssetClass
) -> None:
    held, unknown = positions_with(monkeypatch, alpaca, fake, asset_class=theirs)
    assert [(each.symbol, each.asset_class) for each in held] == [("ODD", kind), ("AAPL", AssetClass.STOCK)]
    assert unknown == []


@pytest.mark.parametrize(
    ("odd", "word"),
    [
        ({"asset_class": "us_bond"}, "asset class us_bond"),
        ({"asset_class": None}, "asset class None"),
        ({"qty": "many"}, "A number was expected."),
        ({"qty": None}, "A number is missing."),
    ],
)
def test_a_position_that_cannot_be_read_is_named_and_the_others_stay(
    alpaca: AlpacaBroker, fake: FakeAlpaca, monkeypatch: pytest.MonkeyPatch, odd: dict[str, Any], word: str
) -> None:
    held, unknown = positions_with(monkeypatch, alpaca, fake, **odd)
    assert [each.symbol for each in held] == ["AAPL"]
    assert unknown == [f"position ODD: {word}, left out"]


@pytest.mark.parametrize(
    ("odd", "last", "source"),
    [
        ({"current_price": None}, "181.5", "Alpaca"),
        ({"current_price": None, "market_value": None, "lastday_price": "180"}, "180", "last close"),
        ({"current_price": None, "market_value": None, "lastday_price": None}, "181.5", "at cost"),
        ({"current_price": "gone", "market_value": "gone", "unrealized_pl": None}, "181.5", "last close"),
        ({"avg_entry_price": None, "unrealized_pl": None}, "181.5", "Alpaca"),
    ],
)
def test_a_position_without_a_price_is_shown_at_what_is_known_of_it(
    alpaca: AlpacaBroker,
    fake: FakeAlpaca,
    monkeypatch: pytest.MonkeyPatch,
    odd: dict[str, Any],
    last: str,
    source: str,
) -> None:
    (found, other), unknown = positions_with(monkeypatch, alpaca, fake, **odd)
    assert (found.symbol, found.last, other.symbol, unknown) == ("ODD", Decimal(last), "AAPL", [])
    assert source in found.source
    assert found.market_value == found.quantity * found.last


def orders_with(broker: AlpacaBroker, fake: FakeAlpaca, **odd: Any) -> tuple[Any, str, list[str]]:
    """The odd order as it is listed among two, the id of the other, and what was not known."""
    first, second = (order("BUY", "2", "BTC/USD", limit="100") for _ in range(2))
    for each in (first, second):
        broker.submit(ACCOUNT, each)
    told = next(each for each in fake.orders.values() if each["client_order_id"] == second.client_order_id)
    told |= odd
    listed = broker.orders(ACCOUNT)
    assert [each.client_order_id for each in listed] == [second.client_order_id, first.client_order_id]
    looked_up = broker.order(ACCOUNT, second.client_order_id)
    assert looked_up is not None
    assert looked_up.status is listed[0].status
    return listed[0], told["id"], [str(each) for each in broker.unknown_words]


def test_an_order_in_review_is_open(alpaca: AlpacaBroker, fake: FakeAlpaca) -> None:
    found, _, unknown = orders_with(alpaca, fake, status="pending_review")
    assert (found.status, unknown) == (BrokerStatus.WORKING, [])


def test_a_status_that_is_not_known_is_open_says_so_and_is_named(alpaca: AlpacaBroker, fake: FakeAlpaca) -> None:
    found, its_id, unknown = orders_with(alpaca, fake, status="levitating", filled_qty="1", filled_avg_price="99")
    assert found.status is BrokerStatus.PARTIALLY_FILLED
    assert "levitating" in found.reason
    assert f"order {its_id}: status levitating" in unknown


def test_an_order_of_a_status_that_is_not_known_can_be_cancelled(alpaca: AlpacaBroker, fake: FakeAlpaca) -> None:
    asked = order("BUY", "2", "BTC/USD", limit="100")
    placed = alpaca.submit(ACCOUNT, asked)
    fake.orders[placed.broker_order_id]["status"] = "pending_review"
    alpaca.cancel(ACCOUNT, asked.client_order_id)
    assert ("DELETE", f"/v2/orders/{placed.broker_order_id}") in fake.received


@pytest.mark.parametrize(
    ("odd", "field", "word"),
    [
        ({"type": "peg"}, "order_type", "type peg"),
        ({"time_in_force": "gtd"}, "tif", "time_in_force gtd"),
        ({"side": "cross"}, "side", "side cross"),
        ({"asset_class": "us_bond"}, None, "asset class us_bond"),
    ],
)
def test_what_is_not_known_of_an_order_is_left_out_of_it_and_named(
    alpaca: AlpacaBroker, fake: FakeAlpaca, odd: dict[str, str], field: str | None, word: str
) -> None:
    found, its_id, unknown = orders_with(alpaca, fake, **odd)
    assert field is None or getattr(found, field) is None
    assert (found.quantity, found.limit_price) == (Decimal(2), Decimal(100))
    assert f"order {its_id}: {word}" in unknown


def test_words_are_known_in_whatever_case_they_come(alpaca: AlpacaBroker, fake: FakeAlpaca) -> None:
    odd = {"status": "NEW", "side": "SELL_SHORT", "type": "Limit", "time_in_force": "GTC", "asset_class": "CRYPTO"}
    found, _, unknown = orders_with(alpaca, fake, **odd)
    assert (found.status, found.side, found.order_type, found.tif) == (
        BrokerStatus.WORKING,
        Side.SELL,
        OrderType.LIMIT,
        TimeInForce.GTC,
    )
    assert unknown == []


def test_an_order_of_several_legs_is_listed_by_its_legs_and_named(alpaca: AlpacaBroker, fake: FakeAlpaca) -> None:
    legs = [{"symbol": "AAPL260618C00250000"}, {"symbol": "AAPL260618C00260000"}]
    found, its_id, unknown = orders_with(
        alpaca, fake, order_class="mleg", symbol="", side=None, legs=legs, asset_class=""
    )
    assert (found.symbol, found.side) == ("AAPL260618C00250000 AAPL260618C00260000", None)
    assert any(each.startswith(f"order {its_id}: order_class mleg") for each in unknown)


def test_a_leg_that_waits_for_its_order_is_told_as_one(alpaca: AlpacaBroker, fake: FakeAlpaca) -> None:
    found, _, unknown = orders_with(alpaca, fake, status="held", order_class="bracket")
    assert (found.held, found.order_class, unknown) == (True, OrderClass.BRACKET, [])


def test_an_order_that_cannot_be_read_at_all_is_left_out_by_name(
    alpaca: AlpacaBroker, fake: FakeAlpaca, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = fake.other(), fake.other() | {"client_order_id": None}
    answer_with(monkeypatch, fake, "GET", "/v2/orders", [bad, good])
    assert [each.broker_order_id for each in alpaca.orders(ACCOUNT)] == [good["id"]]
    assert [str(each) for each in alpaca.unknown_words] == [f"order {bad['id']}: A text was expected., left out"]


def test_an_activity_that_cannot_be_read_is_left_out_by_name(alpaca: AlpacaBroker, fake: FakeAlpaca) -> None:
    alpaca.submit(ACCOUNT, order("BUY", "1", "BTC/USD"))
    fake.activities.append(
        {"id": "20260101::odd", "activity_type": "DIV", "net_amount": "some", "created_at": fake._now()}
    )
    (trade,) = alpaca.transactions(ACCOUNT, start=None, end=None, limit=5)
    assert trade.kind == "trade"
    assert [each.row for each in alpaca.unknown_words] == ["activity 20260101::odd"]


def test_an_asset_of_a_kind_that_is_not_traded_here_is_refused_and_takes_no_list_with_it(
    alpaca: AlpacaBroker, fake: FakeAlpaca, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.assets["IPOX"] = asset("IPOX", "ipo")
    with pytest.raises(InvalidSymbol, match="IPOX cannot be traded"):
        alpaca.instrument("IPOX")
    coin = asset("ODD/USD", "crypto", min_trade_increment=None)
    answer_with(monkeypatch, fake, "GET", "/v2/assets", [coin, fake.assets["BTC/USD"]])
    assert [each.symbol for each in alpaca.instruments(asset_class=AssetClass.CRYPTO, limit=9)] == ["BTC/USD"]
    assert [each.row for each in alpaca.unknown_words] == ["asset ODD/USD"]
