"""Public prices of real venues, read without a key through ccxt. Nothing is kept here and nothing made up.

Every call may raise BrokerUnavailable: the venue could not be reached, or what it said could not be read.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache
from threading import Lock
from typing import Any

from brokers.crypto import parse
from brokers.crypto.client import PublicClient, Venue
from brokers.crypto.error_outcomes import Codes
from brokers.errors import BrokerError, BrokerUnavailable, InvalidSymbol
from brokers.types import AssetClass, Bar, BarSize, Instrument, OrderBook, Quote

PAGE = 300
"""Bars of one call: every venue here gives as many."""
_SETTINGS: dict[str, Any] = {"timeout": 5.0}
_PAUSE = timedelta(seconds=5)
"""After a call that failed the venue is left alone this long."""
_CLOCK_KEPT = 3600.0
_OPTIONS: dict[str, dict[str, Any]] = {
    # Of the API that its prices come from, not of an older one.
    "coinbase": {"fetchTime": "v3PublicGetBrokerageTime"},
    "binance": {"defaultType": "spot", "fetchMarkets": {"types": ["spot"]}, "fetchMargins": False},
    "okx": {"defaultType": "spot", "fetchMarkets": {"types": ["spot"]}},
}


def _venue(name: str, title: str, per_second: float) -> Venue:
    return Venue(
        title=title,
        library_name=name,
        codes=Codes(venue=title, found=lambda answer: (), meanings={}),
        per_second=per_second,
        credentials={},
        config=lambda settings: {"options": _OPTIONS.get(name, {})},
    )


VENUES = {
    each.library_name: each
    for each in (
        _venue("kraken", "Kraken", 2),
        _venue("coinbase", "Coinbase", 3),
        _venue("binance", "Binance", 5),
        _venue("okx", "OKX", 5),
    )
}
_QUOTED = {
    "kraken": ("USD", "EUR", "GBP"),
    "coinbase": ("USD", "EUR", "GBP"),
    "binance": ("EUR",),
    "okx": ("USD", "EUR"),
}


def title(venue: str) -> str:
    return VENUES[venue].title


def currencies(venue: str) -> Sequence[str]:
    """Those an account can be held in: the venue trades coins for them."""
    return _QUOTED[venue]


class Feed:
    """One venue, for this process. Its calls are spaced, and after a failure it is left alone for a moment."""

    def __init__(self, venue: str, base_url: str) -> None:
        settings = _SETTINGS | ({"base_url": base_url} if base_url else {})
        self.venue = venue
        self.title = title(venue)
        self._public = PublicClient(VENUES[venue], settings)
        self._failed_at: datetime | None = None
        self._skew = timedelta(0)
        self._skew_read = 0.0
        self._clock = Lock()

    def pairs(self, now: datetime) -> list[Instrument]:
        """What it trades for an account's currencies, those currencies in order."""
        with self._asked(now):
            self._public.load()
            markets = self._public.exchange.markets.values()
            found = [parse.instrument(each, self.title, now) for each in markets if each.get("spot")]
            quoted = currencies(self.venue)
            kept = [each for each in found if each is not None and each.currency in quoted]
            return sorted(map(self._named, kept), key=lambda each: (quoted.index(each.currency), each.symbol))

    def quote(self, instrument: Instrument, now: datetime) -> Quote:
        with self._asked(now):
            self._public.load()
            found = parse.quote(self._public.read("fetch_ticker", instrument.symbol), instrument, now)
            if not 0 < found.bid <= found.ask or found.last <= 0:
                raise BrokerUnavailable("The bid of a quote must not be above the ask.")
            return replace(found, as_of=min(found.as_of, now))

    def bars(self, symbol: str, size: BarSize, since: datetime, limit: int, now: datetime) -> list[Bar]:
        """From ``since`` on, oldest first, at most PAGE of them; the last may not be complete."""
        with self._asked(now):
            self._public.load()
            asked = (symbol, size.value, parse.milliseconds(since), min(limit, PAGE))
            found = [parse.bar(row) for row in self._public.read("fetch_ohlcv", *asked)]
            for bar in found:
                _check(bar, size)
            return sorted((bar for bar in found if bar.start >= since), key=lambda bar: bar.start)

    def book(self, instrument: Instrument, depth: int, now: datetime) -> OrderBook:
        with self._asked(now):
            self._public.load()
            answer = self._public.read("fetch_order_book", instrument.symbol, min(max(depth, 1), 100))
            return parse.book(answer, instrument, depth, now)

    def clock(self, now: datetime) -> datetime:
        """``now`` by the venue's clock, which is read once an hour."""
        with self._clock:
            if not self._skew_read or time.monotonic() - self._skew_read > _CLOCK_KEPT:
                self._read_clock(now)
        return now - self._skew

    def ping(self, now: datetime) -> timedelta:
        """How far our clock is ahead of the venue's, read now."""
        with self._clock:
            self._read_clock(now)
            return self._skew

    def _read_clock(self, now: datetime) -> None:
        with self._asked(now):
            self._skew = timedelta(milliseconds=int(self._public.read("load_time_difference")))
            self._skew_read = time.monotonic()

    def _named(self, instrument: Instrument) -> Instrument:
        return replace(
            instrument,
            asset_class=AssetClass.CRYPTO,
            exchange=self.title,
            price_source=f"live public prices of {self.title}",
            minimum_notional=None,
            fetched_at=None,
        )

    @contextmanager
    def _asked(self, now: datetime) -> Iterator[None]:
        if self._failed_at is not None and timedelta(0) <= now - self._failed_at < _PAUSE:
            raise self._unreachable()
        try:
            yield
        except InvalidSymbol:
            raise
        except (BrokerError, ArithmeticError, LookupError, TypeError, ValueError):
            self._failed_at = now
        else:
            self._failed_at = None
            return
        # Not chained: what a venue says is not for our readers.
        raise self._unreachable()

    def _unreachable(self) -> BrokerUnavailable:
        return BrokerUnavailable(
            f"Live prices from {self.title} are not available. Nothing was done; try again shortly."
        )


@lru_cache(maxsize=64)
def open_feed(venue: str, base_url: str) -> Feed:
    return Feed(venue, base_url)


def _check(bar: Bar, size: BarSize) -> None:
    whole = bar.start.timestamp() % size.seconds == 0
    if (
        not whole
        or bar.volume < 0
        or not 0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
    ):
        raise BrokerUnavailable("A bar must begin on time, and its open and close lie between its low and its high.")
