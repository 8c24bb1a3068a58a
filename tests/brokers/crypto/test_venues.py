"""What only one venue does: whose key it is, what it may do, in which environment, by which clock."""

import base64
import threading
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from brokers.binance.adapter import BinanceBroker
from brokers.coinbase.adapter import CoinbaseBroker
from brokers.crypto.adapter import CryptoBroker
from brokers.errors import (
    AmbiguousSymbol,
    AuthFailed,
    BrokerUnavailable,
    InvalidOrder,
    InvalidRequest,
    InvalidSymbol,
    NotSupported,
    PermissionDenied,
)
from brokers.kraken.adapter import KrakenBroker
from brokers.krakenfutures.adapter import KrakenFuturesBroker
from brokers.okx.adapter import OkxBroker
from brokers.types import AssetClass, BrokerStatus, Environment, OrderType, Side
from tests.brokers.binance.fake import BinanceFake
from tests.brokers.coinbase.fake import CoinbaseFake
from tests.brokers.contract.cases import BINANCE, COINBASE, KRAKEN, KRAKEN_FUTURES, OKX, CryptoCase, Rig
from tests.brokers.kraken.fake import KrakenFake
from tests.brokers.okx.fake import OkxFake
from tests.patience import at_most, lasting


def _opened(case: CryptoCase, fake: Any, **other: Any) -> CryptoBroker:
    made: CryptoBroker = case.venue.adapter.open(
        {**case.venue.settings, "base_url": fake.url, "timeout": lasting(1), "per_second": 1000, **other}
    )
    return made


def test_okx_proves_the_environment_by_taking_the_key_only_there() -> None:
    with OkxFake() as fake:
        assert _opened(OKX, fake).connect().environment is Environment.PAPER
        with pytest.raises(AuthFailed, match="50101"):
            _opened(OKX, fake, environment="live").connect()
        fake.demo = False
        assert _opened(OKX, fake, environment="live").connect().environment is Environment.LIVE


def test_a_name_without_its_stroke_that_is_spot_and_contracts_is_answered_with_all() -> None:
    with OkxFake() as fake:
        broker = _opened(OKX, fake)
        for name in ("BTCUSDT", "btc-usdt", "BTC"):
            with pytest.raises(AmbiguousSymbol) as several:
                broker.instrument(name)
            assert [each.instrument_id for each in several.value.candidates] == [
                "CRY:BTC/USDT@okx",
                "PERP:BTC/USDT:USDT@okx",
                "FUT:BTC/USDT:USDT:2029-12-28@okx",
                "FUT:BTC/USDT:USDT:2030-03-29@okx",
            ]
            for each in several.value.candidates:
                assert broker.instrument(each.instrument_id).symbol == each.symbol
        assert broker.instrument("BTC/USDT").asset_class is AssetClass.CRYPTO
        assert broker.instrument("tiny-usdt").symbol == "TINY/USDT"


def test_a_pair_that_is_gone_never_turns_into_a_contract_on_it() -> None:
    with OkxFake() as fake:
        del fake.listings["BTC-USDT"]
        broker = _opened(OKX, fake)
        with pytest.raises(AmbiguousSymbol, match="BTC/USDT:USDT"):
            broker.instrument("BTCUSDT")
        for gone in ("BTC/USDT", "CRY:BTC/USDT", "CRY:BTC/USDT@okx"):
            with pytest.raises(InvalidSymbol):
                broker.instrument(gone)


def test_okx_tells_a_key_that_can_withdraw_and_one_that_cannot_trade() -> None:
    with OkxFake() as fake:
        fake.perm = "read_only,trade,withdraw"
        assert _opened(OKX, fake).connect().can_withdraw is True
        fake.perm = "read_only"
        found = _opened(OKX, fake).connect()
        assert (found.can_trade, found.can_withdraw) == (False, False)


def test_an_order_of_a_key_that_may_only_read_is_refused_for_its_permission() -> None:
    with OKX.opened() as rig:
        account, order = rig.account_id, rig.order()
        assert isinstance(rig.wire, OkxFake)
        rig.wire.perm = "read_only"
        with pytest.raises(PermissionDenied):
            rig.broker.submit(account, order)


def test_binance_tells_of_a_live_key_whether_it_can_withdraw() -> None:
    with BinanceFake() as fake:
        fake.live = True
        broker = _opened(BINANCE, fake, environment="live")
        assert broker.connect().can_withdraw is False
        fake.withdrawals = True
        assert broker.connect().can_withdraw is True
    with BinanceFake() as fake:
        assert _opened(BINANCE, fake).connect().environment is Environment.PAPER


def test_coinbase_tells_whether_a_key_can_transfer_and_kraken_does_not_tell() -> None:
    with CoinbaseFake() as coinbase, KrakenFake() as kraken:
        coinbase.can_transfer = True
        assert _opened(COINBASE, coinbase).connect().can_withdraw is True
        assert _opened(KRAKEN, kraken).connect().can_withdraw is None


@pytest.mark.parametrize("adapter", [KrakenBroker, CoinbaseBroker])
def test_a_venue_without_a_sandbox_has_no_paper_connection(adapter: type[CryptoBroker]) -> None:
    with pytest.raises(InvalidRequest, match="Tradelatch Paper"):
        adapter.open({"api_key": "a", "secret": "b", "environment": "paper"})


@pytest.mark.parametrize("adapter", [OkxBroker, BinanceBroker, KrakenBroker, CoinbaseBroker, KrakenFuturesBroker])
def test_an_environment_that_is_neither_is_refused(adapter: type[CryptoBroker]) -> None:
    for wrong in ("", "PAPER ", "test"):
        with pytest.raises(InvalidRequest):
            adapter.open({"api_key": f"a{wrong}", "secret": "b", "passphrase": "c", "environment": wrong})


@pytest.mark.parametrize("adapter", [OkxBroker, BinanceBroker, KrakenBroker, CoinbaseBroker, KrakenFuturesBroker])
def test_no_adapter_can_send_money_away(adapter: type[CryptoBroker]) -> None:
    names = [name for name in dir(adapter) if "withdraw" in name.lower() or "transfer" in name.lower()]
    assert names == ["transfers"], "which lists those that were"


@pytest.mark.parametrize("case", [OKX, BINANCE, COINBASE], ids=lambda case: case.name)
@pytest.mark.parametrize("ahead", [-90_000, 90_000])
def test_a_clock_that_is_off_is_made_up_for(case: CryptoCase, ahead: int) -> None:
    with case.venue.fake() as fake:
        fake.skew_ms = ahead
        broker = _opened(case, fake)
        assert broker.accounts()
        assert fake.refused == []
        skew = broker.ping().clock_skew
        assert skew is not None
        assert abs(skew - ahead / 1000) < 2


@pytest.mark.parametrize("case", [OKX, BINANCE, COINBASE], ids=lambda case: case.name)
def test_a_clock_that_jumps_fails_one_call_which_is_not_repeated(case: CryptoCase) -> None:
    with case.opened() as rig:
        account, order = rig.account_id, rig.order()
        rig.wire.skew_ms = 200_000
        with pytest.raises(AuthFailed):
            rig.broker.submit(account, order)
        assert rig.wire.sent[order.client_order_id] == 1
        again = rig.order()
        assert rig.broker.submit(account, again).status is BrokerStatus.WORKING


def test_five_threads_with_one_kraken_key_send_nonces_that_rise(tmp_path: Path) -> None:
    with KrakenFake() as fake:
        brokers = [_opened(KRAKEN, fake, state_dir=str(tmp_path)) for _ in range(5)]
        failed: list[Exception] = []

        def read(broker: CryptoBroker) -> None:
            try:
                for _ in range(10):
                    broker.connect()
            except Exception as error:
                failed.append(error)

        threads = [threading.Thread(target=read, args=(broker,)) for broker in brokers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=at_most(30))
        assert failed == []
        assert fake.refused == []
        assert len([path for path in tmp_path.iterdir() if path.suffix == ".nonce"]) == 1


def test_an_order_of_okx_is_found_by_our_id_alone_in_lists_of_many_pages() -> None:
    with OKX.opened() as rig:
        first = rig.order(quantity=Decimal("0.00001"))
        rig.broker.submit(rig.account_id, first)
        for number in range(250):
            rig.wire.place({"client_id": f"other{number}", "wire": "BTC-USDT", "side": "buy", "kind": "limit",
                            "price": "10", "amount": "0.001"})  # fmt: skip
        found = rig.broker.order(rig.account_id, first.client_order_id)
        assert found is not None
        assert found.client_order_id == first.client_order_id
        assert len(rig.broker.orders(rig.account_id, open_only=True, limit=1000)) == 251


def test_binance_says_that_it_cannot_tell_rather_than_that_there_is_no_order() -> None:
    with BINANCE.opened() as rig:
        order = rig.order()
        rig.broker.submit(rig.account_id, order)
        rig.broker.cancel(rig.account_id, order.client_order_id, symbol=rig.symbol)
        with pytest.raises(BrokerUnavailable, match="symbol"):
            rig.broker.order(rig.account_id, order.client_order_id)
        with pytest.raises(InvalidRequest, match="symbol"):
            rig.broker.fills(rig.account_id, limit=5)


def test_a_coinbase_order_is_found_by_another_process_through_the_list() -> None:
    with CoinbaseFake() as fake:
        rig = Rig(broker=_opened(COINBASE, fake), symbol="BTC/USD", price=Decimal(30000), quantity=Decimal("0.5"))
        order = rig.order()
        rig.broker.submit(rig.account_id, order)
        fake.page = 1
        for number in range(3):
            fake.place({"client_id": f"other{number}", "wire": "BTC-USD", "side": "buy", "kind": "limit_limit_gtc",
                        "price": "10", "amount": "0.001"})  # fmt: skip
        elsewhere = _opened(COINBASE, fake, timeout=at_most(2))
        found = elsewhere.order(elsewhere.accounts()[0].account_id, order.client_order_id)
        assert found is not None
        assert found.limit_price == order.limit_price


def test_coinbase_takes_a_market_buy_by_what_to_spend_alone() -> None:
    with COINBASE.opened() as rig:
        with pytest.raises(NotSupported, match="notional"):
            rig.broker.submit(rig.account_id, rig.order(order_type=OrderType.MARKET, limit_price=None))
        sold = rig.broker.submit(
            rig.account_id, rig.order(order_type=OrderType.MARKET, limit_price=None, side=Side.SELL)
        )
        assert sold.status is BrokerStatus.FILLED


def test_a_contract_of_okx_goes_by_contracts_and_reduces_only_when_told() -> None:
    with OKX.opened() as rig:
        order = rig.order(symbol="BTC/USDT:USDT", reduce_only=True, side=Side.SELL, limit_price=Decimal(31000))
        assert rig.broker.instrument(order.symbol).asset_class is AssetClass.PERPETUAL
        rig.broker.submit(rig.account_id, order)
        assert rig.wire.bodies[-1] == {
            "instId": "BTC-USDT-SWAP", "clOrdId": order.client_order_id, "tdMode": "cross", "side": "sell",
            "ordType": "limit", "sz": "0.5", "px": "31000", "reduceOnly": True,
        }  # fmt: skip
        with pytest.raises(NotSupported):
            rig.broker.submit(rig.account_id, replace(order, symbol=rig.symbol))


def test_an_order_below_the_least_worth_is_refused_before_it_is_sent() -> None:
    with BINANCE.opened() as rig:
        order = rig.order(quantity=Decimal("0.00001"))
        with pytest.raises(InvalidOrder, match="5 USDT"):
            rig.broker.submit(rig.account_id, order)
        assert rig.wire.sent[order.client_order_id] == 0


@pytest.mark.parametrize(
    ("case", "word", "status"),
    [
        (OKX, "partially_filled", BrokerStatus.WORKING),
        (OKX, "mmp_canceled", BrokerStatus.CANCELLED),
        (BINANCE, "EXPIRED", BrokerStatus.EXPIRED),
        (BINANCE, "REJECTED", BrokerStatus.REJECTED),
        (BINANCE, "PENDING_NEW", BrokerStatus.WORKING),
        (KRAKEN, "pending", BrokerStatus.WORKING),
        (KRAKEN, "expired", BrokerStatus.EXPIRED),
        (COINBASE, "EXPIRED", BrokerStatus.EXPIRED),
        (COINBASE, "FAILED", BrokerStatus.REJECTED),
        (COINBASE, "CANCEL_QUEUED", BrokerStatus.WORKING),
        (COINBASE, "A_NEW_WORD", BrokerStatus.WORKING),
    ],
)
def test_a_status_is_what_the_venue_means_by_it(case: CryptoCase, word: str, status: BrokerStatus) -> None:
    with case.opened() as rig:
        order = rig.order()
        rig.broker.submit(rig.account_id, order)
        at_venue = rig.wire.by_client(order.client_order_id)
        assert at_venue is not None
        at_venue.reported_as = word
        found = rig.broker.order(rig.account_id, order.client_order_id, symbol=rig.symbol)
        assert found is not None
        assert found.status is status


def test_a_partial_fill_and_the_rest_add_up() -> None:
    for case in (OKX, BINANCE, KRAKEN, COINBASE, KRAKEN_FUTURES):
        with case.opened() as rig:
            order = rig.order(quantity=Decimal("0.3"))
            rig.broker.submit(rig.account_id, order)
            at_venue = rig.wire.by_client(order.client_order_id)
            assert at_venue is not None
            rig.wire.fill(at_venue, str(order.limit_price), "0.1")
            partly = rig.broker.order(rig.account_id, order.client_order_id, symbol=rig.symbol)
            assert partly is not None
            assert (partly.status, partly.filled_quantity) == (BrokerStatus.PARTIALLY_FILLED, Decimal("0.1"))
            rig.wire.fill(at_venue, "14999", "0.2")
            done = rig.broker.order(rig.account_id, order.client_order_id, symbol=rig.symbol)
            assert done is not None
            assert (done.status, done.filled_quantity) == (BrokerStatus.FILLED, Decimal("0.3"))
            assert done.average_price is not None
            assert abs(done.average_price - Decimal("44998") / 3) < Decimal("1E-9")
            assert [fill.quantity for fill in done.fills] == [Decimal("0.1"), Decimal("0.2")] or [
                fill.quantity for fill in done.fills
            ] == [Decimal("0.2"), Decimal("0.1")]
            assert done.fees == sum(fill.fee for fill in done.fills)


def test_a_coinbase_key_of_another_kind_is_named_before_any_call() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    raw = key.private_bytes_raw()
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    with CoinbaseFake() as fake:
        for secret in (pem, base64.b64encode(raw).decode(), base64.b64encode(raw * 2).decode()):
            with pytest.raises(AuthFailed, match="ECDSA"):
                _opened(COINBASE, fake, secret=secret)
        assert fake.received == []
