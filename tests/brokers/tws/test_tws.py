"""TWS through ib_async, against a small gateway on loopback. Experimental: no real gateway has ever answered it."""

from decimal import Decimal

import pytest

from brokers.errors import (
    AmbiguousSymbol,
    BrokerUnavailable,
    CannotTell,
    InvalidAccount,
    InvalidOrder,
    InvalidRequest,
    InvalidSymbol,
    NotCancellable,
    Rejected,
    UnknownOutcome,
)
from brokers.tws.adapter import TwsBroker
from brokers.types import BrokerStatus, Environment
from tests.brokers.faults import Fault
from tests.brokers.paper.support import order
from tests.brokers.tws.conftest import opened
from tests.brokers.tws.fake import ACCOUNT, FakeTws
from tests.brokers.tws.steps import SYMBOL


def test_the_handshake_tells_the_accounts_and_their_kind(tws: TwsBroker) -> None:
    info = tws.connect()
    assert (info.accounts[0].account_id, info.environment) == (ACCOUNT, Environment.PAPER)
    skew = tws.ping().clock_skew
    assert skew is not None
    assert abs(skew) < 5


def test_money_positions_and_prices_are_read(tws: TwsBroker) -> None:
    state = tws.account_state(ACCOUNT)
    assert (state.equity, state.currency, state.buying_power) == (Decimal("119295.75"), "USD", Decimal(400000))
    (held,) = tws.positions(ACCOUNT)
    assert (held.symbol, held.quantity, held.average_price) == (SYMBOL, Decimal(100), Decimal("150.125"))
    quote = tws.quotes(["AAPL"])[0]
    assert (quote.bid, quote.last, quote.ask) == (Decimal("190.2"), Decimal("190.25"), Decimal("190.3"))
    assert tws.preview(ACCOUNT, order("BUY", "2", SYMBOL, limit="100")).notional == 200


def test_a_ticker_of_several_contracts_is_answered_with_the_candidates(tws: TwsBroker) -> None:
    with pytest.raises(AmbiguousSymbol, match="AAPL@4711") as several:
        tws.instrument("TWIN")
    assert [each.symbol for each in several.value.candidates] == [SYMBOL, "AAPL@4711"]
    with pytest.raises(InvalidSymbol, match="NOPE"):
        tws.instrument("NOPE")
    assert tws.find_instruments("NOPE") == []


def test_an_instrument_id_leads_to_its_contract_and_never_to_another(tws: TwsBroker) -> None:
    assert tws.instrument(SYMBOL).instrument_id == "STK:AAPL.USD@XNAS"
    assert tws.quotes(["stk:aapl.usd@xnas"])[0].instrument_id == "STK:AAPL.USD@XNAS"
    for other in ("STK:AAPL.USD@XNYS", "STK:AAPL.EUR", "FUT:AAPL.USD:2026-12", "FX:AAP/USD", "CRY:BTC/USD"):
        with pytest.raises(InvalidSymbol):
            tws.instrument(other)


def test_an_order_goes_out_to_the_digit_and_is_found_by_our_reference(tws: TwsBroker, fake: FakeTws) -> None:
    asked = order("BUY", "3", SYMBOL, limit="123456789012.25")
    assert tws.submit(ACCOUNT, asked).status is BrokerStatus.WORKING
    assert (fake.sent[0][17], fake.sent[0][19], fake.sent[0][26]) == ("3", "123456789012.25", asked.client_order_id)
    found = tws.order(ACCOUNT, asked.client_order_id)
    assert found is not None
    assert (found.limit_price, found.quantity, found.symbol) == (asked.limit_price, asked.quantity, SYMBOL)
    tws.cancel(ACCOUNT, asked.client_order_id)
    assert [each.status for each in tws.orders(ACCOUNT)] == [BrokerStatus.CANCELLED]
    with pytest.raises(NotCancellable):
        tws.cancel(ACCOUNT, asked.client_order_id)


def test_a_filled_order_has_its_execution_and_its_fee(tws: TwsBroker) -> None:
    asked = order("BUY", "3", SYMBOL)
    tws.submit(ACCOUNT, asked)
    found = tws.order(ACCOUNT, asked.client_order_id)
    assert found is not None
    assert (found.status, found.filled_quantity, found.average_price, found.fees) == (
        BrokerStatus.FILLED,
        Decimal(3),
        Decimal("190.25"),
        Decimal(1),
    )
    assert [fill.client_order_id for fill in tws.fills(ACCOUNT, limit=5)] == [asked.client_order_id]


def test_an_order_that_never_arrived_is_not_taken_for_one_that_stands(tws: TwsBroker, fake: FakeTws) -> None:
    """ib_async lists what it has sent, whether or not TWS ever said a word about it."""
    fake.faults.set(Fault(kind="hang", effect=False, method="SEND"))
    asked = order("BUY", "1", SYMBOL, limit="100")
    with pytest.raises(UnknownOutcome):
        tws.submit(ACCOUNT, asked)
    with pytest.raises(CannotTell, match="Check in TWS"):
        tws.order(ACCOUNT, asked.client_order_id)
    assert tws.orders(ACCOUNT) == []


@pytest.mark.parametrize("price", ["0.1234567890123456", "1234567890123456.5"])
def test_what_could_not_be_read_back_to_the_digit_is_not_sent(tws: TwsBroker, fake: FakeTws, price: str) -> None:
    fake.tick = "0.0000000000000001"
    with pytest.raises(InvalidOrder, match="15 digits"):
        tws.submit(ACCOUNT, order("BUY", "1", SYMBOL, limit=price))
    assert fake.sent == []


def test_a_refusal_carries_tws_own_words(tws: TwsBroker, fake: FakeTws) -> None:
    fake.mood = "reject"
    with pytest.raises(Rejected, match="The margin is too small") as caught:
        tws.submit(ACCOUNT, order("BUY", "1", SYMBOL))
    assert "reqId" not in str(caught.value)


@pytest.mark.parametrize(
    ("mood", "words"), [("mute", "does not answer"), ("in_use", "another program"), ("lost", "lost its own connection")]
)
def test_a_gateway_that_cannot_be_used_is_unavailable_and_nothing_is_sent(fake: FakeTws, mood: str, words: str) -> None:
    fake.mood = mood
    broker = opened(fake)
    for _ in range(2):  # the news of a lost connection comes right after the sign-on
        with pytest.raises(BrokerUnavailable, match=words):
            broker.positions(ACCOUNT)
            broker.positions(ACCOUNT)
    with pytest.raises(BrokerUnavailable, match=words):
        broker.submit(ACCOUNT, order("BUY", "1", SYMBOL))
    assert fake.sent == []


def test_a_connection_that_was_cut_is_made_again_at_the_next_call(tws: TwsBroker, fake: FakeTws) -> None:
    tws.accounts()
    fake.hang_up()
    with pytest.MonkeyPatch.context():
        for _ in range(20):
            try:
                tws.positions(ACCOUNT)
            except BrokerUnavailable:
                continue
            break
    assert fake.connections == 2


def test_what_is_not_ours_or_not_taken_is_refused(tws: TwsBroker, fake: FakeTws) -> None:
    with pytest.raises(InvalidAccount):
        tws.submit("DU1", order("BUY", "1", SYMBOL))
    with pytest.raises(InvalidOrder):
        tws.submit(ACCOUNT, order("BUY", "1.5", SYMBOL))
    assert fake.sent == []
    for wrong in ({"host": "a/b"}, {"port": 0}, {"client_id": 0}):
        with pytest.raises(InvalidRequest):
            TwsBroker.open({"host": "127.0.0.1", "port": 1, "client_id": 1} | wrong)
