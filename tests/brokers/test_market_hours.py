"""Sessions of the simulated stock market, and what they do to orders."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from brokers import market_hours
from brokers.errors import MarketClosed
from brokers.paper import accounts
from brokers.types import BarSize, BrokerStatus
from tests.brokers.paper.support import NOON, Clock, open_broker, order


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-11-20 14:29:59", False),
        ("2026-11-20 14:30:00", True),  # 09:30 in New York, winter
        ("2026-11-20 20:59:59", True),
        ("2026-11-20 21:00:00", False),
        ("2026-07-02 13:30:00", True),  # 09:30 in New York, summer
        ("2026-07-02 20:00:00", False),
        ("2026-07-03 15:00:00", False),  # Independence Day, observed
        ("2026-11-26 16:00:00", False),  # Thanksgiving
        ("2026-11-27 17:59:00", True),
        ("2026-11-27 18:00:00", False),  # half day
        ("2026-11-21 16:00:00", False),  # Saturday
        ("2027-12-24 16:00:00", False),
        ("2028-07-03 17:30:00", False),  # half day, summer
    ],
)
def test_the_venue_keeps_new_york_hours(moment: str, is_open: bool) -> None:
    assert market_hours.is_open(market_hours.VENUE, at(moment)) is is_open
    assert market_hours.is_open(market_hours.ALWAYS, at(moment))


@pytest.mark.parametrize(
    ("kind", "moment", "end"),
    [
        (market_hours.ALWAYS, "2026-11-20 00:00:00", "2026-11-21 00:00:00"),
        (market_hours.ALWAYS, "2026-11-20 23:59:59", "2026-11-21 00:00:00"),
        (market_hours.VENUE, "2026-11-20 15:00:00", "2026-11-20 21:00:00"),
        (market_hours.VENUE, "2026-11-20 21:00:00", "2026-11-23 21:00:00"),
        (market_hours.VENUE, "2026-11-25 22:00:00", "2026-11-27 18:00:00"),
        (market_hours.VENUE, "2026-07-06 02:00:00", "2026-07-06 20:00:00"),
    ],
)
def test_a_day_order_lives_to_the_end_of_its_session(kind: str, moment: str, end: str) -> None:
    assert market_hours.session_end(kind, at(moment)) == at(end)


@pytest.mark.django_db
def test_market_orders_wait_for_the_bell_and_bitcoin_does_not() -> None:
    clock = Clock(at("2026-11-21 12:00:00"))
    broker, account = open_broker(clock, hours="venue")
    with pytest.raises(MarketClosed, match=r"until Monday 23 November 2026, 09:30 New York time"):
        broker.submit(account.key, order("BUY", "1"))
    with pytest.raises(MarketClosed):
        broker.preview(account.key, order("BUY", "1", limit="900", tif="IOC"))
    assert broker.submit(account.key, order("BUY", "0.1", "BTC")).status is BrokerStatus.FILLED


@pytest.mark.django_db
def test_a_limit_placed_while_closed_rests_and_fills_at_the_open() -> None:
    clock = Clock(at("2026-11-21 12:00:00"))
    broker, account = open_broker(clock, hours="venue")
    resting = broker.submit(account.key, order("BUY", "1", limit="900", tif="DAY"))
    assert resting.status is BrokerStatus.WORKING
    clock.now = at("2026-11-23 14:30:59")
    assert accounts.match_resting(clock.now) == 0
    clock.now = at("2026-11-23 14:31:00")
    assert accounts.match_resting(clock.now) == 1
    (fill,) = (broker.order(account.key, resting.client_order_id) or resting).fills
    (first,) = broker.bars("AAPL", BarSize.MINUTE, limit=1)
    assert (fill.price, fill.filled_at) == (first.open, clock.now)
    assert first.start == at("2026-11-23 14:30:00")


@pytest.mark.django_db
@pytest.mark.parametrize(("kind", "end"), [("always", "2026-11-21 00:00:00"), ("venue", "2026-11-20 21:00:00")])
def test_a_day_order_expires_on_time_and_gives_its_cash_back(kind: str, end: str) -> None:
    clock = Clock(NOON)
    broker, account = open_broker(clock, hours=kind)
    day = broker.submit(account.key, order("BUY", "1", limit="1", tif="DAY"))
    lasting = broker.submit(account.key, order("BUY", "1", limit="1", tif="GTC"))
    clock.now = at(end) - timedelta(seconds=1)
    assert accounts.match_resting(clock.now) == 0
    clock.now = at(end)
    assert accounts.match_resting(clock.now) == 1
    found = broker.order(account.key, day.client_order_id)
    assert found is not None
    assert (found.status, found.updated_at) == (BrokerStatus.EXPIRED, at(end))
    assert broker.account_state(account.key).cash[0].reserved == Decimal(2)
    kept = broker.order(account.key, lasting.client_order_id)
    assert kept is not None and kept.status is BrokerStatus.WORKING


@pytest.mark.django_db
def test_a_day_order_placed_in_the_last_seconds_expires_at_midnight() -> None:
    clock = Clock(at("2026-11-20 23:59:30"))
    broker, account = open_broker(clock)
    broker.submit(account.key, order("BUY", "1", limit="1", tif="DAY"))
    assert accounts.match_resting(at("2026-11-21 00:00:00")) == 1


@pytest.mark.django_db
def test_a_quote_outside_the_session_is_the_last_close_and_says_so() -> None:
    clock = Clock(at("2026-11-22 12:00:00"))
    broker, _ = open_broker(clock, hours="venue")
    (quote,) = broker.quotes(["MSFT"])
    (day,) = broker.bars("MSFT", BarSize.DAY, limit=1)
    assert quote.as_of == at("2026-11-20 21:00:00")
    assert (quote.last, quote.open, quote.high, quote.low) == (day.close, day.open, day.high, day.low)
    assert day.start == at("2026-11-20 00:00:00")


def test_daily_bars_of_the_venue_skip_weekends_and_holidays() -> None:
    days = [
        market_hours.session(market_hours.VENUE, day) for day in range(20_783, 20_790)
    ]  # from Thursday 26 November 2026
    assert [found is not None for found in days] == [False, True, False, False, True, True, True]


# Closed days and early closes (13:00) of NYSE and Nasdaq: QuantConnect/Lean, Data/market-hours, Equity-usa, commit
# 2486390, Apache-2.0.
PUBLISHED = {
    2026: ("01-01 01-19 02-16 04-03 05-25 06-19 07-03 09-07 11-26 12-25", "11-27 12-24"),
    2027: ("01-01 01-18 02-15 03-26 05-31 06-18 07-05 09-06 11-25 12-24", "11-26"),
    2028: ("01-17 02-21 04-14 05-29 06-19 07-04 09-04 11-23 12-25", "07-03 11-24"),
}


@pytest.mark.parametrize("year", sorted(PUBLISHED))
def test_every_day_of_the_year_is_what_the_exchanges_published(year: int) -> None:
    closed, early = (set(days.split()) for days in PUBLISHED[year])
    day = datetime(year, 1, 1, tzinfo=UTC)
    while day.year == year:
        found = market_hours.session(market_hours.VENUE, market_hours.minute_of(day) // market_hours.DAY_MINUTES)
        name = f"{day:%m-%d}"
        if day.weekday() >= 5 or name in closed:
            assert found is None, day
        else:
            assert found is not None, day
            assert found[1] - found[0] == (210 if name in early else 390), day
        day += timedelta(days=1)


@pytest.mark.parametrize(
    ("sold", "days", "spendable"),
    [
        ("2026-11-20 15:00:00", 1, "2026-11-23 00:00:00"),  # over a weekend
        ("2026-11-25 15:00:00", 1, "2026-11-27 00:00:00"),  # over Thanksgiving
        ("2026-11-25 15:00:00", 2, "2026-11-30 00:00:00"),
    ],
)
def test_settlement_counts_business_days(sold: str, days: int, spendable: str) -> None:
    assert market_hours.settles(market_hours.VENUE, at(sold), days) == at(spendable)
