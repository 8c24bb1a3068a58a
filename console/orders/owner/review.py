"""What a careful person looks at before they release an order: how it stands against the market, the account and
the limits at this moment. Decides nothing and sends nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.utils import timezone

from brokers.errors import BrokerError
from brokers.types import AccountState, OrderClass, OrderRequest, Preview, Quote, Side
from console.connected_apps.models import ConnectedApp
from console.connections import broker_access
from console.connections.models import Connection
from console.errors import Code, Refusal, refusal_of_read
from console.limits import AMOUNTS, NUMBERS, TITLES
from console.orders import summary, terms
from console.orders.checks import (
    change_checks,
    check_rows,
    check_subject,
    daily_usage,
    limit_rules,
    limit_usage,
    market_standing,
    open_orders,
    pipeline,
)
from console.orders.checks.check_rows import AppRows
from console.orders.checks.check_subject import Facts, Subject
from console.orders.checks.limit_rules import RiskInputs, ScopedLimits
from console.orders.checks.market_standing import PriceStanding
from console.orders.checks.pipeline import About, CheckResult, Stage
from console.orders.execution import amendments, sync
from console.orders.models import Action, Confirmation, Modification, Order
from console.orders.states import Status
from console.orders.terms import TIF_TEXT, describe

CAN_CLEAR = frozenset({Code.BROKER_UNAVAILABLE, Code.OUTCOME_UNKNOWN})
"""What may be gone a second later: no reason to keep the owner from trying."""

_AHEAD = frozenset({Stage.CONFIRMED, Stage.LOCKED})
"""What a release still has to pass."""


@dataclass(slots=True, kw_only=True)
class ReviewItem:
    """One order of the plan. Prices in its own currency; None: could not be had, which is not zero."""

    order: Order
    request: OrderRequest
    """As it would be, once released."""
    words: str
    shown: Decimal | None
    """Price per unit when it was shown."""
    was: str = ""
    """Of an order that rests and would be changed: how it stands."""
    legs: list[str] = field(default_factory=list)
    quote: Quote | None = None
    preview: Preview | None = None
    facts: RiskInputs | None = None
    worst: Decimal | None = None
    """Its maximum value, in the connection's currency, without a fee: what limits count."""
    market_shown: Decimal | None = None
    """The last price when it was shown."""
    held: Decimal | None = None
    """Signed position before it, in its account."""
    held_of: Mapping[str, Decimal] = field(default_factory=dict)
    """Of several options in one order: signed positions in its account by symbol, none where there is none."""
    refusals: list[Refusal] = field(default_factory=list)
    """Why it would be refused, were it released now."""

    @property
    def signed(self) -> Decimal | None:
        """What it adds to the position, once filled."""
        units = self.request.quantity
        if units is None:
            if self.request.notional is None or not self.price:
                return None
            units = self.request.notional / self.price
        units -= Decimal(self.order.filled_quantity)
        return units if self.order.side == Side.BUY else -units

    @property
    def spread(self) -> list[str]:
        """Of several options in one order: what it does with each."""
        spread = self.order.spread
        return [] if spread is None else spread.trades(buys=self.request.side is Side.BUY)

    @property
    def until(self) -> str:
        """Its time in force, as text."""
        text = TIF_TEXT[self.request.tif]
        return text[0].upper() + text[1:]

    @property
    def price(self) -> Decimal | None:
        """What one unit costs now, by the broker's estimate; else by the last price."""
        if self.preview is not None:
            return self.preview.price
        return None if self.quote is None else self.quote.last

    @property
    def most(self) -> Decimal | None:
        """The most it can cost with its fee, in the connection's currency; None: not known."""
        if self.worst is None or self.preview is None or self.facts is None or self.facts.rate is None:
            return None
        rate = self.facts.rate
        return summary.with_fee(self.worst / rate, self.preview) * rate

    @property
    def standings(self) -> list[PriceStanding]:
        """Where its prices and those of its exits stand against the market now."""
        if self.quote is None:
            return []
        return market_standing.standings(self.request, self.quote, self.order.currency)

    @property
    def drift(self) -> Decimal | None:
        """How far the market moved since the order was shown, in percent."""
        if self.preview is None or self.request.limit_price is not None or not self.shown or self.was:
            return None
        return (self.preview.price / self.shown - 1) * 100

    @property
    def age(self) -> int | None:
        """Whole seconds since the price was made."""
        return None if self.quote is None else max(0, int((timezone.now() - self.quote.as_of).total_seconds()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One thing that changes, before and after. None: not known."""

    what: str
    before: Decimal | None
    after: Decimal | None
    unit: str
    is_money: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Headroom:
    """One limit: what is used, and what stays free if everything here fills at its worst."""

    of: str
    title: str
    value: Decimal
    unit: str
    used: Decimal | None
    after: Decimal | None
    """Used, with these orders."""

    @property
    def left(self) -> Decimal | None:
        return None if self.after is None else max(self.value - self.after, Decimal(0))

    @property
    def is_over(self) -> bool:
        return self.after is not None and self.after > self.value


@dataclass(slots=True, kw_only=True)
class Review:
    confirmation: Confirmation
    items: list[ReviewItem]
    at: datetime
    effects: list[Effect] = field(default_factory=list)
    rooms: list[Headroom] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    """Why none of it would go now: permission, halts."""
    trouble: str = ""
    """The broker's words, when it could not be reached."""

    @property
    def is_cancel(self) -> bool:
        return self.confirmation.action == Action.CANCEL

    @property
    def lead(self) -> Order:
        return self.items[0].order

    @property
    def standing(self) -> list[str]:
        """Why a release would be refused now, each reason once."""
        every = [*self.refusals, *(refusal for item in self.items for refusal in item.refusals)]
        if not self.confirmation.all_or_none and any(not item.refusals for item in self.items):
            every = list(self.refusals)  # the rest of it would go
        return list(dict.fromkeys(str(refusal) for refusal in every if refusal.code not in CAN_CLEAR))

    @property
    def only(self) -> ReviewItem | None:
        """The one order it is about; None of several."""
        return self.items[0] if len(self.items) == 1 else None

    @property
    def position(self) -> Effect | None:
        """What becomes of the position, where it is one."""
        found = [effect for effect in self.effects if not effect.is_money]
        return found[0] if len(found) == 1 else None

    @property
    def tightest(self) -> Headroom | None:
        """The limit that leaves least of itself; None where none is known."""
        known = [room for room in self.rooms if room.after is not None and room.value > 0]
        return max(known, key=lambda room: (room.after or Decimal(0)) / room.value, default=None)

    @property
    def left_out(self) -> list[ReviewItem]:
        """Of a plan that may go in part: what would not."""
        return [] if self.confirmation.all_or_none else [item for item in self.items if item.refusals]


def plan(confirmation: Confirmation) -> list[Order]:
    """The orders it is about: those it would send, or the one it would change or cancel."""
    if confirmation.is_about_an_order:
        return [confirmation.order]
    orders = Order.objects.filter(confirmation=confirmation, parent=None).order_by("pk")
    return list(orders.select_related("app", "connection__owner", "confirmation"))


def heading(confirmation: Confirmation) -> str:
    if confirmation.starts_plan:
        return str(confirmation.terms["heading"])
    orders = plan(confirmation)
    if confirmation.action == Action.CANCEL:
        return f"Cancel: {describe(orders[0].request, orders[0].currency)}"
    if confirmation.action == Action.MODIFY:
        change = confirmation.modification
        changed = change_checks.amended_request(change.order.request, change.asked)
        return f"Change to: {describe(changed, change.order.currency)}"
    if confirmation.action == Action.FLATTEN:
        stays = confirmation.terms.get("stays", ())
        but = f", except in {', '.join(stays)}" if stays else ""
        return f"Cancel all orders and close all positions in {orders[0].account_id}{but}"
    return describe(orders[0].request, orders[0].currency) if len(orders) == 1 else f"{len(orders)} orders together"


def load(confirmation: Confirmation) -> Review:
    """Ask the broker once about everything the confirmation covers. Never raises what the broker does."""
    whole = plan(confirmation)
    orders = [order for order in whole if order.state is Status.AWAITING] or whole
    each_shown = terms.shown_of_each(confirmation.terms, len(whole))
    shown = {order.pk: of for order, of in zip(whole, each_shown, strict=True)}
    lead = orders[0]
    app, connection = confirmation.app, lead.connection
    change = confirmation.modification if confirmation.is_about_an_order else None
    items = [_item(order, change, shown[order.pk]) for order in orders]
    review = Review(confirmation=confirmation, items=items, at=timezone.now())
    if review.is_cancel:  # no permission, halt or limit holds a cancel back
        _read_prices(review, connection)
        return review
    asking = check_rows.app_rows(confirmation.app_id)
    asker = Subject(asking=asking, action=confirmation.at_halts, account_id=lead.account_id)
    review.refusals = _refusals(pipeline.collect(asker, Facts(asker), _AHEAD, about={About.ASKER}))
    open_broker = check_subject.opener(connection)
    try:
        state = open_broker().account_state(lead.account_id)
        held = {position.symbol: position.quantity for position in open_broker().positions(lead.account_id)}
    except BrokerError as error:
        review.trouble = str(error)
        return review
    for item in items:
        item.held, item.held_of = held.get(item.order.symbol, Decimal(0)), held
        try:
            of = _subject(item.order, change, confirmation, shown[item.order.pk], asking)
        except BrokerError as error:
            item.refusals.append(refusal_of_read(error))
        else:
            _check(item, of, Facts(of, open_broker), change)
    review.effects = _effects(items, state)
    review.rooms = _headrooms(items, connection, app, review.at)
    return review


def _read_prices(review: Review, connection: Connection) -> None:
    try:
        broker = broker_access.broker_of(connection)
        for item in review.items:
            item.quote = broker.quotes([item.order.symbol])[0]
    except BrokerError as error:
        review.trouble = str(error)


def _item(order: Order, change: Modification | None, shown: Mapping[str, Any]) -> ReviewItem:
    request = order.request if change is None else change_checks.amended_request(order.request, change.asked)
    alone = [
        describe(
            OrderRequest(
                client_order_id=leg.client_order_id,
                symbol=request.symbol,
                side=leg.side,
                order_type=leg.order_type,
                quantity=leg.quantity or request.quantity,
                tif=leg.tif,
                limit_price=leg.limit_price,
                stop_price=leg.stop_price,
                trail_amount=leg.trail_amount,
                trail_percent=leg.trail_percent,
            ),
            order.currency,
        )
        for leg in request.legs
    ]
    told = order.shown_price if change is None else change.confirmation.terms.get("price")
    return ReviewItem(
        order=order,
        request=request,
        words=describe(request, order.currency),
        shown=None if told is None else Decimal(told),
        market_shown=None if shown.get("last") is None else Decimal(shown["last"]),
        was="" if change is None or change.cancels else describe(order.request, order.currency),
        legs=alone,
    )


def _subject(
    order: Order,
    change: Modification | None,
    confirmation: Confirmation,
    shown: dict[str, Any],
    asking: AppRows,
) -> Subject:
    """As its release has it. An order that is to be changed is brought up to date first. Raises BrokerError."""
    if change is not None:
        sync.refresh(order)
        return amendments.subject_of(change, asking)(order)
    flattens = confirmation.action == Action.FLATTEN
    return check_subject.of_order(order, asking, confirmation, shown, before_cancels=flattens)


def _check(item: ReviewItem, of: Subject, facts: Facts, change: Modification | None) -> None:
    """Every check that is still ahead of it, so that the person sees all that stands in the way."""
    results = pipeline.collect(of, facts, _AHEAD, about=pipeline.EVERYTHING - {About.ASKER})
    item.refusals = _refusals(results)
    item.quote, item.facts, item.worst = facts.if_read("quote"), facts.if_read("inputs"), facts.worst
    if change is None:
        item.preview = facts.if_read("preview")
    elif item.quote is not None:
        item.preview = _estimate_of_rest(item, change, facts)
    if item.worst is None and item.facts is not None:
        item.worst = _most(item.request, item.facts, of.connection, of.app)


def _refusals(results: Sequence[CheckResult]) -> list[Refusal]:
    return [each.refusal for each in results if each.refusal is not None]


def _estimate_of_rest(item: ReviewItem, change: Modification, facts: Facts) -> Preview | None:
    """A broker estimates no change: what it would fill from now on is estimated as an order of its own."""
    rest, filled = item.request.quantity, Decimal(item.order.filled_quantity)
    alone = replace(
        item.request,
        client_order_id=change.wire_id,
        quantity=None if rest is None else max(rest - filled, Decimal(0)),
        order_class=OrderClass.SIMPLE,
        legs=(),
    )
    try:
        return facts.broker.preview(item.order.account_id, alone)
    except BrokerError:  # what it holds back of the funds now is missing for the estimate
        return None


def _most(request: OrderRequest, facts: RiskInputs, connection: Connection, app: ConnectedApp) -> Decimal | None:
    """The most that an order can come to which a limit refuses: what the refusal speaks of."""
    quote, units = facts.quote, request.quantity
    if facts.rate is None or not limit_rules.is_priced(request, quote, facts.spread):
        return None
    if units is None:
        best = quote.ask if request.side is Side.BUY else quote.bid
        units = (request.notional or Decimal(0)) / (best * facts.multiplier)
    bounds = daily_usage.scoped_limits(connection, app, timezone.now())
    collar = limit_rules.collar_of(
        bounds, is_live=connection.is_live, takes_market=limit_rules.takes_market(request, quote)
    )
    try:
        owed = limit_rules.owed_beside(request, facts.spread)
    except Refusal:
        return None
    worst = limit_rules.at_most(request.side, limit_rules.worst_price(request, quote, collar), owed)
    return worst * facts.multiplier * facts.rate * units


def _effects(items: Sequence[ReviewItem], state: AccountState) -> list[Effect]:
    """Cash by currency, then each position, as if everything filled at the price of its estimate."""
    made = []
    for currency in dict.fromkeys(item.order.currency for item in items):
        before = next((cash.total for cash in state.cash if cash.currency == currency), None)
        moved = [item.preview and item.preview.cash_effect for item in items if item.order.currency == currency]
        after = None if before is None or None in moved else before + sum((each or 0 for each in moved), Decimal(0))
        made.append(Effect(what="Cash", before=before, after=after, unit=currency))
    for symbol in dict.fromkeys(item.order.symbol for item in items if item.order.spread is None):
        these = [item for item in items if item.order.symbol == symbol]
        signed = [item.signed for item in these]
        held = these[0].held
        after = None if held is None or None in signed else held + sum((each or 0 for each in signed), Decimal(0))
        made.append(Effect(what=f"Position in {symbol}", before=held, after=after, unit="", is_money=False))
    return [*made, *_effects_on_legs(items)]


def _effects_on_legs(items: Sequence[ReviewItem]) -> list[Effect]:
    """Each option that orders of several options move."""
    moved: dict[str, Decimal] = {}
    before: dict[str, Decimal] = {}
    for item in items:
        for leg in () if item.order.spread is None else item.order.spread.legs:
            held = (quantity for symbol, quantity in item.held_of.items() if leg.is_called(symbol))
            before[leg.words] = sum(held, Decimal(0))
            moved[leg.words] = moved.get(leg.words, Decimal(0)) + leg.sign * leg.ratio * (item.signed or Decimal(0))
    return [
        Effect(what=f"Position in {name}", before=before[name], after=before[name] + by, unit="", is_money=False)
        for name, by in moved.items()
    ]


def _headrooms(items: Sequence[ReviewItem], connection: Connection, app: ConnectedApp, now: datetime) -> list[Headroom]:
    made = []
    for bound, of in zip(daily_usage.scoped_limits(connection, app, now), (connection.name, app.name), strict=True):
        for name in (*NUMBERS, "orders_per_minute"):
            value = getattr(bound.limits, name)
            if value is None:
                continue
            used, after = _used(name, items, bound, connection, now)
            unit = connection.currency if name in AMOUNTS else "orders" if name == "orders_per_minute" else "%"
            made.append(Headroom(of=of, title=TITLES[name], value=Decimal(value), unit=unit, used=used, after=after))
    return made


def _used(
    name: str, items: Sequence[ReviewItem], bound: ScopedLimits, connection: Connection, now: datetime
) -> tuple[Decimal | None, Decimal | None]:
    """What is used of one limit now, and what it would be with these orders."""
    worst = [item.worst for item in items]
    known = [each for each in worst if each is not None]
    match name:
        case "order_notional":
            return None, max(known) if known and len(known) == len(worst) else None
        case "daily_notional":
            today = bound.use.today
            return today, today + sum(known) if today is not None and len(known) == len(worst) else None
        case "orders_per_minute":
            return Decimal(bound.use.last_minute), Decimal(bound.use.last_minute + len(items))
        case "daily_loss":
            lost = limit_usage.loss_today(connection, connection.equity, now)
            return lost, lost
        case "position_value" | "equity_share":
            return _largest(name, items, connection)
    return None, None


def _largest(name: str, items: Sequence[ReviewItem], connection: Connection) -> tuple[Decimal | None, Decimal | None]:
    """The largest position that these orders touch, before and after, over all accounts."""
    found: list[tuple[Decimal, Decimal]] = []
    for item in items:
        facts = item.facts
        if facts is None or facts.held is None or facts.rate is None or item.price is None or item.signed is None:
            return None, None
        each = item.price * facts.multiplier * facts.rate
        symbol, side = item.request.symbol, item.request.side
        others = open_orders.pending_quantity(symbol, side, connection, facts, exclude=item.order).adds
        before, after = abs(facts.held + others) * each, abs(facts.held + others + item.signed) * each
        if name == "equity_share":
            if not facts.equity or facts.equity <= 0:
                return None, None
            before, after = before / facts.equity * 100, after / facts.equity * 100
        found.append((before, after))
    return max(found, key=lambda pair: pair[1])
