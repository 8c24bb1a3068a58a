"""How one account's open orders meet the bars completed since they were last looked at, in order of time.

What happens to an order depends only on the bars, never on when anybody looked: matching every second and
matching once a week leave the same books. At one time, in this order: fills at a bar's open, then stops, then
other fills (of two orders that end each other the worse one wins), arrivals, cancels, expiries, corporate actions,
borrowing costs; within each the older order first.

*Latency.* Where the model has one, a new order is on its way that long: it holds what it may cost, meets nothing, and
then meets the quote of its arrival and bars that begin after it. What has changed meanwhile counts: a market order
that finds the market closed, or a post-only order that would trade, is rejected. A change sends the order on its way
again, under its new terms. A cancel ends the order when it arrives, unless a bar that ended before has filled it; a
leg that waits for its parent is not at the market yet, and its cancel counts at once. Live prices come over a network
with a latency of its own, and none is added to it.

*Legs.* One that waits for its parent meets the first bar that begins after the parent filled, for as many units as
have filled; it ends when its parent ends unfilled. What fills of one order of a pair is taken from the other.
Cancelling one of a pair leaves the other. When the exit of a bracket fills, what is left of its entry ends.

*Borrowing.* At 00:00 UTC a short position costs a day's borrow fee on its value, and negative cash a day's interest.

*Corporate actions.* Those of the simulated stocks are ``simulated_corporate_actions``, others are imported. At 00:00
UTC of the ex-date a dividend is paid on every share held, and by whoever is short; no order's price is changed for it.
A split multiplies the position, pays what is less than a lot in cash at the last price, and cancels every open order in
the stock, GTC or not and legs too, because its price and quantity no longer mean what they did. Of two on one day the
older import acts first, and what is announced before what is imported.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from heapq import heappop, heappush

from brokers import market_hours
from brokers.decimals import is_multiple
from brokers.errors import InsufficientFunds, InsufficientPosition
from brokers.paper import buying_power, costs, fill_rules, ledger, prices, simulated_corporate_actions
from brokers.paper.models import OPEN_STATUSES, MatchedTape, PaperAccount, PaperFill, PaperOrder
from brokers.paper.simulated_corporate_actions import SimulatedAction
from brokers.types import AssetClass, Bar, BrokerStatus, OrderClass, OrderType, Quote, Side, TimeInForce

GRACE = timedelta(minutes=5)
"""No order takes longer from its time of placing to its commit; what was shown to all may have missed those younger."""
EVERY_BAR = 1e300
"""``touch_below`` of an order that every bar concerns."""

_OUT_OF_CASH = "The price moved beyond the cash reserved for this order, and the remaining cash was not enough."
_NOT_AT_ONCE = "IOC: the price was not available, so nothing filled."
_REST_CANCELLED = "IOC: the part that could not fill immediately was cancelled."
_NOT_WHOLE = "FOK: the whole order could not fill immediately."
_EXPIRED = {
    TimeInForce.DAY: "DAY: the trading day ended.",
    TimeInForce.OPG: "OPG: it did not fill at the open.",
    TimeInForce.CLS: "CLS: it did not fill at the close.",
}
_ON_REQUEST = "Cancelled on request."
_PARENT_ENDED = "Its parent order ended unfilled."
_PAIR_FILLED = "The other order of the OCO pair filled."
_EXIT_FILLED = "Its exit started to fill before the whole order had filled."
_NOTHING_TO_REDUCE = "Reduce only: no position is left."
_SPLIT = "The stock was split."
_CLOSED = "The market had closed when it arrived."
_WOULD_TRADE = "Post only: it would have traded immediately."
_LEG_SHORT = "After its parent filled, there was not enough to cover it."

_AT_OPEN, _STOP, _OTHER, _ARRIVAL, _CANCEL, _EXPIRY, _ACTION, _ACCRUAL = range(8)


@dataclass(frozen=True, slots=True)
class _Event:
    order: PaperOrder | None = None
    tape: prices.Tape | None = None
    price: Decimal | None = None
    """None: it expired."""
    minute: int = 0
    volume: Decimal = Decimal(0)
    triggered: bool = False
    best: Decimal | None = None
    action: SimulatedAction | None = None


@dataclass(frozen=True, slots=True)
class Arrival:
    """An order against the market of this moment."""

    quote: Quote
    match: fill_rules.FillResult
    room: Decimal | None
    """Units that volume allows; None: any number."""
    minute: int


def terms_of(order: PaperOrder, tape: prices.Tape) -> fill_rules.RestingOrder:
    """What is left of it."""
    return fill_rules.RestingOrder(
        side=Side(order.side),
        order_type=OrderType(order.order_type),
        quantity=order.quantity - order.filled_quantity,
        tif=TimeInForce(order.tif),
        limit_price=order.limit_price,
        stop_price=order.stop_price,
        trail_amount=order.trail_amount,
        trail_percent=order.trail_percent,
        best=order.best,
        tick=tape.instrument.tick,
        triggered=order.triggered,
    )


def set_bounds(order: PaperOrder, tape: prices.Tape) -> None:
    """What the database finds it by. Saves nothing."""
    if order.held or order.arrives_at is not None:
        order.touch_below = order.touch_above = None
        return
    below, above = fill_rules.touches(terms_of(order, tape))
    order.touch_below = EVERY_BAR if below is above is None else _up(below)
    order.touch_above = _down(above)


def latency(account: PaperAccount) -> timedelta:
    """How long what is sent now is on its way."""
    preset = costs.model_of(account.preset, account.overrides)
    return timedelta(0) if account.venue else timedelta(microseconds=int(preset.latency * 1000))


def first_match(tape: prices.Tape, placed: datetime) -> datetime:
    """Start of the first bar that begins at or after ``placed``: the one under way has older trades in it."""
    minute = market_hours.minute_from(placed)
    return market_hours.at_minute(minute + -minute % tape.step)


def window(tape: prices.Tape, tif: TimeInForce, now: datetime) -> tuple[datetime, datetime | None]:
    """From when an order of this time in force meets bars, and when it expires."""
    if tif is TimeInForce.OPG:
        opened, _ = market_hours.coming_session(tape.hours, now)
        return opened, opened + timedelta(minutes=tape.step)
    if tif is TimeInForce.CLS:
        closed = market_hours.session_end(tape.hours, now)
        start = closed - timedelta(minutes=tape.step)
        if start < now:
            _, closed = market_hours.coming_session(tape.hours, now)
            start = closed - timedelta(minutes=tape.step)
        return start, closed
    return first_match(tape, now), market_hours.session_end(tape.hours, now) if tif is TimeInForce.DAY else None


def cannot_wait(kind: OrderType, tif: TimeInForce) -> bool:
    """Whether an order is for the market of this moment alone."""
    if tif in (TimeInForce.OPG, TimeInForce.CLS):
        return False
    return kind is OrderType.MARKET or tif in (TimeInForce.IOC, TimeInForce.FOK)


def touched(bar: prices.Ohlcv) -> tuple[float, float]:
    """(low, high) to compare ``touch_below`` and ``touch_above`` with."""
    return _down(bar.low) or 0.0, _up(bar.high) or 0.0


def due(state: ledger.AccountSnapshot, market: prices.Market) -> list[int]:
    """Keys of the open orders that a bar, or the end of their time, may have reached."""
    rows = [order for order in state.orders if not order.held]
    spans: dict[str, datetime] = {}
    for order in rows:
        start = order.matched_until if order.seen is None else max(order.matched_until, order.seen - GRACE)
        spans[order.tape] = min(start, spans.get(order.tape, start))
    reach: dict[str, tuple[float, float] | None] = {}
    found = []
    for order in rows:
        if order.tape not in reach:
            tape = market.tape(order.symbol)
            first, end = market_hours.minute_of(spans[order.tape]), prices.completed(tape, state.at)
            bar = tape.aggregate(first, end) if first < end else None
            reach[order.tape] = None if bar is None else touched(bar)
        span, below, above = reach[order.tape], order.touch_below, order.touch_above
        met = span is not None and ((below or 0.0) >= span[0] or (above is not None and above <= span[1]))
        times = (order.expires_at, order.arrives_at, order.cancels_at)
        if met or any(at is not None and at <= state.at for at in times):
            found.append(order.pk)
    return found


def pending(account: PaperAccount, market: prices.Market, now: datetime) -> bool:
    """Whether something other than an order is due, by a row that was just read."""
    if account.accrues_at is not None and account.accrues_at <= now:
        return True
    return bool(_actions(account, market, now))


def settle_ends(account: PaperAccount, tape: prices.Tape, at: datetime) -> datetime | None:
    """When the proceeds of a sale at ``at`` can be spent; None: at once."""
    settles_later = account.settlement_days and account.kind == buying_power.CASH
    if not settles_later or tape.instrument.asset_class is AssetClass.CRYPTO:
        return None
    return market_hours.settles(
        market_hours.VENUE if tape.hours == market_hours.ALWAYS else tape.hours, at, account.settlement_days
    )


class Matcher:
    """One account, locked by the caller, with its orders brought up to ``now``."""

    def __init__(
        self, account: PaperAccount, market: prices.Market, now: datetime, state: ledger.AccountSnapshot | None = None
    ) -> None:
        """``state``: what the account has, where it was read since the last booking."""
        self.account = account
        self._state = state
        self.market = market
        self.now = now
        self.preset = costs.model_of(account.preset, account.overrides)
        self.ended = 0
        self.fills: list[PaperFill] = []
        """Those it has made."""
        self._orders: dict[int, PaperOrder] = {}
        self._seen: dict[str, datetime] = {}
        self._heap: list[tuple[datetime, int, int, int, _Event]] = []
        self._pushed = 0

    def run(self, keys: Iterable[int]) -> int:
        """Match these orders, and whatever follows from them; returns how many ended."""
        rows = self.account.orders.filter(pk__in=list(keys), status__in=OPEN_STATUSES, held=False).order_by("pk")
        self._orders = {order.pk: order for order in rows}
        self._seen = _seen({order.tape for order in self._orders.values()})
        for order in list(self._orders.values()):
            self._look(order)
        for action in _actions(self.account, self.market, self.now):
            self._push(action.at, _ACTION, action.pk, _Event(action=action))
        if self.account.accrues_at is not None:
            self._push(self.account.accrues_at, _ACCRUAL, 0, _Event())
        while self._heap:
            at, rank, _, _, event = heappop(self._heap)
            if event.action is not None:
                self._act(event.action)
            elif event.order is None:
                self._accrue(at)
            elif BrokerStatus(event.order.status).is_open and event.tape is not None:
                if rank == _ARRIVAL:
                    self._land(event.order, event.tape, at)
                elif rank == _CANCEL:
                    self._end(event.order, BrokerStatus.CANCELLED, at, _ON_REQUEST)
                else:
                    self._apply(event.order, event.tape, event, at)
        return self.ended

    def arrival(self, order: PaperOrder, tape: prices.Tape, at: datetime | None = None) -> Arrival:
        """What the market of that moment, now unless said, does to it. Changes nothing."""
        at = at or self.now
        quote = prices.newest(tape, at)
        minute = min(market_hours.minute_of(quote.as_of), prices.completed(tape, at)) - tape.step
        bar = tape.aggregate(minute, minute + tape.step)
        room = None
        if self.preset.participation is not None:
            volume = Decimal(0) if bar is None else bar.volume
            used = ledger.volume_taken(self.account, order.symbol, minute)
            room = costs.available_volume(self.preset, volume, used, tape.instrument.lot)
        match = fill_rules.FillResult(best=order.best, triggered=order.triggered)
        if self.meets_quote(order, tape, at) and not prices.is_stale(tape, quote, at):
            match = fill_rules.on_arrival(terms_of(order, tape), quote)
            if match.price is not None:
                match = replace(match, price=costs.with_slippage(self.preset, terms_of(order, tape), match.price))
        return Arrival(quote, match, room, minute)

    def meets_quote(self, order: PaperOrder, tape: prices.Tape, at: datetime) -> bool:
        return market_hours.is_open(tape.hours, at) and order.tif not in (TimeInForce.OPG, TimeInForce.CLS)

    def arrive(self, order: PaperOrder, tape: prices.Tape, arrival: Arrival, at: datetime | None = None) -> bool:
        """Fill what can fill at once and end what may not wait. The order is saved then, if it was not before; False:
        it cannot be paid."""
        at = at or self.now
        if order.pk is not None:
            self._orders[order.pk] = order
        order.triggered = arrival.match.triggered or order.triggered
        order.best = arrival.match.best if order.best is None else order.best
        left = order.quantity - order.filled_quantity
        quantity = left if arrival.room is None else min(left, arrival.room)
        if order.reduce_only:
            quantity = min(quantity, buying_power.position_against(self.account, order.symbol, Side(order.side)))
        if order.tif == TimeInForce.FOK and (arrival.match.price is None or quantity < left):
            self._end(order, BrokerStatus.CANCELLED, at, _NOT_WHOLE)
            return True
        if arrival.match.price is not None and quantity:
            event = _Event(order, tape, arrival.match.price, arrival.minute)
            if not self._fill(order, tape, event, quantity, at, maker=False):
                return False
        if BrokerStatus(order.status).is_open and order.tif == TimeInForce.IOC:
            reason = _REST_CANCELLED if order.filled_quantity else _NOT_AT_ONCE
            self._end(order, BrokerStatus.CANCELLED, at, reason)
        if BrokerStatus(order.status).is_open:
            set_bounds(order, tape)
            order.save()
            self._allot(tape, at)
        return True

    def cancel(self, order: PaperOrder) -> None:
        """At once, or when the cancel arrives: asking again does not make it later or sooner."""
        delay = latency(self.account)
        if delay and not order.held:
            order.cancels_at = order.cancels_at or self.now + delay
            order.save(update_fields=["cancels_at"])
            return
        self._orders[order.pk] = order
        self._end(order, BrokerStatus.CANCELLED, self.now, _ON_REQUEST)

    def _land(self, order: PaperOrder, tape: prices.Tape, at: datetime) -> None:
        """What was on its way is there, and meets the market of that moment."""
        if order.arrives_at is None:
            return
        order.arrives_at = None
        arrival = self.arrival(order, tape, at)
        if cannot_wait(OrderType(order.order_type), TimeInForce(order.tif)) and not market_hours.is_open(
            tape.hours, at
        ):
            self._end(order, BrokerStatus.REJECTED, at, _CLOSED)
        elif order.post_only and arrival.match.price is not None:
            self._end(order, BrokerStatus.REJECTED, at, _WOULD_TRADE)
        elif not self.arrive(order, tape, arrival, at):
            self._end(order, BrokerStatus.CANCELLED, at, _OUT_OF_CASH)
        if BrokerStatus(order.status).is_open:
            self._look(order)

    def _push(self, at: datetime, rank: int, pk: int, event: _Event) -> None:
        if at <= self.now:
            self._pushed += 1
            heappush(self._heap, (at, rank, pk, self._pushed, event))

    def _look(self, order: PaperOrder) -> None:
        """Find the next thing that the bars since ``matched_until`` do to this order."""
        tape = self.market.tape(order.symbol)
        if order.cancels_at is not None:
            self._push(order.cancels_at, _CANCEL, order.pk, _Event(order, tape))
        if order.arrives_at is not None:
            self._push(order.arrives_at, _ARRIVAL, order.pk, _Event(order, tape))
            return
        terms = terms_of(order, tape)
        start = max(order.matched_until, self._seen.get(order.tape, order.matched_until))
        minute, end = market_hours.minute_of(start), prices.completed(tape, self.now)
        if order.expires_at is not None:
            last = market_hours.minute_of(order.expires_at)
            end = min(end, last - last % tape.step)
        while minute < end:
            stretch = min(end, (minute // market_hours.DAY_MINUTES + 1) * market_hours.DAY_MINUTES)
            # One look at the whole stretch spares a look at each of its bars when its price never came near.
            if _meet(terms, tape, minute, stretch)[0] == _state(terms):
                minute = stretch
                continue
            while minute < stretch:
                match, bar = _meet(terms, tape, minute, minute + tape.step)
                if match.price is not None and bar is not None:
                    event = _Event(order, tape, match.price, minute, bar.volume, match.triggered, match.best)
                    stops = order.order_type != OrderType.LIMIT
                    rank = _AT_OPEN if match.price == bar.open else _STOP if stops else _OTHER
                    self._push(market_hours.at_minute(minute + tape.step), rank, order.pk, event)
                    return
                terms = replace(terms, triggered=match.triggered, best=match.best)
                minute += tape.step
        reached = max(order.matched_until, market_hours.at_minute(minute))
        if (reached, terms.triggered, terms.best) != (order.matched_until, order.triggered, order.best):
            order.matched_until, order.triggered, order.best = reached, terms.triggered, terms.best
            set_bounds(order, tape)
            order.save(update_fields=["matched_until", "triggered", "best", "touch_below", "touch_above"])
        # What it would have met before its end may not be known yet.
        if order.expires_at is not None and prices.knows(tape, order.expires_at):
            self._push(order.expires_at, _EXPIRY, order.pk, _Event(order, tape))

    def _apply(self, order: PaperOrder, tape: prices.Tape, event: _Event, at: datetime) -> None:
        if event.price is None:
            self._end(order, BrokerStatus.EXPIRED, at, _EXPIRED[TimeInForce(order.tif)])
            return
        maker = order.order_type == OrderType.LIMIT
        terms = terms_of(order, tape)
        event = replace(event, price=costs.with_slippage(self.preset, terms, event.price))
        order.triggered, order.best, order.matched_until = event.triggered, event.best, at
        left = terms.quantity
        if order.reduce_only:
            able = buying_power.position_against(self.account, order.symbol, terms.side)
            if not able:
                self._end(order, BrokerStatus.CANCELLED, at, _NOTHING_TO_REDUCE)
                return
            left = min(left, able)
        if self.preset.participation is not None:
            used = ledger.volume_taken(self.account, order.symbol, event.minute)
            left = min(left, costs.available_volume(self.preset, event.volume, used, tape.instrument.lot) or Decimal(0))
        if left and not self._fill(order, tape, event, left, at, maker=maker):
            self._end(order, BrokerStatus.CANCELLED, at, _OUT_OF_CASH)
        if BrokerStatus(order.status).is_open:
            set_bounds(order, tape)
            order.save()
            self._look(order)

    def _fill(
        self, order: PaperOrder, tape: prices.Tape, event: _Event, quantity: Decimal, at: datetime, *, maker: bool
    ) -> bool:
        """False, and nothing changed, when it cannot be paid."""
        price = event.price
        assert price is not None
        terms = replace(terms_of(order, tape), quantity=quantity)
        state, self._state = self._state or ledger.AccountSnapshot(self.account, at), None
        if not buying_power.can_afford(
            state, self.market, self.preset, order, terms, tape.instrument, price, maker=maker
        ):
            return False
        done = ledger.FillDetails(
            price=price,
            quantity=quantity,
            at=at,
            bar=event.minute,
            maker=maker,
            recorded_at=tape.recorded_at(event.minute),
            settles_at=settle_ends(self.account, tape, at),
        )
        self.fills.append(ledger.fill(state, order, tape.instrument, self.preset, done))
        self.ended += order.status == BrokerStatus.FILLED
        self._allot(tape, at)
        self._release_legs(order, tape, quantity, price, at)
        self._take_from_pair(order, quantity, at)
        if order.order_class != OrderClass.SIMPLE:
            self._allot(tape, at)
        self._watch_borrowing(at)
        return True

    def allot_all(self) -> None:
        """What every open order holds, after margin was switched on or the model has changed."""
        for symbol in sorted(
            set(self.account.orders.filter(status__in=OPEN_STATUSES).values_list("symbol", flat=True))
        ):
            self._allot(self.market.tape(symbol), self.now, anew=True)

    def _allot(self, tape: prices.Tape, at: datetime, *, anew: bool = False) -> None:
        """On margin, what orders hold changes with the position and with each other: see ``buying_power``."""
        if self.account.kind == buying_power.CASH:
            return
        instrument = tape.instrument
        resting = self.account.orders.filter(symbol=instrument.symbol, status__in=OPEN_STATUSES, held=False)
        for order in buying_power.allocate(
            self.account,
            self.preset,
            self._open(resting.order_by("pk")),
            lambda each: terms_of(each, tape),
            instrument,
            lambda: prices.quote(tape, at),
            anew=anew,
        ):
            order.save(update_fields=["reserved_cash", "reserved_quantity"])

    def _end(self, order: PaperOrder, status: BrokerStatus, at: datetime, reason: str) -> None:
        self._finish(order, status, at, reason)
        self._allot(self.market.tape(order.symbol), at)

    def _finish(self, order: PaperOrder, status: BrokerStatus, at: datetime, reason: str) -> None:
        ledger.end(order, status, at=at, reason=reason)
        self.ended += 1
        if order.order_class in (OrderClass.BRACKET, OrderClass.OTO) and order.parent_id is None:
            for leg in self._open(order.legs.filter(held=True)):
                ledger.end(leg, BrokerStatus.CANCELLED, at=at, reason=_PARENT_ENDED)
                self.ended += 1

    def _open(self, rows: Iterable[PaperOrder]) -> list[PaperOrder]:
        """These orders, each as the one object this matching knows it by, if they still stand."""
        known = [self._orders.setdefault(row.pk, row) for row in rows]
        return [order for order in known if BrokerStatus(order.status).is_open]

    def _release_legs(
        self, parent: PaperOrder, tape: prices.Tape, quantity: Decimal, price: Decimal, at: datetime
    ) -> None:
        if parent.order_class not in (OrderClass.BRACKET, OrderClass.OTO) or parent.parent_id is not None:
            return
        for leg in self._open(parent.legs.order_by("pk")):
            if leg.follows:
                leg.quantity += quantity
            elif parent.status != BrokerStatus.FILLED:
                continue
            if leg.held:
                leg.held = False
                leg.matched_until, leg.expires_at = window(tape, TimeInForce(leg.tif), at)
                leg.best = price if leg.order_type == OrderType.TRAIL else None
            terms = terms_of(leg, tape)
            state = ledger.AccountSnapshot(self.account, at)
            able = buying_power.closable(state, leg.symbol, terms.side, but=leg)
            held = buying_power.largest_requirement(
                self.account, self.preset, terms, tape.instrument, prices.quote(tape, at), able,
                filled=leg.filled_quantity,
            )  # fmt: skip
            try:
                buying_power.check(state, self.market, terms, tape.instrument, held, but=leg)
            except (InsufficientFunds, InsufficientPosition):
                self._end(leg, BrokerStatus.REJECTED, at, _LEG_SHORT)
                continue
            leg.reserved_cash, leg.reserved_quantity = held.cash, held.units
            set_bounds(leg, tape)
            ledger.save(leg)
            self._look(leg)

    def _take_from_pair(self, order: PaperOrder, quantity: Decimal, at: datetime) -> None:
        if not order.pair:
            return
        if order.parent is not None:
            for parent in self._open([order.parent]):
                if parent.order_class == OrderClass.BRACKET:
                    self._end(parent, BrokerStatus.CANCELLED, at, _EXIT_FILLED)
        for other in self._open(self.account.orders.filter(pair=order.pair).exclude(pk=order.pk)):
            before = other.quantity - other.filled_quantity
            if quantity >= before:
                self._end(other, BrokerStatus.CANCELLED, at, _PAIR_FILLED)
            else:
                other.quantity -= quantity
                ledger.shrink(other, before)
                ledger.save(other)

    def _act(self, action: SimulatedAction) -> None:
        tape = self.market.tape(action.symbol)
        instrument = tape.instrument
        held = ledger.AccountSnapshot(self.account, action.at).held(instrument.symbol).total
        if action.kind == "dividend":
            if held:
                amount = costs.notional_of(action.value, held)
                self._post(action.at, "dividend", amount, symbol=instrument.symbol)
        else:
            for order in self._open(self.account.orders.filter(symbol=instrument.symbol, status__in=OPEN_STATUSES)):
                if BrokerStatus(order.status).is_open:
                    self._finish(order, BrokerStatus.CANCELLED, action.at, _SPLIT)
            if held:
                step = instrument.lot if is_multiple(held, instrument.lot) else costs.FRACTION
                whole = (held * action.value / step).to_integral_value(ROUND_DOWN) * step
                rest = costs.notional_of(prices.quote(tape, action.at).last / action.value, held * action.value - whole)
                self._post(action.at, "split", rest, symbol=instrument.symbol, quantity=whole - held)
                ledger.split_holding(self.account, instrument.symbol, whole - held, action.at)
        self._set(acted_until=action.at)

    def _accrue(self, at: datetime) -> None:
        for holding in list(self.account.holdings.order_by("pk")):
            if holding.quantity < 0:
                value = costs.notional_of(self.market.quote(holding.symbol, at).last, -holding.quantity)
                fee = costs.daily_share(self.preset.borrow, value)
                if fee:
                    self._post(at, "borrow", -fee, symbol=holding.symbol)
        owed = -ledger.AccountSnapshot(self.account, at).cash_in(self.account.currency).total
        if owed > 0 and costs.daily_share(self.preset.interest, owed):
            self._post(at, "interest", -costs.daily_share(self.preset.interest, owed))
        self._set(accrues_at=None)
        self._watch_borrowing(at)

    def _watch_borrowing(self, at: datetime) -> None:
        """Charge the next midnight, if anything is borrowed now."""
        if self.account.kind == buying_power.CASH or self.account.accrues_at is not None:
            return
        state = ledger.AccountSnapshot(self.account, at)
        short = any(quantity < 0 for quantity, _ in state.holdings.values())
        if short or state.cash_in(self.account.currency).total < 0:
            day = market_hours.minute_of(at) // market_hours.DAY_MINUTES + 1
            midnight = market_hours.at_minute(day * market_hours.DAY_MINUTES)
            self._set(accrues_at=midnight)
            self._push(midnight, _ACCRUAL, 0, _Event())

    def _post(self, at: datetime, kind: str, amount: Decimal, **trade: object) -> None:
        ledger.post(self.account, at=at, kind=kind, currency=self.account.currency, amount=amount, **trade)

    def _set(self, **fields: datetime | None) -> None:
        for name, value in fields.items():
            setattr(self.account, name, value)
        self.account.save(update_fields=list(fields))


def _actions(account: PaperAccount, market: prices.Market, now: datetime) -> list[SimulatedAction]:
    if account.venue:
        return []
    after = account.acted_until or account.created
    imported = [each for each in market.actions if after < each.at <= now]
    return [*simulated_corporate_actions.between(account.seed, after, now), *imported]


def was_split(seed: int, market: prices.Market, symbol: str, after: datetime, until: datetime) -> bool:
    """Whether a split of it took effect then: it ends every open order in it, wherever the price went."""
    if market.venue or after.date() == until.date():
        return False
    imported = [each for each in market.actions if after < each.at <= until]
    found = [*simulated_corporate_actions.between(seed, after, until), *imported]
    return any(each.kind == "split" and each.symbol == symbol for each in found)


def _seen(keys: Iterable[str]) -> dict[str, datetime]:
    """By tape: every order open then has been shown the bars that ended before."""
    marks = MatchedTape.objects.filter(tape__in=list(keys))
    return {tape: seen - GRACE for tape, seen in marks.values_list("tape", "seen")}


def _meet(
    terms: fill_rules.RestingOrder, tape: prices.Tape, first: int, end: int
) -> tuple[fill_rules.FillResult, prices.Ohlcv | None]:
    traded = tape.aggregate(first, end)
    if traded is None:
        return _state(terms), None
    return fill_rules.in_bar(terms, Bar(start=market_hours.at_minute(first), **traded._asdict())), traded


def _state(terms: fill_rules.RestingOrder) -> fill_rules.FillResult:
    return fill_rules.FillResult(triggered=terms.triggered, best=terms.best)


def _up(price: Decimal | None) -> float | None:
    return None if price is None else math.nextafter(float(price), math.inf)


def _down(price: Decimal | None) -> float | None:
    return None if price is None else math.nextafter(float(price), -math.inf)
