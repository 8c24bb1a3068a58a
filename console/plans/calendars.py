"""On which days and at which time a recurring order goes: the trading days of the exchange, with its holidays and early
closes.
"""

import calendar
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

from brokers import market_hours
from brokers.base import Broker
from brokers.market_calendars import EXCHANGES
from brokers.types import Ability, AssetClass, Instrument
from console.errors import Code, Refusal

_EPOCH = date(1970, 1, 1)
_BEFORE_CLOSE = timedelta(minutes=15)
"""On a day that ends early, an order that would come after its end goes so long before it."""
_NEW_YORK = frozenset({"XNYS", "XNAS", "ARCX", "BATS", "XASE", ""})
_LONGEST_BREAK = 15
"""Days in a row without trade, at most."""


class Every(StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


def of(broker: Broker, instrument: Instrument) -> str:
    """The kind of hours, as ``brokers.market_hours`` has them. Raises Refusal where they are not known, BrokerError."""
    kind = instrument.asset_class
    if kind in (AssetClass.CRYPTO, AssetClass.PERPETUAL):
        return market_hours.ALWAYS
    if Ability.MARKET_HOURS in broker.capabilities.abilities:
        days = [each for each in broker.market_hours() if kind in each.asset_classes]
        if days and all(each.why == "always_open" for each in days):
            return market_hours.ALWAYS
    if instrument.venue in EXCHANGES:
        return instrument.venue
    if kind in (AssetClass.STOCK, AssetClass.ETF) and instrument.currency == "USD" and instrument.venue in _NEW_YORK:
        return market_hours.VENUE
    raise Refusal(
        Code.NOT_OFFERED_BY_BROKER,
        f"The calendar of the exchange of {instrument.symbol} is not known here, so no recurring order can be planned.",
        field="symbol",
    )


def times(kind: str, every: Every, at: time | None, count: int, now: datetime) -> list[datetime]:
    """The next ``count`` times after ``now``, in UTC; ``at`` is in the exchange's time.

    A day of a week or of a month on which the exchange is closed is the next trading day. Raises Refusal.
    """
    venue = market_hours.exchange(kind)
    zone = venue.zone if venue else UTC
    here = now.astimezone(zone)
    at = at or _usual_time(kind, here)
    found: list[datetime] = []
    last: date | None = None
    for day in _days(every, here.date()):
        on = day
        for _ in range(_LONGEST_BREAK):
            if market_hours.trading_day(kind, (on - _EPOCH).days):
                break
            if every is Every.DAY:
                break
            on += timedelta(days=1)
        spans = market_hours.trading_day(kind, (on - _EPOCH).days)
        if not spans or on == last:
            continue
        when = _within(kind, datetime.combine(on, at, zone), spans)
        if when <= now:
            continue
        last = on
        found.append(when.astimezone(UTC))
        if len(found) == count:
            break
    return found


def _usual_time(kind: str, here: datetime) -> time:
    """An hour after the opening; for what never closes, the time it is."""
    venue = market_hours.exchange(kind)
    if venue is None:
        return here.time().replace(second=0, microsecond=0)
    opens = datetime.combine(here.date(), venue.spans[-1][0]) + timedelta(hours=1)
    return opens.time()


def _within(kind: str, when: datetime, spans: market_hours.Spans) -> datetime:
    """Raises Refusal for a time at which it never trades."""
    minute = market_hours.minute_of(when)
    if any(opened <= minute < closed for opened, closed in spans):
        return when
    closes = market_hours.at_minute(spans[-1][1])
    venue = market_hours.exchange(kind)
    usual = None if venue is None else max(closed for _, closed in venue.spans)
    if usual is not None and when >= closes and when.time() < usual:  # it ends early on that day
        return closes - _BEFORE_CLOSE
    raise Refusal(
        Code.INVALID_ARGUMENT,
        f"At {when:%H:%M} {market_hours.place(kind)} time this market is closed. Choose a time within its hours.",
        field="at",
    )


def _days(every: Every, first: date) -> Iterator[date]:
    """Without end, from ``first`` on."""
    number = 0
    while True:
        if every is Every.MONTH:
            year, month = divmod(first.year * 12 + first.month - 1 + number, 12)
            yield date(year, month + 1, min(first.day, calendar.monthrange(year, month + 1)[1]))
        else:
            yield first + timedelta(days=number * (7 if every is Every.WEEK else 1))
        number += 1
