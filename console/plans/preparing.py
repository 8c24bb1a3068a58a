"""A plan is prepared here: every order of it worked out, checked as it would be now, and shown whole for one
confirmation. Nothing is sent.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from decimal import ROUND_UP, Decimal
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from brokers import market_hours, spreads
from brokers.base import Broker
from brokers.decimals import amount, money, plain
from brokers.errors import BrokerError
from brokers.types import Instrument, OrderType, Side, TimeInForce
from console import ids
from console.connections import bar_series, broker_access
from console.connections.bar_series import BarSpan
from console.connections.models import Connection
from console.errors import Code, Refusal, refusal_of_read
from console.halts import services as halts
from console.orders import prepare as order_preparing
from console.orders import preview as previewing
from console.orders.checks import check_rows, pipeline
from console.orders.checks.check_subject import Subject
from console.orders.checks.pipeline import About, Stage
from console.orders.models import Action
from console.orders.terms import Terms
from console.orders.transitions import confirmations
from console.plans import calendars, transitions
from console.plans.calendars import Every
from console.plans.models import AtRefusal, PlanChild, PlanKind, TradingPlan, WhenSilent
from console.plans.states import NOT_OVER, ChildStatus, PlanStatus
from console.principal import Principal

MOST_ORDERS = 400
MOST_LEVELS = 30
MOST_AT_ONCE = 20
"""Plans of one connection that are not over."""
LONGEST_MINUTES = 90 * 24 * 60
SHORTEST_SILENCE = 5
"""Minutes: when an app last called is known to the minute."""
KINDS_LEFT = "no rebalance, trailing entry"
"""Kinds that there are not."""
AFTER_THE_LAST = timedelta(minutes=15)
"""How long a plan goes on after its last order is due, for what has to be tried again."""
AFTER_A_DAY = timedelta(hours=6)
"""The same of an exit and of a recurring order, which may wait for their market."""
_ROOM = Decimal("1.1")
"""How far a plan may come to more than it is estimated to, where its caller says nothing."""
_ROOM_OF_AN_EXIT = Decimal(10)
"""Of one that only closes: so that a risen price does not keep it from closing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanWish:
    """What somebody asks for; which of it a kind takes is checked."""

    kind: PlanKind
    symbol: str
    side: Side | None = None
    quantity: Decimal | None = None
    """Of a TWAP the whole, of a recurring order and a grid each, of an exit what is closed (None: all)."""
    notional: Decimal | None = None
    limit_price: Decimal | None = None
    orders: int | None = None
    start: datetime | None = None
    minutes: int | None = None
    every: str | None = None
    at: str | None = None
    lower: Decimal | None = None
    upper: Decimal | None = None
    levels: int | None = None
    most_value: Decimal | None = None
    most_orders: int | None = None
    at_refusal: AtRefusal = AtRefusal.SKIP
    silent_minutes: int | None = None
    when_silent: WhenSilent = WhenSilent.PAUSE


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildDraft:
    """One order of a plan before it is a row."""

    after: timedelta
    """From the beginning of the plan."""
    side: Side
    order_type: OrderType = OrderType.MARKET
    quantity: Decimal | None = None
    notional: Decimal | None = None
    limit_price: Decimal | None = None
    level: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanDraft:
    """All that a kind works out of a wish."""

    opening: str
    """What it does, in words, without the bounds."""
    heading: str
    children: tuple[ChildDraft, ...]
    lasts: timedelta
    most_orders: int
    worth: Decimal
    """What is bought and sold at most, by prices as they are now, in the instrument's currency."""
    fee: Decimal | None
    room: Decimal = _ROOM
    details: dict[str, Any] | None = None
    starts: datetime | None = None
    """None: when it is confirmed."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Estimated:
    """The market, and one order of the plan as it would be checked now."""

    preview: previewing.PreviewResult
    price: Decimal
    fee: Decimal | None
    value: Decimal

    @property
    def refusals(self) -> list[Refusal]:
        return [each.refusal for each in self.preview.checks if each.refusal is not None and "release" not in each.name]


_TAKES: dict[PlanKind, tuple[frozenset[str], frozenset[str]]] = {
    PlanKind.TWAP: (frozenset({"side", "quantity", "orders", "minutes"}), frozenset({"limit_price", "start"})),
    PlanKind.VWAP: (frozenset({"side", "quantity", "orders", "minutes"}), frozenset({"limit_price", "start"})),
    PlanKind.DCA: (frozenset({"orders", "every"}), frozenset({"side", "quantity", "notional", "limit_price", "at"})),
    PlanKind.GRID: (frozenset({"quantity", "lower", "upper", "levels", "minutes"}), frozenset({"most_orders"})),
    PlanKind.TIME_EXIT: (frozenset(), frozenset({"quantity", "start", "minutes"})),
}
"""What each kind needs, and what else it takes."""
_OF_A_KIND = frozenset(name for needed, more in _TAKES.values() for name in needed | more)


def prepare_plan(principal: Principal, wish: PlanWish, *, account_id: str | None = None) -> TradingPlan:
    """Work a plan out and hold it for one confirmation. Sends nothing. Raises Refusal."""
    _check_wish(wish)
    asking = check_rows.app_rows(principal.app_id)
    connection = asking.connection
    asker = Subject(asking=asking, action=halts.GatedAction.PREPARE)
    pipeline.require(asker, Stage.SHOWN, about={About.ASKER})
    if not connection.currency:
        raise Refusal(
            Code.LIMIT_UNPROVABLE,
            f"The currency of {connection.name} is not known yet. Its owner can check the connection on its page.",
        )
    try:
        broker = broker_access.broker_of(connection)
        account = broker_access.choose_account(broker, account_id, principal.account_id).account_id
        pipeline.require(replace(asker, account_id=account), Stage.SHOWN, about={About.ASKER})
        instrument = broker.instrument(wish.symbol)
        if spreads.parse(instrument.symbol) is not None:
            raise Refusal(Code.INVALID_ARGUMENT, "A plan trades one instrument, not a spread.", field="symbol")
        make = {
            PlanKind.TWAP: _spread_evenly,
            PlanKind.VWAP: _spread_by_volume,
            PlanKind.DCA: _dca,
            PlanKind.GRID: _grid,
            PlanKind.TIME_EXIT: _time_exit,
        }[wish.kind]
        draft, seen = make(principal, broker, account, instrument, wish, timezone.now())
    except BrokerError as error:
        raise refusal_of_read(error) from error
    most_value = wish.most_value or _most_value(connection, draft, seen)
    plan_id = ids.new("pln")
    shown = _shown(connection, account, instrument, wish, draft, seen, most_value, plan_id)
    return _hold(principal, asking, account, instrument, wish, draft, shown, most_value, plan_id)


def _check_wish(wish: PlanWish) -> None:
    """Raises Refusal, naming the field."""
    needed, more = _TAKES[wish.kind]
    for name in sorted(_OF_A_KIND):
        given = getattr(wish, name) is not None
        if name in needed and not given:
            raise Refusal(Code.MISSING_ARGUMENT, f"A {wish.kind} plan needs {name}.", field=name)
        if given and name not in needed | more:
            raise Refusal(
                Code.INVALID_ARGUMENT,
                f"A {wish.kind} plan takes {', '.join(sorted(needed | more))}; leave {name} out.",
                field=name,
            )
    for name, least, most in (
        ("orders", 1 if wish.kind is PlanKind.DCA else 2, MOST_ORDERS),
        ("minutes", 1, LONGEST_MINUTES),
        ("levels", 3, MOST_LEVELS),
        ("most_orders", 1, MOST_ORDERS),
        ("silent_minutes", SHORTEST_SILENCE, LONGEST_MINUTES),
    ):
        value = getattr(wish, name)
        if value is not None and not least <= value <= most:
            raise Refusal(Code.INVALID_ARGUMENT, f"{name} is a whole number from {least} to {most}.", field=name)
    if wish.most_value is not None and wish.most_value <= 0:
        raise Refusal(Code.INVALID_ARGUMENT, "most_value must be above 0.", field="most_value")
    now = timezone.now()
    if wish.start is not None and not now < wish.start <= now + timedelta(minutes=LONGEST_MINUTES):
        raise Refusal(Code.INVALID_ARGUMENT, "start must lie ahead, at most 90 days.", field="start")


# -- kinds ---------------------------------------------------------------------------------------------------


def _spread_evenly(
    principal: Principal, broker: Broker, account: str, instrument: Instrument, wish: PlanWish, now: datetime
) -> tuple[PlanDraft, _Estimated]:
    assert wish.orders is not None
    return _spread(principal, account, instrument, wish, [Decimal(1)] * wish.orders)


_PROFILE_DAYS = 7
_PROFILE_SPAN = BarSpan.FIFTEEN_MINUTES


def _spread_by_volume(
    principal: Principal, broker: Broker, account: str, instrument: Instrument, wish: PlanWish, now: datetime
) -> tuple[PlanDraft, _Estimated]:
    """As much at each time of day as was traded then, on average, in the last days. Raises BrokerError, Refusal."""
    assert wish.orders is not None and wish.minutes is not None
    since, seconds = now - timedelta(days=_PROFILE_DAYS), _PROFILE_SPAN.seconds
    most = _PROFILE_DAYS * 86_400 // seconds
    traded: dict[int, Decimal] = {}
    for bar in bar_series.read(broker, instrument.symbol, _PROFILE_SPAN, start=since, end=now, limit=most):
        place = int(bar.start.timestamp()) % 86_400 // seconds
        traded[place] = traded.get(place, Decimal(0)) + bar.volume
    begins, each = wish.start or now, timedelta(minutes=wish.minutes) / (wish.orders - 1)
    when = [begins + number * each for number in range(wish.orders)]
    weights = [traded.get(int(at.timestamp()) % 86_400 // seconds, Decimal(0)) for at in when]
    if not all(weights):
        raise Refusal(
            Code.NOT_OFFERED_BY_BROKER,
            f"How much of {instrument.symbol} was traded at these times of the day, in the last {_PROFILE_DAYS} days, "
            "is not known. A twap plan needs no volume.",
            field="kind",
        )
    return _spread(principal, account, instrument, wish, weights)


def _spread(
    principal: Principal, account: str, instrument: Instrument, wish: PlanWish, weights: Sequence[Decimal]
) -> tuple[PlanDraft, _Estimated]:
    assert wish.side is not None and wish.quantity is not None and wish.orders is not None and wish.minutes is not None
    sizes = _slices(instrument, wish.quantity, weights)
    each = timedelta(minutes=wish.minutes) / (wish.orders - 1)
    if each < timedelta(seconds=10):
        raise Refusal(Code.INVALID_ARGUMENT, "Its orders have to be 10 seconds apart at least.", field="orders")
    order_type = OrderType.MARKET if wish.limit_price is None else OrderType.LIMIT
    children = tuple(
        ChildDraft(
            after=timedelta(seconds=round((number * each).total_seconds())),
            side=wish.side,
            order_type=order_type,
            quantity=size,
            limit_price=wish.limit_price,
        )
        for number, size in enumerate(sizes)
    )
    largest = max(sizes)
    seen = _look(principal, account, replace(_terms(instrument, children[0]), quantity=largest))
    whole = f"{wish.side.capitalize()} {plain(wish.quantity)} {instrument.symbol}"
    at = (
        "at the market" if wish.limit_price is None else f"at {money(wish.limit_price)} {instrument.currency} or better"
    )
    by_volume = wish.kind is PlanKind.VWAP
    how = f"by the volume of the last {_PROFILE_DAYS} days at each time of the day" if by_volume else "evenly"
    draft = PlanDraft(
        opening=f"{whole} in {len(sizes)} orders {at}, spread {how} over {span(wish.minutes)}.",
        heading=f"{wish.kind.label}: {whole} in {len(sizes)} orders over {span(wish.minutes)}",
        children=children,
        lasts=timedelta(minutes=wish.minutes) + AFTER_THE_LAST,
        most_orders=len(sizes),
        worth=seen.value * wish.quantity / largest,
        fee=None if seen.fee is None else seen.fee * len(sizes),
        starts=wish.start,
    )
    return draft, seen


def _slices(instrument: Instrument, whole: Decimal, weights: Sequence[Decimal]) -> list[Decimal]:
    """In these proportions as far as whole lots allow; what is left over goes to the last. Raises Refusal."""
    lots, rest = divmod(whole, instrument.lot)
    if rest:
        raise Refusal(
            Code.INVALID_ARGUMENT, f"quantity must be a multiple of {plain(instrument.lot)}.", field="quantity"
        )
    total = sum(weights, Decimal(0))
    parts = [int(lots * weight / total) for weight in weights]
    for number in range(int(lots) - sum(parts)):  # fewer than there are parts
        parts[len(parts) - 1 - number] += 1
    if min(parts) * instrument.lot < max(instrument.minimum, instrument.lot):
        raise Refusal(
            Code.INVALID_ARGUMENT,
            f"{len(parts)} orders of {plain(whole)} {instrument.symbol} are too small: one is "
            f"{plain(max(instrument.minimum, instrument.lot))} at least. Choose fewer orders.",
            field="orders",
        )
    return [part * instrument.lot for part in parts]


def _dca(
    principal: Principal, broker: Broker, account: str, instrument: Instrument, wish: PlanWish, now: datetime
) -> tuple[PlanDraft, _Estimated]:
    assert wish.orders is not None and wish.every is not None
    if (wish.quantity is None) == (wish.notional is None):
        raise Refusal(Code.MISSING_ARGUMENT, "Give either quantity or notional for each order.", field="quantity")
    every, side = Every(wish.every), wish.side or Side.BUY
    hours = calendars.of(broker, instrument)
    # What is confirmed at the last moment is still before the first order.
    earliest = now + timedelta(seconds=settings.CONFIRMATION_SECONDS)
    when = calendars.times(hours, every, _clock(wish.at), wish.orders, earliest)
    first = ChildDraft(
        after=timedelta(),
        side=side,
        order_type=OrderType.MARKET if wish.limit_price is None else OrderType.LIMIT,
        quantity=wish.quantity,
        notional=wish.notional,
        limit_price=wish.limit_price,
    )
    seen = _look(principal, account, _terms(instrument, first))
    each = plain(wish.quantity or Decimal(0)) if wish.notional is None else amount(wish.notional, instrument.currency)
    what = f"{side.capitalize()} {each}{'' if wish.notional is None else ' of'} {instrument.symbol}"
    until = f"{wish.orders} times, from {when[0]:%Y-%m-%d %H:%M} to {when[-1]:%Y-%m-%d %H:%M} UTC"
    notes = []
    if not market_hours.knows(hours, when[-1]):
        notes.append("holidays of the later years are not known yet: on such a day its order is skipped")
    draft = PlanDraft(
        opening=f"{what} every {every}, {until}, on days its market trades.",
        heading=f"Recurring order: {what} every {every}, {wish.orders} times",
        children=tuple(replace(first, after=each_time - when[0]) for each_time in when),
        lasts=when[-1] - when[0] + AFTER_A_DAY,
        most_orders=wish.orders,
        worth=seen.value * wish.orders,
        fee=None if seen.fee is None else seen.fee * wish.orders,
        starts=when[0],
        notes=tuple(notes),
    )
    return draft, seen


def _clock(text: str | None) -> time | None:
    """Raises Refusal."""
    if text is None:
        return None
    try:
        return datetime.strptime(text, "%H:%M").time()  # noqa: DTZ007 - a time of day has no zone
    except ValueError as error:
        raise Refusal(Code.INVALID_ARGUMENT, 'at is a time of day such as "10:30".', field="at") from error


def _grid(
    principal: Principal, broker: Broker, account: str, instrument: Instrument, wish: PlanWish, now: datetime
) -> tuple[PlanDraft, _Estimated]:
    assert wish.lower is not None and wish.upper is not None and wish.levels is not None
    assert wish.quantity is not None and wish.minutes is not None
    if not 0 < wish.lower < wish.upper:
        raise Refusal(Code.INVALID_ARGUMENT, "lower must be above 0 and below upper.", field="lower")
    step = (wish.upper - wish.lower) / (wish.levels - 1)
    prices = [
        ((wish.lower + step * level) / instrument.tick).quantize(Decimal(1)) * instrument.tick
        for level in range(wish.levels)
    ]
    if len(set(prices)) < len(prices) or prices[0] <= 0:
        raise Refusal(Code.INVALID_ARGUMENT, "The levels are closer than the tick of the price.", field="levels")
    market = broker.quotes([instrument.symbol])[0]
    buys = [level for level, price in enumerate(prices[:-1]) if price < market.bid]
    if not buys:
        raise Refusal(
            Code.INVALID_ARGUMENT,
            f"A grid begins by buying below the market, which is {money(market.bid)} {market.currency}: no level but "
            "the last lies below it.",
            field="lower",
        )
    children = tuple(
        ChildDraft(
            after=timedelta(),
            side=Side.BUY,
            order_type=OrderType.LIMIT,
            quantity=wish.quantity,
            limit_price=prices[level],
            level=level,
        )
        for level in reversed(buys)
    )
    most_orders = wish.most_orders or min(MOST_ORDERS, 10 * len(buys))
    if most_orders < len(buys):
        raise Refusal(Code.INVALID_ARGUMENT, f"It begins with {len(buys)} orders already.", field="most_orders")
    seen = _look(principal, account, _terms(instrument, children[0]))
    units = wish.quantity * instrument.multiplier
    at_once = sum((prices[level] for level in buys), Decimal(0)) * units
    # After its first orders the dearest it can do is to sell at the highest level, again and again.
    worth = at_once + (most_orders - len(buys)) * prices[buys[-1] + 1] * units
    each = f"{plain(wish.quantity)} {instrument.symbol}"
    between = f"{money(prices[0])} and {money(prices[-1])} {instrument.currency}"
    draft = PlanDraft(
        opening=(
            f"Buy {each} at each of {len(buys)} levels below the market, between {between}. What is bought at one "
            "level is offered at the next one above, and bought again below once it was sold, for "
            f"{span(wish.minutes)}. "
            "What it then has stays in the account; its open orders are cancelled. All it can have bought at once: "
            f"{amount(at_once, instrument.currency)}."
        ),
        heading=f"Grid: {each} at {wish.levels} levels between {between}",
        children=children,
        lasts=timedelta(minutes=wish.minutes),
        most_orders=most_orders,
        worth=worth,
        fee=None if seen.fee is None or not seen.value else seen.fee * worth / seen.value,
        room=Decimal(1),
        details={"prices": [plain(price) for price in prices], "quantity": plain(wish.quantity)},
    )
    return draft, seen


def _time_exit(
    principal: Principal, broker: Broker, account: str, instrument: Instrument, wish: PlanWish, now: datetime
) -> tuple[PlanDraft, _Estimated]:
    if (wish.start is None) == (wish.minutes is None):
        raise Refusal(Code.MISSING_ARGUMENT, "Give either start or minutes: when it closes.", field="start")
    position = order_preparing.open_position(broker, account, instrument.symbol)
    units = order_preparing.quantity_to_close(position, instrument, quantity=wish.quantity)
    side = order_preparing.side_to_close(position.quantity)
    after = timedelta() if wish.minutes is None else timedelta(minutes=wish.minutes)
    child = ChildDraft(after=after, side=side, quantity=wish.quantity)
    seen = _look(principal, account, replace(_terms(instrument, child), quantity=units))
    what = f"Close {'the whole position' if wish.quantity is None else plain(wish.quantity)} in {instrument.symbol}"
    when = f"in {span(wish.minutes)}" if wish.minutes is not None else f"at {wish.start:%Y-%m-%d %H:%M} UTC"
    draft = PlanDraft(
        opening=(
            f"{what} {when}, with one {side.lower()} order at the market. It closes what there is then, up to "
            f"{'all of it' if wish.quantity is None else plain(wish.quantity)}, and turns no position."
        ),
        heading=f"Exit at a time: {what} {when}",
        children=(child,),
        lasts=after + AFTER_A_DAY,
        most_orders=1,
        worth=seen.value,
        fee=seen.fee,
        room=_ROOM_OF_AN_EXIT,
        starts=wish.start,
    )
    return draft, seen


# -- what it would cost --------------------------------------------------------------------------------------


def _terms(instrument: Instrument, child: ChildDraft) -> Terms:
    return Terms(
        symbol=instrument.symbol,
        side=child.side,
        quantity=child.quantity,
        notional=child.notional,
        order_type=child.order_type,
        limit_price=child.limit_price,
    )


def _look(principal: Principal, account: str, terms: Terms) -> _Estimated:
    """Raises Refusal for an order that nothing could save."""
    preview = previewing.preview(principal, terms, account_id=account)
    fee = preview.shown["fee"]
    return _Estimated(
        preview=preview,
        price=Decimal(preview.shown["price"]),
        fee=None if fee is None else Decimal(fee),
        value=Decimal(preview.shown["value"]),
    )


def _most_value(connection: Connection, draft: PlanDraft, seen: _Estimated) -> Decimal:
    """In the connection's currency. Raises Refusal where that cannot be told."""
    share = seen.preview.worst / seen.value if seen.preview.worst and seen.value else None
    if seen.preview.shown["currency"] == connection.currency:  # in another one, a unit may be worth less
        share = max(share or Decimal(1), Decimal(1))
    if share is None:
        raise Refusal(
            Code.MISSING_ARGUMENT,
            f"What it comes to in {connection.currency} cannot be told now. Give most_value: the most that all its "
            "orders together may come to.",
            field="most_value",
        )
    return (draft.worth * share * draft.room).quantize(Decimal("0.01"), ROUND_UP)


def child_text(child: ChildDraft | PlanChild, symbol: str, currency: str) -> str:
    """One order in words: ``Buy 0.1 BTC/USD at the market``."""
    if child.notional is not None:
        size = f"{amount(child.notional, currency)} of"
    else:
        size = "all of" if child.quantity is None else plain(child.quantity)
    at = "at the market" if child.limit_price is None else f"at {money(child.limit_price)} {currency}"
    return f"{Side(child.side).capitalize()} {size} {symbol} {at}"


def _shown(
    connection: Connection,
    account: str,
    instrument: Instrument,
    wish: PlanWish,
    draft: PlanDraft,
    seen: _Estimated,
    most_value: Decimal,
    plan_id: str,
) -> dict[str, Any]:
    """All that a person decides by, as text: what the digest binds."""
    currency = instrument.currency
    sizes = [each.quantity for each in draft.children if each.quantity is not None]
    children = []
    for number, child in enumerate(draft.children, start=1):
        value = seen.value
        if child.limit_price is not None and child.quantity is not None:
            value = child.limit_price * child.quantity * instrument.multiplier
        elif child.quantity is not None:  # the largest was looked at
            value = seen.value * child.quantity / max(sizes)
        share = value / seen.value if seen.value else Decimal(1)
        children.append(
            {
                "number": number,
                "after_seconds": int(child.after.total_seconds()),
                "at": None if draft.starts is None else _instant(draft.starts + child.after),
                **_shown_child(child),
                "value": plain(value),
                "fee": None if seen.fee is None else plain(seen.fee * max(share, Decimal(1))),
            }
        )
    stops = _could_stop(connection, wish, seen, draft)
    until = f"{span(int(draft.lasts.total_seconds() // 60))} after it starts"
    if draft.starts is not None:
        until = f"{draft.starts + draft.lasts:%Y-%m-%d %H:%M} UTC"
    fees = "" if draft.fee is None else f", fees about {amount(draft.fee, currency)}"
    refused = "that order is skipped" if wish.at_refusal is AtRefusal.SKIP else "the plan stops"
    now_refused = f" At present, one would be refused: {seen.refusals[0]}" if seen.refusals else ""
    begins = "It starts when it is confirmed. " if draft.starts is None else ""
    text = (
        f"Plan on {connection.name} ({connection.environment}): {draft.opening} {begins}"
        f"Estimated at {'most' if wish.kind is PlanKind.GRID else 'about'} {amount(draft.worth, currency)}{fees}. "
        f"Never more than {draft.most_orders} order{'' if draft.most_orders == 1 else 's'}, "
        f"{amount(most_value, connection.currency)} in all, or later than {until}. Each order passes every check when "
        f"it is due; if one is refused, {refused}.{_silence_text(wish)} One confirmation starts the whole plan."
        f"{now_refused}"
    )
    return {
        "connection": connection.name,
        "connection_id": connection.pk,
        "environment": connection.environment,
        "account_id": account,
        "plan_id": plan_id,
        "kind": wish.kind.value,
        "symbol": instrument.symbol,
        "currency": currency,
        "heading": draft.heading,
        "price": plain(seen.price),
        "value": plain(draft.worth),
        "fee": None if draft.fee is None else plain(draft.fee),
        "most_value": plain(most_value),
        "most_orders": draft.most_orders,
        "lasts_seconds": int(draft.lasts.total_seconds()),
        "starts": None if draft.starts is None else _instant(draft.starts),
        "at_refusal": wish.at_refusal.value,
        "silent_minutes": wish.silent_minutes,
        "when_silent": wish.when_silent.value,
        "details": draft.details or {},
        "children": children,
        "could_stop": stops,
        "summary": text,
    }


def _shown_child(child: ChildDraft | PlanChild) -> dict[str, Any]:
    """What must not change of it."""
    return {
        "side": str(child.side),
        "order_type": str(child.order_type),
        "quantity": None if child.quantity is None else plain(child.quantity),
        "notional": None if child.notional is None else plain(child.notional),
        "limit_price": None if child.limit_price is None else plain(child.limit_price),
        "level": child.level,
    }


def is_as_shown(plan: TradingPlan, shown: dict[str, Any]) -> bool:
    """Whether the rows of a plan are what was shown of it."""
    rows = [
        {"number": child.number, "after_seconds": child.after_seconds, **_shown_child(child)}
        for child in plan.children.order_by("number")
    ]
    told = [{name: value for name, value in each.items() if name in rows[0]} for each in shown["children"]]
    return rows == told and (
        shown["plan_id"],
        shown["connection_id"],
        shown["environment"],
        shown["account_id"],
        shown["kind"],
        shown["symbol"],
        shown["currency"],
        shown["most_value"],
        shown["most_orders"],
        shown["lasts_seconds"],
        shown["starts"],
        shown["at_refusal"],
        shown["silent_minutes"],
        shown["when_silent"],
        shown["details"],
    ) == (
        plan.public_id,
        plan.connection_id,
        plan.connection.environment,
        plan.account_id,
        plan.kind,
        plan.symbol,
        plan.currency,
        plain(plan.most_value),
        plan.most_orders,
        plan.lasts_seconds,
        None if plan.starts_after is None else _instant(plan.starts_after),
        plan.at_refusal,
        plan.silent_minutes,
        plan.when_silent,
        plan.details,
    )


def _could_stop(connection: Connection, wish: PlanWish, seen: _Estimated, draft: PlanDraft) -> list[str]:
    """Each the end of "What could stop it:"."""
    found = [f"at present, one order would be refused: {refusal}" for refusal in seen.refusals]
    found += ["a halt, a pause, or the end of the app's access or of the connection: it pauses or stops at once"]
    found += [f"a limit of {connection.name} or of the app, funds, or a closed market, when an order is due"]
    if wish.limit_price is not None:
        found.append("a market that does not reach the limit price: what does not fill is cancelled when the plan ends")
    found += draft.notes
    found.append("its own bounds: it stops before it passes one")
    if wish.silent_minutes is not None:
        found.append(f"the silence of its app for {wish.silent_minutes} minutes")
    return found


def _silence_text(wish: PlanWish) -> str:
    if wish.silent_minutes is None:
        return ""
    then = "pauses" if wish.when_silent is WhenSilent.PAUSE else "is cancelled"
    return f" If the app does not call for {wish.silent_minutes} minutes, the plan {then}."


def span(minutes: int | None) -> str:
    """``90 minutes``, ``3 hours``, ``12 days``."""
    assert minutes is not None
    if minutes % 1440 == 0 and minutes:
        days = minutes // 1440
        return f"{days} day{'' if days == 1 else 's'}"
    if minutes < 120:
        return f"{minutes} minute{'' if minutes == 1 else 's'}"
    hours, rest = divmod(minutes, 60)
    return f"{hours} hours" + (f" {rest} minutes" if rest else "")


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


# -- held ----------------------------------------------------------------------------------------------------


@transaction.atomic
def _hold(
    principal: Principal,
    asking: check_rows.AppRows,
    account: str,
    instrument: Instrument,
    wish: PlanWish,
    draft: PlanDraft,
    shown: dict[str, Any],
    most_value: Decimal,
    plan_id: str,
) -> TradingPlan:
    running = TradingPlan.objects.filter(connection=asking.connection, status__in=NOT_OVER).count()
    if running >= MOST_AT_ONCE:
        raise Refusal(
            Code.LIMIT_EXCEEDED,
            f"{asking.connection.name} has {MOST_AT_ONCE} plans that are not over. Cancel one first.",
        )
    confirmation = confirmations.create(asking.app, Action.PLAN, shown, asked=principal.redeemer, plan_id=plan_id)
    now = confirmation.created_at
    plan = TradingPlan.objects.create(
        public_id=plan_id,
        connection=asking.connection,
        app=asking.app,
        confirmation=confirmation,
        account_id=account,
        kind=wish.kind,
        symbol=instrument.symbol,
        currency=instrument.currency,
        details=draft.details or {},
        at_refusal=wish.at_refusal,
        most_value=most_value,
        most_orders=draft.most_orders,
        starts_after=draft.starts,
        lasts_seconds=int(draft.lasts.total_seconds()),
        silent_minutes=wish.silent_minutes,
        when_silent=wish.when_silent,
        status=PlanStatus.AWAITING,
        released_value=Decimal(0),
        created_at=now,
        moved_at=now,
    )
    PlanChild.objects.bulk_create(_rows(plan, draft.children, now))
    transitions.add_event(plan, "Prepared and shown. Nothing was sent.", principal.app_label)
    return plan


def _rows(plan: TradingPlan, children: Sequence[ChildDraft], now: datetime) -> list[PlanChild]:
    return [
        PlanChild(
            plan=plan,
            number=number,
            after_seconds=int(child.after.total_seconds()),
            due_at=None if plan.starts_after is None else plan.starts_after + child.after,
            side=child.side,
            order_type=child.order_type,
            quantity=child.quantity,
            notional=child.notional,
            limit_price=child.limit_price,
            level=child.level,
            status=ChildStatus.WAITING,
            moved_at=now,
        )
        for number, child in enumerate(children, start=1)
    ]


def resting_tif(broker: Broker) -> TimeInForce | None:
    """For an order that is to rest until it fills: longer than the day where the broker takes that."""
    return TimeInForce.GTC if broker.capabilities.takes(OrderType.LIMIT, TimeInForce.GTC) else None
