"""The paper markets' days as a person asks for them: open or not, from when to when, and why not."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from brokers.errors import InvalidRequest
from brokers.paper import hours
from brokers.types import AssetClass, MarketDay, SessionState

STOCKS, CRYPTO = "stocks", "crypto"
_TRADED = {
    STOCKS: frozenset({AssetClass.STOCK, AssetClass.ETF}),
    CRYPTO: frozenset({AssetClass.CRYPTO}),
}

_EPOCH = date(1970, 1, 1)
_NEW_YORK = "America/New_York"
_REGULAR_MINUTES = 390
_AHEAD = 60
"""Days whose exceptions are told."""

_WORDS = {
    hours.ALWAYS: "at all hours, every day",
    hours.VENUE: "09:30 to 16:00 New York time on exchange days",
}


def words(kind: str) -> str:
    return _WORDS[kind]


def markets(stock_hours: str, now: datetime, *, day: date | None, market: str, live: str = "") -> list[MarketDay]:
    """``live`` is the venue whose coins are all there is. Raises InvalidRequest for a market there is not."""
    known = {CRYPTO: hours.ALWAYS} if live else {STOCKS: stock_hours, CRYPTO: hours.ALWAYS}
    if market and market not in known:
        raise InvalidRequest(f"There is no market {market!r} here, only {' and '.join(known)}.", "market")
    titles = {STOCKS: "Simulated stocks and ETFs", CRYPTO: f"Crypto at {live}" if live else "Replayed crypto"}
    return [_market(name, titles[name], kind, now, day) for name, kind in known.items() if market in ("", name)]


def _market(market: str, title: str, kind: str, now: datetime, day: date | None) -> MarketDay:
    if kind == hours.ALWAYS:
        day = day or now.astimezone(UTC).date()
    else:
        day = day or now.astimezone(ZoneInfo(_NEW_YORK)).date()
    session = hours.session(kind, (day - _EPOCH).days)
    always = kind == hours.ALWAYS
    running = hours.is_open(kind, now)
    closes = hours.session_end(kind, now)
    return MarketDay(
        market=market,
        name=title,
        time_zone="UTC" if always else _NEW_YORK,
        day=day,
        opens=hours.at_minute(session[0]) if session else None,
        closes=hours.at_minute(session[1]) if session else None,
        why=_why(kind, day),
        state=SessionState.OPEN if running else SessionState.CLOSED,
        next_open=None if always else hours.next_open(kind, closes if running else now),
        next_close=None if always else closes,
        exceptions=() if always else tuple(_exceptions(kind, day)),
        note="" if always or day.year in hours.KNOWN_YEARS else "Holidays of this year are not known; weekends are.",
        asset_classes=_TRADED[market],
    )


def _why(kind: str, day: date) -> str:
    if kind == hours.ALWAYS:
        return "always_open"
    session = hours.session(kind, (day - _EPOCH).days)
    if session is None:
        return "weekend" if day.weekday() >= 5 else "holiday"
    return "regular" if session[1] - session[0] == _REGULAR_MINUTES else "early_close"


def _exceptions(kind: str, day: date) -> list[tuple[date, str]]:
    days = (day + timedelta(days=ahead) for ahead in range(_AHEAD))
    return [(each, why) for each in days if (why := _why(kind, each)) in ("holiday", "early_close")]
