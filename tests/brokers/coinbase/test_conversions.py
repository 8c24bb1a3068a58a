"""Conversions at Coinbase: asked for by a quote that moves nothing, committed once, looked up by the quote's id."""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from brokers.coinbase.adapter import CoinbaseBroker
from brokers.errors import (
    BrokerError,
    BrokerUnavailable,
    InsufficientFunds,
    InsufficientPosition,
    InvalidOrder,
    InvalidSymbol,
    NotCancellable,
    NotSupported,
    Rejected,
    UnknownOutcome,
    WriteOutcome,
)
from brokers.types import AssetClass, BrokerStatus, OrderRequest, OrderType, Side, TimeInForce
from tests.brokers.coinbase.fake import CoinbaseFake
from tests.brokers.contract.cases import COINBASE, Rig, new_id
from tests.brokers.faults import SENDING, Fault
from tests.patience import unhurried

_COMMIT, _QUOTE = "/api/v3/brokerage/convert/trade/", "/api/v3/brokerage/convert/quote"


@pytest.fixture
def rig() -> Iterator[Rig]:
    with COINBASE.opened() as opened:
        yield opened


def broker_of(rig: Rig) -> CoinbaseBroker:
    assert isinstance(rig.broker, CoinbaseBroker)
    return rig.broker


def fake_of(rig: Rig) -> CoinbaseFake:
    assert isinstance(rig.fake, CoinbaseFake)
    return rig.fake


def asked(**other: Any) -> OrderRequest:
    made = OrderRequest(
        client_order_id=new_id(),
        symbol="USDC/USD",
        side=Side.SELL,
        order_type=OrderType.MARKET,
        quantity=Decimal(250),
        tif=TimeInForce.IOC,
    )
    return replace(made, **other)


def quoted(rig: Rig, request: OrderRequest) -> str:
    return broker_of(rig).firm_quote(rig.account_id, request)


def made(rig: Rig, request: OrderRequest) -> Any:
    return broker_of(rig).commit(rig.account_id, request, quoted(rig, request))


def spend(amount: int) -> dict[str, Any]:
    return {"side": Side.BUY, "quantity": None, "notional": Decimal(amount)}


def test_a_quote_moves_nothing_and_its_commit_converts_one_for_one(rig: Rig) -> None:
    fake, request = fake_of(rig), asked()
    quote_id = quoted(rig, request)
    assert (fake.balances["USDC"], fake.balances["USD"]) == (Decimal(5000), Decimal(100000))
    assert broker_of(rig).order_of_quote(rig.account_id, request, quote_id) is None
    done = broker_of(rig).commit(rig.account_id, request, quote_id)
    assert (fake.balances["USDC"], fake.balances["USD"]) == (Decimal(4750), Decimal(100250))
    assert (done.status, done.filled_quantity, done.average_price) == (BrokerStatus.FILLED, Decimal(250), Decimal(1))
    assert (done.broker_order_id, done.client_order_id) == (quote_id, request.client_order_id)
    assert [(fill.quantity, fill.fee) for fill in done.fills] == [(Decimal(250), Decimal(0))]
    looked = broker_of(rig).order_of_quote(rig.account_id, request, quote_id)
    assert looked is not None
    assert (looked.status, looked.filled_quantity) == (done.status, done.filled_quantity)
    assert fake.sent[quote_id] == 1


def test_every_field_of_both_calls_is_what_the_documents_ask_for(rig: Rig) -> None:
    made(rig, asked(**spend(100)))
    assert fake_of(rig).convert_bodies == [
        {"from_account": "USD", "to_account": "USDC", "amount": "100"},
        {"from_account": "USD", "to_account": "USDC"},
    ]


@pytest.mark.parametrize(
    ("order", "paid", "got"),
    [
        ({"side": Side.BUY}, ("USD", 250), ("USDC", 250)),
        (spend(100), ("USD", 100), ("USDC", 100)),
        ({"quantity": Decimal("0.01")}, ("USDC", Decimal("0.01")), ("USD", Decimal("0.01"))),
    ],
)
def test_it_goes_both_ways_by_quantity_and_by_value(
    rig: Rig, order: dict[str, Any], paid: tuple[str, Any], got: tuple[str, Any]
) -> None:
    before = dict(fake_of(rig).balances)
    made(rig, asked(**order))
    after = fake_of(rig).balances
    assert (before[paid[0]] - after[paid[0]], after[got[0]] - before[got[0]]) == (paid[1], got[1])


def test_the_preview_tells_rate_and_fee_of_a_quote_and_what_is_left(rig: Rig) -> None:
    fake_of(rig).conversion_fee = "0.5"
    bought = rig.broker.preview(rig.account_id, asked(**spend(100)))
    assert (bought.price, bought.notional, bought.fee) == (Decimal(1), Decimal("99.5"), Decimal("0.5"))
    assert (bought.cash_effect, bought.buying_power) == (Decimal(-100), Decimal(100000))
    sold = rig.broker.preview(rig.account_id, asked())
    assert sold.cash_effect == Decimal("249.5")
    assert fake_of(rig).sent.total() == 0
    assert fake_of(rig).balances["USDC"] == Decimal(5000)


def test_a_fee_is_taken_from_what_arrives_and_a_purchase_by_quantity_that_would_fall_short_is_refused(rig: Rig) -> None:
    fake_of(rig).conversion_fee = "0.5"
    done = made(rig, asked(**spend(100)))
    assert (done.filled_quantity, done.fees) == (Decimal("99.5"), Decimal("0.5"))
    with pytest.raises(InvalidOrder, match="Give a notional amount"):
        quoted(rig, asked(side=Side.BUY))


@pytest.mark.parametrize("rate", ["0.99", "1.01", "0"])
def test_at_any_other_rate_nothing_is_converted(rig: Rig, rate: str) -> None:
    fake_of(rig).conversion_rate = rate
    for ask in (quoted, lambda rig, request: rig.broker.preview(rig.account_id, request)):
        with pytest.raises(NotSupported, match="one for one was expected"):
            ask(rig, asked())
    assert fake_of(rig).sent.total() == 0


def test_a_quote_that_tells_no_rate_or_another_amount_is_not_committed(rig: Rig) -> None:
    fake = fake_of(rig)
    speak = fake._convert_quote

    def without(name: str, value: Any) -> None:
        def answer(request: Any) -> Any:
            status, told = speak(request)
            told["trade"].update({"exchange_rate": None, "unit_price": None} if name == "rate" else {name: value})
            return status, told

        vars(fake)["_convert_quote"] = answer

    without("rate", None)
    with pytest.raises(NotSupported, match="no rate"):
        quoted(rig, asked())
    for name in ("total", "user_entered_amount"):
        without(name, {"value": "251", "currency": "USDC"})
        with pytest.raises(InvalidOrder, match="another amount"):
            quoted(rig, asked())
    without("id", "")
    with pytest.raises(BrokerUnavailable, match="Nothing was sent"):
        quoted(rig, asked())


def test_what_is_not_there_is_not_converted(rig: Rig) -> None:
    with pytest.raises(InsufficientPosition, match="5000 USDC free"):
        rig.broker.preview(rig.account_id, asked(quantity=Decimal(5001)))
    with pytest.raises(InsufficientFunds, match="100000 USD free"):
        rig.broker.preview(rig.account_id, asked(**spend(100001)))
    with pytest.raises(Rejected):
        quoted(rig, asked(quantity=Decimal(5001)))


@pytest.mark.parametrize(
    "order",
    [
        {"order_type": OrderType.LIMIT, "limit_price": Decimal(1), "tif": TimeInForce.GTC},
        {"quantity": Decimal("0.001")},
        {"quantity": Decimal(0)},
        {"quantity": None, "notional": Decimal(100)},
        {"reduce_only": True},
    ],
)
def test_an_order_that_no_conversion_can_be_is_refused_before_any_quote(rig: Rig, order: dict[str, Any]) -> None:
    with pytest.raises((NotSupported, InvalidOrder)):
        quoted(rig, asked(**order))
    assert fake_of(rig).convert_bodies == []


def test_the_pair_is_found_by_its_names_and_told_apart_from_a_market(rig: Rig) -> None:
    for name in ("USDC/USD", "usdc-usd", "CRY:USDC/USD@coinbase"):
        assert rig.broker.instrument(name).symbol == "USDC/USD"
    with pytest.raises(InvalidSymbol, match="USDC/USD"):
        rig.broker.instrument("USD/USDC")
    found = [each.symbol for each in rig.broker.find_instruments("USDC", asset_class=AssetClass.CRYPTO)]
    assert found[0] == "USDC/USD"
    (quote,) = rig.broker.quotes(["USDC/USD"])
    assert (quote.bid, quote.ask, quote.source) == (Decimal(1), Decimal(1), "one for one, as Coinbase converts")
    assert rig.broker.exchange_rate("usdc", "usd").rate == Decimal(1)
    with pytest.raises(NotSupported, match="no market"):
        rig.broker.order_book("USDC/USD", 5)


def test_one_that_was_committed_is_found_though_a_market_trades_the_pair_since(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = asked()
    quote_id = quoted(rig, request)
    broker_of(rig).commit(rig.account_id, request, quote_id)
    market = CoinbaseBroker._market
    monkeypatch.setattr(CoinbaseBroker, "_market", lambda self, symbol: market(self, "BTC/USD"))
    looked = broker_of(rig).order_of_quote(rig.account_id, request, quote_id)
    assert looked is not None and looked.status is BrokerStatus.FILLED


def test_coins_that_are_worth_a_dollar_count_in_the_equity(rig: Rig) -> None:
    fake_of(rig).balances = {"USD": Decimal(100), "USDC": Decimal(50), "PYUSD": Decimal(7)}
    assert rig.broker.account_state(rig.account_id).equity == Decimal(157)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("TRADE_STATUS_STARTED", BrokerStatus.WORKING),
        ("TRADE_STATUS_COMPLETED", BrokerStatus.FILLED),
        ("TRADE_STATUS_CANCELED", BrokerStatus.REJECTED),
    ],
)
def test_each_status_of_the_documents_is_told_by_the_commit_and_by_the_look(
    rig: Rig, word: str, status: BrokerStatus
) -> None:
    fake_of(rig).conversion_takes = word
    request = asked()
    quote_id = quoted(rig, request)
    done = broker_of(rig).commit(rig.account_id, request, quote_id)
    looked = broker_of(rig).order_of_quote(rig.account_id, request, quote_id)
    assert looked is not None
    assert (done.status, looked.status) == (status, status)
    assert (done.filled_quantity > 0) is (status is BrokerStatus.FILLED)
    assert done.reason == ("Your bank declined this conversion." if status is BrokerStatus.REJECTED else "")


def test_a_status_that_no_document_names_leaves_the_outcome_open(rig: Rig) -> None:
    fake_of(rig).conversion_takes = "TRADE_STATUS_UNSPECIFIED"
    request = asked()
    quote_id = quoted(rig, request)
    with pytest.raises(UnknownOutcome):
        broker_of(rig).commit(rig.account_id, request, quote_id)
    with pytest.raises(BrokerUnavailable, match="TRADE_STATUS_UNSPECIFIED"):
        broker_of(rig).order_of_quote(rig.account_id, request, quote_id)
    assert [each.word for each in rig.broker.unknown_words] != []


_FAULTS = [each for each in SENDING if each.kind != "duplicate"]


@pytest.mark.parametrize("fault", _FAULTS, ids=lambda each: f"{each.kind}-{'taken' if each.effect else 'not_taken'}")
def test_whatever_happens_to_the_answer_it_is_committed_once_and_found_by_its_quote(fault: Fault) -> None:
    with nullcontext() if fault.kind in ("hang", "late", "drip") else unhurried(), COINBASE.opened() as rig:
        request = asked()
        quote_id = quoted(rig, request)
        fake_of(rig).faults.set(replace(fault, method="POST", path=_COMMIT))
        try:
            broker_of(rig).commit(rig.account_id, request, quote_id)
        except BrokerError as error:
            assert error.outcome is WriteOutcome.UNKNOWN
        else:
            assert fault.kind == "slow"
        assert fake_of(rig).sent[quote_id] == 1
        with unhurried():
            looked = broker_of(rig).order_of_quote(rig.account_id, request, quote_id)
        if fault.kind == "late":
            return  # it comes when it comes
        assert (looked is not None) is fault.effect
        assert (fake_of(rig).balances["USDC"] == Decimal(4750)) is fault.effect


@pytest.mark.parametrize("kind", ["hang", "cut", "500", "garbage", "empty", "null", "other", "redirect"])
def test_a_lost_quote_sent_nothing(kind: str) -> None:
    with COINBASE.opened() as rig:
        account, request = rig.account_id, asked()
        fake_of(rig).faults.set(Fault(kind=kind, effect=True, method="POST", path=_QUOTE))
        with pytest.raises(BrokerError) as failed:
            broker_of(rig).firm_quote(account, request)
        assert failed.value.outcome is WriteOutcome.NOT_SENT
        assert fake_of(rig).sent.total() == 0


def test_a_quote_is_committed_no_second_time(rig: Rig) -> None:
    request = asked()
    quote_id = quoted(rig, request)
    broker_of(rig).commit(rig.account_id, request, quote_id)
    with pytest.raises(Rejected):
        broker_of(rig).commit(rig.account_id, request, quote_id)
    assert fake_of(rig).balances["USDC"] == Decimal(4750)


def test_without_its_quote_it_is_neither_sent_nor_found_nor_cancelled(rig: Rig) -> None:
    request = asked()
    with pytest.raises(NotSupported, match="by its quote"):
        rig.broker.submit(rig.account_id, request)
    assert rig.broker.order(rig.account_id, request.client_order_id, symbol="USDC/USD") is None
    with pytest.raises(NotCancellable):
        rig.broker.cancel(rig.account_id, request.client_order_id, symbol="USDC/USD")
    assert fake_of(rig).sent.total() == 0


def test_an_order_of_a_market_needs_no_quote(rig: Rig) -> None:
    order = rig.order()
    assert quoted(rig, order) == ""
    taken = rig.broker.submit(rig.account_id, order)
    looked = broker_of(rig).order_of_quote(rig.account_id, order, taken.broker_order_id)
    assert looked is not None
    assert looked.broker_order_id == taken.broker_order_id
