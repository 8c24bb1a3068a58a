"""What the paper broker answers beside orders: sessions and holidays, rates, depth, prints and pages of fills."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from brokers.errors import InvalidAccount, InvalidRequest, NoRate
from brokers.paper.adapter import PaperBroker
from brokers.paper.bar_imports import import_bars
from brokers.types import AssetClass, BarSize, MarketDay, SessionState

from .support import Clock, open_broker, order

pytestmark = pytest.mark.django_db


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def stocks(moment: str, day: date | None = None) -> MarketDay:
    broker, _ = open_broker(Clock(at(moment)), hours="venue")
    (found,) = broker.market_hours(day=day, market="stocks")
    return found


def imported(symbol: str, *closes: str) -> None:
    """Daily bars of a recorded pair, which play in a loop."""
    lines = ["date,open,high,low,close,volume"]
    lines += [
        f"{date(2020, 1, 1) + timedelta(days=place)},{close},{close},{close},{close},1"
        for place, close in enumerate(closes)
    ]
    import_bars(
        lines,
        symbol=symbol,
        name="Pair",
        asset_class=AssetClass.CRYPTO,
        currency=symbol[-3:],
        tick=Decimal("0.0001"),
        minimum=None,
    )


def test_an_open_session_says_when_it_closes_and_when_the_next_opens() -> None:
    friday = stocks("2026-11-20 15:33:20")
    assert (friday.state, friday.why, friday.day) == (SessionState.OPEN, "regular", date(2026, 11, 20))
    assert (friday.opens, friday.closes) == (at("2026-11-20 14:30:00"), at("2026-11-20 21:00:00"))
    assert (friday.next_close, friday.next_open) == (at("2026-11-20 21:00:00"), at("2026-11-23 14:30:00"))


def test_a_closed_market_says_why_and_until_when() -> None:
    saturday = stocks("2026-11-21 15:00:00")
    assert (saturday.state, saturday.why, saturday.opens) == (SessionState.CLOSED, "weekend", None)
    assert (saturday.next_open, saturday.next_close) == (at("2026-11-23 14:30:00"), at("2026-11-23 21:00:00"))
    thanksgiving = stocks("2026-11-26 15:00:00")
    assert (thanksgiving.state, thanksgiving.why) == (SessionState.CLOSED, "holiday")
    assert thanksgiving.exceptions[:3] == (
        (date(2026, 11, 26), "holiday"),
        (date(2026, 11, 27), "early_close"),
        (date(2026, 12, 24), "early_close"),
    )


def test_today_is_the_day_it_is_in_new_york() -> None:
    assert stocks("2026-11-21 03:00:00").day == date(2026, 11, 20)


def test_a_year_whose_holidays_are_not_known_says_so() -> None:
    assert "Holidays of this year are unknown" in stocks("2026-11-20 15:00:00", date(2031, 12, 25)).note
    assert stocks("2026-11-20 15:00:00", date(2026, 12, 25)).note == ""


def test_crypto_never_closes_and_there_is_no_third_market() -> None:
    broker, _ = open_broker(Clock(), hours="venue")
    first, second = broker.market_hours()
    assert (first.market, second.market, second.next_close) == ("stocks", "crypto", None)
    with pytest.raises(InvalidRequest, match="only stocks and crypto"):
        broker.market_hours(market="forex")


def test_a_rate_comes_from_a_pair_that_was_imported_either_way_round() -> None:
    imported("EUR/USD", "1.25", "1.25")
    broker, _ = open_broker(Clock())
    assert broker.exchange_rate("EUR", "USD").rate == Decimal("1.25")
    turned = broker.exchange_rate("USD", "EUR")
    assert turned.rate == Decimal("0.8") and turned.source.startswith("1 divided by EUR/USD")
    for base, quote in (("BTC", "USD"), ("USD", "BTC"), ("GBP", "USD"), ("XXX", "XXX")):
        with pytest.raises(NoRate):
            broker.exchange_rate(base, quote)


def test_the_book_is_the_same_for_the_same_minute_and_moves_with_the_next() -> None:
    clock = Clock()
    broker, _ = open_broker(clock)
    first = broker.order_book("AAPL", 5)
    clock.advance(seconds=20)
    assert broker.order_book("AAPL", 5) == first
    clock.advance(minutes=1)
    assert broker.order_book("AAPL", 5) != first


def test_a_daily_series_has_one_print_a_day_and_no_minute_bars() -> None:
    imported("EUR/USD", "1.25", "1.3", "1.35")
    broker, _ = open_broker(Clock())
    found = broker.prints("EUR/USD", 3)
    assert sorted(each.price for each in found.prints) == [Decimal("1.25"), Decimal("1.3"), Decimal("1.35")]
    assert {each.at.hour for each in found.prints} == {0} and "1d bar" in found.note
    with pytest.raises(InvalidRequest, match="daily bars only"):
        broker.bars("EUR/USD", BarSize.MINUTE)


def test_fills_go_on_after_a_fill_and_never_after_one_of_another_account() -> None:
    clock = Clock()
    broker, account = open_broker(clock)
    other, others = open_broker(clock)
    for place in range(3):
        broker.submit(account.key, order("BUY", str(place + 1)))
        other.submit(others.key, order("BUY", "9"))
    newest_first = broker.fills(account.key, limit=10)
    assert [fill.quantity for fill in newest_first] == [3, 2, 1]
    rest = broker.fills(account.key, limit=1, after=newest_first[0].fill_id)
    assert [fill.quantity for fill in rest] == [2]
    (foreign, *_) = other.fills(others.key, limit=1)
    for unknown in (foreign.fill_id, "P-NOBODY-1", "'; --"):
        with pytest.raises(InvalidRequest):
            broker.fills(account.key, limit=1, after=unknown)
    with pytest.raises(InvalidAccount):
        broker.fills(others.key, limit=1)
    with pytest.raises(InvalidAccount):
        broker.fees(others.key)


def test_screens_see_every_instrument_of_a_kind() -> None:
    broker: PaperBroker
    broker, _ = open_broker(Clock())
    assert len(broker.instruments(limit=100)) == 25
    assert [each.symbol for each in broker.instruments(asset_class=AssetClass.ETF, limit=2)] == ["SPY", "QQQ"]
