"""The largest order that would pass now, and what does not let it be larger. Sends nothing and keeps nothing.

Each bound is found by what refuses an order: the broker's own preview, and the limits as ``checks`` has them. So an
order of the size that is returned passes, and one of a step more is refused by what is named.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum
from functools import partial

from django.utils import timezone

from brokers.base import Broker
from brokers.decimals import grouped, money
from brokers.errors import BrokerError, InsufficientFunds, InsufficientPosition, InvalidOrder, NotSupported
from brokers.types import AssetClass, Instrument, MarginEffect, OrderRequest, OrderType, Preview, Side
from console.connections import broker_access
from console.connections.models import Connection
from console.errors import Code, Refusal, refusal_of
from console.halts import services as halts
from console.limits import TITLES, Limits
from console.orders import prepare as preparing
from console.orders.checks import check_rows, daily_usage, limit_rules, open_orders, pipeline
from console.orders.checks.check_subject import Facts, Subject
from console.orders.checks.limit_rules import PendingQuantity, RiskInputs, ScopedLimits
from console.orders.checks.pipeline import CheckResult, Stage
from console.orders.terms import Terms
from console.principal import Principal

_SIZED = ("order_notional", "daily_notional", "position_value", "equity_share", "daily_loss", "orders_per_minute")
"""The limits that a smaller order may pass, or that leave no room for any."""
_WHOLE_UNIT = Decimal(1)
_CENT = Decimal("0.01")
_LARGEST = 10**15
"""In steps and in units: beyond it no order is taken anyway."""
_WHOLE = (AssetClass.STOCK, AssetClass.ETF)
_CONTRACTS = (AssetClass.OPTION, AssetClass.FUTURE, AssetClass.PERPETUAL)
_PROBES, _PROBES_REMOTE = 60, 12
"""How many sizes a broker is asked about, at most."""
_NOT_REPORTED = "This broker does not report before the order is sent what it takes, so it may refuse a smaller one."


class BoundKind(StrEnum):
    FUNDS = "funds"
    """Cash or buying power, by whichever the broker measures such an order."""
    MARGIN = "margin"
    POSITION = "position"
    """What can be sold: the holding without what other open orders reserve."""
    LIMIT = "limit"


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeBound:
    """The largest order by one thing alone."""

    kind: BoundKind
    of: str
    """Whose it is: the account, the connection by its name or the app by its name."""
    size: Decimal
    """In units, or in money where ``MaxOrder.by_value``."""
    name: str = ""
    """Of a limit: its field."""
    has: Decimal | None = None
    """What there is of it: money that is available, units that can be sold, or the limit's value."""
    unit: str = ""
    reserved: Decimal | None = None
    """Of a position: what other open orders hold of it, not in ``has``."""
    sells: bool = True
    refusal: Refusal | None = None
    """What an order of one step more is answered with before it is sent; None: the broker refuses it when it is."""

    @property
    def bound(self) -> str:
        """Its kind, or the limit's field."""
        return self.name or self.kind.value

    @property
    def is_checked(self) -> bool:
        """Whether one step more is refused before it is sent."""
        return self.refusal is not None

    @property
    def title(self) -> str:
        match self.kind:
            case BoundKind.LIMIT:
                return f"the limit “{TITLES[self.name].lower()}” of {self.of}"
            case BoundKind.POSITION:
                return f"what {self.of} can sell" if self.sells else f"the short position of {self.of}"
            case BoundKind.MARGIN | BoundKind.FUNDS:
                return f"the {self.kind} available in {self.of}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxOrder:
    account_id: str
    request: OrderRequest
    """Its terms, in any size."""
    instrument: Instrument
    size: Decimal | None
    """In units, 0 where no size passes; None where nothing that is known here bounds it."""
    by_value: bool
    """``size`` is an amount of money: its broker takes such an order by ``notional`` alone."""
    step: Decimal
    """What ``size`` is a multiple of."""
    preview: Preview | None
    """The broker's estimate of an order of that size; None where there is none."""
    bound: SizeBound | None
    """The one that binds."""
    bounds: tuple[SizeBound, ...]
    is_exact: bool
    """Whether one step more is known not to pass; else it is near that."""
    refused: tuple[CheckResult, ...]
    """Checks that refuse an order of any size now, such as a halt."""
    unknown: str
    """What may bind, too, and is not known here, in words; empty where all of it is."""
    summary: str


def max_order(
    principal: Principal,
    symbol: str,
    side: Side,
    *,
    order_type: OrderType = OrderType.MARKET,
    limit_price: Decimal | None = None,
    stop_price: Decimal | None = None,
    account_id: str | None = None,
) -> MaxOrder:
    """What is the largest order of these terms? Raises Refusal for terms that no size could save."""
    if order_type.needs_trail:
        raise Refusal(
            Code.INVALID_ARGUMENT,
            "Give MKT, LMT, STP or STP_LIMIT. For a trailing stop, give STP and the stop_price that it would begin at.",
            field="order_type",
        )
    terms = Terms(
        symbol=symbol,
        side=side,
        quantity=_WHOLE_UNIT,
        order_type=order_type,
        limit_price=limit_price,
        stop_price=stop_price,
    )
    terms.check()
    asking = check_rows.app_rows(principal.app_id)
    with broker_access.broker_for(principal) as broker:
        account = broker_access.choose_account(broker, account_id, principal.account_id)
        request, instrument = preparing.order_request(broker, terms)
        subject = Subject(
            asking=asking,
            action=halts.GatedAction.PREPARE,
            account_id=account.account_id,
            wanted=request,
        )
        return _Search(subject, broker, instrument).run()


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


class _Search:
    def __init__(self, subject: Subject, broker: Broker, instrument: Instrument) -> None:
        self._subject, self._broker, self._instrument = subject, broker, instrument
        self._step, self._by_value = instrument.lot, False
        self._seen: dict[int, Preview | InsufficientFunds | InsufficientPosition] = {}
        is_coin = instrument.asset_class is AssetClass.CRYPTO
        self._can_short = broker.capabilities.short and instrument.shortable is not False and not is_coin
        self._holding = self._read_holding()

    @property
    def _connection(self) -> Connection:
        return self._subject.connection

    @property
    def _request(self) -> OrderRequest:
        return self._subject.request

    # -- the broker ------------------------------------------------------------------------------------------

    def _read_holding(self) -> _Holding | None:
        """None where the order can neither close a position nor turn one."""
        kind = self._instrument.asset_class
        if self._request.side is Side.BUY and not self._can_short:
            return None
        mine = [
            each
            for each in self._broker.positions(self._subject.account_id or "")
            if each.is_in(self._instrument.symbol, kind)
        ]
        return _Holding(
            total=sum((each.quantity for each in mine), Decimal(0)),
            reserved=sum((each.reserved for each in mine), Decimal(0)),
        )

    def _sized(self, steps: int) -> Subject:
        size = steps * self._step
        terms = {"quantity": None, "notional": size} if self._by_value else {"quantity": size}
        return replace(self._subject, wanted=replace(self._request, **terms))

    def _first(self) -> int:
        """The smallest order, in steps: of a cent at least, as no order is worth less."""
        found, request = self._instrument, self._request
        price = request.limit_price or request.stop_price
        if price is None:
            quote = self._broker.quotes([request.symbol])[0]
            price = quote.ask if request.side is Side.BUY else quote.bid
        least, units = max(found.minimum_notional or _CENT, _CENT), max(found.minimum, self._step)
        if price.is_finite() and price > 0:
            units = max(units, least / (price * found.multiplier))
            if self._by_value:
                units = units * price * found.multiplier
        elif self._by_value:  # nobody asks for it or bids: whether any size passes is for the checks to say
            units = least
        return int((units / self._step).to_integral_value(ROUND_CEILING))

    def _look_at_first(self) -> tuple[int, Facts]:
        """The smallest order that its terms allow, as the checks see it. Raises BrokerError where no size is taken."""
        first = self._first()
        facts = Facts(self._sized(first), self._broker, instrument=self._instrument)
        try:
            seen = facts.preview
            assert seen is not None
            self._seen[first] = seen
        except (InsufficientFunds, InsufficientPosition) as error:
            self._seen[first] = error
        except InvalidOrder:
            if self._step >= 1 or self._instrument.asset_class not in _WHOLE:
                raise
            self._step = _WHOLE_UNIT  # these terms are not taken for parts of a share
            return self._look_at_first()
        except NotSupported:
            if self._by_value or not self._can_be_by_value:
                raise
            self._step, self._by_value = _CENT, True
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
                self._seen[steps] = self._broker.preview(self._subject.account_id or "", self._sized(steps).request)
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
        if preview.buying_power_currency != self._inputs.currency or not self._inputs.rate:
            return None
        return preview.buying_power / self._inputs.rate

    def _passes(self, steps: int) -> bool:
        """Whether the broker takes that size, as far as it is known before it is sent."""
        if not isinstance(self._see(steps), Preview):
            return False
        need = self._need(steps)
        return need is None or need.needed <= need.available or self._closes(steps)

    def _closes(self, steps: int) -> bool:
        """What only makes a position smaller takes nothing."""
        return self._is_against and self._holding is not None and steps * self._step <= abs(self._holding.total)

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
        free = int(self._holding.free // self._step)
        if self._request.side is Side.SELL and not self._can_short:
            return free if self._is_against else 0
        return free if self._is_against and not self._broker.capabilities.crosses_zero else None

    def _most_at_broker(self, first: int) -> _Most | None:
        """None: nothing it reports bounds it."""
        cap = self._most_of_position()
        if not self._passes(first):
            return _Most(steps=0, kind=self._kind_of(first))
        if cap is not None and cap < first:
            return _Most(steps=0, kind=BoundKind.POSITION)
        low, high, stride = first, cap and cap + 1, 1
        for turn in range(_PROBES_REMOTE if broker_access.is_remote(self._connection.broker) else _PROBES):
            if high is not None and high - low <= 1:
                self._see(high)  # so that it is known whether it is refused before it is sent
                reached = high if not self._passes(high) else None
                return _Most(steps=low, kind=BoundKind.POSITION if reached is None else self._kind_of(reached))
            wanted = _predicted(self._points())
            if wanted is None and high is not None:
                wanted = high - 1
            elif wanted is None:
                # Nothing says yet what a larger one takes; one that goes beyond the position may.
                beyond = 0 if self._holding is None else int(abs(self._holding.total) // self._step) + 1
                if beyond <= low:
                    return None
                wanted = beyond
            if wanted <= low:
                wanted, stride = low + stride, stride * 2
            elif high is not None and wanted >= high:
                wanted, stride = high - stride, stride * 2
            if high is not None:
                wanted = (low + high) // 2 if turn % 3 == 2 else min(max(wanted, low + 1), high - 1)
            if wanted > _LARGEST:
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
        return next((each.margin for each in self._seen.values() if isinstance(each, Preview) and each.margin), None)

    def _points(self) -> list[_Need]:
        """The two newest that say how need grows with size, of one kind: refusals count, else what passed."""
        refused, passed = list[_Need](), list[_Need]()
        for steps, seen in self._seen.items():
            need = self._need(steps)
            if need is not None and need.needed > 0:
                (passed if isinstance(seen, Preview) else refused).append(need)
        return (refused or passed)[-2:]

    # -- the limits ------------------------------------------------------------------------------------------

    def _read_limits(self, facts: Facts) -> None:
        """Once for every size: what the limits need, as ``checks.limits`` has it."""
        self._inputs: RiskInputs = facts.inputs
        now = timezone.now()
        self._now = now
        self._bounds = daily_usage.scoped_limits(self._connection, self._subject.app, now)
        self._pending: dict[Side, PendingQuantity] = {}
        if self._inputs.held is not None:
            side = self._request.side
            self._pending[side] = open_orders.pending_quantity(
                self._request.symbol, side, self._connection, self._inputs
            )

    def _refused_by(self, bounds: tuple[ScopedLimits, ...], steps: int) -> Refusal | None:
        try:
            limit_rules.check_limits(
                self._sized(steps).request,
                self._inputs,
                bounds,
                is_live=False,
                pending=self._pending,
                now=self._now,
            )
        except Refusal as refusal:
            return refusal
        return None

    def _by_each_limit(self, first: int) -> list[SizeBound]:
        """One for each limit that is a number, by itself."""
        collar = limit_rules.collar_of(
            self._bounds,
            is_live=self._connection.is_live,
            takes_market=limit_rules.takes_market(self._request, self._inputs.quote),
        )
        made = []
        for bound in self._bounds:
            for name in _SIZED:
                value = getattr(bound.limits, name)
                if value is None:
                    continue
                alone = replace(bound, limits=Limits(**{name: value}, price_collar=collar))
                most, refusal = _largest(first, partial(self._refused_by, (alone,)))
                if most is not None and refusal is not None:
                    made.append(
                        SizeBound(
                            kind=BoundKind.LIMIT,
                            of=bound.of,
                            name=name,
                            size=most * self._step,
                            has=Decimal(value),
                            unit=_unit(name, self._inputs.currency),
                            refusal=refusal,
                        )
                    )
        return made

    # -- together --------------------------------------------------------------------------------------------

    def run(self) -> MaxOrder:
        first, facts = self._look_at_first()
        results = pipeline.collect(facts.subject, facts, {Stage.SHOWN})
        self._read_limits(facts)
        refused = tuple(each for each in results if each.refusal is not None and not _is_of_size(each))
        most = self._most_at_broker(first)
        own = self._by_own_word() if most is None else self._bound_of(most, first)
        bounds = [*([] if own is None else [own]), *self._by_each_limit(first)]
        binding = min(bounds, key=lambda each: (each.size, each.refusal is None), default=None)
        size = None if binding is None else binding.size
        if any(each.check.name == "limits" for each in refused):
            binding, size = None, Decimal(0)
        is_exact = most is None or most.is_exact or binding is None or binding.kind is BoundKind.LIMIT
        steps, preview = int((size or 0) / self._step), None
        if steps >= first:
            seen = self._see(steps)
            if not isinstance(seen, Preview):  # the price moved meanwhile
                steps = max(each for each, said in self._seen.items() if isinstance(said, Preview) and each < steps)
                seen, size, is_exact = self._see(steps), steps * self._step, False
            preview = seen if isinstance(seen, Preview) else None
        made = MaxOrder(
            account_id=self._subject.account_id or "",
            request=self._request,
            instrument=self._instrument,
            size=size,
            by_value=self._by_value,
            step=self._step,
            preview=preview,
            bound=binding,
            bounds=tuple(bounds),
            is_exact=is_exact,
            refused=refused,
            unknown=_NOT_REPORTED if own is None else "",
            summary="",
        )
        return replace(made, summary=_summary(made))

    def _by_own_word(self) -> SizeBound | None:
        """What the broker says is the most, where its preview tells no more of it."""
        account = self._subject.account_id or ""
        told = self._broker.largest_quantity(account, self._request)
        if told is None or not told.is_finite() or told < 0:
            return None
        return SizeBound(kind=BoundKind.MARGIN, of=f"account {account}", size=told // self._step * self._step)

    def _bound_of(self, most: _Most, first: int) -> SizeBound:
        over = most.steps + 1 if most.steps else first
        refused = self._seen.get(over)
        refusal = refusal_of(refused) if isinstance(refused, BrokerError) else None
        of, size = f"account {self._subject.account_id}", most.steps * self._step
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


def _largest(first: int, refusal_at: Callable[[int], Refusal | None]) -> tuple[int | None, Refusal | None]:
    """The largest size that is not refused and what refuses one step more; None where none is."""
    if (refused := refusal_at(first)) is not None:
        return 0, refused
    low = first
    high = first * 2
    while (refused := refusal_at(high)) is None:
        low, high = high, high * 2
        if high > _LARGEST:
            return None, None
    if refused.code is Code.LIMIT_UNPROVABLE:
        return None, None  # more than can be put on record, which no limit says
    while high - low > 1:
        middle = (low + high) // 2
        found = refusal_at(middle)
        low, high, refused = (middle, high, refused) if found is None else (low, middle, found)
    return low, refused


def _is_of_size(result: CheckResult) -> bool:
    """Whether a smaller order may pass that check."""
    assert result.refusal is not None
    return result.check.name == "broker rules and funds" or result.refusal.code is Code.LIMIT_EXCEEDED


def _unit(name: str, currency: str) -> str:
    return {"orders_per_minute": "orders", "equity_share": "%"}.get(name, currency)


def _summary(found: MaxOrder) -> str:
    """In a sentence or two, for a person."""
    symbol, currency = found.instrument.symbol, found.instrument.currency
    does = "Buy" if found.request.side is Side.BUY else "Sell"
    if found.size == 0 and found.refused:
        return f"No order to {does.lower()} {symbol} passes now: {found.refused[0].refusal}"
    if found.size is None:
        text = f"Nothing that is known here bounds an order to {does.lower()} {symbol}."
    elif not found.size:
        text = f"No order to {does.lower()} {symbol} passes now: even the smallest is more than {_by(found)}."
    else:
        size = f"{money(found.size)} {currency} of" if found.by_value else grouped(found.size)
        text = f"{does} at most {size} {symbol}"
        if found.preview is not None:
            worth = "" if found.by_value else f", {money(round(found.preview.notional, 2))} {currency}"
            fee = f"a fee of {money(round(found.preview.fee, 2))} {currency}"
            text += f"{worth} and {fee}" if worth else f", and {fee}"
        text += f". More is over {_by(found)}."
    if found.unknown:
        text += f" {found.unknown}"
    if found.refused:
        text += f" An order of any size would be refused now: {found.refused[0].refusal}"
    return text


def _by(found: MaxOrder) -> str:
    return "its limits" if found.bound is None else found.bound.title
