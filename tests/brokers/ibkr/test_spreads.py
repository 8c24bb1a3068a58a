"""Several options in one order at Interactive Brokers: always bought, and a price whose sign says who pays."""

from contextlib import suppress
from dataclasses import replace
from decimal import Decimal

import pytest

from brokers.errors import (
    BrokerError,
    BrokerUnavailable,
    InvalidOrder,
    InvalidSymbol,
    NeedsAnswer,
    NotSupported,
    Rejected,
    UnknownOutcome,
)
from brokers.ibkr import session
from brokers.ibkr.adapter import IbkrBroker
from brokers.types import BrokerOrder, BrokerStatus, OrderChanges, OrderRequest, OrderType, Side, TimeInForce
from tests.brokers.faults import SENDING, Fault
from tests.brokers.ibkr.conftest import settings_for
from tests.brokers.ibkr.fake import OPTION, PAPER, QUESTION, FakeIbkr
from tests.brokers.paper.support import new_id, order
from tests.brokers.spread_steps import (
    check_asked_of_each_leg,
    check_fills,
    check_told_as_sent,
    check_turned_is_refused,
)

LOW, HIGH, NEXT = OPTION + 21_180, OPTION + 21_185, OPTION + 21_190
NAMES = {LOW: "AAPL291221C00180000", HIGH: "AAPL291221C00185000", NEXT: "AAPL291221C00190000"}
CALLS, BUTTERFLY = "AAPL+291221C180-C185", "AAPL+291221C180-2*C185+C190"
"""Worth 1.30 and 0.10 a share."""


@pytest.fixture(autouse=True)
def _prices(fake: FakeIbkr) -> None:
    fake.option_prices |= {
        LOW: ("4.20", "4.15", "4.25"),
        HIGH: ("2.90", "2.85", "2.95"),
        NEXT: ("1.70", "1.65", "1.75"),
    }


def spread(side: str = "BUY", limit: str | None = "1.2", quantity: str = "2", symbol: str = CALLS) -> OrderRequest:
    return order(side, quantity, symbol, limit=limit, tif="DAY")


def found(ibkr: IbkrBroker, asked: OrderRequest) -> BrokerOrder:
    told = ibkr.order(PAPER, asked.client_order_id, symbol=asked.symbol)
    assert told is not None
    return told


def test_a_debit_goes_out_above_zero_with_what_is_bought_and_sold(ibkr: IbkrBroker, fake: FakeIbkr) -> None:
    asked = spread()
    assert ibkr.submit(PAPER, asked).symbol == CALLS
    assert fake.sent == [
        {
            "conidex": f"28812380;;;{LOW}/1,{HIGH}/-1",
            "orderType": "LMT",
            "side": "BUY",
            "tif": "DAY",
            "quantity": 2,
            "outsideRTH": False,
            "cOID": asked.client_order_id,
            "price": Decimal("1.2"),
        }
    ]


def test_a_credit_is_bought_below_zero_with_every_leg_turned_around(ibkr: IbkrBroker, fake: FakeIbkr) -> None:
    ibkr.submit(PAPER, spread("SELL", "0.2", symbol=BUTTERFLY))
    (sent,) = fake.sent
    assert sent["conidex"] == f"28812380;;;{LOW}/-1,{HIGH}/2,{NEXT}/-1"
    assert (sent["side"], sent["price"]) == ("BUY", Decimal("-0.2"))


def test_a_market_order_has_no_price(ibkr: IbkrBroker, fake: FakeIbkr) -> None:
    asked = spread(limit=None)
    ibkr.submit(PAPER, asked)
    assert (fake.sent[0]["orderType"], "price" in fake.sent[0]) == ("MKT", False)
    assert (found(ibkr, asked).status, found(ibkr, asked).average_price) == (BrokerStatus.FILLED, Decimal("1.3"))


@pytest.mark.parametrize(("side", "limit"), [("BUY", "1.2"), ("SELL", "1.4")])
def test_it_is_told_as_it_was_sent_by_itself_and_in_lists(
    ibkr: IbkrBroker, fake: FakeIbkr, side: str, limit: str
) -> None:
    asked = spread(side, limit)
    ibkr.submit(PAPER, asked)
    session.close_shared()
    fresh = IbkrBroker.open(settings_for(fake))
    (listed,) = fresh.orders(PAPER, open_only=True)
    for told in (found(fresh, asked), listed):
        check_told_as_sent(told, asked)
        assert told.currency == "USD"
    assert fresh.unknown_words == ()


@pytest.mark.parametrize(
    ("side", "conidex", "price", "expected"),
    [
        ("SELL", f"28812380;;;{LOW}/-1,{HIGH}/1", "-1.2", (CALLS, Side.BUY)),
        ("SELL", f"28812380;;;{HIGH}/-1,{LOW}/1", "1.4", (CALLS, Side.SELL)),
        ("BUY", f"28812380;;;{HIGH}/-1,{LOW}/+1", "1.4", (CALLS, Side.BUY)),
        ("BUY", f"28812380;;;{HIGH}/1,{LOW}/-1", "-1.4", (CALLS, Side.SELL)),
    ],
)
def test_one_made_elsewhere_is_told_by_who_pays_however_it_is_written(
    ibkr: IbkrBroker, fake: FakeIbkr, side: str, conidex: str, price: str, expected: tuple[str, Side]
) -> None:
    ibkr.submit(PAPER, spread())
    (row,) = fake.live.values()
    row |= {"side": side, "conidex": conidex, "price": price, "order_ref": "made-elsewhere"}
    del row["conid"]
    (told,) = ibkr.orders(PAPER, open_only=True)
    assert (told.client_order_id, (told.symbol, told.side)) == ("made-elsewhere", expected)
    assert told.limit_price == Decimal(price).copy_abs()


@pytest.mark.parametrize("conidex", ["28812380;;;265598/1,38708077/-1", f"28812380;;;{LOW}/1,9/-1"])
def test_what_is_no_spread_of_options_is_listed_and_named(ibkr: IbkrBroker, fake: FakeIbkr, conidex: str) -> None:
    ibkr.submit(PAPER, spread())
    (row,) = fake.live.values()
    row |= {"conidex": conidex, "order_ref": "made-elsewhere"}
    (told,) = ibkr.orders(PAPER, open_only=True)
    assert told.symbol == "AAPL@28812380"
    assert [each.word for each in ibkr.unknown_words] == ["conidex: several contracts in one order"]


def test_a_row_whose_legs_cannot_be_read_is_left_out_by_name(ibkr: IbkrBroker, fake: FakeIbkr) -> None:
    ibkr.submit(PAPER, spread())
    (row,) = fake.live.values()
    row |= {"conidex": "28812380;;;apple", "order_ref": "made-elsewhere"}
    assert ibkr.orders(PAPER) == []
    assert "conidex" in ibkr.unknown_words[0].word


@pytest.mark.parametrize("wholes", [True, False])
@pytest.mark.parametrize(("side", "limit"), [("BUY", "1.3"), ("SELL", "1.3")])
def test_each_leg_has_its_fills_under_the_id_of_the_order(
    ibkr: IbkrBroker, fake: FakeIbkr, wholes: bool, side: str, limit: str
) -> None:
    fake.tells_wholes = wholes
    asked = spread(side, limit)
    ibkr.submit(PAPER, asked)
    fake.fill(asked.client_order_id, Decimal(2), Decimal("1.3") if side == "BUY" else Decimal("-1.3"), "0.65")
    done = found(ibkr, asked)
    assert (done.status, done.filled_quantity, done.side) == (BrokerStatus.FILLED, Decimal(2), Side(side))
    assert (done.average_price, done.fees) == (Decimal("1.3"), Decimal("1.30"))
    bought, sold = (Side.BUY, Side.SELL) if side == "BUY" else (Side.SELL, Side.BUY)
    expected = {
        (f"{NAMES[LOW]}@{LOW}", bought, Decimal(2), Decimal("4.20")),
        (f"{NAMES[HIGH]}@{HIGH}", sold, Decimal(2), Decimal("2.90")),
    }
    assert (done.client_order_id, done.symbol) == (asked.client_order_id, CALLS)
    check_fills(ibkr, PAPER, done, expected)


def test_what_has_filled_of_some_is_told_for_each_leg(ibkr: IbkrBroker, fake: FakeIbkr) -> None:
    asked = spread(symbol=BUTTERFLY, limit="0.1")
    ibkr.submit(PAPER, asked)
    fake.fill(asked.client_order_id, Decimal(1), Decimal("0.1"))
    told = found(ibkr, asked)
    assert (told.status, told.filled_quantity) == (BrokerStatus.PARTIALLY_FILLED, Decimal(1))
    assert sorted((each.symbol.partition("@")[0], each.quantity) for each in told.fills) == [
        (NAMES[LOW], Decimal(1)),
        (NAMES[HIGH], Decimal(2)),
        (NAMES[NEXT], Decimal(1)),
    ]
    assert ibkr.cancel(PAPER, asked.client_order_id).filled_quantity == 1


def test_without_an_average_it_is_reckoned_from_the_legs_once_all_of_them_are_told(
    ibkr: IbkrBroker, fake: FakeIbkr
) -> None:
    asked = spread("SELL", "1.3")
    ibkr.submit(PAPER, asked)
    fake.fill(asked.client_order_id, Decimal(2), Decimal("-1.3"))
    for row in fake.live.values():
        del row["avgPrice"]
    assert found(ibkr, asked).average_price == Decimal("1.3")
    fake.trades.pop()
    assert found(ibkr, asked).average_price is None


@pytest.mark.parametrize(("legs", "wholes"), [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_one_that_is_listed_no_more_is_told_by_what_was_executed_of_it(
    ibkr: IbkrBroker, fake: FakeIbkr, legs: bool, wholes: bool, side: str
) -> None:
    fake.tells_legs, fake.tells_wholes = legs, wholes
    asked = spread(side, "0.1", symbol=BUTTERFLY)
    ibkr.submit(PAPER, asked)
    fake.fill(asked.client_order_id, Decimal(2), Decimal("0.1") if side == "BUY" else Decimal("-0.1"))
    fake.live.clear()
    done = found(ibkr, asked)
    assert (done.status, done.symbol, done.filled_quantity) == (BrokerStatus.FILLED, BUTTERFLY, Decimal(2))
    assert done.average_price == Decimal("0.1")
    assert (done.side, len(done.fills)) == ((Side(side), 3) if legs else (None, 0))
    assert ibkr.order(PAPER, new_id(), symbol=BUTTERFLY) is None


def test_a_leg_that_filled_alone_is_not_taken_for_an_order_that_never_arrived(ibkr: IbkrBroker, fake: FakeIbkr) -> None:
    fake.tells_wholes = False
    asked = spread(limit="1.3")
    ibkr.submit(PAPER, asked)
    fake.fill(asked.client_order_id, Decimal(2), Decimal("1.3"))
    fake.live.clear()
    fake.trades.pop()
    with pytest.raises(BrokerUnavailable, match="some legs alone"):
        ibkr.order(PAPER, asked.client_order_id, symbol=CALLS)


def test_it_is_cancelled_as_one(ibkr: IbkrBroker, fake: FakeIbkr) -> None:
    asked = spread()
    ibkr.submit(PAPER, asked)
    assert ibkr.cancel(PAPER, asked.client_order_id, symbol=CALLS).status is BrokerStatus.CANCELLED
    assert [each["status"] for each in fake.live.values()] == ["Cancelled"]


@pytest.mark.parametrize(
    ("side", "limit", "new", "sent"), [("BUY", "1.2", "1.25", "1.25"), ("SELL", "1.4", "1.35", "-1.35")]
)
def test_its_price_is_changed_in_place_with_its_sign(
    ibkr: IbkrBroker, fake: FakeIbkr, side: str, limit: str, new: str, sent: str
) -> None:
    asked = spread(side, limit)
    ibkr.submit(PAPER, asked)
    changed = ibkr.replace(PAPER, asked.client_order_id, OrderChanges(limit_price=Decimal(new)))
    assert (changed.client_order_id, changed.symbol) == (asked.client_order_id, CALLS)
    assert [each["price"] for each in fake.live.values()] == [sent]
    told = found(ibkr, asked)
    assert (told.symbol, told.side, told.limit_price) == (CALLS, Side(side), Decimal(new))


def test_nothing_else_of_it_is_changed(ibkr: IbkrBroker, fake: FakeIbkr) -> None:
    asked = spread()
    ibkr.submit(PAPER, asked)
    for changes in (OrderChanges(quantity=Decimal(3)), OrderChanges(tif=TimeInForce.GTC, limit_price=Decimal("1.1"))):
        with pytest.raises(NotSupported, match="only the price"):
            ibkr.replace(PAPER, asked.client_order_id, changes)
    assert [(each["totalSize"], each["price"]) for each in fake.live.values()] == [(2, "1.2")]


def test_a_question_is_answered_as_of_any_order(ibkr: IbkrBroker, fake: FakeIbkr) -> None:
    fake.questions = [QUESTION]
    asked = spread()
    with pytest.raises(NeedsAnswer) as question:
        ibkr.submit(PAPER, asked)
    assert fake.live == {}
    ibkr.answer(PAPER, asked.client_order_id, question.value.token, True)
    assert (found(ibkr, asked).status, found(ibkr, asked).symbol) == (BrokerStatus.WORKING, CALLS)


@pytest.mark.parametrize("fault", SENDING, ids=lambda fault: f"{fault.kind}{' after' if fault.effect else ''}")
def test_however_the_answer_goes_wrong_it_is_sent_once_and_found_if_it_stands(
    ibkr: IbkrBroker, fake: FakeIbkr, fault: Fault
) -> None:
    ibkr.instrument(CALLS)
    asked = spread()
    fake.faults.set(fault)
    with suppress(BrokerError):
        ibkr.submit(PAPER, asked)
    stands = [each for each in fake.live.values() if each["order_ref"] == asked.client_order_id]
    told = ibkr.order(PAPER, asked.client_order_id, symbol=CALLS)
    assert (len(stands), told is not None) in ((0, False), (1, True))
    assert len(fake.sent) <= 1
    if told is not None:
        assert (told.symbol, told.side, told.limit_price) == (CALLS, Side.BUY, Decimal("1.2"))


def test_a_lost_answer_is_not_taken_for_a_refusal(ibkr: IbkrBroker, fake: FakeIbkr) -> None:
    ibkr.instrument(CALLS)
    fake.faults.set(Fault(kind="garbage", effect=True, method="POST"))
    with pytest.raises(UnknownOutcome):
        ibkr.submit(PAPER, spread())


def test_its_price_is_the_net_of_its_legs(ibkr: IbkrBroker) -> None:
    told = ibkr.instrument("aapl-291221C185+C180")
    assert (told.symbol, told.multiplier, told.instrument_id, told.currency) == (CALLS, Decimal(100), "", "USD")
    apple, quote = ibkr.quotes(["AAPL", CALLS])
    assert (quote.bid, quote.ask, quote.last) == (Decimal("1.20"), Decimal("1.40"), Decimal("1.30"))
    assert apple.bid == Decimal("190.20")
    assert quote.source == "Interactive Brokers, net of the legs; last is the middle"
    seen = ibkr.preview(PAPER, spread("SELL", "1.3"))
    assert (seen.notional, seen.cash_effect, seen.fee) == (Decimal(260), Decimal("258.8"), Decimal("1.2"))
    assert seen.margin is not None
    at_market = ibkr.preview(PAPER, spread(limit=None))
    assert (at_market.price, at_market.cash_effect) == (Decimal("1.40"), Decimal("-281.2"))


def test_the_largest_is_what_the_account_can_lose(ibkr: IbkrBroker) -> None:
    assert ibkr.largest_quantity(PAPER, spread("SELL", "1.3")) == Decimal("1234567.25") // 370
    assert ibkr.largest_quantity(PAPER, spread("BUY", None)) == Decimal("1234567.25") // 130
    assert ibkr.largest_quantity(PAPER, order("BUY", "1", "AAPL@265598", limit="90")) is None


def test_a_side_that_contradicts_the_market_is_refused_by_name(ibkr: IbkrBroker, fake: FakeIbkr) -> None:
    check_turned_is_refused(ibkr, PAPER, "AAPL-291221C180+C185", CALLS)
    fake.option_prices[HIGH] = ("2.90", "1.00", "4.50")
    with pytest.raises(InvalidOrder, match="too far apart"):
        ibkr.preview(PAPER, spread("SELL", None))


@pytest.mark.parametrize(
    ("asked", "kind", "words"),
    [
        (spread("SELL", "4", symbol="AAPL+291221C180+C185"), InvalidOrder, "Nothing bounds"),
        (spread("BUY", "1", symbol="AAPL+291221C180-2*C185"), InvalidOrder, "Nothing bounds"),
        (replace(spread(), tif=TimeInForce.IOC), InvalidOrder, "DAY or GTC"),
        (replace(spread(), outside_rth=True), InvalidOrder, "regular session"),
        (replace(spread(limit=None), order_type=OrderType.STOP, stop_price=Decimal(2)), InvalidOrder, "MKT or LMT"),
        (spread(limit="1.205"), InvalidOrder, "multiple of 0.01"),
        (spread(quantity="1.5"), InvalidOrder, "multiple of 1"),
        (spread(symbol="AAPL+291221C180-C999"), InvalidSymbol, "C:999"),
    ],
)
def test_what_it_does_not_take_is_refused_by_name_and_nothing_is_sent(
    ibkr: IbkrBroker, fake: FakeIbkr, asked: OrderRequest, kind: type[Rejected], words: str
) -> None:
    with pytest.raises(kind, match=words):
        ibkr.submit(PAPER, asked)
    assert fake.sent == []


def test_legs_of_different_sizes_are_refused(ibkr: IbkrBroker) -> None:
    ibkr.instrument(CALLS)
    contracts = ibkr._session.contracts
    contracts[str(HIGH)] = replace(contracts[str(HIGH)], multiplier=Decimal(10))
    with pytest.raises(InvalidSymbol, match="different sizes"):
        ibkr.instrument(CALLS)


def test_what_only_one_instrument_has_is_asked_of_a_leg(ibkr: IbkrBroker) -> None:
    check_asked_of_each_leg(ibkr, CALLS, ibkr.instrument_events, ibkr.option_expirations)


def test_an_option_has_one_name_in_chains_positions_and_fills(ibkr: IbkrBroker, fake: FakeIbkr) -> None:
    fake.held_options[LOW] = 3
    held = next(each for each in ibkr.positions(PAPER) if each.quantity == 3)
    assert held.symbol == f"{NAMES[LOW]}@{LOW}" == ibkr.instrument("OPT:AAPL.USD:2029-12-21:C:180").symbol
