"""Fees, reversals and signs as each venue counts them."""

from decimal import Decimal
from typing import Any

import pytest

from brokers.types import AssetClass, Fill, OrderType, Side, Transaction
from tests.brokers.contract.cases import COINBASE, KRAKEN, KRAKEN_FUTURES, OKX, CryptoCase
from tests.brokers.crypto.recorded import Row, answers, steady
from tests.brokers.faults import Asked, Reply

_BEGAN = 1_700_000_000


def _entries(case: CryptoCase, path: str, body: Any) -> dict[str, Transaction]:
    with steady(case) as rig:
        account = rig.account_id
        answers(rig, path, (200, body))
        found = rig.broker.transactions(account, start=None, end=None, limit=50)
    return {each.transaction_id: each for each in found}


def test_a_balance_of_kraken_changes_by_the_amount_less_the_fee() -> None:
    rows = {
        "rollover": {"type": "rollover", "asset": "ZUSD", "amount": "0", "fee": "0.02"},
        "deposit": {"type": "deposit", "asset": "ZUSD", "amount": "100", "fee": "1"},
        "sold": {"type": "trade", "asset": "ZUSD", "amount": "24.5", "fee": "0.049"},
        "bought": {"type": "trade", "asset": "ZUSD", "amount": "-24.5", "fee": "0.049"},
        "withdrawal": {"type": "withdrawal", "asset": "XXBT", "amount": "-0.725", "fee": "0.00002"},
        "rewarded": {"type": "earn", "subtype": "reward", "asset": "XBT.F", "amount": "0.001", "fee": "0.0002"},
        "moved": {"type": "earn", "subtype": "autoallocation", "asset": "XXBT", "amount": "-1", "fee": "0"},
        "new": {"type": "something new", "asset": "ZUSD", "amount": "3", "fee": "0"},
    }
    told = {name: {"time": _BEGAN + place, **row} for place, (name, row) in enumerate(rows.items())}
    found = _entries(KRAKEN, "/Ledgers", {"error": [], "result": {"ledger": told, "count": len(told)}})
    assert {name: (each.kind, each.amount) for name, each in found.items()} == {
        "rollover": ("fee", Decimal("-0.02")),
        "deposit": ("deposit", Decimal(99)),
        "sold": ("trade", Decimal("24.451")),
        "bought": ("trade", Decimal("-24.549")),
        "withdrawal": ("withdrawal", Decimal("-0.72502")),
        "rewarded": ("interest", Decimal("0.0008")),
        "moved": ("transfer", Decimal(-1)),
        "new": ("other", Decimal(3)),
    }


def test_every_bill_of_okx_is_of_a_kind_with_a_name() -> None:
    rows = [
        {"billId": kind, "type": kind, "ccy": "USDT", "balChg": "-0.5", "bal": "1", "ts": str(_BEGAN * 1000 + place)}
        for place, kind in enumerate(("1", "2", "7", "8", "27", "30", "34", "9999"))
    ]
    found = _entries(OKX, "/account/bills", {"code": "0", "msg": "", "data": rows})
    assert {name: each.kind for name, each in found.items()} == {
        "1": "transfer",
        "2": "trade",
        "7": "interest",
        "8": "fee",
        "27": "trade",
        "30": "trade",
        "34": "trade",
        "9999": "other",
    }
    assert {each.amount for each in found.values()} == {Decimal("-0.5")}


def test_an_entry_of_kraken_futures_with_a_word_that_nobody_knows_is_other() -> None:
    row = {"booking_uid": "b", "date": "2026-11-20T10:00:00.000Z", "asset": "usd", "contract": "", "info": "new word",
           "old_balance": "10", "new_balance": "9.5"}  # fmt: skip
    (found,) = _entries(KRAKEN_FUTURES, "/account-log", {"logs": [row]}).values()
    assert (found.kind, found.amount) == ("other", Decimal("-0.5"))


@pytest.mark.parametrize(
    ("case", "row", "rates"),
    [
        (OKX, {"maker": "-0.0008", "taker": "-0.001", "makerU": "-0.0002", "takerU": "-0.0005"}, ("0.001", "0.0005")),
        (OKX, {"maker": "-0.0008", "taker": "-0.001", "makerU": "", "takerU": ""}, ("0.001", "0.001")),
        (
            OKX,
            {"maker": "", "taker": "", "feeGroup": [{"groupId": "9", "maker": "-0.0002", "taker": "-0.0004"}]},
            ("0.0004", "0.0004"),
        ),
        (OKX, {"maker": "0.0001", "taker": "-0.001", "makerU": "0.0002", "takerU": "-0.0005"}, ("0.001", "0.0005")),
    ],
)
def test_contracts_of_okx_that_settle_in_usdt_pay_their_own_rate(
    case: CryptoCase, row: Row, rates: tuple[str, str]
) -> None:
    with steady(case) as rig:
        account = rig.account_id
        answers(rig, "/account/trade-fee", (200, {"code": "0", "msg": "", "data": [row]}))
        found = {each.asset_class: each.rate for each in rig.broker.fees(account)}
        spot, contract = (Decimal(each) for each in rates)
        assert found == {AssetClass.CRYPTO: spot, AssetClass.PERPETUAL: contract, AssetClass.FUTURE: contract}
        preview = rig.broker.preview(account, rig.order(symbol=rig.symbol + ":USDT", quantity=Decimal(1)))
        assert preview.fee == preview.notional * contract


def _fill(trade_id: str, **more: Any) -> Row:
    return {"entry_id": f"entry of {trade_id}", "trade_id": trade_id, "order_id": "o", "trade_time":
            "2026-11-20T10:00:00.123456789Z", "trade_type": "FILL", "price": "30000", "size": "0.5", "commission":
            "1.5", "product_id": "BTC-USD", "side": "BUY", "size_in_quote": False, **more}  # fmt: skip


def _fills(*rows: Row) -> dict[str, Fill]:
    with steady(COINBASE) as rig:
        account = rig.account_id
        answers(rig, "/historical/fills", (200, {"fills": list(rows), "cursor": ""}))
        return {each.fill_id: each for each in rig.broker.fills(account, limit=50)}


def test_a_fill_of_coinbase_that_was_reversed_counts_no_more_than_its_reversal() -> None:
    reversal = _fill("a", trade_type="REVERSAL", entry_id="undone")
    correction = _fill("a", trade_type="CORRECTION", entry_id="corrected", size="0.25")
    found = _fills(_fill("a"), reversal, correction, _fill("b"))
    assert {name: each.quantity for name, each in found.items()} == {
        "corrected": Decimal("0.25"), "b": Decimal("0.5"),
    }  # fmt: skip
    assert _fills(reversal) == {}


def test_a_fill_of_coinbase_whose_size_is_in_dollars_keeps_the_price_that_was_paid() -> None:
    (found,) = _fills(_fill("a", size_in_quote=True, size="100", price="45123.45")).values()
    assert (found.price, found.quantity) == (Decimal("45123.45"), Decimal("0.00221614"))
    assert (found.fee, found.side, found.filled_at.microsecond) == (Decimal("1.5"), Side.BUY, 123000)


def test_fills_of_coinbase_are_asked_for_by_the_documented_name_of_their_product() -> None:
    with steady(COINBASE) as rig:
        account, targets = rig.account_id, list[str]()
        speak = rig.wire.speak

        def spoken(asked: Asked) -> Reply:
            targets.append(asked.target)
            return speak(asked)

        rig.wire.speak = spoken  # type: ignore[method-assign]
        for _ in range(2):
            rig.broker.submit(account, rig.order(order_type=OrderType.MARKET, limit_price=None, side=Side.SELL))
        assert len(rig.broker.fills(account, symbol=rig.symbol, limit=5)) == 2
        (target,) = [each for each in targets if "/fills" in each and "order_ids" not in each]
        assert "product_ids=BTC-USD" in target
        assert "product_id=" not in target


def test_a_rebate_is_a_fee_below_nothing() -> None:
    with steady(OKX) as rig:
        row = {"instType": "SPOT", "instId": "BTC-USDT", "tradeId": "1", "ordId": "1", "fillPx": "30000", "fillSz": "1",
               "side": "buy", "feeCcy": "USDT", "fee": "0.75", "ts": str(_BEGAN * 1000)}  # fmt: skip
        answers(rig, "/fills-history", (200, {"code": "0", "msg": "", "data": [row]}))
        found = rig.broker.fills(rig.account_id, symbol=rig.symbol, limit=5)
        assert [each.fee for each in found] == [Decimal("-0.75")]
