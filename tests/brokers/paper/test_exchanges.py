"""Exchanges other than New York's: their days, and what they do to the orders in a series that keeps their hours.

The facts below were read by a person, not by ``make calendars``, for the years 2026 and 2027: London, Xetra and Tokyo
from exchange_calendars 4.13.2 (Apache-2.0), CME's equity index futures from pandas_market_calendars 5.5.0 (MIT). The
week of foreign exchange is that of Forex-interactivebrokers in QuantConnect/Lean, Data/market-hours, commit 2486390
(Apache-2.0), its two holidays those of Forex-oanda there. Where sources differ: docs/reference/calendars.md. Oanda
pauses from 16:58 to 17:03 in New York, Interactive Brokers not at all: no pause here.
"""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.core.management import CommandError, call_command

from brokers import market_hours
from brokers.errors import InvalidOrder, MarketClosed
from brokers.paper import accounts, trading_sessions
from brokers.paper.adapter import PaperBroker
from brokers.paper.bar_imports import ImportRefused, import_bars
from brokers.paper.models import PaperAccount
from brokers.types import AssetClass, BarSize, BrokerStatus, SessionState

from .support import Clock, order

NEW_YORK = "America/New_York"
USUAL = {
    "XLON": ("Europe/London", "08:00-16:30"),
    "XETR": ("Europe/Berlin", "09:00-17:30"),
    "XTKS": ("Asia/Tokyo", "09:00-11:30 12:30-15:30"),
    "CME": (NEW_YORK, "18:00-17:00"),
    "FX": (NEW_YORK, "17:00-17:00"),
}
CLOSED = {
    ("XLON", 2026): "01-01 04-03 04-06 05-04 05-25 08-31 12-25 12-28",
    ("XLON", 2027): "01-01 03-26 03-29 05-03 05-31 08-30 12-27 12-28",
    ("XETR", 2026): "01-01 04-03 04-06 05-01 12-24 12-25 12-31",
    ("XETR", 2027): "01-01 03-26 03-29 12-24 12-31",
    ("XTKS", 2026): "01-01 01-02 01-12 02-11 02-23 03-20 04-29 05-04 05-05 05-06 07-20 08-11 09-21 09-22 09-23 10-12 "
    "11-03 11-23 12-31",
    ("XTKS", 2027): "01-01 01-11 02-11 02-23 03-22 04-29 05-03 05-04 05-05 07-19 08-11 09-20 09-23 10-11 11-03 11-23 "
    "12-31",
    ("CME", 2026): "01-01 12-25",
    ("CME", 2027): "01-01 03-26 12-24",
    ("FX", 2026): "01-01 12-25",
    ("FX", 2027): "01-01",
}
EARLY = {
    ("XLON", 2026): {"12:30": "12-24 12-31"},
    ("XLON", 2027): {"12:30": "12-24 12-31"},
    ("XETR", 2026): {"14:00": "12-30"},
    ("XETR", 2027): {"14:00": "12-30"},
    ("CME", 2026): {
        "09:15": "04-03",
        "13:00": "01-19 02-16 05-25 06-19 07-03 09-07 11-26",
        "13:15": "11-27 12-24",
    },
    ("CME", 2027): {"13:00": "01-18 02-15 05-31 06-18 07-05 09-06 11-25", "13:15": "11-26"},
}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def expected(code: str, on: date) -> list[tuple[datetime, datetime]]:
    """The spans of a day by the facts above, naively."""
    if on.weekday() >= 5 or f"{on:%m-%d}" in CLOSED[code, on.year].split():
        return []
    zone, usual = USUAL[code]
    early = [close for close, days in EARLY.get((code, on.year), {}).items() if f"{on:%m-%d}" in days.split()]
    found = []
    for span in usual.split():
        opens, closes = (time.fromisoformat(part) for part in span.split("-"))
        closes = min([closes, *map(time.fromisoformat, early)])
        began = on - timedelta(days=opens >= time.fromisoformat(span.split("-")[1]))
        found.append((datetime.combine(began, opens, ZoneInfo(zone)), datetime.combine(on, closes, ZoneInfo(zone))))
    return found


@pytest.mark.parametrize(("code", "year"), sorted(CLOSED))
def test_every_day_of_the_year_is_what_was_published(code: str, year: int) -> None:
    day = date(year, 1, 1)
    minutes = market_hours.traded(code, market_hours.minute_of(datetime(year, 1, 1, tzinfo=UTC)))
    while day.year == year:
        number = (day - date(1970, 1, 1)).days
        spans = expected(code, day)
        assert market_hours.trading_day(code, number) == tuple(
            (market_hours.minute_of(opens), market_hours.minute_of(closes)) for opens, closes in spans
        ), day
        day += timedelta(days=1)
    assert minutes < market_hours.traded(code, market_hours.minute_of(datetime(year, 12, 31, tzinfo=UTC)))


@pytest.mark.parametrize("code", sorted(USUAL))
def test_minutes_traded_are_those_that_are_open(code: str) -> None:
    start = at("2026-11-24 00:00:00")
    first = market_hours.minute_of(start)
    open_minutes = 0
    for minute in range(first, first + 7 * 1440):
        assert market_hours.traded(code, minute) - market_hours.traded(code, first) == open_minutes
        open_minutes += market_hours.is_open(code, market_hours.at_minute(minute))
    assert open_minutes > 1500


@pytest.mark.parametrize(
    ("code", "moment", "is_open"),
    [
        ("XLON", "2026-11-20 07:59:59", False),
        ("XLON", "2026-11-20 08:00:00", True),
        ("XLON", "2026-07-01 07:00:00", True),  # summer time
        ("XLON", "2026-12-24 12:30:00", False),
        ("XETR", "2026-11-20 16:29:59", True),
        ("XETR", "2026-12-30 13:00:00", False),
        ("XTKS", "2026-11-20 02:29:59", True),
        ("XTKS", "2026-11-20 02:30:00", False),  # lunch
        ("XTKS", "2026-11-20 03:30:00", True),
        ("CME", "2026-11-20 21:59:59", True),
        ("CME", "2026-11-20 22:00:00", False),  # Friday evening
        ("CME", "2026-11-22 23:00:00", True),  # Sunday evening
        ("CME", "2026-11-23 22:30:00", False),  # the daily break
        ("CME", "2026-11-26 18:00:00", False),  # Thanksgiving, 13:00
        ("CME", "2026-11-26 23:00:00", True),
        ("FX", "2026-11-22 21:59:59", False),
        ("FX", "2026-11-22 22:00:00", True),  # Sunday 17:00 in New York
        ("FX", "2026-11-24 22:00:00", True),
        ("FX", "2026-11-27 22:00:00", False),
        ("FX", "2026-12-25 12:00:00", False),
    ],
)
def test_an_exchange_is_open_when_its_own_clock_says_so(code: str, moment: str, is_open: bool) -> None:
    assert market_hours.is_open(code, at(moment)) is is_open


@pytest.mark.parametrize(
    ("code", "moment", "end"),
    [
        ("XLON", "2026-11-20 12:00:00", "2026-11-20 16:30:00"),
        ("XETR", "2026-12-23 17:00:00", "2026-12-28 16:30:00"),
        ("XTKS", "2026-11-20 03:00:00", "2026-11-20 06:30:00"),  # at lunch
        ("CME", "2026-11-22 23:30:00", "2026-11-23 22:00:00"),
        ("FX", "2026-11-20 23:00:00", "2026-11-23 22:00:00"),
    ],
)
def test_a_day_order_lives_to_the_end_of_its_trading_day(code: str, moment: str, end: str) -> None:
    assert market_hours.session_end(code, at(moment)) == at(end)


def recorded(
    clock: Clock, exchange: str, *bars: str, daily: bool = False, kind: str = "venue"
) -> tuple[PaperBroker, PaperAccount]:
    start = datetime(2024, 5, 1, tzinfo=UTC)
    step = timedelta(days=1) if daily else timedelta(minutes=1)
    lines = ["date,open,high,low,close,volume" if daily else "ts,open,high,low,close,volume"]
    for place, bar in enumerate(bars):
        moment = start + place * step
        lines.append(f"{moment.date() if daily else moment.isoformat()},{','.join(bar.split())},10")
    import_bars(lines, symbol="VOD", name="Voda", asset_class=AssetClass.STOCK, exchange=exchange)
    account = accounts.open_account("E", Decimal(100_000), hours=kind, preset="frictionless", now=clock.now)
    return PaperBroker.open({"account": account.key}, clock=clock), account


RISING = [f"{price} {price} {price} {price}" for price in range(100, 200)]


@pytest.mark.django_db
def test_a_recording_plays_only_while_its_exchange_trades() -> None:
    clock = Clock(at("2026-11-20 16:29:30"))
    broker, account = recorded(clock, "XLON", *RISING)
    (before,) = broker.quotes(["VOD"])
    clock.now = at("2026-11-20 16:30:00")
    (close,) = broker.quotes(["VOD"])
    clock.now = at("2026-11-23 07:00:00")
    assert broker.quotes(["VOD"]) == [close]
    assert (close.last - before.last) % 100 == 1 and close.as_of == at("2026-11-20 16:30:00")
    with pytest.raises(MarketClosed, match="until Monday 23 November 2026, 08:00 London time"):
        broker.submit(account.key, order("BUY", "1", "VOD"))
    clock.now = at("2026-11-23 08:01:00")
    (opened,) = broker.quotes(["VOD"])
    assert (opened.last - close.last) % 100 == 1
    found = broker.bars("VOD", BarSize.MINUTE, limit=2)
    assert [bar.start for bar in found] == [at("2026-11-20 16:29:00"), at("2026-11-23 08:00:00")]
    assert broker.instrument("VOD").hours == "08:00 to 16:30 London time on exchange days"


@pytest.mark.django_db
def test_orders_for_the_opening_the_closing_and_the_day_go_by_the_exchange() -> None:
    clock = Clock(at("2026-11-20 02:45:00"))  # Tokyo is at lunch
    broker, account = recorded(clock, "XTKS", *RISING)
    sent = {tif: broker.submit(account.key, order("BUY", "1", "VOD", tif=tif)) for tif in ("OPG", "CLS")}
    sent["DAY"] = broker.submit(account.key, order("BUY", "1", "VOD", limit="1", tif="DAY"))
    found = {}
    clock.now = at("2026-11-25 00:00:00")  # Monday was a holiday
    for tif, one in sent.items():
        answer = broker.order(account.key, one.client_order_id)
        assert answer is not None
        found[tif] = (answer.status, answer.updated_at)
    assert found == {
        "OPG": (BrokerStatus.FILLED, at("2026-11-24 00:01:00")),
        "CLS": (BrokerStatus.FILLED, at("2026-11-20 06:30:00")),
        "DAY": (BrokerStatus.EXPIRED, at("2026-11-20 06:30:00")),
    }


@pytest.mark.django_db
@pytest.mark.parametrize(("exchange", "words"), [("CME", "no auctions at CME"), ("FX", "no auctions at Foreign")])
def test_where_there_is_no_auction_none_is_offered(exchange: str, words: str) -> None:
    clock = Clock(at("2026-11-19 12:00:00"))
    broker, account = recorded(clock, exchange, *RISING)
    with pytest.raises(InvalidOrder, match=words):
        broker.submit(account.key, order("BUY", "1", "VOD", tif="CLS"))


@pytest.mark.django_db
def test_a_daily_recording_advances_by_one_bar_each_trading_day() -> None:
    clock = Clock(at("2026-11-21 12:00:00"))  # Saturday
    broker, account = recorded(clock, "XETR", *RISING, daily=True)
    (friday,) = broker.quotes(["VOD"])
    assert friday.as_of == at("2026-11-21 00:00:00")
    clock.now = at("2026-11-24 10:00:00")
    (monday,) = broker.quotes(["VOD"])
    assert (monday.last - friday.last) % 100 == 1
    days = broker.bars("VOD", BarSize.DAY, limit=3)
    assert [f"{bar.start:%m-%d}" for bar in days] == ["11-19", "11-20", "11-23"]
    assert broker.submit(account.key, order("BUY", "1", "VOD")).average_price == monday.last
    with pytest.raises(InvalidOrder, match="daily bars only"):
        broker.submit(account.key, order("BUY", "1", "VOD", tif="OPG"))


@pytest.mark.django_db
def test_on_an_account_that_is_always_open_a_recording_plays_at_all_hours() -> None:
    clock = Clock(at("2026-11-21 12:00:00"))
    broker, account = recorded(clock, "XLON", *RISING, kind="always")
    assert broker.submit(account.key, order("BUY", "1", "VOD")).status is BrokerStatus.FILLED


@pytest.mark.django_db
def test_the_markets_of_imported_series_are_told_with_their_hours() -> None:
    clock = Clock(at("2026-11-22 23:30:00"))
    broker, _ = recorded(clock, "CME", *RISING)
    (found,) = broker.market_hours(market="CME")
    assert (found.state, found.day, found.why) == (SessionState.OPEN, date(2026, 11, 23), "regular")
    assert (found.opens, found.closes) == (at("2026-11-22 23:00:00"), at("2026-11-23 22:00:00"))
    assert (date(2026, 11, 26), "early_close") in found.exceptions
    assert [each.market for each in broker.market_hours()] == ["stocks", "crypto", "CME"]


@pytest.mark.django_db
def test_an_exchange_that_is_not_known_is_refused() -> None:
    with pytest.raises(ImportRefused, match="Unknown exchange 'XPAR'"):
        recorded(Clock(), "XPAR", *RISING)
    with pytest.raises(CommandError, match="invalid choice"):
        call_command("import_bars", "x.csv", "--symbol=A", "--name=A", "--asset-class=stock", "--exchange=XPAR")


@pytest.mark.django_db
def test_proceeds_settle_on_the_business_days_of_the_exchange() -> None:
    clock = Clock(at("2026-11-20 05:00:00"))  # a Friday; Monday is a holiday in Tokyo and none in New York
    recorded(clock, "XTKS", *RISING)
    account = accounts.open_account("S", Decimal(100_000), hours="venue", settlement_days=1, now=clock.now)
    broker = PaperBroker.open({"account": account.key}, clock=clock)
    broker.submit(account.key, order("BUY", "1", "VOD"))
    broker.submit(account.key, order("SELL", "1", "VOD"))
    clock.now = at("2026-11-23 12:00:00")
    assert broker.account_state(account.key).cash[0].unsettled > 0
    clock.now = at("2026-11-24 00:00:00")
    assert broker.account_state(account.key).cash[0].unsettled == 0


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("today", "is_warned"),
    [("2027-09-30 15:00:00", False), ("2027-10-05 15:00:00", True), ("2027-12-30 15:00:00", True)],
)
def test_a_quarter_before_its_holidays_end_a_market_says_so(today: str, is_warned: bool) -> None:
    day = at(today)
    (market,) = trading_sessions.markets("CME", day, day=None, market="stocks")
    assert market.known_until == date(2027, 12, 31)
    assert ("Update Tradelatch" in market.note) is is_warned


def test_equity_index_futures_trade_the_morning_of_a_good_friday_with_a_report_on_jobs() -> None:
    assert market_hours.is_open("CME", at("2026-04-03 13:14:00")), "09:14 in New York"
    assert not market_hours.is_open("CME", at("2026-04-03 13:15:00"))
    assert not market_hours.is_open("CME", at("2027-03-26 12:00:00")), "a Good Friday without one"


def test_equity_index_futures_close_a_quarter_past_on_half_days_of_the_stock_exchange() -> None:
    assert market_hours.is_open("CME", at("2026-11-27 18:14:00"))
    assert not market_hours.is_open("CME", at("2026-11-27 18:15:00"))
    assert not market_hours.is_open("CME", at("2026-11-26 18:00:00")), "on the holiday itself it is 13:00"
