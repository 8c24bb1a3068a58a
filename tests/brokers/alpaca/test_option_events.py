"""What exercise, assignment and expiry do to a position is told as fills: else an option would stay held for ever."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from brokers.alpaca.adapter import AlpacaBroker
from brokers.types import Side
from tests.brokers.alpaca.fake import ACCOUNT, FakeAlpaca

CALL = "AAPL230721C00150000"
# 23:59:59 in New York, in summer
DAY_END = datetime(2023, 7, 22, 3, 59, 59, tzinfo=UTC)


def event(number: int, kind: str, quantity: str, symbol: str = CALL, money: str = "0", **more: str) -> dict[str, str]:
    """As Alpaca's page on option events has them: with a date and no time."""
    return {
        "id": f"2023072101195519{number}::5f596936-6f23-4cef-bdf1-3806aae57db{number}",
        "activity_type": kind,
        "date": "2023-07-21",
        "net_amount": money,
        "description": "Option event",
        "symbol": symbol,
        "qty": quantity,
        "status": "executed",
        **more,
    }


@pytest.mark.parametrize(
    ("kind", "quantity", "side"),
    [("OPEXP", "-2", Side.SELL), ("OPEXP", "2", Side.BUY), ("OPEXC", "-2", Side.SELL), ("OPASN", "2", Side.BUY)],
)
def test_contracts_that_are_gone_left_at_nothing_after_all_that_was_traded_that_day(
    alpaca: AlpacaBroker, fake: FakeAlpaca, kind: str, quantity: str, side: Side
) -> None:
    fake.activities.append(event(1, kind, quantity))
    [gone] = alpaca.fills(ACCOUNT, limit=9)
    assert (gone.symbol, gone.side, gone.filled_at) == (CALL, side, DAY_END)
    assert (gone.quantity, gone.price) == (Decimal(2), Decimal(0))
    [line] = alpaca.transactions(ACCOUNT, start=None, end=None, limit=9, kinds=["trade"])
    assert (line.kind, line.amount, line.quantity) == ("trade", Decimal(0), Decimal(quantity))


def test_shares_of_an_assignment_went_at_what_was_paid_for_them(alpaca: AlpacaBroker, fake: FakeAlpaca) -> None:
    fake.activities += [
        event(1, "OPASN", "2"),
        event(2, "OPTRD", "-200", "AAPL", "30000", price="90"),
        event(3, "OPTRD", "100", "AAPL", created_at="2023-07-21T20:05:00Z", price="150"),
    ]
    bought, sold, assigned = alpaca.fills(ACCOUNT, limit=9)
    assert (sold.side, sold.quantity, sold.price, sold.filled_at) == (Side.SELL, Decimal(200), Decimal(150), DAY_END)
    assert (bought.side, bought.price) == (Side.BUY, Decimal(150))
    assert bought.filled_at == datetime(2023, 7, 21, 20, 5, tzinfo=UTC)
    assert (assigned.side, assigned.price) == (Side.BUY, Decimal(0))
    assert alpaca.transactions(ACCOUNT, start=None, end=None, limit=9)[1].amount == 30000
    assert [each.symbol for each in alpaca.fills(ACCOUNT, limit=9, symbol=CALL)] == [CALL]


@pytest.mark.parametrize("odd", ["some", "0", None])
def test_an_event_that_cannot_be_read_is_left_out_by_name(
    alpaca: AlpacaBroker, fake: FakeAlpaca, odd: str | None
) -> None:
    unread = event(1, "OPEXP", "-1")
    fake.activities += [unread | {"qty": odd}, event(2, "OPEXP", "-3")]
    assert [each.quantity for each in alpaca.fills(ACCOUNT, limit=9)] == [3]
    assert [each.row for each in alpaca.unknown_words] == [f"activity {unread['id']}"]
