"""What went in and out, where coins arrive and what they earn, at the venues other than OKX."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from brokers.crypto.adapter import CryptoBroker
from brokers.errors import InvalidAccount, InvalidRequest, InvalidSymbol, NotSupported, PermissionDenied
from brokers.types import USUAL, Ability, DepositAddress, EarnHolding, EarnOffer, Transfer, TransferKind, TransferStatus
from tests.brokers.binance.fake import BinanceFake
from tests.brokers.coinbase.fake import CoinbaseFake
from tests.brokers.contract.cases import BINANCE, COINBASE, KRAKEN, CryptoCase, Rig
from tests.brokers.kraken.fake import KrakenFake
from tests.patience import lasting


def _opened(case: CryptoCase, fake: BinanceFake | CoinbaseFake | KrakenFake, **other: object) -> CryptoBroker:
    made: CryptoBroker = case.venue.adapter.open(
        {**case.venue.settings, "base_url": fake.url, "timeout": lasting(1), "per_second": 1000, **other}
    )
    return made


@pytest.fixture
def live() -> Iterator[tuple[BinanceFake, CryptoBroker]]:
    with BinanceFake() as fake:
        fake.live = True
        yield fake, _opened(BINANCE, fake, environment="live")


@pytest.fixture
def kraken() -> Iterator[tuple[KrakenFake, CryptoBroker]]:
    with KrakenFake() as fake:
        yield fake, _opened(KRAKEN, fake)


@pytest.fixture
def coinbase() -> Iterator[tuple[CoinbaseFake, CryptoBroker]]:
    with CoinbaseFake() as fake:
        yield fake, _opened(COINBASE, fake)


def _account(broker: CryptoBroker) -> str:
    return broker.accounts()[0].account_id


def _days(found: list[Transfer]) -> list[int]:
    return [round((datetime.now(UTC) - each.at) / timedelta(days=1)) for each in found]


# -- Binance ----------------------------------------------------------------------------------------------------------


def test_binance_lists_ninety_days_and_more_where_a_start_says_so(live: tuple[BinanceFake, CryptoBroker]) -> None:
    _, broker = live
    account, now = _account(broker), datetime.now(UTC)
    found = broker.transfers(account, limit=50)
    assert _days(found) == [1, 2, 60]
    assert [each.kind for each in found] == [TransferKind.DEPOSIT, TransferKind.WITHDRAWAL, TransferKind.DEPOSIT]
    assert (found[1].asset, found[1].amount, found[1].fee) == ("USDT", Decimal("8.91000000"), Decimal("0.004"))
    assert _days(broker.transfers(account, start=now - timedelta(days=320), limit=50)) == [1, 2, 60, 100, 200, 300]
    assert _days(broker.transfers(account, start=now - timedelta(days=320), limit=4)) == [1, 2, 60, 100]
    older = broker.transfers(account, start=now - timedelta(days=250), end=now - timedelta(days=90), limit=50)
    assert _days(older) == [100, 200]
    with pytest.raises(InvalidRequest, match="360 days"):
        broker.transfers(account, start=now - timedelta(days=400), limit=50)


def test_binance_names_the_network_of_an_address_and_refuses_a_coin_that_cannot_come_in(
    live: tuple[BinanceFake, CryptoBroker],
) -> None:
    _, broker = live
    account = _account(broker)
    address = "1HPn8Rx2y6nNSfagQBKy27GB99Vbzg89wv"
    assert broker.deposit_addresses(account, "btc") == [DepositAddress(asset="BTC", address=address, network="BTC")]
    for asset in ("OLD", "NOPE"):
        with pytest.raises(InvalidSymbol, match=asset):
            broker.deposit_addresses(account, asset)


def test_binance_tells_flexible_and_locked_earnings_and_when_there_are_more(
    live: tuple[BinanceFake, CryptoBroker],
) -> None:
    fake, broker = live
    found = broker.earn(_account(broker))
    assert found.offers == (
        EarnOffer(
            offer_id="BTC001", asset="BTC", kind="flexible", yearly_rate=Decimal("0.05000000"), minimum=Decimal("0.01")
        ),
        EarnOffer(
            offer_id="Axs*90", asset="AXS", kind="locked", yearly_rate=Decimal("1.2069"), term_days=90,
            minimum=Decimal("0.001"),
        ),
    )  # fmt: skip
    flexible, locked = found.holdings
    assert (flexible.amount, flexible.earned) == (Decimal("75.46000000"), Decimal("0.45459183"))
    assert (locked.amount, locked.earned, locked.ends) == (
        Decimal("122.09202928"),
        Decimal("5.17181528"),
        datetime(2022, 5, 1, tzinfo=UTC),
    )
    assert found.note == ""
    fake.offers = 250
    assert "name an asset" in broker.earn(_account(broker)).note


def test_the_testnet_has_no_wallet_and_says_so() -> None:
    with BINANCE.opened() as rig:
        assert rig.broker.capabilities.abilities & (frozenset(Ability) - USUAL) == frozenset()
        for ask in (
            lambda: rig.broker.transfers(rig.account_id, limit=1),
            lambda: rig.broker.deposit_addresses(rig.account_id, "BTC"),
            lambda: rig.broker.earn(rig.account_id),
        ):
            with pytest.raises(NotSupported, match="testnet has no wallet"):
                ask()


# -- Kraken -----------------------------------------------------------------------------------------------------------


def test_kraken_tells_withdrawals_from_its_ledger_and_never_asks_for_the_list_of_them(
    kraken: tuple[KrakenFake, CryptoBroker],
) -> None:
    fake, broker = kraken
    found = broker.transfers("spot", limit=10)
    assert [(each.kind, each.status, each.asset, each.amount) for each in found] == [
        (TransferKind.DEPOSIT, TransferStatus.DONE, "BTC", Decimal("0.78125000")),
        (TransferKind.DEPOSIT, TransferStatus.PENDING, "ETH", Decimal("0.1383862742")),
        (TransferKind.WITHDRAWAL, TransferStatus.DONE, "BTC", Decimal("0.7250000000")),
    ]
    assert found[2].fee == Decimal("0.0000200000")
    assert [path for _, path in fake.received if "Withdraw" in path] == []
    assert len(broker.transfers("spot", end=found[0].at, limit=10)) == 2


def test_kraken_tells_addresses_that_have_not_ended_and_makes_none(kraken: tuple[KrakenFake, CryptoBroker]) -> None:
    fake, broker = kraken
    address = "2N9fRkx5JTWXWHmXzZtvhQsufvoYRMq9ExV"
    assert broker.deposit_addresses("spot", "btc") == [DepositAddress(asset="BTC", address=address, network="Bitcoin")]
    assert fake.refused == []
    with pytest.raises(InvalidSymbol, match="NOPE"):
        broker.deposit_addresses("spot", "NOPE")


def test_kraken_tells_the_low_end_of_a_yield_and_leaves_out_what_is_closed(
    kraken: tuple[KrakenFake, CryptoBroker],
) -> None:
    _, broker = kraken
    found = broker.earn("spot")
    assert [(each.asset, each.yearly_rate, each.term_days, each.minimum) for each in found.offers] == [
        ("DOT", Decimal("0.08"), None, Decimal("0.01")),
        ("ETH", Decimal("0.025"), 30, Decimal("0.005")),
    ]
    assert found.holdings == (
        EarnHolding(
            offer_id="ESDQCOL-WTZEU-NU55QF",
            asset="ETH",
            kind="earn",
            amount=Decimal("0.0210000000"),
            earned=Decimal("0.00002"),
        ),
    )
    named = broker.earn("spot", "BTC")
    assert (named.offers, named.holdings) == ((), ())


# -- Coinbase ---------------------------------------------------------------------------------------------------------


def test_coinbase_tells_what_moved_and_leaves_out_trades(coinbase: tuple[CoinbaseFake, CryptoBroker]) -> None:
    fake, broker = coinbase
    account = _account(broker)
    found = broker.transfers(account, limit=10)
    assert [(each.kind, each.status, each.amount) for each in found] == [
        (TransferKind.WITHDRAWAL, TransferStatus.PENDING, Decimal("0.00100000")),
        (TransferKind.DEPOSIT, TransferStatus.DONE, Decimal("0.25")),
        (TransferKind.INTERNAL, TransferStatus.CANCELLED, Decimal(1)),
    ]
    assert (found[0].fee, found[0].network) == (Decimal("0.00001"), "bitcoin")
    assert [each.at for each in broker.transfers(account, start=found[1].at, end=found[0].at, limit=10)] == [
        found[1].at
    ]
    used = [path for _, path in fake.received if path.endswith("/transactions")]
    assert len(set(used)) == 1, "a wallet that never held anything is not asked"


def test_coinbase_tells_the_address_and_the_tag_of_a_wallet(coinbase: tuple[CoinbaseFake, CryptoBroker]) -> None:
    _, broker = coinbase
    account = _account(broker)
    (bitcoin,) = broker.deposit_addresses(account, "btc")
    assert (bitcoin.address, bitcoin.network) == ("mswUGcPHp1YnkLCgF1TtoryqSc5E9Q8xFa", "bitcoin")
    (ripple,) = broker.deposit_addresses(account, "XRP")
    assert (ripple.address, ripple.tag) == ("rw2ciyaNshpHe7bCHo4bRWq6pqqynnWKQg", "1170")
    with pytest.raises(InvalidSymbol, match="NOPE"):
        broker.deposit_addresses(account, "NOPE")


def test_a_coinbase_key_without_the_right_is_told_so(coinbase: tuple[CoinbaseFake, CryptoBroker]) -> None:
    fake, broker = coinbase
    account = _account(broker)
    fake.refuses.add("show_accounts")
    with pytest.raises(PermissionDenied, match="invalid_scope"):
        broker.transfers(account, limit=1)


@pytest.mark.parametrize("case", [KRAKEN, COINBASE], ids=lambda case: case.name)
def test_an_account_of_somebody_else_is_refused(case: CryptoCase) -> None:
    with case.opened() as rig:
        for ask in _asks(rig):
            with pytest.raises(InvalidAccount):
                ask()


def _asks(rig: Rig) -> Iterator[Callable[[], object]]:
    yield lambda: rig.broker.transfers("somebody-else", limit=1)
    yield lambda: rig.broker.deposit_addresses("somebody-else", "BTC")
    if Ability.EARN in rig.broker.capabilities.abilities:
        yield lambda: rig.broker.earn("somebody-else")
