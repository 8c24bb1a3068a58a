"""Option chains, and what went in and out of an account at Alpaca."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from brokers.alpaca.adapter import AlpacaBroker
from brokers.errors import InvalidAccount, InvalidRequest, InvalidSymbol
from brokers.types import OptionRight, TransferKind, TransferStatus
from tests.brokers.alpaca.fake import ACCOUNT, EXPIRATIONS, FakeAlpaca

NEAR, FAR = EXPIRATIONS


def test_every_date_is_listed_with_its_strikes_page_by_page(alpaca: AlpacaBroker, fake: FakeAlpaca) -> None:
    fake.page = 7
    found = alpaca.option_expirations("aapl")
    assert [(each.day, each.strikes, each.lowest_strike, each.highest_strike) for each in found] == [
        (NEAR, 5, Decimal(170), Decimal(190)),
        (FAR, 5, Decimal(170), Decimal(190)),
    ]
    assert fake.violations == []


def test_a_chain_has_the_strikes_next_to_the_price_with_quotes_and_greeks(
    alpaca: AlpacaBroker, fake: FakeAlpaca
) -> None:
    found = alpaca.option_chain("AAPL", FAR, strikes=2)
    assert (found.underlying_price, found.multiplier, found.currency) == (Decimal("181.5"), Decimal(100), "USD")
    assert [(each.strike, each.right) for each in found.contracts] == [
        (Decimal(180), OptionRight.CALL),
        (Decimal(180), OptionRight.PUT),
        (Decimal(185), OptionRight.CALL),
        (Decimal(185), OptionRight.PUT),
    ]
    call = found.contracts[0]
    assert call.symbol == f"AAPL{FAR:%y%m%d}C00180000"
    assert (call.bid, call.ask, call.last, call.open_interest) == (
        Decimal("4.15"),
        Decimal("4.3"),
        Decimal("4.1"),
        Decimal(237),
    )
    assert (call.delta, call.implied_volatility) == (Decimal("0.7521304109871954"), Decimal("0.3372405712050441"))
    never_quoted = found.contracts[2]
    assert (never_quoted.bid, never_quoted.delta, never_quoted.as_of) == (None, None, None)
    assert fake.violations == []


def test_one_right_alone_can_be_asked_for(alpaca: AlpacaBroker) -> None:
    found = alpaca.option_chain("AAPL", NEAR, strikes=50, right=OptionRight.PUT)
    assert {each.right for each in found.contracts} == {OptionRight.PUT}
    assert len(found.contracts) == 5


def test_a_day_without_options_and_what_has_none_are_refused(alpaca: AlpacaBroker) -> None:
    with pytest.raises(InvalidRequest, match="List its expiries first") as refused:
        alpaca.option_chain("AAPL", NEAR + timedelta(days=1), strikes=2)
    assert refused.value.field == "expiration"
    for symbol in ("BTC/USD", "NOPE"):
        with pytest.raises(InvalidSymbol):
            alpaca.option_expirations(symbol)


def _activity(number: int, kind: str, amount: str, **more: str) -> dict[str, str]:
    at = datetime(2026, 11, 1, 12, tzinfo=UTC) + timedelta(days=number)
    return {
        "id": f"2026110{number}000000000::045b3b8d-c566-4bef-b741-2bf598dd6ae{number}",
        "activity_type": kind,
        "date": at.date().isoformat(),
        "created_at": at.isoformat(),
        "net_amount": amount,
        "status": "executed",
        **more,
    }


def test_transfers_are_those_of_money_and_securities_newest_first(alpaca: AlpacaBroker, fake: FakeAlpaca) -> None:
    fake.activities += [
        _activity(1, "CSD", "1000.50"),
        _activity(2, "DIV", "3.20", symbol="AAPL"),
        _activity(3, "CSW", "-200", status="canceled"),
        _activity(4, "ACATS", "0", symbol="AAPL", qty="12.5"),
        _activity(5, "JNLC", "-50"),
        _activity(6, "ACATC", "-75.25"),
    ]
    found = alpaca.transfers(ACCOUNT, limit=10)
    assert [(each.kind, each.status, each.asset, each.amount) for each in found] == [
        (TransferKind.WITHDRAWAL, TransferStatus.DONE, "USD", Decimal("75.25")),
        (TransferKind.INTERNAL, TransferStatus.DONE, "USD", Decimal(50)),
        (TransferKind.DEPOSIT, TransferStatus.DONE, "AAPL", Decimal("12.5")),
        (TransferKind.WITHDRAWAL, TransferStatus.CANCELLED, "USD", Decimal(200)),
        (TransferKind.DEPOSIT, TransferStatus.DONE, "USD", Decimal("1000.50")),
    ]
    assert [each.at for each in alpaca.transfers(ACCOUNT, start=found[2].at, end=found[0].at, limit=10)] == [
        found[1].at,
        found[2].at,
    ]
    assert len(alpaca.transfers(ACCOUNT, limit=2)) == 2
    assert fake.violations == []
    with pytest.raises(InvalidAccount):
        alpaca.transfers("somebody-else", limit=1)
