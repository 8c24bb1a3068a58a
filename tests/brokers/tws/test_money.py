"""Money and prices in every form TWS has for them; what stands for nothing is nothing."""

from decimal import Decimal

import pytest

from brokers.errors import BrokerUnavailable
from brokers.tws.adapter import TwsBroker
from brokers.types import Cash
from tests.brokers.paper.support import order
from tests.brokers.tws.fake import ACCOUNT, FakeTws

SYMBOL = "AAPL@265598"
UNSET = "1.7976931348623157E308"
BASE = [("NetLiquidation", "1000", "USD"), ("TotalCashValue", "400", "USD"), ("BuyingPower", "800", "USD")]


def cash(**totals: str) -> tuple[Cash, ...]:
    return tuple(Cash(currency=name, total=Decimal(total), reserved=Decimal(0)) for name, total in totals.items())


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([("TotalCashBalance", "390", "USD"), ("TotalCashBalance", "9", "EUR")], cash(USD="390", EUR="9")),
        (
            [("CashBalance", "390", "USD"), ("CashBalance", "9", "EUR"), ("CashBalance", "400", "BASE")],
            cash(USD="390", EUR="9"),
        ),
        ([("CashBalance", "1", "USD"), ("TotalCashBalance", "390", "USD")], cash(USD="390")),
        ([], cash(USD="400")),
    ],
)
def test_cash_is_read_under_each_of_its_names(
    tws: TwsBroker, fake: FakeTws, values: list[tuple[str, str, str]], expected: tuple[Cash, ...]
) -> None:
    fake.values = BASE + values
    state = tws.account_state(ACCOUNT)
    assert (state.cash, state.equity, state.positions_value) == (expected, Decimal(1000), Decimal(600))


def test_cash_that_cannot_be_read_is_named_and_the_rest_stays(tws: TwsBroker, fake: FakeTws) -> None:
    fake.values = [*BASE, ("CashBalance", "390", "USD"), ("CashBalance", "n/a", "EUR")]
    assert tws.account_state(ACCOUNT).cash == cash(USD="390")
    assert [each.row for each in tws.unknown_words] == ["cash in EUR"]


def test_margins_are_read_and_what_can_be_spent_by_its_other_name(tws: TwsBroker, fake: FakeTws) -> None:
    fake.values = [
        *BASE[:2],
        ("AvailableFunds", "700", "USD"),
        ("InitMarginReq", "50", "USD"),
        ("MaintMarginReq", "40", "USD"),
    ]
    state = tws.account_state(ACCOUNT)
    assert (state.buying_power, state.initial_margin, state.maintenance_margin) == (
        Decimal(700),
        Decimal(50),
        Decimal(40),
    )


def test_an_account_whose_worth_is_not_told_is_not_worth_nothing(tws: TwsBroker, fake: FakeTws) -> None:
    fake.values = [("NetLiquidation", UNSET, "USD"), *BASE[1:]]
    with pytest.raises(BrokerUnavailable):
        tws.account_state(ACCOUNT)


@pytest.mark.parametrize("nothing", [-1, 0, UNSET])
def test_a_side_that_nobody_quotes_is_no_price_and_an_order_can_be_previewed(
    tws: TwsBroker, fake: FakeTws, nothing: object
) -> None:
    fake.bid_ask_last = (nothing, nothing, "190.25")
    (quote,) = tws.quotes([SYMBOL])
    assert (quote.bid, quote.last, quote.ask) == (Decimal("190.25"),) * 3
    assert "no quote" in quote.source
    assert tws.preview(ACCOUNT, order("BUY", "2", SYMBOL)).price == Decimal("190.25")


def test_without_a_trade_of_today_the_close_of_yesterday_is_shown_and_named(tws: TwsBroker, fake: FakeTws) -> None:
    fake.bid_ask_last, fake.close = (-1, -1, -1), "188.5"
    (quote,) = tws.quotes([SYMBOL])
    assert quote.last == Decimal("188.5")
    assert quote.source.endswith("yesterday's close")


def test_no_price_at_all_is_none(tws: TwsBroker, fake: FakeTws) -> None:
    fake.bid_ask_last = (-1, -1, -1)
    with pytest.raises(BrokerUnavailable, match="no price"):
        tws.quotes([SYMBOL])


@pytest.mark.parametrize(
    ("fee", "told"),
    [
        (("2.0", "USD"), (Decimal(2), "", None)),
        (("2.0", "HKD"), (Decimal(0), "HKD", Decimal(2))),
        (("-0.5", "USD"), (Decimal("-0.5"), "", None)),
        ((UNSET, "USD"), (Decimal(0), "", None)),
    ],
)
def test_a_fee_is_told_in_the_currency_it_was_charged_in(
    tws: TwsBroker, fake: FakeTws, fee: tuple[str, str], told: tuple[Decimal, str, Decimal | None]
) -> None:
    fake.fee = fee
    tws.submit(ACCOUNT, order("BUY", "3", SYMBOL))
    (fill,) = tws.fills(ACCOUNT, limit=5)
    assert (fill.fee, fill.fee_asset, fill.fee_charged) == told
