"""What a backtest did, in figures. Nothing here grows with the number of bars.

=================  ===========================================================================================
drawdown           how far equity, at the close of each bar, was below its highest so far, in percent of that
Sharpe             mean daily return divided by its standard deviation, times the root of 365 or 252 days a year
Sortino            the same with the root of the mean square of the losing days alone
exposure           share of bars at whose close there was a position, in percent
turnover           worth of all fills divided by the mean equity
profit factor      what winning trades won divided by what losing trades lost
=================  ===========================================================================================

Days are UTC days with at least one bar. Risk-free interest is taken as 0. Fewer than 20 days have no Sharpe ratio.
"""

import math
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Decimal

from brokers.paper import costs
from console.strategies.engine.exchange import StrategyFill
from console.strategies.engine.trading import Trade

FEWEST_DAYS = 20
MOST_POINTS = 400
"""Of an equity curve."""
MOST_TRADES = 500
"""That are kept one by one: the first ones."""
_NOTHING, _HUNDRED = Decimal(0), Decimal(100)
_PLACES = Decimal("0.01")
_BY_VOLUME = Decimal("0.1")


def percent(part: Decimal, whole: Decimal) -> Decimal:
    return (part / whole * _HUNDRED).quantize(_PLACES, ROUND_HALF_EVEN) if whole else Decimal("0.00")


class Span:
    """A stretch of time: its return, its deepest drawdown, its days."""

    def __init__(self, equity: Decimal, start: datetime) -> None:
        self.first = self.last = self.peak = self._low = equity
        self.start = start
        self.trades = self.wins = 0
        self.deepest = _NOTHING
        """As a share of the highest before."""
        self._day: date | None = None
        self._at_day = equity
        self._days = 0
        self._sum = self._squares = self._losses = 0.0

    def push(self, at: datetime, equity: Decimal) -> None:
        """A change of equity, or a new day. The others need not be told."""
        day = at.date()
        if day != self._day:
            if self._day is not None:
                self._end_day()
            self._day = day
        self.last = equity
        if equity >= self.peak:
            self.peak = self._low = equity
        elif equity < self._low:
            self._low = equity
            self.deepest = max(self.deepest, 1 - equity / self.peak)

    def add(self, trade: Trade) -> None:
        self.trades += 1
        self.wins += trade.profit > 0

    def _end_day(self) -> None:
        change = float(self.last / self._at_day) - 1 if self._at_day else 0.0
        self._at_day = self.last
        self._days += 1
        self._sum += change
        self._squares += change * change
        self._losses += change * change if change < 0 else 0.0

    def ratios(self, days_a_year: int) -> tuple[float | None, float | None]:
        """Sharpe and Sortino. The day that runs when it ends counts."""
        self._end_day()
        if self._days < FEWEST_DAYS:
            return None, None
        mean = self._sum / self._days
        variance = (self._squares - self._days * mean * mean) / (self._days - 1)
        below = self._losses / self._days
        root = math.sqrt(days_a_year)
        return (
            mean / math.sqrt(variance) * root if variance > 1e-18 else None,
            mean / math.sqrt(below) * root if below > 1e-18 else None,
        )

    @property
    def gained(self) -> Decimal:
        return percent(self.last - self.first, self.first)


class Curve:
    """Equity over time in at most ``MOST_POINTS`` points: when they are too many, every second one is forgotten."""

    def __init__(self) -> None:
        self.points: list[tuple[datetime, Decimal]] = []
        self._every = 1
        self._skipped = 0

    def push(self, at: datetime, equity: Decimal) -> None:
        self._skipped += 1
        if self._skipped < self._every:
            return
        self._skipped = 0
        self.points.append((at, equity))
        if len(self.points) >= MOST_POINTS:
            del self.points[1::2]
            self._every *= 2

    def whole(self, at: datetime, equity: Decimal) -> list[tuple[datetime, Decimal]]:
        """With its end."""
        return self.points if self.points and self.points[-1][0] == at else [*self.points, (at, equity)]


@dataclass(slots=True)
class Tally:
    """Of trades and fills."""

    fills: int = 0
    traded: Decimal = _NOTHING
    fees: Decimal = _NOTHING
    slippage: Decimal = _NOTHING
    large: int = 0
    """Fills of more than a tenth of their bar's volume."""
    trades: int = 0
    wins: int = 0
    won: Decimal = _NOTHING
    lost: Decimal = _NOTHING
    best: Trade | None = None
    worst: Trade | None = None
    bars: int = 0
    """Sum of how long trades were open."""
    kept: list[Trade] = field(default_factory=list)
    whys: dict[str, int] = field(default_factory=dict)

    def fill(self, fill: StrategyFill) -> None:
        self.fills += 1
        self.traded += costs.notional_of(fill.price, fill.quantity)
        self.fees += fill.fee
        self.slippage += fill.slippage
        self.large += fill.quantity > fill.bar.volume * _BY_VOLUME

    def trade(self, trade: Trade) -> None:
        self.trades += 1
        self.bars += trade.bars
        if trade.profit > 0:
            self.wins += 1
            self.won += trade.profit
        else:
            self.lost -= trade.profit
        if self.best is None or trade.profit > self.best.profit:
            self.best = trade
        if self.worst is None or trade.profit < self.worst.profit:
            self.worst = trade
        self.whys[trade.why] = self.whys.get(trade.why, 0) + 1
        if len(self.kept) < MOST_TRADES:
            self.kept.append(trade)


class BacktestRecord:
    """All of one backtest while it runs."""

    def __init__(self, cash: Decimal, start: datetime, cuts: list[datetime]) -> None:
        """``cuts``: where parts of it begin that are also told by themselves, the first at ``start``."""
        self.whole = Span(cash, start)
        self.parts = [Span(cash, start)]
        self._cuts = cuts[1:]
        self.curve = Curve()
        self.tally = Tally()
        self.months: dict[tuple[int, int], tuple[Decimal, Decimal]] = {}
        """(equity before, equity at its end) by year and month."""
        self._month = (0, 0)
        self._day: date | None = None
        self.steps = self.exposed = 0
        self._equity_sum = _NOTHING

    def push(self, at: datetime, equity: Decimal, is_exposed: bool) -> None:
        self.steps += 1
        self.exposed += is_exposed
        self._equity_sum += equity
        self.curve.push(at, equity)
        while self._cuts and at >= self._cuts[0]:
            self.parts.append(Span(self.whole.last, self._cuts.pop(0)))
            self._day = None  # the new part has not seen this day
        day = at.date()
        if equity == self.whole.last and day == self._day:
            return
        if day != self._day:
            self._day = day
            month = (at.year, at.month)
            if month != self._month:
                self._month = month
                self.months[month] = (self.whole.last, equity)
        self.months[self._month] = (self.months[self._month][0], equity)
        self.whole.push(at, equity)
        self.parts[-1].push(at, equity)

    def ended(self, trade: Trade) -> None:
        self.tally.trade(trade)
        self.whole.add(trade)
        self.parts[-1].add(trade)

    @property
    def mean_equity(self) -> Decimal:
        return self._equity_sum / self.steps if self.steps else self.whole.first
