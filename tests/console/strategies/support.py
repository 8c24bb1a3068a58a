"""What the tests of strategies share: rules in a line, bars by hand, a run of the engine."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from brokers.decimals import plain
from brokers.paper import costs
from brokers.types import AssetClass, Bar, Instrument
from console.strategies.engine import backtest, rules
from console.strategies.engine.backtest import Setting, Step
from console.strategies.engine.exchange import OrderMatcher, SimulatedMatcher, StrategyFill
from console.strategies.engine.rules import Rules

START = datetime(2026, 3, 2, tzinfo=UTC)
UP = {"left": "close", "is": "above", "right": 100}
DOWN = {"left": "close", "is": "below", "right": 100}


def compared(text: str) -> dict[str, str]:
    left, relation, right = text.split()
    return {"left": left, "is": relation, "right": right}


def written(**changed: Any) -> dict[str, Any]:
    """Rules that buy one unit after a close above 100; what is None is left out."""
    usual = {"name": "Rules", "universe": ["TEST/USD"], "timeframe": "1h", "entry": UP, "size": {"quantity": 1}}
    made = {**usual, "exit": DOWN, **changed}
    return {name: value for name, value in made.items() if value is not None}


def parsed(**changed: Any) -> Rules:
    return rules.parse(json.dumps(written(**changed)))


def instrument(symbol: str = "TEST/USD", asset_class: AssetClass = AssetClass.CRYPTO) -> Instrument:
    lot = Decimal("0.00000001" if asset_class is AssetClass.CRYPTO else 1)
    return Instrument(
        symbol=symbol,
        name=symbol,
        asset_class=asset_class,
        exchange="Test",
        currency="USD",
        tick=Decimal("0.01"),
        lot=lot,
        minimum=lot,
        price_source="test",
    )


def bars(*lines: str, start: datetime = START, step: timedelta = timedelta(hours=1)) -> list[Bar]:
    """Each "open high low close", or one price for all four."""
    made = []
    for place, line in enumerate(lines):
        prices = [Decimal(each) for each in line.split()]
        opened, high, low, close = prices if len(prices) == 4 else prices * 4
        at = start + place * step
        made.append(Bar(start=at, open=opened, high=high, low=low, close=close, volume=Decimal(1000)))
    return made


def steps(series: dict[str, list[Bar]]) -> list[Step]:
    times = sorted({bar.start for each in series.values() for bar in each})
    return [(at, {symbol: bar for symbol, each in series.items() for bar in each if bar.start == at}) for at in times]


class Run:
    """One backtest, with its fills as ``(hour, side, price)``."""

    def __init__(
        self,
        rules: Rules,
        series: dict[str, list[Bar]] | list[Bar],
        *,
        preset: str = "frictionless",
        cash: str = "1000",
        asset_class: AssetClass = AssetClass.CRYPTO,
    ) -> None:
        each = series if isinstance(series, dict) else {rules.universe[0]: series}
        made = steps(each)
        setting = Setting(
            rules=rules,
            instruments={symbol: instrument(symbol, asset_class) for symbol in rules.universe},
            preset=costs.PRESETS[preset],
            cash=Decimal(cash),
            start=made[0][0],
            end=made[-1][0] + timedelta(hours=1),
        )
        market = Noted(SimulatedMatcher(setting.instruments, setting.preset, setting.cash))
        self.report = backtest.run(setting, made, market=market)
        self.fills = market.fills
        self.cash = market.cash

    @property
    def figures(self) -> dict[str, Any]:
        found: dict[str, Any] = self.report["figures"]
        return found

    @property
    def told(self) -> list[tuple[int, str, str, str]]:
        return [
            ((each.bar.start - START) // timedelta(hours=1), each.side.value, plain(each.price), each.why)
            for each in self.fills
        ]


class Noted:
    def __init__(self, inner: OrderMatcher) -> None:
        self._inner = inner
        self.fills: list[StrategyFill] = []

    @property
    def cash(self) -> Decimal:
        return self._inner.cash

    def opens(self, bars: Any) -> list[StrategyFill]:
        return self._note(self._inner.opens(bars))

    def closes(self, bars: Any) -> list[StrategyFill]:
        return self._note(self._inner.closes(bars))

    def buy(self, symbol: str, quantity: Decimal, exits: Any, bar: Bar) -> StrategyFill | None:
        return self._one(self._inner.buy(symbol, quantity, exits, bar))

    def sell(self, symbol: str, bar: Bar, why: str) -> StrategyFill | None:
        return self._one(self._inner.sell(symbol, bar, why))

    def _one(self, fill: StrategyFill | None) -> StrategyFill | None:
        self._note([] if fill is None else [fill])
        return fill

    def _note(self, fills: Iterable[StrategyFill]) -> list[StrategyFill]:
        made = list(fills)
        self.fills += made
        return made
