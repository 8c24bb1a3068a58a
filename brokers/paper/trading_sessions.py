"""The paper markets' days as a person asks for them: open or not, from when to when, and why not."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from brokers import market_hours
from brokers.errors import InvalidRequest
from brokers.market_calendars import EXCHANGES
from brokers.types import AssetClass, MarketDay, SessionState

STOCKS, CRYPTO = "stocks", "crypto"
_STOCKS, _CRYPTO = frozenset({AssetClass.STOCK, AssetClass.ETF}), frozenset({AssetClass.CRYPTO})

_EPOCH = date(1970, 1, 1)
_AHEAD = 60
"""Days whose exceptions are told."""
_WARN_DAYS = 92
"""How long before the last known holiday it is said that they end."""


def hours_text(kind: str) -> str:
    venue = market_hours.exchange(kind)
    if venue is None:
        return "at all hours, every day"
    if kind == "FX":
        return "Sunday 17:00 to Friday 17:00 New York time"
    spans = " and ".join(f"{opens:%H:%M} to {closes:%H:%M}" for opens, closes in venue.spans)
    before = ", from the evening before" if venue.spans[0][0] >= venue.spans[0][1] else ""
    return f"{spans} {venue.place} time on exchange days{before}"


def markets(
    stock_hours: str,
    now: datetime,
    *,
    day: date | None,
    market: str,
    live: str = "",
    exchanges: Iterable[str] = (),
) -> list[MarketDay]:
    """``live`` is the venue whose coins are all there is, ``exchanges`` are those of imported series.

    Raises InvalidRequest for a market there is not.
    """
    if live:
        known = {CRYPTO: (market_hours.ALWAYS, f"Crypto at {live}")}
    else:
        known = {STOCKS: (stock_hours, "Simulated stocks and ETFs"), CRYPTO: (market_hours.ALWAYS, "Replayed crypto")}
        if stock_hours == market_hours.VENUE:
            known |= {code: (code, f"Imported: {EXCHANGES[code].name}") for code in exchanges}
    market = next((name for name in known if name.casefold() == market.casefold()), market)
    if market and market not in known:
        raise InvalidRequest(f"There is no market {market!r} here, only {' and '.join(known)}.", "market")
    return [_market(name, title, kind, now, day) for name, (kind, title) in known.items() if market in ("", name)]


def _market(market: str, title: str, kind: str, now: datetime, day: date | None) -> MarketDay:
    venue = market_hours.exchange(kind)
    running = market_hours.is_open(kind, now)
    closes = market_hours.session_end(kind, now)
    if day is None:
        # A trading day that began the evening before has the date of its end.
        today = closes if running and venue else now
        day = today.astimezone(venue.zone if venue else UTC).date()
    spans = market_hours.trading_day(kind, (day - _EPOCH).days)
    notes = []
    if venue and day.year not in venue.years:
        notes.append("Holidays of this year are unknown; only weekends are taken into account.")
    elif venue and (venue.known_until - day).days < _WARN_DAYS:
        notes.append(
            f"Holidays are known until {venue.known_until}. Update Tradelatch before then, or later holidays will "
            "count as trading days."
        )
    if len(spans) > 1:
        notes.append(f"Trades {hours_text(kind)}.")
    return MarketDay(
        market=market,
        name=title,
        time_zone=venue.zone.key if venue else "UTC",
        day=day,
        opens=market_hours.at_minute(spans[0][0]) if spans else None,
        closes=market_hours.at_minute(spans[-1][1]) if spans else None,
        why=_reason(kind, day),
        state=SessionState.OPEN if running else SessionState.CLOSED,
        next_open=None if venue is None else market_hours.next_open(kind, closes if running else now),
        next_close=None if venue is None else closes,
        exceptions=() if venue is None else tuple(_exceptions(kind, day)),
        note=" ".join(notes),
        known_until=venue.known_until if venue else None,
        asset_classes=_CRYPTO if market == CRYPTO else _STOCKS,
    )


def _reason(kind: str, day: date) -> str:
    venue = market_hours.exchange(kind)
    if venue is None:
        return "always_open"
    if not market_hours.trading_day(kind, (day - _EPOCH).days):
        return "weekend" if day.weekday() >= 5 else "holiday"
    return "early_close" if day in venue.early else "regular"


def _exceptions(kind: str, day: date) -> list[tuple[date, str]]:
    days = (day + timedelta(days=ahead) for ahead in range(_AHEAD))
    return [(each, why) for each in days if (why := _reason(kind, each)) in ("holiday", "early_close")]
