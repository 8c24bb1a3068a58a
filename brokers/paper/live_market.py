"""A paper market at the public prices of a real venue.

Minute bars are stored when they are complete and never change, and resting orders are matched against stored bars
alone: it makes no difference when they were fetched, and where the venue cannot be reached, orders wait. A new order
meets the newest quote, which is no older than ``STALE``. What is shown of an account is worth its last stored bar.
"""

import json
import logging
from bisect import bisect_left
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache, partial
from threading import Lock
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from brokers import market_hours
from brokers.compiled_queries import Statement
from brokers.decimals import plain
from brokers.errors import BrokerError, BrokerUnavailable
from brokers.paper import prices, public_price_feed, tapes_in_use
from brokers.paper.models import (
    OPEN_STATUSES,
    Holding,
    LiveBar,
    LivePair,
    LiveVenue,
    MatchedTape,
    PaperAccount,
    PaperOrder,
)
from brokers.types import AssetClass, Bar, BarSize, Instrument, Quote

logger = logging.getLogger(__name__)

STALE = timedelta(seconds=90)
"""A quote older than this fills nothing."""
_LAG = timedelta(seconds=5)
"""A venue may still be counting a minute's trades this long after its end."""
_REUSED = timedelta(seconds=2)
"""A quote this young is not asked for again."""
_SHOWN = timedelta(minutes=3)
"""How far stored bars may be behind when an account's worth is shown."""
_PAGES = 10
"""Calls for the bars of one instrument in a row; what is left comes with the next."""
_KEPT = 1440
_QUOTE = ("bid", "ask", "last", "open", "high", "low", "volume", "change", "change_percent", "bid_size", "ask_size")

_LISTINGS = Statement(lambda venue: LiveVenue.objects.filter(name=venue).values_list("changed", "listing"))
_KNOWN = Statement(
    lambda venue, symbol: LivePair.objects.filter(venue=venue).filter(symbol=symbol).values_list("pk", "known_until")
)


def feed_of(venue: str) -> public_price_feed.Feed:
    return public_price_feed.open_feed(venue, settings.PAPER_PRICE_HOSTS.get(venue, ""))


# What there is to trade.


def update_listings(venue: str, now: datetime) -> None:
    """Store what the venue lists, where that has changed. Raises BrokerUnavailable when nothing is known of it."""
    try:
        found = feed_of(venue).pairs(now)
    except BrokerUnavailable:
        if LiveVenue.objects.filter(name=venue).exists():
            return
        raise
    row = LiveVenue.objects.filter(name=venue).first()
    lines = {each.symbol: _line(each) for each in found}
    if row is not None:
        # Somebody may still hold what is no longer listed.
        lines |= {line[0]: line for line in json.loads(row.listing) if line[0] not in lines}
    listing = json.dumps(list(lines.values()))
    if row is None or row.listing != listing:
        LiveVenue.objects.update_or_create(name=venue, defaults={"listing": listing, "changed": timezone.now()})


def market(venue: str) -> prices.Market:
    """As it was last learnt. Raises BrokerUnavailable when it never was."""
    row = _LISTINGS.first(venue)
    if row is None:
        raise BrokerUnavailable(f"Live prices from {public_price_feed.title(venue)} are not available and never were.")
    return _market(venue, *row)


@lru_cache(maxsize=16)
def _market(venue: str, changed: datetime, listing: str) -> prices.Market:
    lines = [
        prices.Listing(line[0], line[1], AssetClass.CRYPTO, partial(_tape, venue, changed, *line))
        for line in json.loads(listing)
    ]
    return prices.Market(lines, venue, f"among the coins that {public_price_feed.title(venue)} trades")


def _line(each: Instrument) -> list[str]:
    return [each.symbol, each.name, each.currency, plain(each.tick), plain(each.lot), plain(each.minimum)]


@lru_cache(maxsize=1024)
def _tape(
    venue: str, changed: datetime, symbol: str, name: str, currency: str, tick: str, lot: str, minimum: str
) -> "LiveTape":
    """Kept, because it remembers bars it has read; ``changed`` tells two listings of one venue apart."""
    instrument = Instrument(
        symbol=symbol,
        name=name,
        asset_class=AssetClass.CRYPTO,
        exchange=public_price_feed.title(venue),
        currency=currency,
        tick=Decimal(tick),
        lot=Decimal(lot),
        minimum=Decimal(minimum),
        price_source=f"live public prices of {public_price_feed.title(venue)}",
    )
    return LiveTape(venue, instrument)


class LiveTape(prices.StoredTape):
    hours = market_hours.ALWAYS
    step = 1

    def __init__(self, venue: str, instrument: Instrument) -> None:
        self.venue = venue
        self.instrument = instrument
        self.key = f"{instrument.symbol}@{venue}"
        self._lock = Lock()
        self._span = (0, 0)
        self._minutes: list[int] = []
        self._bars: list[prices.Ohlcv] = []

    def reached(self, minute: int) -> int:
        row = _KNOWN.first(self.venue, self.instrument.symbol)
        return minute if row is not None and row[1] >= market_hours.at_minute(minute) else _minute_known(row)

    def aggregate(self, first: int, end: int) -> prices.Ohlcv | None:
        with self._lock:
            if not self._span[0] <= first <= end <= self._span[1]:
                self._load(first, end)
            here = slice(bisect_left(self._minutes, first), bisect_left(self._minutes, end))
            traded = self._bars[here]
        return prices.Ohlcv(*prices.fold(traded)) if traded else None

    def spread(self, minute: int, last: Decimal) -> tuple[Decimal, Decimal]:
        return last, last

    def recorded_at(self, minute: int) -> None:
        return None

    def quote(self, at: datetime) -> Quote:
        """By the last stored bar that ended by then: the same answer whenever it is asked."""
        bars = LiveBar.objects.filter(pair__venue=self.venue, pair__symbol=self.instrument.symbol)
        bar = bars.filter(start__lte=at - timedelta(minutes=1)).order_by("-start").first()
        if bar is None:
            return self.newest()
        return self._quote(bar.start + timedelta(minutes=1), dict.fromkeys(("last", "bid", "ask"), bar.close))

    def newest(self) -> Quote:
        """As the venue gave it last. Raises BrokerUnavailable when it never did."""
        pair = LivePair.objects.filter(venue=self.venue, symbol=self.instrument.symbol).first()
        if pair is None or pair.quoted_at is None:
            raise BrokerUnavailable(
                f"{public_price_feed.title(self.venue)} has not sent a price for {self.instrument.symbol} yet."
            )
        return self._quote(pair.quoted_at, {name: getattr(pair, name) for name in _QUOTE})

    def is_stale(self, quote: Quote, now: datetime) -> bool:
        return now - quote.as_of > STALE

    def _quote(self, as_of: datetime, known: dict[str, Any]) -> Quote:
        return Quote(
            symbol=self.instrument.symbol,
            currency=self.instrument.currency,
            as_of=as_of,
            source=self.instrument.price_source,
            instrument_id=self.instrument.instrument_id,
            **{**dict.fromkeys(("open", "high", "low", "change_percent")), **known},
        )

    def _load(self, first: int, end: int) -> None:
        """A day at once, as far as bars are known: those never change."""
        row = _KNOWN.first(self.venue, self.instrument.symbol)
        last = max(end, min(first + _KEPT, _minute_known(row)))
        rows = LiveBar.objects.filter(pair=None if row is None else row[0])
        rows = rows.filter(start__gte=market_hours.at_minute(first), start__lt=market_hours.at_minute(last)).order_by(
            "start"
        )
        self._minutes, self._bars = [], []
        for start, *values in rows.values_list("start", *prices.Ohlcv._fields):
            self._minutes.append(market_hours.minute_of(start))
            self._bars.append(prices.Ohlcv(*values))
        self._span = (first, min(last, _minute_known(row)))


def _minute_known(row: tuple[Any, ...] | None) -> int:
    return 0 if row is None else market_hours.minute_of(row[1])


# Bringing it up to date. Never within a transaction.


def update_bars(venue: str, symbols: Iterable[str], now: datetime, *, behind: timedelta = timedelta(0)) -> None:
    """Store the bars that are complete by now; ``behind`` is how old the newest may be without asking for more.

    Raises BrokerUnavailable.
    """
    for symbol in symbols:
        known = _KNOWN.first(venue, symbol)
        if known is None or now - known[1] > behind:
            _fetch_bars(venue, symbol, now)


def update_quote(venue: str, symbol: str, now: datetime) -> None:
    """Store the newest quote. Raises BrokerUnavailable."""
    pair = LivePair.objects.filter(venue=venue, symbol=symbol).first()
    if pair is not None and pair.asked_at is not None and timedelta(0) <= now - pair.asked_at < _REUSED:
        return
    quote = feed_of(venue).quote(market(venue).tape(symbol).instrument, now)
    _pair(venue, symbol, now)
    LivePair.objects.filter(venue=venue, symbol=symbol).update(
        quoted_at=quote.as_of, asked_at=now, **{name: getattr(quote, name) for name in _QUOTE}
    )


def check(venue: str, held: Iterable[str], now: datetime) -> None:
    """Raises BrokerUnavailable unless what an account holds has a price of now, or, with nothing held, none answers."""
    held = list(held)
    update_bars(venue, held, now, behind=_SHOWN)
    if not held:
        feed_of(venue).ping(now)


def has_work() -> bool:
    """Whether an account at live prices may have an order or a position: one short look, for the scheduler."""
    return PaperAccount.objects.exclude(venue="").exists()


def update_followed_bars(now: datetime, only: str = "") -> None:
    """Bars of every instrument that an open order or a position is in, at every venue or one. Raises nothing."""
    tapes = MatchedTape.objects.filter(tape__in=tapes_in_use.at_live_prices()).exclude(venue="")
    holdings = Holding.objects.exclude(account__venue="")
    wanted = set(tapes.values_list("venue", "symbol")) | set(holdings.values_list("account__venue", "symbol"))
    missed: set[str] = set()
    for venue, symbol in sorted(wanted):
        if venue in missed or only not in ("", venue):
            continue
        try:
            update_bars(venue, [symbol], now, behind=timedelta(minutes=1))
        except BrokerError as error:
            missed.add(venue)
            logger.warning("The orders at prices of %s wait: %s", public_price_feed.title(venue), error)


def bars(
    venue: str, symbol: str, size: BarSize, start: datetime | None, end: datetime | None, limit: int, now: datetime
) -> list[Bar]:
    """To look at: read from the venue each time and not stored. Complete ones alone."""
    length = timedelta(seconds=size.seconds)
    until = min(end or now, now)
    since = (
        max(start, until - length * public_price_feed.PAGE)
        if start
        else until - length * (min(limit, public_price_feed.PAGE - 1) + 1)
    )
    whole = market_hours.at_minute(-(-market_hours.minute_from(since) * 60 // size.seconds) * size.seconds // 60)
    # The venue's last bar is the one under way.
    found = feed_of(venue).bars(symbol, size, whole, public_price_feed.PAGE, now)
    complete = [bar for bar in found if bar.start < (end or now) and bar.start + length <= now]
    return complete[-max(limit, 0) :] if limit > 0 else []


def _pair(venue: str, symbol: str, now: datetime) -> LivePair:
    start = market_hours.at_minute(market_hours.minute_of(now) - public_price_feed.PAGE)
    made, _ = LivePair.objects.get_or_create(venue=venue, symbol=symbol, defaults={"known_until": start})
    return made


def _fetch_bars(venue: str, symbol: str, now: datetime) -> None:
    source = feed_of(venue)
    done = market_hours.minute_of(source.clock(now) - _LAG)
    pair = _pair(venue, symbol, now)
    start = market_hours.minute_of(pair.known_until)
    if done - start > public_price_feed.PAGE and not _waited_for(venue, symbol):
        # Nobody needs what lies between.
        start = done - public_price_feed.PAGE
    for _ in range(_PAGES):
        if start >= done:
            return
        found = source.bars(symbol, BarSize.MINUTE, market_hours.at_minute(start), public_price_feed.PAGE, now)
        complete = [bar for bar in found if market_hours.minute_of(bar.start) < done]
        reach = max([start + public_price_feed.PAGE, *(market_hours.minute_of(bar.start) + 1 for bar in complete)])
        start = min(done, reach)
        _store(pair, complete, market_hours.at_minute(start))


def _store(pair: LivePair, found: list[Bar], until: datetime) -> None:
    """A minute without trades is no bar: it fills nothing. What another process stored first stays."""
    rows = [
        LiveBar(
            pair=pair, start=bar.start, open=bar.open, high=bar.high, low=bar.low, close=bar.close, volume=bar.volume
        )
        for bar in found
        if bar.volume
    ]
    with transaction.atomic():
        mine = LivePair.objects.select_for_update().get(pk=pair.pk)
        fresh = [row for row in rows if row.start >= mine.known_until]
        LiveBar.objects.bulk_create(fresh, ignore_conflicts=True, batch_size=500)
        LivePair.objects.filter(pk=pair.pk, known_until__lt=until).update(known_until=until)


def _waited_for(venue: str, symbol: str) -> bool:
    return PaperOrder.objects.filter(account__venue=venue, symbol=symbol, status__in=OPEN_STATUSES).exists()
