"""Interactive Brokers' words into ours and back: accounts, contracts, prices, orders, and the questions it asks."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from brokers.errors import (
    AmbiguousSymbol,
    BrokerUnavailable,
    InvalidAccount,
    InvalidOrder,
    InvalidRequest,
    InvalidSymbol,
    NeedsAnswer,
    NoRate,
    NotCancellable,
    NotSupported,
    OrderNotFound,
    Rejected,
    WriteOutcome,
)
from brokers.ibkr.adapter import IbkrBroker
from brokers.types import (
    AssetClass,
    BarSize,
    BrokerStatus,
    Candidate,
    OrderChanges,
    OrderRequest,
    OrderType,
    Side,
    TimeInForce,
)
from tests.brokers.ibkr.fake import (
    APPLE,
    APPLE_MEXICO,
    BERKSHIRE,
    CALL,
    EURO,
    FRANKFURT,
    FUTURE,
    FUTURE_MARCH,
    LISTINGS,
    PAPER,
    QUESTION,
    SMART,
    TINY,
    FakeIbkr,
)
from tests.brokers.paper.support import new_id, order

SYMBOL = "AAPL@265598"


def test_money_is_read_to_the_last_digit_and_over_the_commas(ibkr: IbkrBroker) -> None:
    state = ibkr.account_state(PAPER)
    assert (state.currency, state.equity, state.buying_power) == ("USD", Decimal("119295.75"), Decimal("1234567.25"))
    assert {each.currency: each.total for each in state.cash} == {"USD": Decimal("100000.5"), "EUR": Decimal("250.25")}
    (held,) = ibkr.positions(PAPER)
    assert (held.symbol, held.quantity, held.average_price) == (SYMBOL, Decimal(100), Decimal("150.125"))
    quote = ibkr.quotes([SYMBOL])[0]
    assert (quote.bid_size, quote.volume, quote.last) == (Decimal(1200), Decimal(45000100), Decimal("190.25"))
    assert "yesterday's close" in quote.source


def test_a_price_that_ibkr_has_not_fetched_yet_is_asked_for_again(ibkr: IbkrBroker, fake: FakeIbkr) -> None:
    assert ibkr.quotes(["AAPL", SYMBOL])[1].ask == Decimal("190.30")
    assert fake.received.count(("GET", "/v1/api/iserver/marketdata/snapshot")) == 2


def test_a_ticker_means_the_one_us_stock_that_has_it_or_is_answered_with_the_candidates(ibkr: IbkrBroker) -> None:
    assert ibkr.instrument("aapl").symbol == SYMBOL
    with pytest.raises(AmbiguousSymbol, match=r"TWIN@4711 \(TWIN ONE, NYSE\), TWIN@4712 \(TWIN TWO, AMEX\)") as several:
        ibkr.instrument("TWIN")
    assert several.value.candidates == (
        Candidate(symbol="TWIN@4711", instrument_id="STK:TWIN.USD@XNYS", name="TWIN ONE", exchange="NYSE"),
        Candidate(symbol="TWIN@4712", instrument_id="STK:TWIN.USD@XASE", name="TWIN TWO", exchange="AMEX"),
    )
    for each in several.value.candidates:
        assert ibkr.instrument(each.instrument_id) == ibkr.instrument(each.symbol)
    for nothing in ("NOPE", "../accounts", "X@1", "@5", "AAPL@x", "AAPL@1/../2"):
        with pytest.raises(InvalidSymbol):
            ibkr.instrument(nothing)


def test_a_ticker_that_is_a_future_s_root_too_names_neither_the_stock_nor_a_month(ibkr: IbkrBroker) -> None:
    with pytest.raises(AmbiguousSymbol) as several:
        ibkr.instrument("ES")
    assert [(each.instrument_id, each.expiry) for each in several.value.candidates] == [
        ("STK:ES.USD@XNYS", ""),
        ("FUT:ES.USD:2029-12@XCME", "2029-12"),
        ("FUT:ES.USD:2030-03@XCME", "2030-03"),
    ]
    for each in several.value.candidates:
        assert ibkr.instrument(each.instrument_id).symbol == each.symbol


@pytest.mark.parametrize(
    ("instrument_id", "conid"),
    [
        ("STK:AAPL.USD@XNAS", APPLE),
        ("STK:AAPL.USD", APPLE),
        ("STK:AAPL.MXN@XMEX", APPLE_MEXICO),
        ("STK:BRK.B.USD", BERKSHIRE),
        ("FUT:ES.USD:2030-03", FUTURE_MARCH),
        ("OPT:AAPL.USD:2029-12-21:C:250", CALL),
        ("FX:EUR/USD", EURO),
    ],
)
def test_an_instrument_id_leads_to_its_contract(ibkr: IbkrBroker, instrument_id: str, conid: int) -> None:
    found = ibkr.instrument(instrument_id)
    assert found.symbol.endswith(f"@{conid}")
    assert found.instrument_id.startswith(instrument_id)


@pytest.mark.parametrize(
    "instrument_id",
    [
        *("STK:AAPL.USD@XLON", "STK:AAPL.EUR", "FUT:ES.USD:2030-06", "FUT:ES.USD:2029-12@XEUR", "CRY:BTC/USD"),
        *("OPT:AAPL.USD:2029-12-21:P:250", "OPT:AAPL.USD:2029-12-11:C:250", "FX:EUR/GBP"),
    ],
)
def test_an_instrument_id_never_leads_to_something_near_it(ibkr: IbkrBroker, instrument_id: str) -> None:
    with pytest.raises(InvalidSymbol):
        ibkr.instrument(instrument_id)


def test_a_venue_that_was_asked_for_is_never_another_whose_name_is_not_known(ibkr: IbkrBroker) -> None:
    assert ibkr.instrument("STK:FRA.EUR").symbol == f"FRA@{FRANKFURT}"
    for venue in ("XETR", "XFRA"):
        with pytest.raises(InvalidSymbol):
            ibkr.instrument(f"STK:FRA.EUR@{venue}")


def test_the_list_of_stocks_tells_a_venue_that_the_contract_does_not(ibkr: IbkrBroker) -> None:
    assert ibkr.instrument("STK:SMRT.USD@XNAS").symbol == f"SMRT@{SMART}"
    with pytest.raises(InvalidSymbol):
        ibkr.instrument("STK:SMRT.USD@XNYS")


def test_the_venue_asked_for_is_found_behind_many_others(ibkr: IbkrBroker) -> None:
    assert ibkr.instrument("STK:ABC.EUR@XETR").symbol == f"ABC@{LISTINGS + 11}"
    with pytest.raises(AmbiguousSymbol, match="and 4 more"):
        ibkr.instrument("STK:ABC.EUR")


def test_of_more_listings_than_are_looked_at_none_is_picked(ibkr: IbkrBroker, fake: FakeIbkr) -> None:
    for instrument_id in ("STK:CROWD.EUR@XETR", "STK:CROWD.EUR"):
        with pytest.raises(AmbiguousSymbol) as several:
            ibkr.instrument(instrument_id)
        assert len(several.value.candidates) == 8
    assert len([path for _, path in fake.received if path.endswith("/info-and-rules")]) == 8


def test_a_search_leaves_out_what_nobody_here_trades(ibkr: IbkrBroker) -> None:
    assert [each.symbol for each in ibkr.find_instruments("apple", by_name=True)] == [SYMBOL]
    assert ibkr.find_instruments("apple", asset_class=AssetClass.FUTURE) == []
    assert ibkr.find_instruments("nothing") == []


def test_a_future_has_its_steps_its_multiplier_and_its_end(ibkr: IbkrBroker) -> None:
    future = ibkr.instrument(f"ESZ9@{FUTURE}")
    assert (future.asset_class, future.tick, future.multiplier) == (AssetClass.FUTURE, Decimal("0.25"), Decimal(50))
    assert future.expires == datetime(2029, 12, 22, tzinfo=UTC)


def test_bars_are_whole_oldest_first_and_their_volume_is_scaled(ibkr: IbkrBroker) -> None:
    bars = ibkr.bars(SYMBOL, BarSize.FIVE_MINUTES, limit=3)
    assert [each.start for each in bars] == sorted(each.start for each in bars)
    assert len(bars) == 3
    assert bars[0].volume == Decimal("2180.0")
    assert bars[-1].start + timedelta(minutes=5) <= datetime.now(UTC)


def test_a_rate_is_told_or_refused(ibkr: IbkrBroker) -> None:
    assert ibkr.exchange_rate("USD", "EUR").rate == Decimal("0.9144")
    with pytest.raises(NoRate):
        ibkr.exchange_rate("USD", "XXX")


def test_a_preview_shows_ibkrs_own_fee_at_its_most_and_sends_nothing(ibkr: IbkrBroker, fake: FakeIbkr) -> None:
    preview = ibkr.preview(PAPER, order("BUY", "10", SYMBOL, limit="100"))
    assert (preview.notional, preview.fee, preview.cash_effect) == (Decimal(1000), Decimal("1.2"), Decimal("-1001.2"))
    with pytest.raises(Rejected, match="Insufficient funds"):
        ibkr.preview(PAPER, order("BUY", "1000000", SYMBOL, limit="100"))
    assert fake.sent == []


@pytest.mark.parametrize(
    ("terms", "sent"),
    [
        ({}, {"orderType": "MKT"}),
        ({"limit_price": "1.5"}, {"orderType": "LMT", "price": "1.5"}),
        ({"stop_price": "2"}, {"orderType": "STP", "price": "2"}),
        ({"limit_price": "3", "stop_price": "2"}, {"orderType": "STOP_LIMIT", "price": "3", "auxPrice": "2"}),
        ({"trail_amount": "1"}, {"orderType": "TRAIL", "trailingAmt": "1", "trailingType": "amt"}),
        ({"trail_percent": "1.5"}, {"orderType": "TRAIL", "trailingAmt": "1.5", "trailingType": "%"}),
    ],
)
def test_every_kind_of_order_reads_back_as_it_was_sent(
    ibkr: IbkrBroker, fake: FakeIbkr, terms: dict[str, str], sent: dict[str, str]
) -> None:
    kinds = {"MKT": "MKT", "LMT": "LMT", "STP": "STP", "STOP_LIMIT": "STP_LIMIT", "TRAIL": "TRAIL"}
    asked = OrderRequest(
        client_order_id=new_id(),
        symbol=SYMBOL,
        side=Side.SELL,
        order_type=OrderType(kinds[sent["orderType"]]),
        quantity=Decimal(3),
        tif=TimeInForce.DAY,
        **{name: Decimal(value) for name, value in terms.items()},  # type: ignore[arg-type]
    )
    ibkr.submit(PAPER, asked)
    numbers = {name: Decimal(value) for name, value in sent.items() if name in ("price", "auxPrice", "trailingAmt")}
    assert fake.sent[0].items() >= {**sent, **numbers, "cOID": asked.client_order_id, "side": "SELL"}.items()
    found = ibkr.order(PAPER, asked.client_order_id)
    assert found is not None
    assert (found.symbol, found.side, found.order_type, found.tif, found.quantity) == (
        SYMBOL,
        Side.SELL,
        asked.order_type,
        TimeInForce.DAY,
        Decimal(3),
    )
    assert (found.limit_price, found.stop_price) == (asked.limit_price, asked.stop_price)


def test_eighteen_decimals_travel_both_ways_to_the_digit(ibkr: IbkrBroker, fake: FakeIbkr) -> None:
    asked = order("BUY", "1.000000000000000001", f"TINY@{TINY}", limit="12345.000000000000000002")
    ibkr.submit(PAPER, asked)
    assert (fake.sent[0]["quantity"], fake.sent[0]["price"]) == (asked.quantity, asked.limit_price)
    fake.fill(asked.client_order_id, asked.units, Decimal("12345.000000000000000001"))
    found = ibkr.order(PAPER, asked.client_order_id)
    assert found is not None
    assert found.filled_quantity == asked.quantity
    assert found.fills[0].price == Decimal("12345.000000000000000001")
    assert order("BUY", "1E+2", SYMBOL).units == ibkr_quantity(ibkr, fake, "1E+2")


def ibkr_quantity(ibkr: IbkrBroker, fake: FakeIbkr, quantity: str) -> Decimal:
    ibkr.submit(PAPER, order("BUY", quantity, SYMBOL))
    sent: Decimal = fake.sent[-1]["quantity"]
    return sent


def test_fills_are_counted_from_the_executions_with_their_fees(ibkr: IbkrBroker, fake: FakeIbkr) -> None:
    asked = order("BUY", "10", SYMBOL, limit="1190")
    ibkr.submit(PAPER, asked)
    fake.fill(asked.client_order_id, Decimal(4), Decimal("1190.10"))
    found = ibkr.order(PAPER, asked.client_order_id)
    assert found is not None
    assert (found.status, found.filled_quantity, found.average_price, found.fees) == (
        BrokerStatus.PARTIALLY_FILLED,
        Decimal(4),
        Decimal("1190.1"),
        Decimal(1),
    )
    fake.fill(asked.client_order_id, Decimal(6), Decimal("1190.20"), commission="0.5")
    found = ibkr.order(PAPER, asked.client_order_id)
    assert found is not None
    assert (found.status, found.average_price, found.fees) == (BrokerStatus.FILLED, Decimal("1190.16"), Decimal("1.5"))
    newest, older = ibkr.fills(PAPER, limit=5)
    assert (newest.quantity, older.quantity) == (Decimal(6), Decimal(4))
    assert ibkr.fills(PAPER, limit=5, after=newest.fill_id) == [older]
    with pytest.raises(InvalidRequest):
        ibkr.fills(PAPER, limit=5, after="nothing")


def test_a_trade_elsewhere_in_what_nobody_here_trades_hides_no_order(ibkr: IbkrBroker, fake: FakeIbkr) -> None:
    asked = order("BUY", "10", SYMBOL)
    ibkr.submit(PAPER, asked)
    resting = order("BUY", "1", SYMBOL, limit="100")
    ibkr.submit(PAPER, resting)
    for place, ref in enumerate(("", "somebody's own", None)):
        bond = {"conid": 2_147_483_646, "sec_type": "BOND", "symbol": "IBM", "order_ref": ref}
        fake.trades.append({**fake.trades[0], **bond, "execution_id": f"0000bond.{place}.01.01"})
    assert {each.client_order_id for each in ibkr.orders(PAPER)} == {asked.client_order_id, resting.client_order_id}
    found = ibkr.order(PAPER, asked.client_order_id)
    assert found is not None
    assert (found.status, len(found.fills)) == (BrokerStatus.FILLED, 1)
    assert [each.client_order_id for each in ibkr.fills(PAPER, limit=9)] == [asked.client_order_id]
    assert ibkr.cancel(PAPER, resting.client_order_id).status is BrokerStatus.CANCELLED


def test_a_fill_of_ours_in_a_contract_that_has_ended_is_never_left_out(ibkr: IbkrBroker, fake: FakeIbkr) -> None:
    asked = order("BUY", "10", SYMBOL)
    ibkr.submit(PAPER, asked)
    fake.live.clear()
    kept = fake.trades[0]["conid"]
    fake.trades[0]["conid"] = 2_147_483_646
    with pytest.raises(BrokerUnavailable, match="currency"):
        ibkr.fills(PAPER, limit=9)
    with pytest.raises(BrokerUnavailable, match="currency"):
        ibkr.order(PAPER, asked.client_order_id)
    other = order("BUY", "1", SYMBOL, limit="100")
    ibkr.submit(PAPER, other)
    assert [each.client_order_id for each in ibkr.orders(PAPER)] == [other.client_order_id]
    fake.trades[0]["conid"] = kept
    assert len(ibkr.fills(PAPER, limit=9)) == 1


def test_an_order_that_was_done_on_an_earlier_day_is_known_by_its_executions(ibkr: IbkrBroker, fake: FakeIbkr) -> None:
    asked = order("BUY", "10", SYMBOL)
    ibkr.submit(PAPER, asked)
    fake.live.clear()
    found = ibkr.order(PAPER, asked.client_order_id)
    assert found is not None
    assert (found.status, found.filled_quantity) == (BrokerStatus.FILLED, Decimal(10))
    assert ibkr.order(PAPER, "f" * 32) is None


def test_an_inactive_order_is_refused_only_where_it_cannot_be_cancelled_any_more(
    ibkr: IbkrBroker, fake: FakeIbkr
) -> None:
    asked = order("SELL", "10", SYMBOL, limit="500")
    placed = ibkr.submit(PAPER, asked)
    fake.live[int(placed.broker_order_id)]["status"] = "Inactive"
    found = ibkr.order(PAPER, asked.client_order_id)
    assert found is not None
    assert found.status is BrokerStatus.WORKING, "it waits for shares to borrow"
    fake.dead.add(int(placed.broker_order_id))
    found = ibkr.order(PAPER, asked.client_order_id)
    assert found is not None
    assert found.status is BrokerStatus.REJECTED


def test_a_list_that_ibkr_has_not_read_yet_is_not_an_empty_one(ibkr: IbkrBroker, fake: FakeIbkr) -> None:
    asked = order("BUY", "1", SYMBOL, limit="100")
    ibkr.submit(PAPER, asked)
    assert ibkr.order(PAPER, asked.client_order_id) is not None, "the first answer was empty"
    fake._first_look = lambda what: True  # type: ignore[method-assign]
    with pytest.raises(BrokerUnavailable, match="not loaded"):
        ibkr.order(PAPER, asked.client_order_id)


def test_a_resting_order_is_changed_in_place_under_its_own_id(ibkr: IbkrBroker) -> None:
    asked = order("BUY", "10", SYMBOL, limit="100")
    ibkr.submit(PAPER, asked)
    changed = ibkr.replace(PAPER, asked.client_order_id, OrderChanges(limit_price=Decimal("101.5")), new_id())
    assert changed.client_order_id == asked.client_order_id
    (found,) = ibkr.orders(PAPER)
    assert (found.limit_price, found.quantity) == (Decimal("101.5"), Decimal(10))
    with pytest.raises(InvalidOrder):
        ibkr.replace(PAPER, asked.client_order_id, OrderChanges(limit_price=Decimal("101.555")))


def test_a_cancel_ends_the_order_once(ibkr: IbkrBroker) -> None:
    asked = order("BUY", "10", SYMBOL, limit="100")
    ibkr.submit(PAPER, asked)
    assert ibkr.cancel(PAPER, asked.client_order_id).status is BrokerStatus.CANCELLED
    assert [each.status for each in ibkr.orders(PAPER)] == [BrokerStatus.CANCELLED]
    assert ibkr.orders(PAPER, open_only=True) == []
    with pytest.raises(NotCancellable):
        ibkr.cancel(PAPER, asked.client_order_id)
    with pytest.raises(OrderNotFound):
        ibkr.cancel(PAPER, "f" * 32)


def test_what_was_executed_just_before_a_cancel_is_not_lost(ibkr: IbkrBroker, fake: FakeIbkr) -> None:
    asked = order("BUY", "10", SYMBOL, limit="100")
    ibkr.submit(PAPER, asked)
    fake.fills_before_cancel = Decimal(4)
    assert ibkr.cancel(PAPER, asked.client_order_id).status.is_open, "a later look tells it with its executions"
    found = ibkr.order(PAPER, asked.client_order_id)
    assert found is not None
    assert (found.status, found.filled_quantity) == (BrokerStatus.CANCELLED, Decimal(4))


def test_an_account_of_somebody_else_never_gets_into_an_address(ibkr: IbkrBroker, fake: FakeIbkr) -> None:
    for account in ("DU1", "../DU1234567", ""):
        for call in (
            lambda account=account: ibkr.positions(account),
            lambda account=account: ibkr.submit(account, order("BUY", "1", SYMBOL)),
            lambda account=account: ibkr.order(account, "0" * 32),
            lambda account=account: ibkr.cancel(account, "0" * 32),
            lambda account=account: ibkr.answer(account, "0" * 32, "token", True),
        ):
            with pytest.raises(InvalidAccount):
                call()
    assert not any("DU1/" in path or ".." in path for _, path in fake.received)


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"quantity": Decimal("1.5")}, "quantity"),
        ({"limit_price": Decimal("1.005")}, "limit_price"),
        ({"tif": TimeInForce.FOK}, "tif"),
        ({"order_type": OrderType.MARKET, "limit_price": None, "outside_rth": True}, "outside_rth"),
    ],
)
def test_what_ibkr_would_alter_or_refuse_is_not_sent(
    ibkr: IbkrBroker, fake: FakeIbkr, terms: dict[str, object], field: str
) -> None:
    asked = {
        "client_order_id": new_id(),
        "symbol": SYMBOL,
        "side": Side.BUY,
        "order_type": OrderType.LIMIT,
        "quantity": Decimal(1),
        "tif": TimeInForce.DAY,
        "limit_price": Decimal(1),
    }
    with pytest.raises(InvalidOrder) as caught:
        ibkr.submit(PAPER, OrderRequest(**{**asked, **terms}))  # type: ignore[arg-type]
    assert caught.value.field == field
    for unknown in ({"reduce_only": True}, {"quantity": None, "notional": Decimal(5)}):
        with pytest.raises(NotSupported):
            ibkr.submit(PAPER, OrderRequest(**{**asked, **unknown}))  # type: ignore[arg-type]
    assert fake.sent == []


# -- questions -------------------------------------------------------------------------------------------------------


def test_a_question_reaches_the_caller_and_nothing_is_placed_or_answered(ibkr: IbkrBroker, fake: FakeIbkr) -> None:
    fake.questions = ["<h4>Confirm Mandatory Cap Price</h4>IB may set a cap."]
    asked = order("BUY", "10", SYMBOL)
    with pytest.raises(NeedsAnswer) as caught:
        ibkr.submit(PAPER, asked)
    assert caught.value.outcome is WriteOutcome.REJECTED
    assert caught.value.questions == ("Confirm Mandatory Cap Price IB may set a cap.",)
    assert "nothing was placed" in str(caught.value)
    assert (fake.live, fake.replies) == ({}, [])
    assert ibkr.order(PAPER, asked.client_order_id) is None


def test_a_persons_yes_places_the_order_after_every_further_question(ibkr: IbkrBroker, fake: FakeIbkr) -> None:
    fake.questions = [QUESTION, "This order will most likely trigger and fill immediately."]
    asked = order("BUY", "650", SYMBOL)
    with pytest.raises(NeedsAnswer, match=r"124,995\.00 USD exceeds the Total Value Limit") as first:
        ibkr.submit(PAPER, asked)
    with pytest.raises(NeedsAnswer, match="trigger and fill") as second:
        ibkr.answer(PAPER, asked.client_order_id, first.value.token, yes=True)
    placed = ibkr.answer(PAPER, asked.client_order_id, second.value.token, yes=True)
    assert placed is not None
    found = ibkr.order(PAPER, asked.client_order_id)
    assert found is not None
    assert (found.broker_order_id, found.filled_quantity) == (placed.broker_order_id, Decimal(650))
    assert [yes for _, yes in fake.replies] == [True, True]
    assert len(fake.sent) == 1


def test_a_persons_no_ends_it(ibkr: IbkrBroker, fake: FakeIbkr) -> None:
    fake.questions = [QUESTION]
    asked = order("BUY", "650", SYMBOL)
    with pytest.raises(NeedsAnswer) as caught:
        ibkr.submit(PAPER, asked)
    assert ibkr.answer(PAPER, asked.client_order_id, caught.value.token, yes=False) is None
    with pytest.raises(Rejected, match="reply id not found"):
        ibkr.answer(PAPER, asked.client_order_id, caught.value.token, yes=True)
    assert fake.live == {}
    with pytest.raises(InvalidRequest):
        ibkr.answer(PAPER, asked.client_order_id, "../orders", yes=True)
