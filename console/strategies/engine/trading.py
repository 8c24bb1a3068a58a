"""From decisions to orders: how many units, with which stop and target, within the limits; and what became of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal

from brokers.paper import costs
from brokers.types import AssetClass, Bar, Instrument, Side
from console.strategies.engine import exchange
from console.strategies.engine.deciding import SymbolRules
from console.strategies.engine.exchange import Exits, OrderMatcher, StrategyFill
from console.strategies.engine.rules import Distance, Rules

_NOTHING = Decimal(0)
_TRIES = 5


@dataclass(slots=True)
class OpenTrade:
    """A position, from its entry on."""

    entry: StrategyFill
    bars: int = 0

    @property
    def symbol(self) -> str:
        return self.entry.symbol


@dataclass(frozen=True, slots=True)
class Trade:
    """One round trip, entry to exit."""

    symbol: str
    opened: datetime
    closed: datetime
    """Starts of the bars in which it was."""
    quantity: Decimal
    entry: Decimal
    exit: Decimal
    fees: Decimal
    profit: Decimal
    """Fees taken off."""
    bars: int
    why: str


class Trader:
    """Runs rules on one account, one step after the other. A step is the bars of one time, by symbol."""

    def __init__(
        self,
        rules: Rules,
        instruments: Mapping[str, Instrument],
        preset: costs.Preset,
        market: OrderMatcher,
        length: timedelta,
        *,
        filled: Callable[[StrategyFill], None],
        ended: Callable[[Trade], None],
    ) -> None:
        """``instruments``: of the universe. ``filled`` and ``ended`` are told what happens, in its order."""
        self._rules, self._instruments, self._preset, self._market = rules, instruments, preset, market
        self._filled, self._ended = filled, ended
        self._symbols = {symbol: SymbolRules(rules, length) for symbol in rules.universe}
        self.last: dict[str, Decimal] = {}
        """The newest price of each symbol."""
        self._leaving: dict[str, str] = {}
        self._entering: set[str] = set()
        self._day: date | None = None
        self._entries_today = 0
        self.open: dict[str, OpenTrade] = {}
        self.not_paid = 0
        """Entries that were left out for want of cash, or because what it paid for is less than the smallest order."""
        self.over_limits = 0
        """Entries that were left out because of the rules' own limits."""

    @property
    def cash(self) -> Decimal:
        return self._market.cash

    @property
    def equity(self) -> Decimal:
        """Positions at the last price known."""
        total = self._market.cash
        if not self.open:
            return total
        for symbol, trade in self.open.items():
            total += costs.notional_of(self.last[symbol], trade.entry.quantity)
        return total

    def step(self, at: datetime, bars: Mapping[str, Bar]) -> None:
        if self.open:
            for fill in self._market.opens(bars):
                self._close(fill)
        if self._leaving or self._entering:
            self._send(at, bars)
        if self.open:
            for fill in self._market.closes(bars):
                self._close(fill)
        for symbol, own in self._symbols.items():
            bar = bars.get(symbol)
            if bar is not None:
                self.last[symbol] = bar.close
                own.push(bar, bars)
                self._decide(symbol, own, bar)

    def _decide(self, symbol: str, own: SymbolRules, bar: Bar) -> None:
        trade = self.open.get(symbol)
        if trade is not None:
            trade.bars += 1
            if own.leaves():
                self._leaving[symbol] = exchange.SIGNAL
            elif self._rules.hold is not None and trade.bars >= self._rules.hold:
                self._leaving[symbol] = exchange.TIME
        elif own.enters() and not own.leaves() and own.knows_ranges and own.in_session(bar):
            self._entering.add(symbol)

    def _send(self, at: datetime, bars: Mapping[str, Bar]) -> None:
        """What was decided on closed bars, as the next one of its symbol opens: exits first."""
        for symbol in [each for each in self._symbols if each in bars]:
            self.last[symbol] = bars[symbol].open
        for symbol in [each for each in self._leaving if each in bars]:
            why = self._leaving.pop(symbol)
            if symbol in self.open and (fill := self._market.sell(symbol, bars[symbol], why)) is not None:
                self._close(fill)
        if at.date() != self._day:
            self._day, self._entries_today = at.date(), 0
        for symbol in [each for each in self._symbols if each in self._entering and each in bars]:
            self._entering.discard(symbol)
            if symbol not in self.open:
                self._enter(symbol, bars[symbol])

    def _enter(self, symbol: str, bar: Bar) -> None:
        limits = self._rules.limits
        if len(self.open) >= limits.positions or (
            limits.trades_a_day is not None and self._entries_today >= limits.trades_a_day
        ):
            self.over_limits += 1
            return
        exits = self._exits(symbol, bar.open)
        if exits is None:
            self.not_paid += 1
            return
        quantity = self._quantity(symbol, bar.open, exits)
        fill = self._market.buy(symbol, quantity, exits, bar) if quantity else None
        if fill is None:
            self.not_paid += 1
            return
        self._entries_today += 1
        self._filled(fill)
        self.open[symbol] = OpenTrade(fill)

    def _close(self, fill: StrategyFill) -> None:
        trade = self.open.pop(fill.symbol)
        self._leaving.pop(fill.symbol, None)
        self._filled(fill)
        entry = trade.entry
        fees = entry.fee + fill.fee
        gained = costs.notional_of(fill.price, fill.quantity) - costs.notional_of(entry.price, entry.quantity)
        self._ended(
            Trade(
                fill.symbol,
                entry.bar.start,
                fill.bar.start,
                fill.quantity,
                entry.price,
                fill.price,
                fees,
                gained - fees,
                trade.bars,
                fill.why,
            )
        )

    # -- sizes and prices -------------------------------------------------------------------------------------------

    def _exits(self, symbol: str, price: Decimal) -> Exits | None:
        """None where a stop would lie at or below zero."""
        rules, tick = self._rules, self._instruments[symbol].tick
        stop = target = trail_percent = trail_amount = None
        if rules.stop is not None:
            stop = _on_tick(price - self._away(symbol, rules.stop, price), tick)
            stop = min(stop, price - tick)
            if stop <= 0:
                return None
        if rules.trailing is not None and rules.trailing.kind == "percent":
            trail_percent = rules.trailing.value
        elif rules.trailing is not None:
            trail_amount = max(tick, _on_tick(rules.trailing.value, tick))
            if trail_amount >= price:
                return None
        if rules.target is not None:
            exits = Exits(stop, None, trail_percent, trail_amount)
            away = (
                _risk(price, exits) * rules.target.value
                if rules.target.kind == "times_risk"
                else self._away(symbol, rules.target, price)
            )
            target = max(_on_tick(price + away, tick), price + tick)
        return Exits(stop, target, trail_percent, trail_amount)

    def _away(self, symbol: str, distance: Distance, price: Decimal) -> Decimal:
        if distance.kind == "percent":
            return price * distance.value / 100
        if distance.kind == "amount":
            return distance.value
        return (self._symbols[symbol].average_range(distance.length) or _NOTHING) * distance.value

    def _quantity(self, symbol: str, price: Decimal, exits: Exits) -> Decimal:
        """In whole lots, 0 for none: never more than cash and limits allow."""
        rules, instrument, cash = self._rules, self._instruments[symbol], self._market.cash
        fixed = rules.size_kind == "quantity"
        if fixed:
            wanted = rules.size
        elif rules.size_kind == "worth":
            wanted = rules.size / price
        elif rules.size_kind == "percent_of_equity":
            wanted = self.equity * rules.size / 100 / price
        else:
            wanted = self.equity * rules.size / 100 / _risk(price, exits)
        if rules.limits.worth is not None:
            room = max(_NOTHING, rules.limits.worth - (self.equity - cash))
            if fixed and wanted * price > room:
                return _NOTHING
            wanted = min(wanted, room / price)
        quantity = _whole(wanted, instrument.lot)
        if not fixed:
            quantity = self._affordable(quantity, instrument, price, cash)
        return quantity if quantity >= instrument.minimum else _NOTHING

    def _affordable(self, quantity: Decimal, instrument: Instrument, price: Decimal, cash: Decimal) -> Decimal:
        """The same, or what the cash pays for with slippage and fee."""
        preset, kind = self._preset, instrument.asset_class
        worst = price * (1 + preset.slippage) + instrument.tick * (1 if preset.slippage else 0)
        if kind is AssetClass.CRYPTO:
            most = cash / (worst * (1 + preset.taker))
        else:
            most = (cash - preset.order_minimum) / (worst + preset.per_share)
        quantity = min(quantity, _whole(max(most, _NOTHING), instrument.lot))
        for _ in range(_TRIES):
            if cash + costs.cash_effect(preset, Side.BUY, kind, worst, quantity) >= 0:
                return quantity
            quantity = max(quantity - instrument.lot, _NOTHING)
        # A cent can be many lots of what is cheap.
        return _whole(quantity * Decimal("0.999"), instrument.lot)


def _risk(price: Decimal, exits: Exits) -> Decimal:
    """What a unit loses where its stop fills at its price."""
    if exits.stop is not None:
        return price - exits.stop
    if exits.trail_amount is not None:
        return exits.trail_amount
    return price * (exits.trail_percent or _NOTHING) / 100


def _on_tick(price: Decimal, tick: Decimal) -> Decimal:
    return (price / tick).to_integral_value(ROUND_HALF_UP) * tick


def _whole(quantity: Decimal, lot: Decimal) -> Decimal:
    return (quantity / lot).to_integral_value(ROUND_DOWN) * lot
