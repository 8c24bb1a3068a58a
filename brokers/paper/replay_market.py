"""Recorded bars, played in a loop: each bar's place is the wall clock counted in bars, modulo their number.

Where the recording has a hole the loop closes it up. At the end it jumps back to the first bar. At the hours of an
exchange the loop advances only while that trades, a daily series by one bar each trading day.
"""

import csv
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

from brokers import market_hours
from brokers.paper.prices import Ohlcv, fold
from brokers.types import AssetClass, Instrument

BTC_USD = "BTC/USD"
BTC_NAME = "Bitcoin"
_BTC_FILE = Path(__file__).parent / "data" / "btcusd_minute.csv"


class ReplayTape:
    """``step`` is the minutes of one recorded bar. Bid and ask are the last price."""

    def __init__(
        self,
        instrument: Instrument,
        recorded: Sequence[datetime],
        recorded_bars: Sequence[Ohlcv],
        step: int,
        kind: str = market_hours.ALWAYS,
    ) -> None:
        self.instrument = instrument
        self.hours = kind
        self.key = instrument.symbol if kind == market_hours.ALWAYS else f"{instrument.symbol}/{kind}"
        self.step = step
        self._recorded = tuple(recorded)
        self._bars = tuple(recorded_bars)
        self._fold = lru_cache(maxsize=4096)(self._fold_from)

    def aggregate(self, first: int, end: int) -> Ohlcv | None:
        if self.step == market_hours.DAY_MINUTES:
            # The day's bar is whole, whatever part of the day is asked for.
            first, end = first - first % self.step, end + -end % self.step
        played = self._played(first)
        count = self._played(end) - played
        if not count:
            return None
        place = played % len(self._bars)
        if count == 1:
            return self._bars[place]
        return self._fold(place, count)

    def spread(self, minute: int, last: Decimal) -> tuple[Decimal, Decimal]:
        return last, last

    def recorded_at(self, minute: int) -> datetime | None:
        return self._recorded[self._played(minute) % len(self._bars)]

    def _played(self, minute: int) -> int:
        """How many bars have begun before ``minute``."""
        if self.hours == market_hours.ALWAYS:
            return minute // self.step
        return (
            market_hours.traded(self.hours, minute) if self.step == 1 else market_hours.days_traded(self.hours, minute)
        )

    def _fold_from(self, place: int, count: int) -> Ohlcv:
        length = len(self._bars)
        return Ohlcv(*fold(self._bars[(place + offset) % length] for offset in range(count)))


@lru_cache(maxsize=1)
def btc_usd() -> ReplayTape:
    """The recording that ships with Tradelatch; see ``data/SOURCES.md``."""
    with _BTC_FILE.open(newline="", encoding="ascii") as file:
        rows = list(csv.DictReader(file))
    instrument = Instrument(
        symbol=BTC_USD,
        name=BTC_NAME,
        asset_class=AssetClass.CRYPTO,
        exchange="Tradelatch Paper",
        currency="USD",
        tick=Decimal("0.01"),
        lot=Decimal("0.00000001"),
        minimum=Decimal("0.00001"),
        price_source="replay of recorded BTC/USD bars (Coinbase, 5 and 6 Apr 2018)",
    )
    return ReplayTape(
        instrument,
        [datetime.fromisoformat(row["ts"]) for row in rows],
        [Ohlcv(*(Decimal(row[name]) for name in Ohlcv._fields)) for row in rows],
        step=1,
    )
