"""Contract months and option chains at Interactive Brokers."""

from datetime import date
from decimal import Decimal

import pytest

from brokers.errors import InvalidRequest, InvalidSymbol
from brokers.ibkr.adapter import IbkrBroker
from brokers.types import OptionRight
from tests.brokers.ibkr.fake import APPLE, FUTURE, OPTION, FakeIbkr


def test_contract_months_that_have_not_ended_come_nearest_first(ibkr: IbkrBroker) -> None:
    found = ibkr.futures_contracts("es")
    assert [(each.symbol, each.expires, each.last_trade) for each in found] == [
        (f"ES@{FUTURE}", date(2029, 12, 21), date(2029, 12, 20)),
        ("ES@495512557", date(2030, 3, 15), date(2030, 3, 14)),
    ]
    assert ibkr.instrument(found[0].symbol).multiplier == 50, "the name it has there finds it"
    for root in ("NQ", "E S", "../x"):
        with pytest.raises(InvalidSymbol):
            ibkr.futures_contracts(root)


def test_days_of_all_months_are_listed_with_the_strikes_of_their_month(ibkr: IbkrBroker) -> None:
    found = ibkr.option_expirations("AAPL")
    assert [each.day for each in found] == [date(2029, 12, 21), date(2029, 12, 28), date(2030, 1, 18)]
    assert [(each.strikes, each.lowest_strike, each.highest_strike) for each in found] == [
        (5, Decimal("180.0"), Decimal("200.0")),
        (5, Decimal("180.0"), Decimal("200.0")),
        (14, Decimal("170.0"), Decimal("202.5")),
    ]


def test_a_chain_has_the_contracts_of_its_day_alone_and_names_that_can_be_traded(ibkr: IbkrBroker) -> None:
    day = date(2029, 12, 28)
    found = ibkr.option_chain(f"AAPL@{APPLE}", day, strikes=3)
    assert (found.underlying_price, found.multiplier, found.note) == (Decimal("190.25"), Decimal(100), "")
    assert [(each.strike, each.right) for each in found.contracts] == [
        (Decimal(strike), right) for strike in ("185", "190", "192.5") for right in (OptionRight.CALL, OptionRight.PUT)
    ]
    call, never_quoted = found.contracts[0], found.contracts[1]
    assert call.symbol == f"AAPL291228C00185000@{OPTION + 28_185}" == ibkr.instrument(call.symbol).symbol
    assert (call.bid, call.ask, call.delta) == (Decimal("4.15"), Decimal("4.30"), Decimal("0.752"))
    assert (call.implied_volatility, call.open_interest) == (Decimal("0.337"), None), "1.2K is not exact"
    assert (never_quoted.bid, never_quoted.delta, never_quoted.as_of) == (None, None, None)


def test_one_right_and_no_more_than_ten_strikes(ibkr: IbkrBroker, fake: FakeIbkr) -> None:
    found = ibkr.option_chain("AAPL", date(2030, 1, 18), strikes=50, right=OptionRight.PUT)
    assert {each.right for each in found.contracts} == {OptionRight.PUT}
    assert found.note.startswith("The 10 strikes closest to the price")
    assert len([path for _, path in fake.received if path.endswith("/secdef/info")]) == 10


def test_a_day_without_options_and_what_has_none_are_refused(ibkr: IbkrBroker) -> None:
    for day in (date(2029, 12, 22), date(2031, 5, 16)):
        with pytest.raises(InvalidRequest, match="List its expiries first") as refused:
            ibkr.option_chain("AAPL", day, strikes=2)
        assert refused.value.field == "expiration"
    with pytest.raises(InvalidSymbol, match="lists no options"):
        ibkr.option_expirations(f"ES@{FUTURE}")
