"""Recurring orders go on trading days of the exchange, at a time of its own clock."""

from datetime import UTC, datetime, time

import pytest

from brokers import market_hours
from console.errors import Code, Refusal
from console.plans import calendars
from console.plans.calendars import Every

NEW_YORK = market_hours.VENUE
BEFORE_CHRISTMAS = datetime(2026, 12, 22, 12, 0, tzinfo=UTC)


def spoken(found: list[datetime]) -> list[str]:
    return [f"{each:%m-%d %H:%M}" for each in found]


def test_every_day_leaves_out_weekends_and_holidays() -> None:
    found = calendars.times(NEW_YORK, Every.DAY, time(10, 30), 4, BEFORE_CHRISTMAS)
    assert spoken(found) == ["12-22 15:30", "12-23 15:30", "12-24 15:30", "12-28 15:30"]


def test_a_day_that_is_a_holiday_is_the_next_trading_day() -> None:
    found = calendars.times(NEW_YORK, Every.MONTH, time(10, 30), 2, datetime(2026, 11, 26, 12, 0, tzinfo=UTC))
    assert spoken(found) == ["11-27 15:30", "12-28 15:30"]


def test_a_day_that_ends_early_brings_it_forward() -> None:
    found = calendars.times(NEW_YORK, Every.WEEK, time(15, 0), 2, datetime(2026, 12, 17, 12, 0, tzinfo=UTC))
    assert spoken(found) == ["12-17 20:00", "12-24 17:45"]


def test_the_clock_of_the_exchange_decides_when_summer_time_begins() -> None:
    found = calendars.times(NEW_YORK, Every.WEEK, time(10, 30), 2, datetime(2026, 3, 6, 12, 0, tzinfo=UTC))
    assert spoken(found) == ["03-06 15:30", "03-13 14:30"]


def test_a_month_without_that_day_takes_its_last() -> None:
    found = calendars.times(market_hours.ALWAYS, Every.MONTH, time(9, 0), 3, datetime(2027, 1, 31, 8, 0, tzinfo=UTC))
    assert spoken(found) == ["01-31 09:00", "02-28 09:00", "03-31 09:00"]


def test_a_time_at_which_it_never_trades_is_refused() -> None:
    with pytest.raises(Refusal) as refused:
        calendars.times(NEW_YORK, Every.DAY, time(20, 0), 2, BEFORE_CHRISTMAS)
    assert (refused.value.code, refused.value.field) == (Code.INVALID_ARGUMENT, "at")
