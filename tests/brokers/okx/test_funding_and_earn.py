"""What OKX tells beside trading: contract months, funding of perpetuals, deposits and withdrawals, earning."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from brokers.errors import BrokerUnavailable, InvalidAccount, InvalidRequest, InvalidSymbol, PermissionDenied
from brokers.okx.adapter import OkxBroker
from brokers.types import EarnHolding, EarnOffer, TransferKind, TransferStatus
from tests.brokers.contract.cases import OKX, Rig
from tests.brokers.okx.fake import UID, OkxFake


@pytest.fixture
def rig() -> Iterator[Rig]:
    with OKX.opened() as opened:
        yield opened


@pytest.fixture
def okx(rig: Rig) -> OkxBroker:
    assert isinstance(rig.broker, OkxBroker)
    return rig.broker


def test_contract_months_come_nearest_first_and_perpetuals_are_none(okx: OkxBroker) -> None:
    found = okx.futures_contracts("btc")
    assert [(each.symbol, each.expires) for each in found] == [
        ("BTC/USDT:USDT-291228", date(2029, 12, 28)),
        ("BTC/USDT:USDT-300329", date(2030, 3, 29)),
    ]
    assert {(each.currency, each.multiplier) for each in found} == {("USDT", Decimal("0.01"))}
    with pytest.raises(InvalidSymbol, match="DOGE"):
        okx.futures_contracts("DOGE")


def test_a_funding_rate_is_told_to_the_digit_with_its_time_and_past(okx: OkxBroker) -> None:
    found = okx.funding_rate("BTC/USDT:USDT", 2)
    assert (found.rate, found.interval_hours) == (Decimal("-0.0000182221"), Decimal(8))
    assert found.next_at == datetime(2030, 1, 1, 8, tzinfo=UTC)
    assert (found.mark, found.index) == (Decimal("30000.2"), Decimal("29998.1"))
    assert (found.open_interest, found.open_interest_unit) == (Decimal("21254.19"), "BTC")
    assert [each.rate for each in found.history] == [Decimal("0.0000746572360545")] * 2
    assert found.history[0].at - found.history[1].at == timedelta(hours=8)


def test_what_is_no_perpetual_has_no_funding_rate(okx: OkxBroker) -> None:
    for symbol in ("BTC/USDT", "BTC/USDT:USDT-300329"):
        with pytest.raises(InvalidRequest, match="not a perpetual"):
            okx.funding_rate(symbol, 3)


def test_deposits_and_withdrawals_come_together_newest_first(okx: OkxBroker) -> None:
    found = okx.transfers(UID, limit=10)
    assert [each.kind for each in found] == [TransferKind.DEPOSIT] * 3 + [TransferKind.WITHDRAWAL]
    assert [each.status for each in found] == [TransferStatus.PENDING, *[TransferStatus.DONE] * 3]
    assert [each.at for each in found] == sorted((each.at for each in found), reverse=True)
    out = found[-1]
    assert (out.transfer_id, out.asset, out.amount, out.fee) == (
        "15447421",
        "ETH",
        Decimal("0.029809"),
        Decimal("0.007"),
    )
    assert out.transaction_hash == "0x35c360986dfa3a0b"


def test_a_long_list_of_deposits_is_read_page_by_page_and_none_is_told_twice(okx: OkxBroker, rig: Rig) -> None:
    assert isinstance(rig.fake, OkxFake)
    rig.fake.deposits = 130
    found = okx.transfers(UID, limit=200)
    assert len({each.transfer_id for each in found}) == len(found) == 131
    newest = found[0].at
    between = okx.transfers(UID, start=newest - timedelta(seconds=120), end=newest - timedelta(seconds=2), limit=200)
    assert len(between) == 118
    assert all(newest - timedelta(seconds=120) <= each.at < newest - timedelta(seconds=2) for each in between)


def test_a_deposit_address_comes_with_its_network_and_the_tag_it_needs(okx: OkxBroker) -> None:
    (bitcoin,) = okx.deposit_addresses(UID, "btc")
    assert (bitcoin.address, bitcoin.network, bitcoin.tag) == (
        "bc1qfakefakefakefakefakefakefakefakefake0",
        "Bitcoin",
        "",
    )
    (ripple,) = okx.deposit_addresses(UID, "XRP")
    assert (ripple.network, ripple.tag) == ("Ripple", "1248")
    with pytest.raises(InvalidSymbol, match="no coin 'NOPE'"):
        okx.deposit_addresses(UID, "NOPE")


def test_an_address_that_is_no_address_is_not_passed_on(okx: OkxBroker, rig: Rig) -> None:
    for wrong in ("", None, "send it to https://example.com now", "bc1q\u202efake"):
        rig.wire.says.clear()
        answer = {"code": "0", "msg": "", "data": [{"addr": wrong, "chain": "BTC-Bitcoin", "ccy": "BTC"}]}
        speak = rig.wire.speak
        rig.wire.speak = lambda asked, answer=answer, speak=speak: (  # type: ignore[method-assign, misc]
            (200, answer) if asked.path.endswith("deposit-address") else speak(asked)
        )
        with pytest.raises(BrokerUnavailable, match="cannot be read"):
            okx.deposit_addresses(UID, "BTC")


def test_savings_and_staking_are_told_with_what_is_in_them(okx: OkxBroker) -> None:
    found = okx.earn(UID)
    assert (
        EarnOffer(offer_id="savings-USDT", asset="USDT", kind="savings", yearly_rate=Decimal("0.0123")) in found.offers
    )
    dot = EarnOffer(
        offer_id="101", asset="DOT", kind="staking", yearly_rate=Decimal("0.1767"), term_days=28, minimum=Decimal(2)
    )
    assert dot in found.offers
    assert next(each.term_days for each in found.offers if each.asset == "ETH") is None
    saved, staked = found.holdings
    assert (saved.asset, saved.amount, saved.earned) == ("USDT", Decimal("100.5"), Decimal("0.0010737388791526"))
    assert staked == EarnHolding(
        offer_id="101",
        asset="DOT",
        kind="staking",
        amount=Decimal("2.5"),
        earned=Decimal("0.10615025"),
        yearly_rate=Decimal("0.1014"),
    )
    assert {each.asset for each in okx.earn(UID, "dot").offers} == {"DOT"}


def test_what_demo_trading_lacks_is_said_and_not_told_as_an_outage(okx: OkxBroker, rig: Rig) -> None:
    speak = rig.wire.speak
    answer = {"code": "50038", "msg": "This feature is unavailable in demo trading", "data": []}
    rig.wire.speak = lambda asked: (200, answer) if "savings/balance" in asked.path else speak(asked)  # type: ignore[method-assign]
    with pytest.raises(PermissionDenied, match="50038"):
        okx.earn(UID)


def test_the_account_of_somebody_else_is_refused(okx: OkxBroker) -> None:
    for ask in (
        lambda: okx.transfers("somebody-else", limit=1),
        lambda: okx.deposit_addresses("somebody-else", "BTC"),
        lambda: okx.earn("somebody-else"),
    ):
        with pytest.raises(InvalidAccount):
            ask()
