"""The largest order that its broker takes, by the broker's own previews of a few sizes of it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal

from brokers.base import Broker
from brokers.errors import BrokerError, InsufficientFunds, InsufficientPosition, InvalidOrder, NotSupported
from brokers.types import AssetClass, Instrument, MarginEffect, OrderRequest, OrderType, Preview, Side, coin_of
from console.connections import broker_access
from console.errors import refusal_of
from console.orders.checks.check_subject import Facts, Subject
from console.orders.largest.bounds import LARGEST_STEPS, BoundKind, SizeBound

_WHOLE_UNIT = Decimal(1)
_CENT = Decimal("0.01")
_WHOLE = (AssetClass.STOCK, AssetClass.ETF)
_CONTRACTS = (AssetClass.OPTION, AssetClass.FUTURE, AssetClass.PERPETUAL)
_PROBES, _PROBES_REMOTE = 60, 12
"""How many sizes a broker is asked about, at most."""


@dataclass(frozen=True, slots=True)
class _Need:
    """What an order of so many steps takes of what is there."""

    steps: int
    needed: Decimal
    available: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class _Holding:
    total: Decimal
    """Signed."""
    reserved: Decimal

    @property
    def free(self) -> Decimal:
        return max(abs(self.total) - self.reserved, Decimal(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Most:
    """The largest size that the broker takes, in steps, and what it is bound by."""

    steps: int
    kind: BoundKind
    is_exact: bool = True


class SizesAtBroker:
    """An order at its broker, in whatever size. Each size is asked about once.

    Raises BrokerError where the broker takes these terms in no size.
    """

    def __init__(self, subject: Subject, broker: Broker, instrument: Instrument) -> None:
        self._subject, self._broker, self._instrument = subject, broker, instrument
        self._account = subject.account_id or ""
        self.step, self.by_value = instrument.lot, False
        self._seen: dict[int, Preview | InsufficientFunds | InsufficientPosition] = {}
        is_coin = instrument.asset_class is AssetClass.CRYPTO
        self._can_short = broker.capabilities.short and instrument.shortable is not False and not is_coin
        self._holding = self._read_holding()
        self.first, self.facts = self._look_at_first()
        """The smallest order that its terms allow, in steps, and what the checks see of it."""

    def bound(self) -> SizeBound | None:
        """The largest order that the broker takes; None where nothing that it reports bounds it."""
        most = self._most()
        return self._by_own_word() if most is None else self._bound_of(most)

    def estimate(self, steps: int) -> tuple[int, Preview]:
        """Of that size; of the largest below that it took, where the price has moved since."""
        seen = self._see(steps)
        if isinstance(seen, Preview):
            return steps, seen
        return max((each for each in self._passed() if each[0] < steps), key=lambda each: each[0])

    def _passed(self) -> Iterator[tuple[int, Preview]]:
        return ((steps, seen) for steps, seen in self._seen.items() if isinstance(seen, Preview))

    @property
    def _request(self) -> OrderRequest:
        return self._subject.request

    def _read_holding(self) -> _Holding | None:
        """None where the order can neither close a position nor turn one."""
        kind = self._instrument.asset_class
        if self._request.side is Side.BUY and not self._can_short:
            return None
        mine = [each for each in self._broker.positions(self._account) if each.is_in(self._instrument.symbol, kind)]
        if not mine and (coin := coin_of(self._instrument.symbol, kind)):
            # A coin that stands for money is told as cash.
            cash = [each for each in self._broker.account_state(self._account).cash if each.currency == coin]
            return _Holding(
                total=sum((each.total for each in cash), Decimal(0)),
                reserved=sum((each.reserved for each in cash), Decimal(0)),
            )
        return _Holding(
            total=sum((each.quantity for each in mine), Decimal(0)),
            reserved=sum((each.reserved for each in mine), Decimal(0)),
        )

    def sized(self, steps: int) -> Subject:
        size = steps * self.step
        terms = {"quantity": None, "notional": size} if self.by_value else {"quantity": size}
        return replace(self._subject, wanted=replace(self._request, **terms))

    def _first(self) -> int:
        """The smallest order, in steps: of a cent at least, as no order is worth less."""
        found, request = self._instrument, self._request
        price = request.limit_price or request.stop_price
        if price is None:
            quote = self._broker.quotes([request.symbol])[0]
            price = quote.ask if request.side is Side.BUY else quote.bid
        least, units = max(found.minimum_notional or _CENT, _CENT), max(found.minimum, self.step)
        if price.is_finite() and price > 0:
            units = max(units, least / (price * found.multiplier))
            if self.by_value:
                units = units * price * found.multiplier
        elif self.by_value:  # nobody asks for it or bids: whether any size passes is for the checks to say
            units = least
        return int((units / self.step).to_integral_value(ROUND_CEILING))

    def _look_at_first(self) -> tuple[int, Facts]:
        """The smallest order that its terms allow, as the checks see it. Raises BrokerError where no size is taken."""
        first = self._first()
        facts = Facts(self.sized(first), self._broker, instrument=self._instrument)
        try:
            seen = facts.preview
            assert seen is not None
            self._seen[first] = seen
        except (InsufficientFunds, InsufficientPosition) as error:
            self._seen[first] = error
        except InvalidOrder:
            if self.step >= 1 or self._instrument.asset_class not in _WHOLE:
                raise
            self.step = _WHOLE_UNIT  # these terms are not taken for parts of a share
            return self._look_at_first()
        except NotSupported:
            if self.by_value or not self._can_be_by_value:
                raise
            self.step, self.by_value = _CENT, True
            return self._look_at_first()
        return first, facts

    @property
    def _can_be_by_value(self) -> bool:
        buys = self._request.side is Side.BUY and self._request.order_type is OrderType.MARKET
        return buys and self._broker.capabilities.notional

    def _see(self, steps: int) -> Preview | InsufficientFunds | InsufficientPosition:
        """What the broker says of that size. Raises BrokerError for what is no matter of size."""
        if steps not in self._seen:
            try:
                self._seen[steps] = self._broker.preview(self._account, self.sized(steps).request)
            except (InsufficientFunds, InsufficientPosition) as error:
                self._seen[steps] = error
        return self._seen[steps]

    def _need(self, steps: int) -> _Need | None:
        """By the broker's refusal if it names sums, by the margin it reports, or by the cost against what is there."""
        seen = self._see(steps)
        if isinstance(seen, InsufficientPosition):
            return None
        if isinstance(seen, InsufficientFunds):
            return None if seen.needed is None or seen.available is None else _Need(steps, seen.needed, seen.available)
        if seen.margin is not None:
            return _Need(steps, seen.margin.initial_change, seen.margin.available)
        cost, there = -seen.cash_effect, self._in_price_currency(seen)
        # What costs less than it is worth is a contract: it takes margin, which is not known.
        return None if there is None or cost <= 0 or cost < seen.notional else _Need(steps, cost, there)

    def _in_price_currency(self, preview: Preview) -> Decimal | None:
        if preview.buying_power_currency == preview.quote.currency:
            return preview.buying_power
        if preview.buying_power_currency != self.facts.inputs.currency or not self.facts.inputs.rate:
            return None
        return preview.buying_power / self.facts.inputs.rate

    def _passes(self, steps: int) -> bool:
        """Whether the broker takes that size, as far as it is known before it is sent."""
        if not isinstance(self._see(steps), Preview):
            return False
        need = self._need(steps)
        return need is None or need.needed <= need.available or self._closes(steps)

    def _closes(self, steps: int) -> bool:
        """What only makes a position smaller takes nothing."""
        return self._is_against and self._holding is not None and steps * self.step <= abs(self._holding.total)

    @property
    def _is_against(self) -> bool:
        held = Decimal(0) if self._holding is None else self._holding.total
        return held < 0 if self._request.side is Side.BUY else held > 0

    def _most_of_position(self) -> int | None:
        """What the position bears, where the order may neither open nor turn one; in steps."""
        if self._holding is None:
            return None
        if self._instrument.asset_class in _CONTRACTS:
            return None
        free = int(self._holding.free // self.step)
        if self._request.side is Side.SELL and not self._can_short:
            return free if self._is_against else 0
        return free if self._is_against and not self._broker.capabilities.crosses_zero else None

    def _most(self) -> _Most | None:
        """None: nothing it reports bounds it."""
        first, cap = self.first, self._most_of_position()
        if not self._passes(first):
            return _Most(steps=0, kind=self._kind_of(first))
        if cap is not None and cap < first:
            return _Most(steps=0, kind=BoundKind.POSITION)
        low, high, stride = first, cap and cap + 1, 1
        for turn in range(_PROBES_REMOTE if broker_access.is_remote(self._subject.connection.broker) else _PROBES):
            if high is not None and high - low <= 1:
                self._see(high)  # so that it is known whether it is refused before it is sent
                reached = high if not self._passes(high) else None
                return _Most(steps=low, kind=BoundKind.POSITION if reached is None else self._kind_of(reached))
            wanted = _predicted(self._points())
            if wanted is None and high is not None:
                wanted = high - 1
            elif wanted is None:
                # Nothing says yet what a larger one takes; one that goes beyond the position may.
                beyond = 0 if self._holding is None else int(abs(self._holding.total) // self.step) + 1
                if beyond <= low:
                    return None
                wanted = beyond
            if wanted <= low:
                wanted, stride = low + stride, stride * 2
            elif high is not None and wanted >= high:
                wanted, stride = high - stride, stride * 2
            if high is not None:
                wanted = (low + high) // 2 if turn % 3 == 2 else min(max(wanted, low + 1), high - 1)
            if wanted > LARGEST_STEPS:
                return None
            if self._passes(wanted):
                low = wanted
            else:
                high = wanted
        return _Most(steps=low, kind=BoundKind.FUNDS if high is None else self._kind_of(high), is_exact=False)

    def _kind_of(self, refused: int) -> BoundKind:
        if isinstance(self._see(refused), InsufficientPosition):
            return BoundKind.POSITION
        return BoundKind.FUNDS if self._margin is None else BoundKind.MARGIN

    @property
    def _margin(self) -> MarginEffect | None:
        """Of any size; None where the broker reports none."""
        return next((seen.margin for _, seen in self._passed() if seen.margin), None)

    def _points(self) -> list[_Need]:
        """The two newest that say how need grows with size, of one kind: refusals count, else what passed."""
        refused, passed = list[_Need](), list[_Need]()
        for steps, seen in self._seen.items():
            need = self._need(steps)
            if need is not None and need.needed > 0:
                (passed if isinstance(seen, Preview) else refused).append(need)
        return (refused or passed)[-2:]

    def _by_own_word(self) -> SizeBound | None:
        """What the broker says is the most, where its preview tells no more of it."""
        told = self._broker.largest_quantity(self._account, self._request)
        if told is None or not told.is_finite() or told < 0:
            return None
        return SizeBound(kind=BoundKind.MARGIN, of=f"account {self._account}", size=told // self.step * self.step)

    def _bound_of(self, most: _Most) -> SizeBound:
        over = most.steps + 1 if most.steps else self.first
        refused = self._seen.get(over)
        refusal = refusal_of(refused) if isinstance(refused, BrokerError) else None
        of, size = f"account {self._account}", most.steps * self.step
        if most.kind is BoundKind.POSITION:
            held = self._holding or _Holding(total=Decimal(0), reserved=Decimal(0))
            return SizeBound(
                kind=most.kind,
                of=of,
                size=size,
                has=held.free if self._is_against else Decimal(0),
                unit=self._instrument.base or self._instrument.symbol,
                reserved=held.reserved,
                sells=self._request.side is Side.SELL,
                refusal=refusal,
                is_exact=most.is_exact,
            )
        need = None if refused is None else self._need(over)
        if need is None and most.steps:
            need = self._need(most.steps)
        margin = self._margin
        return SizeBound(
            kind=most.kind,
            of=of,
            size=size,
            has=None if need is None else need.available,
            unit=self._instrument.currency if margin is None else margin.currency,
            refusal=refusal,
            is_exact=most.is_exact,
        )


def _predicted(points: list[_Need]) -> int | None:
    """Where need meets what is there, by a line through the two newest points, or through one and nothing."""
    if not points:
        return None
    newest = points[-1]
    slope = newest.needed / newest.steps
    if len(points) == 2 and points[0].steps != newest.steps:
        between = (newest.needed - points[0].needed) / (newest.steps - points[0].steps)
        if between > 0:
            slope = between
    return max(int(newest.steps + (newest.available - newest.needed) // slope), 0)
