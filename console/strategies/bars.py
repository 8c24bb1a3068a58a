"""Past bars of a broker as the engine wants them: one time after the other, a page of each symbol in memory."""

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import itemgetter

from brokers.base import Broker
from brokers.types import Bar
from console.connections import bar_series
from console.connections.bar_series import BarSpan
from console.strategies.engine.backtest import Step

_DAYS = {"1m": 1, "5m": 2, "15m": 7, "30m": 14, "1h": 28, "4h": 90, "1d": 500}
"""Of a page: some six hundred bars, and whole days, so that no bar lies across its edge."""


def steps(
    broker: Broker,
    names: Mapping[str, str],
    timeframe: str,
    start: datetime,
    end: datetime,
    reads: Callable[[datetime], None],
) -> Iterator[Step]:
    """The complete bars in [start, end). ``names``: the broker's symbol by the one to call it. Raises BrokerError.

    ``reads`` is called before each page, with the time at which it begins.
    """
    series = [_series(broker, name, symbol, timeframe, start, end, reads) for name, symbol in names.items()]
    for at, group in groupby(heapq.merge(*series, key=itemgetter(0)), key=itemgetter(0)):
        yield at, {name: bar for _, name, bar in group}


def _series(
    broker: Broker,
    name: str,
    symbol: str,
    timeframe: str,
    start: datetime,
    end: datetime,
    reads: Callable[[datetime], None],
) -> Iterator[tuple[datetime, str, Bar]]:
    span, at = BarSpan(timeframe), start
    length = timedelta(days=_DAYS[timeframe])
    most = int(length.total_seconds()) // span.seconds + 1
    while at < end:
        midnight = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        until = min(midnight + length, end)
        reads(at)
        yield from ((bar.start, name, bar) for bar in _page(broker, symbol, span, at, until, most))
        at = until


def _page(broker: Broker, symbol: str, span: BarSpan, start: datetime, end: datetime, most: int) -> Iterable[Bar]:
    """Brokers may say more than was asked for."""
    found = bar_series.read(broker, symbol, span, start=start, end=end, limit=most)
    return [bar for bar in found if start <= bar.start < end]
