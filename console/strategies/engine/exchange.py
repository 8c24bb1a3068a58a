"""Where the orders of a strategy are filled: its own account, matched by the paper exchange's own rules.

*When.* What is decided on a closed bar is sent as the next bar of its symbol opens, so no decision knows more than it
could have known. The order meets the quote of that open; what protects the position then meets the rest of that bar.

*How.* ``brokers.paper.fill_rules`` say what fills and where, ``brokers.paper.costs`` what that costs, to the cent. An
order fills whole: what a preset says of a bar's volume and of latency does not hold here. Bid and ask are the last
price; slippage is that of the preset. Nothing is lent and nothing sold short.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Protocol

from brokers.paper import costs, fill_rules
from brokers.paper.fill_rules import RestingOrder
from brokers.types import Bar, Instrument, OrderType, Quote, Side

ENTRY, SIGNAL, TIME, STOP, TARGET, TRAILING = "entry", "signal", "time", "stop", "target", "trailing"
_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class Exits:
    """What closes a position by itself, at prices on the instrument's tick."""

    stop: Decimal | None = None
    target: Decimal | None = None
    trail_percent: Decimal | None = None
    trail_amount: Decimal | None = None

    @property
    def trails(self) -> bool:
        return self.trail_percent is not None or self.trail_amount is not None


@dataclass(frozen=True, slots=True)
class StrategyFill:
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal
    bar: Bar
    why: str
    slippage: Decimal = _NOTHING
    """What slippage has cost, in money."""


class OrderMatcher(Protocol):
    """One account of cash and positions in the symbols that trade. A step is one bar of each symbol that has one."""

    @property
    def cash(self) -> Decimal: ...

    def opens(self, bars: Mapping[str, Bar]) -> list[StrategyFill]:
        """The bars open: what rests meets their first price."""
        ...

    def buy(self, symbol: str, quantity: Decimal, exits: Exits, bar: Bar) -> StrategyFill | None:
        """At market, at that open. None: there is not enough cash."""
        ...

    def sell(self, symbol: str, bar: Bar, why: str) -> StrategyFill | None:
        """All there is at market, at that open, and what rests is cancelled."""
        ...

    def closes(self, bars: Mapping[str, Bar]) -> list[StrategyFill]:
        """The bars are over: what rests has met all of their prices."""
        ...


@dataclass(slots=True)
class _HeldPosition:
    quantity: Decimal
    resting: list[RestingOrder]
    below: Decimal | None = field(init=False, default=None)
    above: Decimal | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.set_bounds()

    def set_bounds(self) -> None:
        """No bar does anything to what rests unless its low is at most ``below`` or its high at least ``above``."""
        bounds = [fill_rules.touches(each) for each in self.resting]
        self.below = max((below for below, _ in bounds if below is not None), default=None)
        self.above = min((above for _, above in bounds if above is not None), default=None)

    def reaches(self, low: Decimal, high: Decimal) -> bool:
        return (self.below is not None and low <= self.below) or (self.above is not None and high >= self.above)


class SimulatedMatcher:
    def __init__(self, instruments: Mapping[str, Instrument], preset: costs.Preset, cash: Decimal) -> None:
        self._instruments = instruments
        self._preset = preset
        self.cash = cash
        self._held: dict[str, _HeldPosition] = {}
        self._watched: dict[str, _HeldPosition] = {}
        """Those for which something rests."""

    def opens(self, bars: Mapping[str, Bar]) -> list[StrategyFill]:
        fills: list[StrategyFill] = []
        if not self._watched:
            return fills
        for symbol, holding in list(self._watched.items()):
            bar = bars.get(symbol)
            if bar is not None and holding.reaches(bar.open, bar.open):
                first = Bar(
                    start=bar.start, open=bar.open, high=bar.open, low=bar.open, close=bar.open, volume=_NOTHING
                )
                fills += self._meet(symbol, holding, first, bar)
        return fills

    def closes(self, bars: Mapping[str, Bar]) -> list[StrategyFill]:
        fills: list[StrategyFill] = []
        if not self._watched:
            return fills
        for symbol, holding in list(self._watched.items()):
            bar = bars.get(symbol)
            if bar is not None and holding.reaches(bar.low, bar.high):
                fills += self._meet(symbol, holding, bar, bar)
        return fills

    def buy(self, symbol: str, quantity: Decimal, exits: Exits, bar: Bar) -> StrategyFill | None:
        if costs.notional_of(bar.open, quantity) == 0:
            return None
        fill = self._fill(self._terms(symbol, Side.BUY, OrderType.MARKET, quantity), symbol, None, bar, ENTRY)
        if fill is None:
            return None
        resting = []
        if exits.target is not None:
            resting.append(replace(self._terms(symbol, Side.SELL, OrderType.LIMIT, quantity), limit_price=exits.target))
        if exits.stop is not None:
            resting.append(replace(self._terms(symbol, Side.SELL, OrderType.STOP, quantity), stop_price=exits.stop))
        elif exits.trails:
            resting.append(
                replace(
                    self._terms(symbol, Side.SELL, OrderType.TRAIL, quantity),
                    trail_percent=exits.trail_percent,
                    trail_amount=exits.trail_amount,
                    best=fill.price,
                )
            )
        held = self._held[symbol] = _HeldPosition(quantity, resting)
        if resting:
            self._watched[symbol] = held
        return fill

    def sell(self, symbol: str, bar: Bar, why: str) -> StrategyFill | None:
        holding = self._held[symbol]
        terms = self._terms(symbol, Side.SELL, OrderType.MARKET, holding.quantity)
        fill = self._fill(terms, symbol, None, bar, why)
        self._watched.pop(symbol, None)
        if fill is not None:
            del self._held[symbol]
        return fill

    def _meet(self, symbol: str, holding: _HeldPosition, met: Bar, bar: Bar) -> list[StrategyFill]:
        """Of two that end each other the worse one fills: at the open, else the stop before the target."""
        reached: list[tuple[int, int, Decimal]] = []
        for place, terms in enumerate(holding.resting):
            match = fill_rules.in_bar(terms, met)
            if match.price is None:
                if (match.triggered, match.best) != (terms.triggered, terms.best):
                    holding.resting[place] = replace(terms, triggered=match.triggered, best=match.best)
            else:
                rank = 0 if match.price == met.open else 1 if terms.order_type is not OrderType.LIMIT else 2
                reached.append((rank, place, match.price))
        ended = []
        for _, place, price in sorted(reached):
            terms = holding.resting[place]
            fill = self._fill(terms, symbol, price, bar, _WHY[terms.order_type])
            if fill is not None:
                del self._held[symbol], self._watched[symbol]
                return [fill]
            ended.append(place)
        holding.resting = [terms for place, terms in enumerate(holding.resting) if place not in ended]
        holding.set_bounds()
        return []

    def _fill(self, terms: RestingOrder, symbol: str, price: Decimal | None, bar: Bar, why: str) -> StrategyFill | None:
        """At ``price`` as an order that rested, or at the quote of the open. None: it cannot be paid."""
        instrument, maker = self._instruments[symbol], False
        if price is None:
            price = fill_rules.on_arrival(terms, _quote(instrument, bar)).price
            assert price is not None
        else:
            maker = terms.order_type is OrderType.LIMIT
        moved = costs.with_slippage(self._preset, terms, price)
        kind, quantity = instrument.asset_class, terms.quantity
        effect = costs.cash_effect(self._preset, terms.side, kind, moved, quantity, maker=maker)
        if self.cash + effect < 0:
            return None
        self.cash += effect
        return StrategyFill(
            symbol,
            terms.side,
            quantity,
            moved,
            costs.fee(self._preset, kind, moved, quantity, maker=maker),
            bar,
            why,
            costs.notional_of(abs(moved - price), quantity),
        )

    def _terms(self, symbol: str, side: Side, kind: OrderType, quantity: Decimal) -> RestingOrder:
        return RestingOrder(side=side, order_type=kind, quantity=quantity, tick=self._instruments[symbol].tick)


_WHY = {OrderType.LIMIT: TARGET, OrderType.STOP: STOP, OrderType.TRAIL: TRAILING}


def _quote(instrument: Instrument, bar: Bar) -> Quote:
    price = bar.open
    return Quote(
        symbol=instrument.symbol,
        currency=instrument.currency,
        last=price,
        bid=price,
        ask=price,
        open=price,
        high=price,
        low=price,
        change_percent=_NOTHING,
        as_of=bar.start,
        source="",
    )
