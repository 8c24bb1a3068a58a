"""One row nobody can read does not take the rest of a list with it, and is counted."""

from collections.abc import Callable

import pytest

from brokers.crypto import unknown_word_counts
from brokers.errors import BrokerUnavailable
from brokers.types import BrokerStatus, OrderType, Side
from tests.brokers.contract.cases import BINANCE, COINBASE, CRYPTO, KRAKEN, KRAKEN_FUTURES, OKX, CryptoCase, Rig
from tests.brokers.crypto.recorded import Row, answers, resting, rewritten, steady

_PRICE = {OKX: "px", BINANCE: "price", KRAKEN: "vol", COINBASE: "total_fees", KRAKEN_FUTURES: "filledSize"}
_OURS = {
    OKX: "clOrdId",
    BINANCE: "clientOrderId",
    KRAKEN: "cl_ord_id",
    COINBASE: "client_order_id",
    KRAKEN_FUTURES: "cliOrdId",
}
_STATUS = {OKX: "state", BINANCE: "status", KRAKEN: "status", COINBASE: "status"}


def _spoil(case: CryptoCase, rig: Rig, client_order_id: str, change: Callable[[Row], Row]) -> None:
    """The one order is told otherwise."""
    rewritten(
        rig,
        lambda row: change(row) if str(row[_OURS[case]]).replace("-", "") == client_order_id else row,
    )


@pytest.mark.parametrize("case", CRYPTO, ids=lambda case: case.name)
@pytest.mark.parametrize("wrong", ["abc", "NaN"])
def test_an_open_order_that_cannot_be_read_is_named_and_the_others_are_told(case: CryptoCase, wrong: str) -> None:
    with steady(case) as rig:
        good, bad = resting(rig), resting(rig)
        _spoil(case, rig, bad.client_order_id, lambda row: {**row, _PRICE[case]: wrong})
        told = {each.client_order_id: each for each in rig.broker.orders(rig.account_id, open_only=True)}
        assert set(told) == {good.client_order_id, bad.client_order_id}
        assert told[good.client_order_id].limit_price == good.limit_price
        odd = told[bad.client_order_id]
        assert (odd.status, odd.limit_price, odd.broker_order_id != "") == (BrokerStatus.WORKING, None, True)
        with pytest.raises(BrokerUnavailable):
            rig.broker.order(rig.account_id, bad.client_order_id, symbol=rig.symbol)
        title = case.venue.adapter.VENUE.title
        assert any(field == "unreadable order" for field, _ in unknown_word_counts.seen(title))


@pytest.mark.parametrize("case", _STATUS, ids=lambda case: case.name)
def test_a_status_that_nobody_knows_is_an_order_that_is_still_watched(case: CryptoCase) -> None:
    with steady(case) as rig:
        good, odd = resting(rig), resting(rig)
        _spoil(case, rig, odd.client_order_id, lambda row: {**row, _STATUS[case]: f"a_new_word_of_{case.name}"})
        told = {each.client_order_id: each.status for each in rig.broker.orders(rig.account_id, open_only=True)}
        assert told == dict.fromkeys((good.client_order_id, odd.client_order_id), BrokerStatus.WORKING)
        title = case.venue.adapter.VENUE.title
        assert unknown_word_counts.seen(title)["order status", f"a_new_word_of_{case.name}"] >= 1
        assert f"order status a_new_word_of_{case.name}" in {each.word for each in rig.broker.unknown_words}


@pytest.mark.parametrize("case", [OKX, KRAKEN, COINBASE], ids=lambda case: case.name)
def test_an_order_that_has_ended_and_cannot_be_read_is_left_out_of_the_list(case: CryptoCase) -> None:
    with steady(case) as rig:
        good = resting(rig)
        bad = resting(rig)
        rig.broker.cancel(rig.account_id, bad.client_order_id, symbol=rig.symbol)
        _spoil(case, rig, bad.client_order_id, lambda row: {**row, _PRICE[case]: "abc"})
        assert [each.client_order_id for each in rig.broker.orders(rig.account_id)] == [good.client_order_id]


def test_fills_transfers_and_entries_of_which_one_cannot_be_read() -> None:
    with steady(COINBASE) as rig:
        for _ in range(2):
            rig.broker.submit(rig.account_id, rig.order(order_type=OrderType.MARKET, limit_price=None, side=Side.SELL))
        rig.wire.trades()[0].side = "unknown_order_side"
        assert len(rig.broker.fills(rig.account_id, limit=10)) == 1
    entries = {
        "good": {"type": "deposit", "asset": "ZUSD", "amount": "5", "fee": "0", "time": 1688464484.1},
        "bad": {"type": "deposit", "asset": "ZUSD", "amount": "abc", "fee": "0", "time": 1688464485.1},
        "without a time": {"type": "deposit", "asset": "ZUSD", "amount": "1", "fee": "0"},
    }
    with steady(KRAKEN) as rig:
        answers(rig, "/Ledgers", (200, {"error": [], "result": {"ledger": entries, "count": 3}}))
        found = rig.broker.transactions(rig.account_id, start=None, end=None, limit=10)
        assert [each.transaction_id for each in found] == ["good"]
