"""The orders of plans: each released when it is due, once, through the same checks as any order; and what became of it.

A process may die anywhere here. What it did is in rows, and the next sweep begins where it ended:

child WAITING                 nothing was done
      WORKING, no order       prepared by nobody; prepare it under the same client order id
      WORKING, order AWAITING shown to nobody and not sent; release it, or end it
      OPEN                    committed with the order's intent, in one transaction: the sweep of orders sends it
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from django.conf import settings
from django.db import Error, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from brokers.base import Broker
from brokers.decimals import plain
from brokers.errors import BrokerError
from brokers.types import Environment, OrderType, Position, Side
from console.connected_apps.models import ConnectedApp
from console.connections import broker_access
from console.connections.models import Connection
from console.errors import Code, Refusal, refusal_of_read
from console.orders import prepare as order_preparing
from console.orders import states as order_states
from console.orders.checks import facts as check_facts
from console.orders.execution import cancel as cancelling
from console.orders.execution import release
from console.orders.models import Action, Order
from console.orders.prepare import PlanItem
from console.orders.states import Status
from console.orders.terms import Terms
from console.orders.transitions import confirmations, order_state
from console.plans import bounds, preparing, queries, transitions
from console.plans.models import AtRefusal, PlanChild, PlanKind, TradingPlan, WhenSilent
from console.plans.states import ACTIVE, NOT_OVER, ChildStatus, PlanStatus
from console.plans.transitions import BY_ITSELF
from console.principal import Principal
from console.scopes import Source

log = logging.getLogger(__name__)

_AT_MOST = 200
"""Plans in one sweep, and orders of one plan."""
_SOONEST, _LATEST = timedelta(seconds=10), timedelta(minutes=5)
"""How soon what cannot be sent now is tried again: later each time."""
_PASSING = frozenset(
    {
        *(Code.BROKER_UNAVAILABLE, Code.BROKER_BUSY, Code.RATE_LIMITED, Code.DATABASE_UNAVAILABLE),
        *(Code.MARKET_CLOSED, Code.STALE_QUOTE, Code.NO_RATE, Code.PRICE_MOVED, Code.DUPLICATE_ORDER_ID),
        *(Code.CONFIRMATION_EXPIRED, Code.CONFIRMATION_USED, Code.WAITS_FOR_OWNER),
    }
)
"""What may be over in a moment."""
_BEHIND = frozenset({Code.NO_POSITION, Code.POSITION_CHANGED, Code.INSUFFICIENT_POSITION})
"""The same of what a grid has just bought: its broker may tell of the fill before it tells of the position."""
_UNSENT = frozenset({Status.LAPSED, Status.DENIED, Status.CANCELLED, Status.REJECTED_BY_OWNER})


# -- the sweep -----------------------------------------------------------------------------------------------


def has_work() -> bool:
    """Whether any plan waits or runs, or has an order that is not settled: two short looks, for the scheduler."""
    if TradingPlan.objects.filter(status__in=NOT_OVER).exists():
        return True
    return PlanChild.objects.filter(status__in=(ChildStatus.WORKING, ChildStatus.OPEN)).exists()


def sweep() -> None:
    """Carry every plan on by one step."""
    for plan in _due():
        try:
            advance(plan)
        except Error:
            raise
        except Exception:  # one broken plan must not stop the others
            log.exception("Plan %s could not be carried on", plan.public_id)


def _due() -> QuerySet[TradingPlan]:
    unsettled = PlanChild.objects.filter(status__in=(ChildStatus.WORKING, ChildStatus.OPEN)).values("plan")
    found = queries.with_rows().filter(Q(status__in=NOT_OVER) | Q(pk__in=unsettled))
    return found.order_by("pk")


def advance(plan: TradingPlan) -> None:
    """What is to be done for one plan now."""
    now = timezone.now()
    if plan.state is PlanStatus.AWAITING:
        _lapse(plan, now)
        return
    for child in _with(plan, ChildStatus.OPEN):
        _settle(child)
    if plan.state in ACTIVE:
        _check(plan, now)
    if plan.state is PlanStatus.RUNNING:
        for child in _left(plan, now):
            _work(child)
        for child in _waiting(plan, now):
            if not _goes_on(plan):
                break
            _work(child)
            if child.state is ChildStatus.OPEN and plan.kind in bounds.SPREAD:
                break  # what was missed does not go at once with it
        _finish(plan)
    if plan.state is not PlanStatus.RUNNING:
        _withdraw(plan, now)


def _goes_on(plan: TradingPlan) -> bool:
    """It runs, and what became of each order it sent is known: its next one waits for that."""
    plan.refresh_from_db(fields=["status"])
    unknown = plan.children.filter(status=ChildStatus.OPEN, order__status__in=(Status.SENDING, Status.UNKNOWN))
    return plan.state is PlanStatus.RUNNING and not unknown.exists()


def _lapse(plan: TradingPlan, now: datetime) -> None:
    over = confirmations.is_over(now, "confirmation__") | Q(confirmation__redeemed_at__isnull=False)
    if not TradingPlan.objects.filter(over, pk=plan.pk).exists():
        return
    what = f"Nobody confirmed within {plan.confirmation.lifetime_text}. Nothing was sent."
    transitions.move(plan, PlanStatus.LAPSED, what, BY_ITSELF, code=Code.CONFIRMATION_EXPIRED)


def _with(plan: TradingPlan, status: ChildStatus) -> list[PlanChild]:
    mine = PlanChild.objects.filter(plan=plan, status=status)
    found = list(mine.select_related("order__connection", "order__confirmation").order_by("number")[:_AT_MOST])
    for child in found:
        child.plan = plan
    return found


def _lease() -> timedelta:
    return timedelta(seconds=settings.SENDING_LEASE_SECONDS)


def _left(plan: TradingPlan, now: datetime) -> list[PlanChild]:
    """Whose process must have died."""
    return [
        child
        for child in _with(plan, ChildStatus.WORKING)
        if child.claimed_at is None or child.claimed_at <= now - _lease() or child.claimed_at > now + _lease()
    ]


def _waiting(plan: TradingPlan, now: datetime) -> list[PlanChild]:
    due = Q(due_at__lte=now) & (Q(not_before=None) | Q(not_before__lte=now))
    mine = PlanChild.objects.filter(due, plan=plan, status=ChildStatus.WAITING)
    found = list(mine.order_by("due_at", "number")[:_AT_MOST])
    for child in found:
        child.plan = plan
    return found


def _check(plan: TradingPlan, now: datetime) -> None:
    """Whether it may go on at all."""
    if plan.ends_at is not None and plan.ends_at <= now:
        unsent = PlanChild.objects.filter(plan=plan, status__in=(ChildStatus.WAITING, ChildStatus.WORKING)).count()
        with transaction.atomic():
            if transitions.move(plan, PlanStatus.DONE, "Its time is over.", BY_ITSELF) and unsent:
                orders = "One of its orders was" if unsent == 1 else f"{unsent} of its orders were"
                transitions.tell_of_unsent(plan, f"Its time is over. {orders} not sent.")
        return
    refusal = bounds.why_not(plan)
    if refusal is not None:
        _stop(plan, refusal)
        return
    if plan.state is PlanStatus.RUNNING and bounds.is_silent(plan, now):
        said = f"Its app has not called for more than {plan.silent_minutes} minutes."
        if plan.when_silent == WhenSilent.PAUSE:
            transitions.move(plan, PlanStatus.PAUSED, said, BY_ITSELF)
        else:
            transitions.move(plan, PlanStatus.CANCELLED, said, BY_ITSELF)


def _stop(plan: TradingPlan, refusal: Refusal) -> None:
    """By what concerns the plan as a whole."""
    if bounds.pauses(refusal):
        if plan.state is PlanStatus.RUNNING:
            transitions.move(plan, PlanStatus.PAUSED, str(refusal), BY_ITSELF, code=refusal.code)
    else:
        transitions.move(plan, PlanStatus.STOPPED, str(refusal), BY_ITSELF, code=refusal.code)


def _finish(plan: TradingPlan) -> None:
    """It is done once every order of it has ended."""
    at_work = (ChildStatus.WAITING, ChildStatus.WORKING, ChildStatus.OPEN)
    if not PlanChild.objects.filter(plan=plan, status__in=at_work).exists():
        transitions.move(plan, PlanStatus.DONE, "Every order of it has ended.", BY_ITSELF)


def _withdraw(plan: TradingPlan, now: datetime) -> None:
    """What a plan has open that is paused or over: it is taken back, and asked for until the broker answers."""
    pauses = plan.state is PlanStatus.PAUSED
    for child in _left(plan, now):
        _end_unsent(child, _order_of(child))
        if pauses:
            _try_again(child, timedelta())
        else:
            transitions.move_child(child, ChildStatus.WORKING, ChildStatus.LEFT_OUT, code=Code.CONFIRMATION_EXPIRED)
    for child in _with(plan, ChildStatus.OPEN):
        order = child.order
        assert order is not None
        if order.state not in order_states.OPEN or order.cancel_requested_at is not None:
            continue
        if child.kept or plan.kind == PlanKind.TIME_EXIT:
            continue  # it guards a position; it closes a position, and was sent while the plan ran
        if pauses:
            transitions.recall(child)
        if order.state in (Status.INTENT, Status.ASKED):
            try:
                cancelling.cancel_order(order, by=f"Plan {plan.public_id}")
            except Refusal as refusal:
                log.warning("Order %s of plan %s was not cancelled: %s", order.public_id, plan.public_id, refusal)
        else:
            order_state.request_cancel(order, at=now)


# -- one order -----------------------------------------------------------------------------------------------


def _work(child: PlanChild) -> None:
    """Prepare it and release it, if nobody else does."""
    now = timezone.now()
    plan = child.plan
    if not transitions.claim(child, now, _lease()):
        return
    assert child.due_at is not None
    order = _order_of(child)
    if order is not None and order.released_at is not None:  # never, as both are one transaction
        log.error("Order %s was released beside its plan", order.public_id)
        transitions.move_child(child, ChildStatus.WORKING, ChildStatus.OPEN, order=order)
        return
    if child.due_at + bounds.late_after(plan) < now:
        _end_unsent(child, order)
        _skip(child, Code.CONFIRMATION_EXPIRED, "It came too late, so it was not sent.")
        return
    try:
        if order is not None and order.confirmation.expires_at <= now:  # prepared by a process that died
            _end_unsent(child, order)
        if order is None or order.state in _UNSENT:
            if order is not None:
                _next_attempt(child)
            order = _prepared(child)
        release.release(
            order.confirmation,
            authorize=_authorize(child),
            by=f"Plan {plan.public_id}",
            on_released=partial(_record, child),
        )
    except Refusal as refusal:
        _refused(child, refusal)


def _order_of(child: PlanChild) -> Order | None:
    """The one its plan prepared: an order that somebody else gave the same id is never the plan's to release."""
    plan = child.plan
    mine = Order.objects.filter(connection_id=plan.connection_id, client_order_id=child.client_order_id)
    mine = mine.filter(confirmation__plan_id=plan.public_id)
    return mine.select_related("confirmation__app__connection", "connection", "app").first()


def _authorize(child: PlanChild) -> Callable[[Connection], None]:
    """Whether the plan, as it is now, lets it go: the yes to the plan is the yes to each order of it."""

    def may(connection: Connection) -> None:
        current = TradingPlan.objects.select_related("app").get(pk=child.plan_id)
        now = timezone.now()
        bounds.check_running(current, connection, now)
        bounds.check_toolset(current.app)
        bounds.check_credentials(current.app, now)

    return may


def _record(child: PlanChild, orders: list[Order]) -> None:
    """In the transaction that commits its intent: the plan counts it, under the lock of its row. Raises Refusal."""
    (order,) = orders
    plan = TradingPlan.objects.select_for_update().get(pk=child.plan_id)
    bounds.check_running(plan, order.connection, timezone.now())
    after = bounds.check_room(plan, order.worst_notional, order.connection.currency)
    number = plan.released_orders + 1
    said = f"Sent as order {order.public_id}: {preparing.child_text(child, plan.symbol, plan.currency)}."
    if not transitions.move_child(child, ChildStatus.WORKING, ChildStatus.OPEN, said, order=order):
        raise Refusal(Code.CONFIRMATION_USED, "Another process has released this order of the plan.")
    TradingPlan.objects.filter(pk=plan.pk).update(released_value=after, released_orders=number)
    order_state.add_event(
        order,
        order.status,
        f"Order {child.number} of plan {plan.public_id}, which was confirmed as a whole.",
        f"Plan {plan.public_id}",
        "",
        {"plan": plan.public_id, "number": child.number},
    )


def _prepared(child: PlanChild) -> Order:
    """Its order, checked and held under the child's own id. Raises Refusal."""
    plan = child.plan
    try:
        broker = broker_access.broker_of(plan.connection)
        instrument = broker.instrument(plan.symbol)
        if check_facts.market_is_open(broker, instrument, timezone.now()) is False and plan.kind != PlanKind.GRID:
            raise Refusal(Code.MARKET_CLOSED, f"The market of {plan.symbol} is closed.")
        item, action = _item(child, broker)
    except BrokerError as error:
        raise refusal_of_read(error) from error
    prepared = order_preparing.prepare_plan(
        _principal(plan), [item], account_id=plan.account_id, action=action, plan_id=plan.public_id
    )
    order = prepared.order
    order.confirmation = prepared.confirmation
    return order


def _item(child: PlanChild, broker: Broker) -> tuple[PlanItem, Action]:
    """Raises Refusal, BrokerError."""
    plan = child.plan
    if plan.kind == PlanKind.TIME_EXIT:
        return _closing(child, broker), Action.CLOSE
    if plan.kind == PlanKind.GRID and child.side == Side.SELL:
        return _offered(child, broker), Action.CLOSE
    resting = preparing.resting_tif(broker) if plan.kind == PlanKind.GRID else None
    terms = Terms(
        symbol=plan.symbol,
        side=Side(child.side),
        quantity=child.quantity,
        notional=child.notional,
        order_type=OrderType(child.order_type),
        tif=resting,
        limit_price=child.limit_price,
    )
    return PlanItem(terms=terms, client_order_id=child.client_order_id), Action.PLACE


def _closing(child: PlanChild, broker: Broker) -> PlanItem:
    """What there is to close now, up to what was confirmed, and on the side that was."""
    plan = child.plan
    position: Position = order_preparing.open_position(broker, plan.account_id, plan.symbol)
    if order_preparing.side_to_close(position.quantity) is not Side(child.side):
        raise Refusal(
            Code.POSITION_CHANGED,
            f"The position is {plain(position.quantity)} by now, on the other side. Nothing was closed.",
        )
    instrument = broker.instrument(plan.symbol)
    whole = order_preparing.quantity_to_close(position, instrument)
    terms = Terms(
        symbol=plan.symbol,
        side=Side(child.side),
        quantity=whole if child.quantity is None else min(whole, child.quantity),
        reduce_only=broker.capabilities.takes_reduce_only(instrument.asset_class),
    )
    return PlanItem(terms=terms, client_order_id=child.client_order_id, position=position.quantity)


def _offered(child: PlanChild, broker: Broker) -> PlanItem:
    """What a grid bought, as far as it is still there: a fee may have been taken from it, or its owner sold it."""
    plan = child.plan
    position: Position = order_preparing.open_position(broker, plan.account_id, plan.symbol)
    others = Order.objects.filter(plan_child__plan=plan, side=Side.SELL, status__in=order_states.OPEN)
    offered = sum(((each.quantity or 0) - each.filled_quantity for each in others), Decimal(0))
    free = position.quantity - offered
    if free <= 0:
        raise Refusal(
            Code.POSITION_CHANGED,
            f"The position is {plain(position.quantity)} by now, and {plain(offered)} of it is offered already.",
        )
    instrument = broker.instrument(plan.symbol)
    assert child.quantity is not None
    terms = Terms(
        symbol=plan.symbol,
        side=Side.SELL,
        quantity=min(child.quantity, order_preparing.quantity_to_close(replace(position, quantity=free), instrument)),
        order_type=OrderType(child.order_type),
        tif=preparing.resting_tif(broker),
        limit_price=child.limit_price,
        reduce_only=broker.capabilities.takes_reduce_only(instrument.asset_class),
    )
    return PlanItem(terms=terms, client_order_id=child.client_order_id, position=position.quantity)


def _principal(plan: TradingPlan) -> Principal:
    """The app of the plan, as it is now, without any credential."""
    app = ConnectedApp.objects.select_related("connection__owner").get(pk=plan.app_id)
    connection = app.connection
    return Principal(
        user_id=connection.owner_id,
        user_label=connection.owner.email,
        source=Source(app.source),
        credential_id="",
        app_id=app.pk,
        app_label=f"Plan {plan.public_id}",
        paused=app.paused_at is not None,
        scopes=app.granted,
        connection_id=connection.pk,
        connection_label=connection.name,
        connection_paused=connection.paused_at is not None,
        trading_enabled=connection.trading_enabled,
        broker=connection.broker,
        broker_settings=connection.settings,
        broker_sealed=connection.sealed,
        environment=Environment(connection.environment),
        account_id=plan.account_id,
    )


# -- refused -------------------------------------------------------------------------------------------------


def _refused(child: PlanChild, refusal: Refusal) -> None:
    """What was released before it was refused is followed as an order; otherwise nothing of it is sent any more."""
    child.refresh_from_db(fields=["status"])
    if child.state is not ChildStatus.WORKING:
        return
    _end_unsent(child, _order_of(child))
    plan, now = child.plan, timezone.now()
    assert child.due_at is not None
    if bounds.ends(refusal):
        plan.refresh_from_db()
        if plan.state is PlanStatus.RUNNING:
            _stop(plan, refusal)
        if plan.state in ACTIVE:
            _try_again(child, _SOONEST)
        else:
            transitions.move_child(
                child, ChildStatus.WORKING, ChildStatus.LEFT_OUT, code=refusal.code, reason=str(refusal)
            )
        return
    wait, late = _wait(child, refusal), bounds.late_after(plan)
    if refusal.code in _BEHIND:
        late = min(late, bounds.LATE)
    if wait is not None and now + wait <= child.due_at + late:
        _try_again(child, wait, refusal)
        return
    _skip(child, refusal.code, str(refusal))


def _wait(child: PlanChild, refusal: Refusal) -> timedelta | None:
    """How long until it is tried again; None: that would not help."""
    is_behind = refusal.code in _BEHIND and child.plan.kind == PlanKind.GRID and child.side == Side.SELL
    if refusal.code not in _PASSING and refusal.retry_after is None and not is_behind:
        return None
    return max(timedelta(seconds=refusal.retry_after or 0), _usual_wait(child))


def _usual_wait(child: PlanChild) -> timedelta:
    again: timedelta = _SOONEST * 2 ** min(child.attempt, 10)
    return min(_LATEST, again)


def _try_again(child: PlanChild, wait: timedelta, refusal: Refusal | None = None) -> None:
    """Under the next id: the order of this one, if there is any, was never sent and cannot be any more."""
    _check_unsent(child)
    transitions.put_back(
        child,
        timezone.now() + wait,
        code="" if refusal is None else refusal.code,
        reason="" if refusal is None else str(refusal),
    )


def _next_attempt(child: PlanChild) -> None:
    _check_unsent(child)
    transitions.count_attempt(child)


def _check_unsent(child: PlanChild) -> None:
    order = _order_of(child)
    assert order is None or (order.state in _UNSENT and order.released_at is None), f"{child}: {order} may go"


def _end_unsent(child: PlanChild, order: Order | None) -> None:
    """What was prepared and not released never goes."""
    if order is None or order.state is not Status.AWAITING:
        return
    moved = order_state.try_move(
        order,
        Status.CANCELLED,
        f"Plan {child.plan.public_id} did not release it. Nothing was sent.",
        f"Plan {child.plan.public_id}",
        "",
    )
    if not moved and order.released_at is not None:
        raise order_state.ConcurrentUpdate(f"{order.public_id} was released meanwhile")


@transaction.atomic
def _skip(child: PlanChild, code: str, reason: str) -> None:
    """It never goes, and its plan goes on or stops, as was confirmed: both or neither, wherever this process ends."""
    plan = child.plan
    what = f"{preparing.child_text(child, plan.symbol, plan.currency)}. {reason}"
    if not transitions.move_child(
        child, ChildStatus.WORKING, ChildStatus.SKIPPED, f"Skipped: {what}", code=code, reason=reason
    ):
        return
    if plan.at_refusal == AtRefusal.SKIP:
        transitions.tell_of_unsent(plan, what, child.number)
        return
    transitions.move(plan, PlanStatus.STOPPED, f"Order {child.number} was not sent: {reason}", BY_ITSELF, code=code)


# -- what became of it ---------------------------------------------------------------------------------------


def _settle(child: PlanChild) -> None:
    """Follow its order: once that has ended, so has the child, and in a grid another order follows."""
    order = child.order
    assert order is not None
    if order.state not in order_states.ENDED:
        return
    if _goes_again(child, order):
        return
    what = f"Order {order.public_id}: {order.status_words.lower()}"
    is_part = order.filled_quantity and order.state is not Status.FILLED
    what += f", {plain(order.filled_quantity)} filled." if is_part else "."
    followers = _followers(child, order) if child.plan.kind == PlanKind.GRID else []
    done = {"code": order.code, "reason": order.reason}
    never_went = order.state in (Status.REJECTED, Status.DENIED, Status.NOT_SENT)
    with transaction.atomic():
        if not transitions.follow_up(child, what, done, *followers):
            return
        if never_went and not order.filled_quantity and child.plan.at_refusal == AtRefusal.STOP:
            said = f"Order {child.number} ended as {order.status_words.lower()}: {order.reason}"
            transitions.move(child.plan, PlanStatus.STOPPED, said, BY_ITSELF, code=order.code)


def _goes_again(child: PlanChild, order: Order) -> bool:
    """Whether it waits again, as its order surely never went: only what may have reached the broker is counted."""
    plan, now = child.plan, timezone.now()
    assert child.due_at is not None
    again = now + _usual_wait(child)
    in_time = again <= child.due_at + bounds.late_after(plan) and (plan.ends_at is None or again < plan.ends_at)
    if order.state is not Status.NOT_SENT or plan.state not in ACTIVE or not in_time:
        return False
    return transitions.give_back(child, order, again)


def _followers(child: PlanChild, order: Order) -> list[dict[str, object]]:
    """What is bought at one level is offered at the next one above, and the other way round; and what a pause took back
    goes again."""
    assert child.level is not None and child.quantity is not None
    prices = [Decimal(each) for each in child.plan.details["prices"]]
    made = []
    if order.filled_quantity:
        side = Side(child.side).opposite
        level = child.level + (1 if side is Side.SELL else -1)
        made.append(_grid_order(side, level, prices[level], order.filled_quantity))
    rest = child.quantity - order.filled_quantity
    if rest and child.recalled and order.state is Status.CANCELLED:
        made.append(_grid_order(Side(child.side), child.level, prices[child.level], rest))
    return made


def _grid_order(side: Side, level: int, price: Decimal, quantity: Decimal) -> dict[str, object]:
    return {
        "side": side,
        "order_type": OrderType.LIMIT,
        "quantity": quantity,
        "limit_price": price,
        "level": level,
    }
