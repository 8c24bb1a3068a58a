"""Several options in one order at Alpaca: no symbol or side of its own, and a price whose sign says who pays."""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal

import pytest

from brokers import spread_prices
from brokers.alpaca import adapter
from brokers.alpaca.adapter import AlpacaBroker
from brokers.errors import (
    BrokerError,
    InsufficientFunds,
    InvalidOrder,
    InvalidSymbol,
    NotSupported,
    Rejected,
    UnknownOutcome,
)
from brokers.types import BrokerStatus, OrderChanges, OrderRequest, Side, TimeInForce
from tests.brokers.alpaca.conftest import settings_for
from tests.brokers.alpaca.fake import ACCOUNT, FakeAlpaca
from tests.brokers.faults import SENDING, Fault
from tests.brokers.paper.support import new_id, order
from tests.brokers.spread_steps import (
    check_asked_of_each_leg,
    check_fills,
    check_told_as_sent,
    check_turned_is_refused,
)

LOW, HIGH = "AAPL260618C00250000", "AAPL260618C00260000"
CALLS = "AAPL+260618C250-C260"
"""4.20 less 2.90 a share: worth 1.30."""


@pytest.fixture(autouse=True)
def _only_what_alpaca_documents(fake: FakeAlpaca) -> Iterator[None]:
    yield
    assert fake.violations == []
    adapter._spread_legs.clear()


def spread(side: str = "BUY", limit: str | None = "1.2", quantity: str = "2", symbol: str = CALLS) -> OrderRequest:
    return order(side, quantity, symbol, limit=limit, tif="DAY")


def test_a_debit_goes_out_above_zero_with_what_is_bought_and_sold(alpaca: AlpacaBroker, fake: FakeAlpaca) -> None:
    asked = spread()
    alpaca.submit(ACCOUNT, asked)
    (sent,) = fake.sent
    assert sent == {
        "order_class": "mleg",
        "qty": "2",
        "type": "limit",
        "limit_price": "1.2",
        "time_in_force": "day",
        "client_order_id": asked.client_order_id,
        "legs": [
            {"symbol": LOW, "side": "buy", "ratio_qty": "1"},
            {"symbol": HIGH, "side": "sell", "ratio_qty": "1"},
        ],
    }


def test_a_credit_goes_out_below_zero_with_every_leg_turned_around(alpaca: AlpacaBroker, fake: FakeAlpaca) -> None:
    alpaca.submit(ACCOUNT, spread("SELL", "1.4", symbol="AAPL+260618C250-2*C260+C270"))
    (sent,) = fake.sent
    assert sent["limit_price"] == "-1.4"
    assert [(leg["side"], leg["ratio_qty"]) for leg in sent["legs"]] == [("sell", "1"), ("buy", "2"), ("sell", "1")]


def test_a_market_order_has_no_price(alpaca: AlpacaBroker, fake: FakeAlpaca) -> None:
    assert alpaca.submit(ACCOUNT, spread(limit=None)).symbol == CALLS
    assert (fake.sent[0]["type"], "limit_price" in fake.sent[0]) == ("market", False)


@pytest.mark.parametrize(("side", "limit"), [("BUY", "1.2"), ("SELL", "1.4")])
def test_it_is_told_as_it_was_sent_by_itself_and_in_lists(
    alpaca: AlpacaBroker, fake: FakeAlpaca, side: str, limit: str
) -> None:
    asked = spread(side, limit)
    placed = alpaca.submit(ACCOUNT, asked)
    fresh = AlpacaBroker.open(settings_for(fake.url))
    alone = fresh.order(ACCOUNT, asked.client_order_id, symbol=CALLS)
    (listed,) = fresh.orders(ACCOUNT, open_only=True)  # its legs are no orders of their own
    for told in (placed, alone, listed):
        check_told_as_sent(told, asked)
    assert fresh.unknown_words == ()


def test_each_leg_has_its_fills_under_the_id_of_the_order(alpaca: AlpacaBroker) -> None:
    asked = spread("BUY", "1.3")
    alpaca.submit(ACCOUNT, asked)
    done = alpaca.order(ACCOUNT, asked.client_order_id, symbol=CALLS)
    assert done is not None
    assert (done.status, done.filled_quantity) == (BrokerStatus.FILLED, Decimal(2))
    assert done.average_price == Decimal("1.3")
    expected = {(LOW, Side.BUY, Decimal(2), Decimal("4.2")), (HIGH, Side.SELL, Decimal(2), Decimal("2.9"))}
    assert (done.client_order_id, done.symbol) == (asked.client_order_id, CALLS)
    check_fills(alpaca, ACCOUNT, done, expected)


def test_what_has_filled_of_some_is_told_for_each_leg(alpaca: AlpacaBroker, fake: FakeAlpaca) -> None:
    asked = spread(symbol="AAPL+260618C250-2*C260+C270", limit="0.1")
    alpaca.submit(ACCOUNT, asked)
    with fake.lock:
        for each in [order for order in fake.orders.values() if order.get("parent")]:
            fake._fill(each, Decimal(each["ratio_qty"]), fake.prices[each["symbol"]])
        root = next(order for order in fake.orders.values() if order.get("net"))
        root |= {"status": "partially_filled", "filled_qty": "1", "filled_avg_price": "0.1"}
    told = alpaca.order(ACCOUNT, asked.client_order_id, symbol=asked.symbol)
    assert told is not None
    assert (told.status, told.filled_quantity) == (BrokerStatus.PARTIALLY_FILLED, Decimal(1))
    assert sorted((each.symbol, each.quantity) for each in told.fills) == [
        (LOW, Decimal(1)),
        (HIGH, Decimal(2)),
        ("AAPL260618C00270000", Decimal(1)),
    ]
    assert alpaca.cancel(ACCOUNT, asked.client_order_id).filled_quantity == 1


def test_a_credit_that_filled_is_told_as_a_sale_at_what_it_brought(alpaca: AlpacaBroker) -> None:
    asked = spread("SELL", "1.3")
    alpaca.submit(ACCOUNT, asked)
    done = alpaca.order(ACCOUNT, asked.client_order_id, symbol=CALLS)
    assert done is not None and (done.side, done.average_price) == (Side.SELL, Decimal("1.3"))


def test_it_is_cancelled_as_one(alpaca: AlpacaBroker, fake: FakeAlpaca) -> None:
    asked = spread()
    alpaca.submit(ACCOUNT, asked)
    assert alpaca.cancel(ACCOUNT, asked.client_order_id, symbol=CALLS).status is BrokerStatus.CANCELLED
    assert {each["status"] for each in fake.orders.values()} == {"canceled"}


@pytest.mark.parametrize(
    ("side", "limit", "new", "sent"), [("BUY", "1.2", "1.25", "1.25"), ("SELL", "1.4", "1.35", "-1.35")]
)
def test_its_price_is_changed_with_its_sign(
    alpaca: AlpacaBroker, fake: FakeAlpaca, side: str, limit: str, new: str, sent: str
) -> None:
    asked, its_new_id = spread(side, limit), new_id()
    alpaca.submit(ACCOUNT, asked)
    fake.writes.clear()
    changed = alpaca.replace(ACCOUNT, asked.client_order_id, OrderChanges(limit_price=Decimal(new)), its_new_id)
    assert (changed.client_order_id, changed.limit_price) == (its_new_id, Decimal(new))
    found = alpaca.order(ACCOUNT, its_new_id, symbol=CALLS)
    assert found is not None and (found.symbol, found.side, found.limit_price) == (CALLS, Side(side), Decimal(new))
    (body,) = (json.loads(each.partition(b"\n")[2]) for each in fake.writes)
    assert body == {"limit_price": sent, "client_order_id": its_new_id}


def test_nothing_else_of_it_is_changed(alpaca: AlpacaBroker, fake: FakeAlpaca) -> None:
    asked = spread()
    alpaca.submit(ACCOUNT, asked)
    fake.writes.clear()
    for changes in (OrderChanges(quantity=Decimal(3)), OrderChanges(tif=TimeInForce.GTC, limit_price=Decimal("1.1"))):
        with pytest.raises(NotSupported, match="changes the price"):
            alpaca.replace(ACCOUNT, asked.client_order_id, changes, new_id())
    assert list(fake.writes) == []


def test_a_lost_answer_is_looked_up_by_our_id_and_nothing_is_sent_twice(alpaca: AlpacaBroker, fake: FakeAlpaca) -> None:
    asked = spread()
    fake.faults.set(Fault(kind="garbage", effect=True, method="POST"))
    with pytest.raises(UnknownOutcome):
        alpaca.submit(ACCOUNT, asked)
    assert alpaca.order(ACCOUNT, asked.client_order_id, symbol=CALLS) is not None
    assert len(fake.sent) == 1
    assert alpaca.order(ACCOUNT, new_id(), symbol=CALLS) is None


@pytest.mark.parametrize("fault", SENDING, ids=lambda fault: f"{fault.kind}{' after' if fault.effect else ''}")
def test_however_the_answer_goes_wrong_it_is_sent_once_and_found_if_it_stands(
    alpaca: AlpacaBroker, fake: FakeAlpaca, fault: Fault
) -> None:
    alpaca.accounts()
    asked = spread()
    fake.faults.set(fault)
    with suppress(BrokerError):
        alpaca.submit(ACCOUNT, asked)
    stands = [each for each in fake.orders.values() if each["client_order_id"] == asked.client_order_id]
    found = alpaca.order(ACCOUNT, asked.client_order_id, symbol=CALLS)
    assert (len(stands), found is not None) in ((0, False), (1, True))
    assert len([each for each in fake.writes if each.startswith(b"/v2/orders\n")]) <= 1
    if found is not None:
        assert (found.symbol, found.side, found.limit_price) == (CALLS, Side.BUY, Decimal("1.2"))


def test_its_price_is_the_net_of_its_legs(alpaca: AlpacaBroker, fake: FakeAlpaca) -> None:
    told = alpaca.instrument("aapl-260618C260+C250")
    assert (told.symbol, told.multiplier, told.instrument_id) == (CALLS, Decimal(100), "")
    (quote,) = alpaca.quotes([CALLS])
    assert (quote.bid, quote.ask, quote.last) == (Decimal("1.3"),) * 3
    assert quote.source == "Alpaca market data, net of the legs; last is the middle"
    seen = alpaca.preview(ACCOUNT, spread("SELL", "1.3"))
    assert (seen.notional, seen.cash_effect) == (Decimal(260), Decimal(260))


def test_its_bid_sells_what_is_bought_and_buys_what_is_sold(alpaca: AlpacaBroker) -> None:
    (quote,) = alpaca.quotes([LOW])
    books = {LOW: ("4.0", "4.4"), HIGH: ("2.8", "3.1")}
    legs = {
        symbol: replace(quote, symbol=symbol, bid=Decimal(bid), ask=Decimal(ask))
        for symbol, (bid, ask) in books.items()
    }
    known = alpaca.instrument(CALLS).spread
    assert known is not None
    net = spread_prices.net_quote(known, legs)
    assert (net.bid, net.ask, net.last) == (Decimal("0.9"), Decimal("1.6"), Decimal("1.25"))


def test_a_side_that_contradicts_the_market_is_refused_by_name(alpaca: AlpacaBroker) -> None:
    check_turned_is_refused(alpaca, ACCOUNT, "AAPL-260618C250+C260", CALLS)


@pytest.mark.parametrize(
    ("asked", "kind", "words"),
    [
        (spread("SELL", "4", symbol="AAPL+260618C250+C260"), InvalidOrder, "Nothing bounds"),
        (spread("BUY", "1", symbol="AAPL+260618C250-2*C260"), InvalidOrder, "Nothing bounds"),
        (replace(spread(), tif=TimeInForce.GTC), InvalidOrder, "DAY"),
        (replace(spread(), outside_rth=True), InvalidOrder, "regular session"),
        (spread(limit="1.205"), InvalidOrder, "multiple of 0.01"),
        (spread(quantity="1.5"), InvalidOrder, "multiple of 1"),
        (spread(symbol="AAPL+260618C250-C999"), InvalidSymbol, "AAPL260618C00999000"),
    ],
)
def test_what_it_does_not_take_is_refused_by_name_and_nothing_is_sent(
    alpaca: AlpacaBroker, fake: FakeAlpaca, asked: OrderRequest, kind: type[Rejected], words: str
) -> None:
    with pytest.raises(kind, match=words):
        alpaca.submit(ACCOUNT, asked)
    assert fake.sent == []


def test_one_made_elsewhere_is_told_by_its_legs_as_one_order(alpaca: AlpacaBroker, fake: FakeAlpaca) -> None:
    asked = spread("SELL", "1.4")
    alpaca.submit(ACCOUNT, asked)
    root = next(each for each in fake.orders.values() if each.get("net"))
    root["client_order_id"] = "made-elsewhere"
    (told,) = alpaca.orders(ACCOUNT, open_only=True)
    assert (told.client_order_id, told.symbol, told.side) == ("made-elsewhere", CALLS, Side.SELL)
    assert alpaca.order(ACCOUNT, asked.client_order_id, symbol=CALLS) is None


def test_what_it_can_lose_must_be_there(alpaca: AlpacaBroker, fake: FakeAlpaca) -> None:
    fake.cash = Decimal(1_700)
    assert alpaca.preview(ACCOUNT, spread("SELL", "1.3", "1")).buying_power == 1_700
    with pytest.raises(InsufficientFunds, match="can lose 1740 USD"):  # 10 wide less 1.30, 200 shares
        alpaca.preview(ACCOUNT, spread("SELL", "1.3"))


def test_what_only_one_instrument_has_is_asked_of_a_leg(alpaca: AlpacaBroker) -> None:
    check_asked_of_each_leg(
        alpaca, CALLS, lambda symbol: alpaca.order_book(symbol, 5), lambda symbol: alpaca.prints(symbol, 5)
    )
