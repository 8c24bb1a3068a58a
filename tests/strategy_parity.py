"""Random strategies on the shipped bars: the backtest against the same orders on a paper account, to the cent.

    python -m tests.strategy_parity [--count 200] [--seed 1] [--bars 240]

Each strategy runs twice. Once as a backtest. Once with every order sent to a paper account through its adapter, on a
replay of the same bars: each is imported as two minutes, the print of its open and then the whole bar, so that an order
can be sent between the two, as the backtest says it is. Fills, their fees and the cash at the end must be the same.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import django
from django.core.management import call_command

SYMBOLS = ("ONE/USD", "TWO/USD", "TRE/USD")
_APART = 840
"""Bars of the recording between the first ones of two symbols."""
_MINUTE = timedelta(minutes=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ids = count(1)


def recorded(bars: int) -> list[tuple[datetime, dict[str, Any]]]:
    """So many steps of the shipped recording, in which each symbol has another part of it."""
    from brokers.paper import replay_market
    from brokers.types import Bar

    tape, start = replay_market.btc_usd(), datetime(2018, 4, 5, tzinfo=UTC)
    steps = []
    for place in range(bars):
        at = start + place * _MINUTE
        found = {}
        for number, symbol in enumerate(SYMBOLS):
            minute = number * _APART + place
            traded = tape.aggregate(minute, minute + 1)
            assert traded is not None
            found[symbol] = Bar(start=at, **traded._asdict())
        steps.append((at, found))
    return steps


def import_replay(steps: list[tuple[datetime, dict[str, Any]]]) -> datetime:
    """Each bar as two minutes, into the paper market; a time at which the first one begins."""
    from brokers.paper.bar_imports import import_bars
    from brokers.types import AssetClass

    start = datetime(2020, 1, 1, tzinfo=UTC)
    for symbol in SYMBOLS:
        lines = ["ts,open,high,low,close,volume"]
        for place, (_, bars) in enumerate(steps):
            bar, at = bars[symbol], start + 2 * place * _MINUTE
            lines.append(f"{at.isoformat()},{bar.open},{bar.open},{bar.open},{bar.open},0")
            lines.append(f"{(at + _MINUTE).isoformat()},{bar.open},{bar.high},{bar.low},{bar.close},{bar.volume}")
        import_bars(lines, symbol=symbol, name=symbol, asset_class=AssetClass.CRYPTO)
    whole = (datetime(2026, 11, 20, tzinfo=UTC) - _EPOCH) // _MINUTE
    return _EPOCH + (whole + -whole % (2 * len(steps))) * _MINUTE


@dataclass(frozen=True, slots=True)
class Case:
    rules: str
    preset: str
    cash: Decimal


def drawn(draw: random.Random) -> Case:
    """One strategy that trades often enough to be worth a run."""
    fast, slow = sorted(draw.sample(range(2, 25), 2))
    length = draw.randint(2, 20)
    entry, leave = draw.choice(
        [
            (f"SMA({fast}) crosses_above SMA({slow})", f"SMA({fast}) crosses_below SMA({slow})"),
            (f"EMA({fast}) above EMA({slow})", f"EMA({fast}) below EMA({slow})"),
            (f"RSI({length}) below {draw.randint(25, 45)}", f"RSI({length}) above {draw.randint(55, 75)}"),
            (f"close above SMA({slow})", f"close at_most SMA({fast})"),
            (f"ZSCORE({length}) at_most -{draw.randint(5, 20) / 10}", f"ZSCORE({length}) at_least 0.5"),
            (f"CHANGE({length}) above 0.05", f"CHANGE({length}) below -0.05"),
            (f"close below BBANDS({length},1.5).lower", f"close above BBANDS({length},1.5).middle"),
            (f"MACD({fast},{slow + 1},5).macd crosses_above MACD({fast},{slow + 1},5).signal", "close below 1"),
        ]
    )
    rules: dict[str, Any] = {
        "name": "Drawn",
        "universe": list(SYMBOLS[: draw.randint(1, 3)]),
        "timeframe": "1m",
        "entry": compared(entry),
        "exit": compared(leave),
        "size": draw.choice(
            [
                {"quantity": draw.choice(["0.5", "1", "3.33333333"])},
                {"worth": draw.randint(500, 60_000)},
                {"percent_of_equity": draw.choice([10, 33, 100])},
                {"risk_percent": draw.choice(["0.1", "1", "2.5"])},
            ]
        ),
    }
    near = draw.choice(["0.05", "0.15", "0.4", "1"])
    if draw.random() < 0.7 or "risk_percent" in rules["size"]:
        kind = draw.choice(["percent", "amount", "atr", "trail", "trail_amount"])
        if kind == "trail":
            rules["trailing"] = {"percent": near}
        elif kind == "trail_amount":
            rules["trailing"] = {"amount": draw.choice(["2.5", "9.99", "31"])}
        else:
            rules["stop"] = {kind: {"percent": near, "amount": "12.345", "atr": draw.choice(["1", "2.5"])}[kind]}
    if draw.random() < 0.6:
        has_stop = "stop" in rules or "trailing" in rules
        rules["target"] = {"times_risk": "1.5"} if has_stop and draw.random() < 0.5 else {"percent": near}
    if draw.random() < 0.3:
        rules["hold"] = draw.randint(1, 30)
    if draw.random() < 0.3:
        rules["limits"] = {"positions": draw.randint(1, 2), "worth": 40_000, "trades_a_day": draw.randint(3, 30)}
    preset = draw.choice(["standard", "frictionless", "realistic", "thin"])
    return Case(json.dumps(rules), preset, Decimal(draw.choice(["300", "20000", "100000"])))


def compared(text: str) -> dict[str, str]:
    left, relation, right = text.split()
    return {"left": left, "is": relation, "right": right}


class PaperReplay:
    """An exchange of the engine that is a paper account, which knows nothing of it."""

    def __init__(self, first: datetime, steps: list[tuple[datetime, dict[str, Any]]], case: Case) -> None:
        from brokers.paper import accounts, model_settings
        from brokers.paper.adapter import PaperBroker

        self._first, self._now = first, first
        self._places = {at: place for place, (at, _) in enumerate(steps)}
        account = accounts.open_account("Replay", case.cash, preset=case.preset, now=first)
        whole = {"latency_ms": Decimal(0), "volume_percent": Decimal(0)}
        model_settings.set_model(account.key, overrides=whole, now=first)
        self._key = account.key
        self._broker = PaperBroker.open({"account": account.key}, clock=lambda: self._now)
        self._resting: dict[str, list[str]] = {}
        self._whys: dict[str, str] = {}
        self._seen: set[str] = set()
        self._bars: Mapping[str, Any] = {}
        self.cash = case.cash

    def opens(self, bars: Mapping[str, Any]) -> list[Any]:
        self._go(bars, 1)
        return self._fills()

    def closes(self, bars: Mapping[str, Any]) -> list[Any]:
        self._go(bars, 2)
        return self._fills()

    def buy(self, symbol: str, quantity: Decimal, exits: Any, bar: Any) -> Any:
        from brokers.types import LegRequest, OrderClass, OrderType, Side

        def leg(name: str, kind: OrderType, **price: Any) -> LegRequest:
            return LegRequest(client_order_id=name, side=Side.SELL, order_type=kind, **price)

        self._go({symbol: bar}, 1)
        legs = []
        if exits.target is not None:
            name = self._name("target")
            legs.append(leg(name, OrderType.LIMIT, limit_price=exits.target))
        if exits.stop is not None:
            legs.append(leg(self._name("stop"), OrderType.STOP, stop_price=exits.stop))
        elif exits.trails:
            distance = {"trail_percent": exits.trail_percent, "trail_amount": exits.trail_amount}
            legs.append(leg(self._name("trailing"), OrderType.TRAIL, **distance))
        kinds = (OrderClass.SIMPLE, OrderClass.OTO, OrderClass.BRACKET)
        self._resting[symbol] = [leg.client_order_id for leg in legs]
        return self._send(symbol, "BUY", quantity, "entry", kinds[len(legs)], tuple(legs))

    def sell(self, symbol: str, bar: Any, why: str) -> Any:
        self._go({symbol: bar}, 1)
        for name in self._resting.pop(symbol, []):
            order = self._broker.order(self._key, name)
            if order is not None and order.status.is_open:
                self._broker.cancel(self._key, name)
        held = {each.symbol: each.quantity for each in self._broker.positions(self._key)}
        from brokers.types import OrderClass

        return self._send(symbol, "SELL", held[symbol], why, OrderClass.SIMPLE, ())

    def _send(self, symbol: str, side: str, quantity: Decimal, why: str, kind: Any, legs: tuple[Any, ...]) -> Any:
        from brokers.errors import Rejected
        from brokers.types import OrderRequest, OrderType, Side, TimeInForce

        request = OrderRequest(
            client_order_id=self._name(why),
            symbol=symbol,
            side=Side(side),
            order_type=OrderType.MARKET,
            quantity=quantity,
            tif=TimeInForce.GTC,
            order_class=kind,
            legs=legs,
        )
        try:
            self._broker.submit(self._key, request)
        except Rejected:
            return None
        (fill,) = self._fills()
        return fill

    def _go(self, bars: Mapping[str, Any], minutes: int) -> None:
        self._bars = {**self._bars, **bars}
        place = self._places[max(bar.start for bar in bars.values())]
        self._now = self._first + (2 * place + minutes) * _MINUTE

    def _fills(self) -> list[Any]:
        from brokers.types import Side
        from console.strategies.engine.exchange import StrategyFill

        found = []
        for each in reversed(self._broker.fills(self._key, limit=10)):
            if each.fill_id in self._seen:
                continue
            self._seen.add(each.fill_id)
            why, bar = self._whys[each.client_order_id], self._bars[each.symbol]
            found.append(StrategyFill(each.symbol, Side(each.side), each.quantity, each.price, each.fee, bar, why))
        if found:
            self.cash = self._broker.account_state(self._key).cash[0].total
        return found

    def _name(self, why: str) -> str:
        name = f"{next(_ids):032x}"
        self._whys[name] = why
        return name


def compare(case: Case, steps: list[tuple[datetime, dict[str, Any]]], first: datetime) -> tuple[list[str], int]:
    """(what is different, fills)."""
    from brokers.paper import costs
    from brokers.paper.listings import market_for
    from console.strategies.engine import backtest, rules
    from console.strategies.engine.exchange import SimulatedMatcher

    parsed = rules.parse(case.rules)
    market = market_for(1, "always")
    setting = backtest.Setting(
        rules=parsed,
        instruments={symbol: market.tape(symbol).instrument for symbol in parsed.universe},
        preset=costs.PRESETS[case.preset],
        cash=case.cash,
        start=steps[0][0],
        end=steps[-1][0] + _MINUTE,
    )
    ran = []
    for exchange in (
        SimulatedMatcher(setting.instruments, setting.preset, case.cash),
        PaperReplay(first, steps, case),
    ):
        fills = Noted(exchange)
        report = backtest.run(setting, steps, market=fills)
        report["figures"].pop("slippage")  # which paper does not tell apart
        ran.append((fills.noted, exchange.cash, report))
    mine, theirs = ran
    wrong = [f"{one} is not {other}" for one, other in zip(mine[0], theirs[0], strict=False) if one != other][:3]
    if len(mine[0]) != len(theirs[0]):
        wrong.append(f"{len(mine[0])} fills, on paper {len(theirs[0])}")
    if mine[1] != theirs[1]:
        wrong.append(f"cash {mine[1]}, on paper {theirs[1]}")
    if mine[2] != theirs[2]:
        wrong.append("the reports differ")
    return wrong, len(mine[0])


class Noted:
    """Keeps each fill of an exchange in its order. Of one step those of several symbols are in order of the symbol."""

    def __init__(self, exchange: Any) -> None:
        self._exchange = exchange
        self.noted: list[tuple[Any, ...]] = []

    @property
    def cash(self) -> Decimal:
        found: Decimal = self._exchange.cash
        return found

    def opens(self, bars: Mapping[str, Any]) -> list[Any]:
        return self._note(sorted(self._exchange.opens(bars), key=lambda fill: str(fill.symbol)))

    def closes(self, bars: Mapping[str, Any]) -> list[Any]:
        return self._note(sorted(self._exchange.closes(bars), key=lambda fill: str(fill.symbol)))

    def buy(self, symbol: str, quantity: Decimal, exits: Any, bar: Any) -> Any:
        return self._one(self._exchange.buy(symbol, quantity, exits, bar))

    def sell(self, symbol: str, bar: Any, why: str) -> Any:
        return self._one(self._exchange.sell(symbol, bar, why))

    def _one(self, fill: Any) -> Any:
        self._note([] if fill is None else [fill])
        return fill

    def _note(self, fills: list[Any]) -> list[Any]:
        self.noted += [
            (each.bar.start, each.symbol, each.side, each.quantity, each.price, each.fee, each.why) for each in fills
        ]
        return fills


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bars", type=int, default=240)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["TRADELATCH_HOME"] = home
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
        django.setup()
        call_command("migrate", verbosity=0)
        draw, steps = random.Random(given.seed), recorded(given.bars)  # noqa: S311 - repeatable, no secret
        first, began = import_replay(steps), time.monotonic()
        fills = different = idle = 0
        for place in range(given.count):
            case = drawn(draw)
            wrong, made = compare(case, steps, first)
            fills, different, idle = fills + made, different + bool(wrong), idle + (not made)
            if wrong:
                print(f"Strategy {place}: {'; '.join(wrong)}\n  {case}")  # noqa: T201
        print(  # noqa: T201
            f"{given.count} strategies, {fills:,} fills, {different} different, {idle} without a fill, "
            f"{time.monotonic() - began:.0f} s"
        )
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
