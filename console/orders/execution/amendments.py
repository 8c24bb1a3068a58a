"""Changing an order that rests: shown, confirmed, checked again, sent once. We never cancel an order for it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from brokers.base import Broker
from brokers.decimals import is_multiple, plain
from brokers.errors import BrokerError, WriteOutcome
from brokers.types import Instrument, OrderChanges, OrderRequest
from console.connected_apps.models import ConnectedApp
from console.connections import broker_access
from console.connections.models import Connection
from console.errors import Code, Refusal, refusal_of, refusal_of_read
from console.halts import services as halts
from console.orders import states
from console.orders.checks import daily_usage, limit_rules, limits, permission, position_checks, rows
from console.orders.checks import facts as check_facts
from console.orders.checks.limit_rules import RiskInputs
from console.orders.execution import submit, sync
from console.orders.models import Action, Confirmation, Modification, Order
from console.orders.states import AmendmentStatus
from console.orders.terms import Terms, describe, digest, shown_terms
from console.orders.transitions import amendment_state, confirmation_state, order_state
from console.orders.transitions.order_state import ConcurrentUpdate
from console.principal import Redeemer

Authorize = Callable[[Connection], None]
"""Whether this way of saying yes is good enough for the connection. Raises Refusal."""

OnReleased = Callable[[list[Order]], None]
"""Puts more on record about the orders that go, committed with their intent or not at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidatedChange:
    """A change that passed every check: what the order would be, and what the limits need to know."""

    request: OrderRequest
    instrument: Instrument
    facts: RiskInputs
    price: Decimal
    """What the order then stands at: its limit or stop, else the last price."""
    last: Decimal
    held: position_checks.PositionSnapshot | None
    """For an order that closes a position and is made larger: what that is now."""


def amended_request(request: OrderRequest, asked: OrderChanges) -> OrderRequest:
    """The order as it would be. What is asked for as None stays."""
    new = {name: getattr(asked, name) for name in amendment_state.PRICED if getattr(asked, name) is not None}
    if asked.trail_amount is not None:
        new["trail_percent"] = None
    elif asked.trail_percent is not None:
        new["trail_amount"] = None
    return replace(request, tif=asked.tif or request.tif, **new)


# -- prepare -------------------------------------------------------------------------------------------------


def prepare(
    app: ConnectedApp,
    order: Order,
    asked: OrderChanges,
    *,
    redeemer: Redeemer = Redeemer.APP,
    by: str,
    request_id: str = "",
) -> Modification:
    """Check a change and hold it for confirmation. Sends nothing. Raises Refusal."""
    connection = app.connection
    permission.check_permission(app, connection)
    halts.check(halts.GatedAction.PREPARE, connection, app.pk, order.account_id)
    try:
        weighed = validate(order, asked, connection, app)
    except BrokerError as error:
        raise refusal_of_read(error) from error
    check_limits(order, weighed, connection, app)
    with transaction.atomic():
        confirmation = confirmation_state.create(
            app, Action.MODIFY, _amendment_terms(connection, order, weighed), asked=redeemer
        )
        what = f"Change prepared and shown: {describe(weighed.request, order.currency)}. Nothing was sent."
        return amendment_state.create(
            order,
            confirmation,
            what,
            by,
            request_id,
            **{name: getattr(asked, name) for name in amendment_state.PRICED},
            tif=asked.tif or "",
        )


def validate(
    order: Order,
    asked: OrderChanges,
    connection: Connection,
    app: ConnectedApp,
    *,
    exclude: Modification | None = None,
) -> ValidatedChange:
    """Every check a change must pass, before it is shown and again before it is sent. Raises BrokerError, Refusal.

    ``exclude``: the one change that may be under way, as it is the one that is weighed again.
    """
    sync.refresh(order)
    if order.state not in states.AT_BROKER:
        raise Refusal(
            Code.NOT_MODIFIABLE,
            f"Order {order.public_id} is {order.status_words.lower()}; only an order that is open at the broker can "
            "be changed.",
            field="order_id",
            order_id=order.public_id,
        )
    if amendment_state.in_progress(order) not in (None, exclude):
        raise _busy(order)
    broker = broker_access.broker_of(connection)
    if not broker.capabilities.replace:
        raise Refusal(
            Code.NOT_OFFERED_BY_BROKER,
            "This broker does not change an order. Cancel it with cancel_order and place another.",
            field="order_id",
            order_id=order.public_id,
        )
    request = amended_request(order.request, asked)
    _check(order, request, asked, broker)
    instrument = broker.instrument(order.symbol)
    _check_steps(request, instrument)
    held = None
    if order.closes and asked.quantity is not None and asked.quantity > order.quantity:
        held = position_checks.snapshot(order, broker)
        position_checks.check_covers_increase(order, asked.quantity, held)
    quote = broker.quotes([order.symbol])[0]
    facts = check_facts.load(broker, connection, app, instrument, quote, order.app, request=request)
    price = request.limit_price or request.stop_price or quote.last
    return ValidatedChange(request=request, instrument=instrument, facts=facts, price=price, last=quote.last, held=held)


def check_limits(order: Order, weighed: ValidatedChange, connection: Connection, app: ConnectedApp) -> Decimal | None:
    """Those of the app that asks, and those of the app whose order it is. Raises Refusal."""
    if order.app_id != app.pk:
        limits.check_limits(weighed.request, weighed.facts, connection, order.app, exclude=order)
    return limits.check_limits(weighed.request, weighed.facts, connection, app, exclude=order)


def check_drift(confirmation: Confirmation, weighed: ValidatedChange) -> None:
    """An order without a limit price must not become another one far from where that was shown. Raises Refusal."""
    limit_rules.check_drift(weighed.request.order_type, Decimal(confirmation.terms["last"]), weighed.last)


def _check(order: Order, request: OrderRequest, asked: OrderChanges, broker: Broker) -> None:
    if request == order.request:
        raise Refusal(
            Code.INVALID_ARGUMENT, "Nothing would change. Give a new quantity, price or tif.", field="quantity"
        )
    terms = Terms(
        symbol=request.symbol,
        side=request.side,
        quantity=request.quantity,
        notional=request.notional,
        order_type=request.order_type,
        tif=request.tif,
        limit_price=request.limit_price,
        stop_price=request.stop_price,
        trail_amount=request.trail_amount,
        trail_percent=request.trail_percent,
        outside_rth=request.outside_rth,
        reduce_only=request.reduce_only,
        post_only=request.post_only,
    )
    if order.notional is not None and asked.quantity is not None:
        raise Refusal(Code.INVALID_ARGUMENT, "An order by notional has no quantity to change.", field="quantity")
    terms.check()
    if not broker.capabilities.takes(request.order_type, request.tif):
        raise Refusal(
            Code.NOT_OFFERED_BY_BROKER,
            f"This broker does not accept {request.order_type} orders with {request.tif}.",
            field="tif",
        )
    if asked.quantity is not None and asked.quantity <= order.filled_quantity:
        raise Refusal(
            Code.INVALID_ARGUMENT,
            f"{plain(order.filled_quantity)} have filled already, and quantity is the new total. Give more than that, "
            "or cancel the rest with cancel_order.",
            field="quantity",
        )
    if asked.quantity is not None and order.parent_id is not None:
        raise Refusal(
            Code.INVALID_ARGUMENT,
            "An exit has the quantity of the order it belongs to; change that order.",
            field="quantity",
        )


def _check_steps(request: OrderRequest, instrument: Instrument) -> None:
    """We refuse what is off the steps and never round. Raises Refusal."""
    for field, value, step, what in (
        ("quantity", request.quantity, instrument.lot, "quantities"),
        ("limit_price", request.limit_price, instrument.tick, "prices"),
        ("stop_price", request.stop_price, instrument.tick, "prices"),
    ):
        if value is not None and not is_multiple(value, step):
            raise Refusal(
                Code.INVALID_ORDER,
                f"{instrument.symbol} accepts {what} in steps of {plain(step)}; {plain(value)} is not a multiple of "
                "that.",
                field=field,
            )
    if request.quantity is not None and request.quantity < instrument.minimum:
        raise Refusal(
            Code.INVALID_ORDER,
            f"The smallest order in {instrument.symbol} is {plain(instrument.minimum)}.",
            field="quantity",
        )


def _busy(order: Order) -> Refusal:
    return Refusal(
        Code.NOT_MODIFIABLE,
        "Another change of this order is in progress. Ask get_order_status before you change it again.",
        field="order_id",
        order_id=order.public_id,
    )


def _amendment_terms(connection: Connection, order: Order, weighed: ValidatedChange) -> dict[str, Any]:
    request = weighed.request
    worth = None if request.quantity is None else request.quantity * weighed.price * weighed.instrument.multiplier
    whole = "" if worth is None else (f" Value of the whole order: about {worth:,.2f} {order.currency}.")
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
        "price": plain(weighed.price),
        "last": plain(weighed.last),
        "value": None if worth is None else plain(worth),
        "summary": (
            f"Change an order on {connection.name} ({connection.environment}). Now: "
            f"{describe(order.request, order.currency)}. Changed to: {describe(request, order.currency)}.{whole}"
        ),
    }


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
    order, app = change.order, confirmation.app
    check_redeemable(confirmation, change)
    try:
        _check_unchanged(confirmation, change)
    except Refusal:
        _check_first(confirmation, change)
        raise
    authorize(order.connection)  # whoever may not say yes does not end what waits for somebody else's
    try:
        permission.check_permission(app, order.connection)
        halts.check(halts.GatedAction.RELEASE, order.connection, app.pk, order.account_id)
        weighed = validate(order, change.asked, order.connection, app)
        check_drift(confirmation, weighed)
        _redeem(confirmation, change, weighed, authorize, by, request_id, on_released)
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
        raise _busy(order) from None
    except Refusal as refusal:
        _check_first(confirmation, change)
        amendment_state.deny(change, refusal, by, request_id)
        raise
    submit.send_amendment(change, by=by, request_id=request_id)
    return order


class _Used(Exception):
    """Another call was first, with this confirmation or with another change of the order."""


@transaction.atomic
def _redeem(
    confirmation: Confirmation,
    change: Modification,
    weighed: ValidatedChange,
    authorize: Authorize,
    by: str,
    request_id: str,
    on_released: OnReleased | None,
) -> None:
    now = timezone.now()
    app, connection = rows.locked(confirmation.app_id)
    permission.check_permission(app, connection)
    authorize(connection)
    halts.check(halts.GatedAction.RELEASE, connection, app.pk, change.order.account_id)
    if not confirmation_state.use(confirmation, now):
        confirmation.refresh_from_db()
        authorize(connection)
        if not confirmation_state.use(confirmation, now):
            raise _Used
    order = Order.objects.select_for_update().get(pk=change.order_id)
    worst = check_locked(change, order, weighed, connection, app)
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


def check_locked(
    change: Modification, order: Order, weighed: ValidatedChange, connection: Connection, app: ConnectedApp
) -> Decimal | None:
    """What is checked under the locks of the app's, the connection's and the order's row. Raises Refusal.

    Another change may be done since this one was weighed. Returns the most the changed order can come to.
    """
    change.order.refresh_from_db()
    _check_unchanged(change.confirmation, change)
    if shown_terms(weighed.request) != change.confirmation.terms["after"]:
        raise _is_another(order)
    if weighed.held is not None:
        assert change.quantity is not None
        position_checks.check_covers_increase(order, change.quantity, weighed.held)
    return check_limits(order, weighed, connection, app)


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
    if not amendment_state.try_move(
        change, AmendmentStatus.DISCARDED, what, by, request_id, code=code or "", reason=what[:500]
    ):
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
            f"This confirmation expired after {settings.CONFIRMATION_SECONDS} s. Nothing was sent; prepare the change "
            "again.",
            order_id=order_id,
        )


def _check_first(confirmation: Confirmation, change: Modification) -> None:
    """Whoever comes second is told so, and not what the first one changed. Raises Refusal."""
    confirmation.refresh_from_db()
    if confirmation.redeemed_at is not None:
        change.refresh_from_db()
        check_redeemable(confirmation, change)


def _check_unchanged(confirmation: Confirmation, change: Modification) -> None:
    """The order and its change must still be what was shown, to the last digit."""
    shown, order = confirmation.terms, change.order
    now = {
        "connection_id": order.connection_id,
        "environment": order.connection.environment,
        "account_id": order.account_id,
        "order_id": order.public_id,
        "before": shown_terms(order.request),
        "after": shown_terms(amended_request(order.request, change.asked)),
    }
    if digest(shown) != confirmation.terms_digest or any(shown.get(key) != value for key, value in now.items()):
        raise _is_another(order)


def _is_another(order: Order) -> Refusal:
    return Refusal(
        Code.CONFIRMATION_CHANGED,
        "The order has changed since it was shown. Nothing was sent; prepare the change again.",
        order_id=order.public_id,
    )
