"""Changing an order that rests: shown, confirmed, checked again, sent once. We never cancel an order for it."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any

from django.db import transaction
from django.utils import timezone

from brokers.decimals import plain
from brokers.errors import BrokerError, WriteOutcome
from brokers.types import OrderChanges, OrderClass, OrderRequest
from console.connections.models import Connection
from console.errors import Code, Refusal, refusal_of, refusal_of_read
from console.halts import services as halts
from console.orders.checks import change_checks, check_rows, check_subject, daily_usage, market_standing, pipeline
from console.orders.checks.check_rows import AppRows
from console.orders.checks.check_subject import Authorize, Facts, Subject
from console.orders.checks.pipeline import About, Stage
from console.orders.execution import submit, sync
from console.orders.models import Action, Confirmation, Modification, Order
from console.orders.states import AmendmentStatus
from console.orders.terms import describe, shown_terms
from console.orders.transitions import amendment_state, confirmations, order_state
from console.orders.transitions.order_state import ConcurrentUpdate
from console.principal import Redeemer

_OF_THE_ORDER = frozenset({About.POSITION, About.ORDER})

OnReleased = Callable[[list[Order]], None]
"""Puts more on record about the orders that go, committed with their intent or not at all."""


# -- prepare -------------------------------------------------------------------------------------------------


def prepare(
    asking: AppRows,
    order: Order,
    asked: OrderChanges,
    *,
    at_once: bool = False,
    redeemer: Redeemer = Redeemer.APP,
    by: str,
    request_id: str = "",
) -> Modification:
    """Check a change and hold it for confirmation. Sends nothing. Raises Refusal."""
    change = partial(
        check_subject.of_change, asked=asked, asking=asking, at_once=at_once, action=halts.GatedAction.PREPARE
    )
    pipeline.require(change(order), Stage.SHOWN, about={About.ASKER})
    try:
        facts = validate(order, change, Stage.SHOWN)
        terms = _amendment_terms(asking.connection, order, facts)
    except BrokerError as error:
        raise refusal_of_read(error) from error
    with transaction.atomic():
        confirmation = confirmations.create(asking.app, Action.MODIFY, terms, asked=redeemer)
        what = f"Change prepared and shown: {describe(facts.subject.request, order.currency)}. Nothing was sent."
        return amendment_state.create(
            order,
            confirmation,
            what,
            by,
            request_id,
            **{name: getattr(asked, name) for name in amendment_state.PRICED},
            tif=asked.tif or "",
            at_once=at_once,
        )


def subject_of(
    change: Modification, asking: AppRows, *, authorize: Authorize | None = None
) -> Callable[[Order], Subject]:
    """What is checked of a change that was shown, of its order as it is."""
    return partial(check_subject.of_change, asked=change.asked, asking=asking, change=change, authorize=authorize)


def validate(order: Order, change: Callable[[Order], Subject], stage: Stage) -> Facts:
    """Bring the order up to date, then make every check of its change that the stage has. ``change`` is of the order
    as it is then. Raises BrokerError, Refusal.
    """
    sync.refresh(order)
    return pipeline.require(change(order), stage, about=_OF_THE_ORDER)


def _amendment_terms(connection: Connection, order: Order, facts: Facts) -> dict[str, Any]:
    request, last = facts.subject.request, facts.quote.last
    price = request.limit_price or request.stop_price or last  # what the order then stands at
    worth = None if request.quantity is None else request.quantity * price * facts.instrument.multiplier
    whole = "" if worth is None else (f" Value of the whole order: about {worth:,.2f} {order.currency}.")
    market = market_standing.describe(_as_it_stands(order, request), facts.quote, order.currency, timezone.now())
    return {
        "action": Action.MODIFY.value,
        "connection": connection.name,
        "connection_id": connection.pk,
        "environment": connection.environment,
        "account_id": order.account_id,
        "order_id": order.public_id,
        "before": shown_terms(order.request),
        "after": shown_terms(request),
        "currency": order.currency,
        "price": plain(price),
        "last": plain(last),
        "at_once": facts.subject.at_once,
        "already_met": market_standing.is_met(request, facts.quote),
        "value": None if worth is None else plain(worth),
        "summary": (
            f"Change an order on {connection.name} ({connection.environment}). Now: "
            f"{describe(order.request, order.currency)}. Changed to: {describe(request, order.currency)}.{whole}"
            + (f" {market}" if market else "")
        ),
    }


def _as_it_stands(order: Order, request: OrderRequest) -> OrderRequest:
    """An exit by itself: what became of the rest of its order is not asked again."""
    return request if order.parent_id is None else replace(request, order_class=OrderClass.OCO)


# -- release -------------------------------------------------------------------------------------------------


def release(
    confirmation: Confirmation,
    *,
    authorize: Authorize,
    by: str,
    request_id: str = "",
    on_released: OnReleased | None = None,
) -> Order:
    """Use the confirmation up and send the change, once, after every check again. Raises Refusal."""
    change = Modification.objects.select_related("order__connection", "order__app", "confirmation__app").get(
        confirmation=confirmation
    )
    order, change.confirmation = change.order, confirmation  # the very row that ``authorize`` looks at
    check_redeemable(confirmation, change)
    of = subject_of(change, check_rows.app_rows(confirmation.app_id), authorize=authorize)
    try:  # whoever may not say yes does not end what waits for somebody else's
        too_soon = pipeline.require_yes(of(order))
    except Refusal:
        _check_first(confirmation, change)
        raise
    try:
        pipeline.require(of(order), Stage.CONFIRMED, about={About.ASKER})
        if too_soon is not None:
            raise too_soon
        _redeem(change, validate(order, of, Stage.CONFIRMED), by, request_id, on_released)
    except BrokerError as error:
        if error.outcome is not WriteOutcome.REJECTED:
            raise Refusal(Code.BROKER_UNAVAILABLE, str(error), order_id=order.public_id) from error
        _check_first(confirmation, change)
        refusal = refusal_of(error)
        amendment_state.deny(change, refusal, by, request_id)
        raise refusal from error
    except _Used:
        change.refresh_from_db()
        confirmation.refresh_from_db()
        check_redeemable(confirmation, change)
        raise change_checks.is_busy(order) from None
    except Refusal as refusal:
        _check_first(confirmation, change)
        if refusal is too_soon:
            raise
        amendment_state.deny(change, refusal, by, request_id)
        raise
    submit.send_amendment(change, by=by, request_id=request_id)
    return order


class _Used(Exception):
    """Another call was first, with this confirmation or with another change of the order."""


@transaction.atomic
def _redeem(change: Modification, facts: Facts, by: str, request_id: str, on_released: OnReleased | None) -> None:
    confirmation = change.confirmation
    asking = check_rows.locked(confirmation.app_id)
    now = timezone.now()  # of after the wait for the locks
    if not confirmations.use(confirmation, now):
        confirmation.refresh_from_db()
        if not confirmations.use(confirmation, now):
            raise _Used
    order = Order.objects.select_for_update().get(pk=change.order_id)
    worst = check_locked(change, order, facts, asking)
    try:
        amendment_state.move(
            change,
            AmendmentStatus.INTENT,
            f"Change confirmed {confirmation.confirmed_after} after it was shown; it will be sent once.",
            by,
            request_id,
        )
    except ConcurrentUpdate as error:
        raise _Used from error
    count_worst(order, worst)
    if on_released is not None:
        on_released([order])


def check_locked(change: Modification, order: Order, facts: Facts, asking: AppRows) -> Decimal | None:
    """What is checked under the locks of the app's, the connection's and the order's row, against those. Another change
    may be done since its broker was asked. Returns the most the changed order can come to. Raises Refusal.
    """
    change.order.refresh_from_db()
    return pipeline.require(facts.subject.under_locks(asking, order), Stage.LOCKED, facts).worst


def count_worst(order: Order, worst: Decimal | None) -> None:
    """Until the broker has said which of the two the order is, it counts as the larger, and from today on."""
    if worst is None or order.worst_notional is None or worst > order.worst_notional:
        order_state.set_worst_notional(order, worst)
        if not daily_usage.is_exit(order):  # a leg is counted with its order, an exit is not counted
            order_state.count_from(order, timezone.now())


def discard(confirmation: Confirmation, what: str, *, by: str, request_id: str = "", code: Code | None = None) -> Order:
    """End a change before it is released. Raises Refusal when it has moved on."""
    change = Modification.objects.select_related("order__connection").get(confirmation=confirmation)
    check_redeemable(confirmation, change)
    is_owners = code is Code.REJECTED_BY_OWNER
    after = AmendmentStatus.REJECTED_BY_OWNER if is_owners else AmendmentStatus.DISCARDED
    if not amendment_state.try_move(change, after, what, by, request_id, code=code or "", reason=what[:500]):
        check_redeemable(confirmation, change)
    return change.order


def check_redeemable(confirmation: Confirmation, change: Modification) -> None:
    """Whether it still waits. Raises Refusal."""
    order_id = change.order.public_id
    if change.code == Code.REJECTED_BY_OWNER:
        raise Refusal(Code.REJECTED_BY_OWNER, f"{change.reason} Nothing was sent.", order_id=order_id)
    if confirmation.redeemed_at is not None or change.state not in (AmendmentStatus.AWAITING, AmendmentStatus.LAPSED):
        raise Refusal(
            Code.CONFIRMATION_USED,
            f"This confirmation was used already, for a change of order {order_id}: {change.status_words.lower()}. "
            "Nothing was sent again.",
            order_id=order_id,
        )
    if confirmation.expires_at <= timezone.now() or change.state is AmendmentStatus.LAPSED:
        raise Refusal(
            Code.CONFIRMATION_EXPIRED,
            f"This confirmation expired after {confirmation.lifetime_text}. Nothing was sent; prepare the change "
            "again.",
            order_id=order_id,
        )


def _check_first(confirmation: Confirmation, change: Modification) -> None:
    """Whoever comes second is told so, and not what the first one changed. Raises Refusal."""
    confirmation.refresh_from_db()
    if confirmation.redeemed_at is not None:
        change.refresh_from_db()
        check_redeemable(confirmation, change)
