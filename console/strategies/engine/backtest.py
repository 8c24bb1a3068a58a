"""A backtest: bars in order of time in, a report out. It keeps no bar longer than its longest indicator needs it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from brokers.decimals import plain
from brokers.paper import costs
from brokers.types import AssetClass, Bar, Instrument
from console.strategies.engine.exchange import OrderMatcher, SimulatedMatcher
from console.strategies.engine.rules import Rules
from console.strategies.engine.statistics import BacktestRecord, Span, Tally, percent
from console.strategies.engine.trading import Trade, Trader

Step = tuple[datetime, Mapping[str, Bar]]
"""The bars that begin at one time, by symbol."""

IN_SAMPLE = 7
PARTS = 10
"""The time is cut into so many parts; the first seven are in the sample, the rest is out of it."""
FEW_TRADES = 30
_TOLD_EVERY = 500
SECONDS = {"1m": 60, "5m": 300, "15m": 900, "30m": 1800, "1h": 3600, "4h": 14_400, "1d": 86_400}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    rules: Rules
    instruments: Mapping[str, Instrument]
    """Of the universe, by the symbols of the rules."""
    preset: costs.Preset
    cash: Decimal
    start: datetime
    end: datetime

    @property
    def currency(self) -> str:
        return next(iter(self.instruments.values())).currency

    @property
    def length(self) -> timedelta:
        return timedelta(seconds=SECONDS[self.rules.timeframe])

    @property
    def trades_daily(self) -> bool:
        """Whether the market is open on each day of the year."""
        return all(each.asset_class is AssetClass.CRYPTO for each in self.instruments.values())


@dataclass(slots=True)
class _BuyAndHold:
    """The benchmark: an equal part of the cash in each symbol, bought at its first open and held."""

    waits: set[str]
    first: dict[str, Decimal] = field(default_factory=dict)

    def push(self, bars: Mapping[str, Bar]) -> None:
        for symbol in [each for each in self.waits if each in bars]:
            self.waits.discard(symbol)
            self.first[symbol] = bars[symbol].open

    def gained(self, setting: Setting, last: Mapping[str, Decimal]) -> Decimal:
        if not self.first:
            return Decimal("0.00")
        part = setting.cash / len(self.first)
        worth = Decimal(0)
        for symbol, price in self.first.items():
            instrument = setting.instruments[symbol]
            units = part / price
            fee = costs.fee(setting.preset, instrument.asset_class, price, units)
            worth += units * last[symbol] - fee
        return percent(worth - setting.cash, setting.cash)


def run(
    setting: Setting,
    steps: Iterable[Step],
    told: Callable[[datetime], None] = lambda at: None,
    market: OrderMatcher | None = None,
) -> dict[str, Any]:
    """``told`` hears how far it is now and then; what it raises ends the run. The report is ready for JSON.

    ``market``: where orders fill, if not at the simulated exchange.
    """
    rules = setting.rules
    market = market or SimulatedMatcher(setting.instruments, setting.preset, setting.cash)
    part = (setting.end - setting.start) / PARTS
    record = BacktestRecord(setting.cash, setting.start, [setting.start + part * place for place in range(PARTS)])
    trader = Trader(
        rules,
        setting.instruments,
        setting.preset,
        market,
        setting.length,
        filled=record.tally.fill,
        ended=record.ended,
    )
    held, at = _BuyAndHold(set(rules.universe)), setting.start
    for count, (at, bars) in enumerate(steps, start=1):
        trader.step(at, bars)
        record.push(at, trader.equity, bool(trader.open))
        if held.waits:
            held.push(bars)
        if not count % _TOLD_EVERY:
            told(at)
    return _report(setting, trader, record, held, at)


def _report(
    setting: Setting, trader: Trader, record: BacktestRecord, held: _BuyAndHold, at: datetime
) -> dict[str, Any]:
    days = 365 if setting.trades_daily else 252
    whole, tally = record.whole, record.tally
    gained = whole.gained
    sharpe, sortino = whole.ratios(days)
    parts = [_span(each, days) for each in record.parts]
    figures = {
        "currency": setting.currency,
        "starting_cash": plain(setting.cash),
        "ending_equity": plain(whole.last),
        "return_percent": plain(gained),
        "benchmark_percent": plain(held.gained(setting, trader.last)),
        "max_drawdown_percent": plain(percent(whole.deepest, Decimal(1))),
        "sharpe": _ratio(sharpe),
        "sortino": _ratio(sortino),
        "exposure_percent": plain(percent(Decimal(record.exposed), Decimal(record.steps))),
        "turnover": plain((tally.traded / record.mean_equity).quantize(Decimal("0.01"))),
        "fees": plain(tally.fees),
        "slippage": plain(tally.slippage),
        "bars": record.steps,
        "trades": tally.trades,
        "open_positions": len(trader.open),
    }
    return {
        "figures": figures,
        "trade_figures": _of_trades(tally),
        "in_sample": _joined(record.parts[:IN_SAMPLE]),
        "out_of_sample": _joined(record.parts[IN_SAMPLE:]),
        "walk_forward": parts,
        "years": _years(record),
        "months": [
            {"month": f"{year}-{month:02}", "return_percent": plain(percent(after - before, before))}
            for (year, month), (before, after) in record.months.items()
        ],
        "trades": [trade_row(each) for each in tally.kept],
        "curve": [[moment(when), plain(equity)] for when, equity in record.curve.whole(at, whole.last)],
        "warnings": _warnings(setting, trader, record, held),
    }


def trade_row(trade: Trade) -> dict[str, Any]:
    return {
        "symbol": trade.symbol,
        "opened": moment(trade.opened),
        "closed": moment(trade.closed),
        "quantity": plain(trade.quantity),
        "entry_price": plain(trade.entry),
        "exit_price": plain(trade.exit),
        "fees": plain(trade.fees),
        "profit": plain(trade.profit),
        "bars": trade.bars,
        "exit": trade.why,
    }


def moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _of_trades(tally: Tally) -> dict[str, Any]:
    if not tally.trades:
        return {}
    losses = tally.trades - tally.wins
    found: dict[str, Any] = {
        "wins": tally.wins,
        "win_percent": plain(percent(Decimal(tally.wins), Decimal(tally.trades))),
        "mean_bars": plain((Decimal(tally.bars) / tally.trades).quantize(Decimal("0.1"))),
        "exits": dict(sorted(tally.whys.items())),
    }
    if tally.wins:
        found["mean_win"] = plain((tally.won / tally.wins).quantize(Decimal("0.01")))
    if losses:
        found["mean_loss"] = plain((tally.lost / losses).quantize(Decimal("0.01")))
    if tally.lost:
        found["profit_factor"] = plain((tally.won / tally.lost).quantize(Decimal("0.01")))
    if tally.best is not None and tally.worst is not None:
        found |= {"best": plain(tally.best.profit), "worst": plain(tally.worst.profit)}
    return found


def _span(span: Span, days: int) -> dict[str, Any]:
    sharpe, _ = span.ratios(days)
    return {
        "start": moment(span.start),
        "return_percent": plain(span.gained),
        "max_drawdown_percent": plain(percent(span.deepest, Decimal(1))),
        "sharpe": _ratio(sharpe),
        "trades": span.trades,
    }


def _joined(spans: list[Span]) -> dict[str, Any] | None:
    """Several parts as one. Its drawdown is the deepest inside one of them."""
    if not spans:
        return None
    return {
        "start": moment(spans[0].start),
        "return_percent": plain(percent(spans[-1].last - spans[0].first, spans[0].first)),
        "max_drawdown_percent": plain(percent(max(each.deepest for each in spans), Decimal(1))),
        "trades": sum(each.trades for each in spans),
    }


def _years(record: BacktestRecord) -> list[dict[str, Any]]:
    found: dict[int, tuple[Decimal, Decimal]] = {}
    for (year, _), (before, after) in record.months.items():
        found[year] = (found.get(year, (before, after))[0], after)
    return [
        {"year": year, "return_percent": plain(percent(after - before, before))}
        for year, (before, after) in found.items()
    ]


def _ratio(value: float | None) -> str | None:
    return None if value is None else f"{value:.2f}"


def _warnings(setting: Setting, trader: Trader, record: BacktestRecord, held: _BuyAndHold) -> list[str]:
    tally, found = record.tally, []
    if not record.steps:
        return ["There were no bars in this time."]
    if tally.trades < FEW_TRADES:
        found.append(f"Few trades: {tally.trades}. With fewer than {FEW_TRADES}, chance decides more than the rules.")
    if tally.best is not None and tally.trades > 1 and tally.best.profit > 0:
        total = tally.won - tally.lost
        if total > 0 and tally.best.profit * 2 >= total:
            share = percent(tally.best.profit, total)
            found.append(f"One lucky trade: the best made {plain(share)} percent of all profit.")
    first, after = record.parts[:IN_SAMPLE][-1].last - setting.cash, record.parts[IN_SAMPLE:]
    if after and first > 0 and after[-1].last < after[0].first:
        found.append("It won in the first 70 percent of the time and lost in the rest, which is what overfitting does.")
    if not setting.trades_daily:
        found.append("Survivorship: the symbols are those of today; what was delisted since is missing.")
    if tally.large:
        found.append(
            f"{tally.large} of {tally.fills} fills were more than a tenth of their bar's volume, which a real market "
            "might not give at that price."
        )
    if trader.not_paid:
        found.append(
            f"{trader.not_paid} entries were left out: too little cash for the size, or for the smallest order."
        )
    if trader.over_limits:
        found.append(f"{trader.over_limits} entries were left out because of the strategy's own limits.")
    missing = [symbol for symbol in setting.rules.universe if symbol not in held.first]
    if missing:
        found.append(f"There were no bars of {', '.join(missing)}.")
    if record.steps < setting.rules.needs:
        found.append(f"The conditions need {setting.rules.needs} bars before they can hold; there were {record.steps}.")
    return found
