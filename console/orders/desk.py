"""Every write to an order. Nothing else in Tradelatch moves one.

prepare → AWAITING            shown, nothing sent
confirm → INTENT              committed before anything is sent
send    → SENDING → answer    sent once; a lost answer is UNKNOWN and is looked up, never resent
sweep                         the same steps after a crash, and the news about orders that rest

No broker is called inside a transaction: a row is claimed by a conditional move, the broker is called, the
outcome is recorded by another move.
"""

import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils import timezone

from brokers.base import Broker
from brokers.decimals import plain
from brokers.errors import BrokerError, DuplicateClientId, Outcome
from brokers.types import BrokerOrder, Fill, OrderRequest, OrderType, Preview, Side, TimeInForce
from console import ids
from console.connected_apps.models import ConnectedApp
from console.connections import reads
from console.connections.models import Connection
from console.errors import Code, Refusal, code_of, refusal_of
from console.orders import risk, states
from console.orders.models import Confirmation, Order, OrderEvent
from console.orders.states import Status
from console.orders.terms import Terms, check_client_order_id, digest
from console.principal import Principal

log = logging.getLogger(__name__)

_SWEEP_AT_MOST = 200
_RESEND_NOTHING_AFTER = timedelta(seconds=settings.CONFIRMATION_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    order: Order
    confirmation: Confirmation
    preview: Preview | None
    """None when the same client_order_id had been prepared before."""


class _Moved(Exception):
    """Somebody else moved the order first."""


# -- prepare -------------------------------------------------------------------------------------------------


def prepare(
    principal: Principal,
    terms: Terms,
    *,
    account_id: str | None = None,
    client_order_id: str | None = None,
    request_id: str = "",
) -> Prepared:
    """Check an order and hold it for confirmation. Sends nothing.

    The same ``client_order_id`` with the same terms returns the order it named before; with others it is
    refused. Raises Refusal.
    """
    terms.check()
    app = ConnectedApp.objects.select_related("connection").get(pk=principal.app_id)
    connection = app.connection
    risk.check_permission(app, connection)
    broker = reads.broker_of(connection)
    wire_id = uuid.uuid4().hex
    try:
        account = reads.choose_account(broker, account_id, app.current_account)
        instrument = broker.instrument(terms.symbol)
        request = _with_symbol(terms, instrument.symbol).request(wire_id)
        if client_order_id is not None:
            check_client_order_id(client_order_id)
            if earlier := _same_id(connection, app, client_order_id, account.account_id, request):
                return earlier
        preview = broker.preview(account.account_id, request)
    except BrokerError as error:
        raise refusal_of(error) from error

    terms = _with_symbol(terms, instrument.symbol)
    now = timezone.now()
    expires_at = now + timedelta(seconds=settings.CONFIRMATION_SECONDS)
    shown = _shown(connection, account.account_id, terms, preview, instrument.currency)
    try:
        with transaction.atomic():
            confirmation = Confirmation.objects.create(
                public_id=ids.new("cnf"),
                app=app,
                terms=shown,
                terms_digest=digest(shown),
                created_at=now,
                expires_at=expires_at,
            )
            order = Order.objects.create(
                public_id=ids.new("ord"),
                connection=connection,
                app=app,
                confirmation=confirmation,
                account_id=account.account_id,
                client_order_id=client_order_id or wire_id,
                wire_id=wire_id,
                symbol=instrument.symbol,
                asset_class=instrument.asset_class,
                currency=instrument.currency,
                side=terms.side,
                order_type=terms.order_type,
                tif=terms.tif,
                quantity=terms.quantity,
                limit_price=terms.limit_price,
                stop_price=terms.stop_price,
                shown_price=preview.price,
                status=Status.AWAITING,
                created_at=now,
                moved_at=now,
            )
            _event(order, "", "Prepared and shown. Nothing was sent.", principal.app_label, request_id, shown)
    except IntegrityError as error:
        raise _id_conflict(client_order_id or wire_id) from error
    return Prepared(order=order, confirmation=confirmation, preview=preview)


def _with_symbol(terms: Terms, symbol: str) -> Terms:
    return Terms(
        symbol=symbol,
        side=terms.side,
        quantity=terms.quantity,
        order_type=terms.order_type,
        tif=terms.tif,
        limit_price=terms.limit_price,
        stop_price=terms.stop_price,
    )


def _same_id(
    connection: Connection, app: ConnectedApp, client_order_id: str, account_id: str, request: OrderRequest
) -> Prepared | None:
    order = (
        Order.objects.select_related("confirmation")
        .filter(connection=connection, client_order_id=client_order_id)
        .first()
    )
    if order is None:
        return None
    before = _request_of(order)
    same = (order.account_id, before.symbol, before.side, before.order_type, before.quantity, before.tif) == (
        account_id,
        request.symbol,
        request.side,
        request.order_type,
        request.quantity,
        request.tif,
    ) and (before.limit_price, before.stop_price) == (request.limit_price, request.stop_price)
    if not same or order.app_id != app.pk:
        raise _id_conflict(client_order_id)
    return Prepared(order=order, confirmation=order.confirmation, preview=None)


def _id_conflict(client_order_id: str) -> Refusal:
    return Refusal(
        Code.DUPLICATE_ORDER_ID,
        f"client_order_id {client_order_id} names a different order on this connection. Use a new one.",
        field="client_order_id",
    )


def _shown(
    connection: Connection, account_id: str, terms: Terms, preview: Preview, currency: str
) -> dict[str, Any]:
    """Everything a person judges the order by, as text: what the digest binds."""
    effect = "costs" if terms.side is Side.BUY else "brings in"
    summary = (
        f"{terms.words()}, on {connection.name} ({connection.environment}). It {effect} about "
        f"{_money(abs(preview.cash_effect))} {currency}, of which {_money(preview.fee)} {currency} is the fee, "
        f"at {plain(preview.price)} {currency} each."
    )
    return {
        "connection": connection.name,
        "connection_id": connection.pk,
        "environment": connection.environment,
        "account_id": account_id,
        "symbol": terms.symbol,
        "side": terms.side.value,
        "order_type": terms.order_type.value,
        "tif": terms.tif.value,
        "quantity": plain(terms.quantity),
        "limit_price": None if terms.limit_price is None else plain(terms.limit_price),
        "stop_price": None if terms.stop_price is None else plain(terms.stop_price),
        "currency": currency,
        "price": plain(preview.price),
        "notional": plain(preview.notional),
        "fee": plain(preview.fee),
        "cash_effect": plain(preview.cash_effect),
        "buying_power": plain(preview.buying_power),
        "priced_by": preview.quote.source,
        "summary": summary,
    }


def _money(value: Any) -> str:
    return f"{value:,.2f}"


# -- confirm -------------------------------------------------------------------------------------------------


def confirm(principal: Principal, confirmation_id: str, *, request_id: str = "") -> Order:
    """Release the order behind a confirmation and send it, once. Everything is checked again first.

    Raises Refusal; ``order_id`` tells which order a used confirmation had released.
    """
    confirmation = (
        Confirmation.objects.filter(public_id=confirmation_id, app_id=principal.app_id)
        .select_related("app__connection")
        .first()
    )
    if confirmation is None:
        raise Refusal(
            Code.CONFIRMATION_UNKNOWN,
            "This app has no such confirmation. Prepare the order again with place_order.",
            field="confirmation_id",
        )
    order = Order.objects.select_related("app", "connection").get(confirmation=confirmation)
    _check_redeemable(confirmation, order)
    _check_unchanged(confirmation, order)
    by = principal.app_label
    try:
        risk.check_permission(confirmation.app, order.connection)
        preview = reads.broker_of(order.connection).preview(order.account_id, _request_of(order))
        risk.check_drift(OrderType(order.order_type), order.shown_price, preview)
    except BrokerError as error:
        refusal = refusal_of(error)
        if error.outcome is not Outcome.REJECTED:
            # Nothing was decided about the order: the same confirmation may still be used.
            raise Refusal(Code.BROKER_UNAVAILABLE, str(error)) from error
        _deny(order, refusal, by, request_id)
        raise refusal from error
    except Refusal as refusal:
        _deny(order, refusal, by, request_id)
        raise
    _redeem(confirmation, order, by, request_id)
    return send(order, by=by, request_id=request_id)


def _check_redeemable(confirmation: Confirmation, order: Order) -> None:
    if confirmation.redeemed_at is not None:
        raise Refusal(
            Code.CONFIRMATION_USED,
            f"This confirmation was used already, for order {order.public_id}, which is {order.status}. "
            "Nothing was sent again.",
            order_id=order.public_id,
        )
    if order.state is Status.DENIED:
        raise Refusal(
            Code.CONFIRMATION_USED,
            f"This confirmation's order was refused: {order.reason} Prepare it again.",
            order_id=order.public_id,
        )
    if confirmation.expires_at <= timezone.now() or order.state is not Status.AWAITING:
        raise Refusal(
            Code.CONFIRMATION_EXPIRED,
            f"This confirmation expired after {settings.CONFIRMATION_SECONDS} s. Nothing was sent; prepare the "
            "order again.",
            order_id=order.public_id,
        )


def _check_unchanged(confirmation: Confirmation, order: Order) -> None:
    """The order must still be what was shown, to the last digit."""
    terms = confirmation.terms
    request = _request_of(order)
    now = {
        "connection_id": order.connection_id,
        "environment": order.connection.environment,
        "account_id": order.account_id,
        "symbol": request.symbol,
        "side": request.side.value,
        "order_type": request.order_type.value,
        "tif": request.tif.value,
        "quantity": plain(request.quantity),
        "limit_price": None if request.limit_price is None else plain(request.limit_price),
        "stop_price": None if request.stop_price is None else plain(request.stop_price),
    }
    if digest(terms) != confirmation.terms_digest or any(terms[key] != value for key, value in now.items()):
        raise Refusal(
            Code.CONFIRMATION_CHANGED,
            "The order is no longer what was shown. Nothing was sent; prepare it again.",
            order_id=order.public_id,
        )


@transaction.atomic
def _redeem(confirmation: Confirmation, order: Order, by: str, request_id: str) -> None:
    """Use the confirmation up and commit the intent, under the lock of the app's row.

    A revocation committed before this one is seen; one committed after finds the order released.
    """
    now = timezone.now()
    app = ConnectedApp.objects.select_for_update().get(pk=confirmation.app_id)
    risk.check_permission(app, Connection.objects.get(pk=order.connection_id))
    used = Confirmation.objects.filter(pk=confirmation.pk, redeemed_at=None, expires_at__gt=now).update(
        redeemed_at=now
    )
    if not used:
        confirmation.refresh_from_db()
        order.refresh_from_db()
        _check_redeemable(confirmation, order)
        raise Refusal(Code.CONFIRMATION_EXPIRED, "This confirmation expired. Nothing was sent.")
    try:
        _move(
            order, Status.INTENT, "Confirmed. The intent is on record; it will be sent once.", by, request_id
        )
    except _Moved as error:
        raise Refusal(
            Code.CONFIRMATION_EXPIRED,
            "This confirmation expired. Nothing was sent.",
            order_id=order.public_id,
        ) from error


def _deny(order: Order, refusal: Refusal, by: str, request_id: str) -> None:
    refusal.order_id = order.public_id
    try:
        _move(
            order,
            Status.DENIED,
            f"Refused at release: {refusal}",
            by,
            request_id,
            code=refusal.code,
            reason=str(refusal)[:500],
        )
    except _Moved:
        log.info("Order %s was moved while it was being refused", order.public_id)


# -- send ----------------------------------------------------------------------------------------------------


def send(order: Order, *, by: str, request_id: str = "") -> Order:
    """Send a committed intent, once: whoever moves it to SENDING is the one who sends."""
    now = timezone.now()
    try:
        _move(order, Status.SENDING, "Sent to the broker.", by, request_id, sent_at=now)
    except _Moved:
        order.refresh_from_db()
        return order
    broker = reads.broker_of(order.connection)
    try:
        answer = broker.submit(order.account_id, _request_of(order))
    except DuplicateClientId:
        _settle(order, Status.UNKNOWN, Code.OUTCOME_UNKNOWN, "The broker has an order of this id already.")
        return _look_up(order, broker)
    except BrokerError as error:
        after = {
            Outcome.REJECTED: Status.REJECTED,
            Outcome.NOT_SENT: Status.NOT_SENT,
            Outcome.UNKNOWN: Status.UNKNOWN,
        }[error.outcome]
        _settle(order, after, code_of(error), str(error))
        return order
    except Exception:
        # Not proved to be unsent, so it may stand.
        log.exception("Sending order %s failed", order.public_id)
        _settle(order, Status.UNKNOWN, Code.OUTCOME_UNKNOWN, "The broker's answer was lost.")
        return order
    _adopt(order, answer)
    return order


def _settle(order: Order, after: Status, code: Code, reason: str) -> None:
    try:
        _move(order, after, reason, "broker", "", code=code, reason=reason[:500])
    except _Moved:
        order.refresh_from_db()


def _adopt(order: Order, answer: BrokerOrder) -> None:
    """Take over what the broker says about the order. Its word is final about fills."""
    after = states.FROM_BROKER[answer.status]
    fields: dict[str, Any] = {
        "filled_quantity": answer.filled_quantity,
        "average_price": answer.average_price,
        "fees": answer.fees,
        "broker_order_id": answer.broker_order_id,
        "looked_up_at": timezone.now(),
    }
    if after in (Status.CANCELLED, Status.EXPIRED, Status.REJECTED):
        fields["reason"] = answer.reason[:500]
    if after is Status.REJECTED:
        fields["code"] = Code.BROKER_REJECTED
    elif order.state in (Status.UNKNOWN, Status.NOT_FOUND):
        fields |= {"code": "", "reason": fields.get("reason", "")}
    try:
        if after is order.state:
            _note(order, answer, fields)
        else:
            _move(order, after, _news(order, answer), "broker", "", data=_fills(answer), **fields)
    except _Moved:
        order.refresh_from_db()


def _news(order: Order, answer: BrokerOrder) -> str:
    words = states.WORDS[states.FROM_BROKER[answer.status]]
    if answer.filled_quantity:
        words += (
            f": {plain(answer.filled_quantity)} of {plain(order.quantity)} at "
            f"{plain(answer.average_price) if answer.average_price is not None else '?'} {order.currency}, "
            f"fee {plain(answer.fees)} {order.currency}"
        )
    return f"{words}. {answer.reason}".strip() if answer.reason else f"{words}."


def _fills(answer: BrokerOrder) -> dict[str, Any]:
    return {"fills": [fill_record(fill) for fill in answer.fills]}


def fill_record(fill: Fill) -> dict[str, str]:
    return {
        "quantity": plain(fill.quantity),
        "price": plain(fill.price),
        "fee": plain(fill.fee),
        "currency": fill.currency,
        "filled_at": fill.filled_at.isoformat(),
        "priced_by": fill.source,
    }


# -- cancel --------------------------------------------------------------------------------------------------


def cancel(principal: Principal, order_id: str, *, request_id: str = "") -> Order:
    """Take an order back. Passes every limit and pause but the app's own; raises Refusal when it has ended."""
    order = find(principal, order_id)
    if order.state is Status.AWAITING:
        refusal = Refusal(Code.NOT_CANCELLABLE, "Cancelled before it was confirmed.")
        _deny(order, refusal, principal.app_label, request_id)
        return order
    if order.state not in states.OPEN:
        raise Refusal(
            Code.NOT_CANCELLABLE,
            f"Order {order.public_id} has ended: {order.status_words.lower()}.",
            order_id=order.public_id,
        )
    Order.objects.filter(pk=order.pk, cancel_requested_at=None).update(cancel_requested_at=timezone.now())
    try:
        answer = reads.broker_of(order.connection).cancel(order.account_id, order.wire_id)
    except BrokerError as error:
        if error.outcome is Outcome.UNKNOWN:
            raise Refusal(
                Code.OUTCOME_UNKNOWN,
                "The broker did not answer the cancel. Look at the order before doing anything else.",
                order_id=order.public_id,
            ) from error
        refresh(order)
        refusal = refusal_of(error)
        refusal.order_id = order.public_id
        raise refusal from error
    _adopt(order, answer)
    return order


# -- read ----------------------------------------------------------------------------------------------------


def find(principal: Principal, order_id: str) -> Order:
    """An order of the principal's own connection, by our id or by the caller's. Raises Refusal."""
    order = (
        Order.objects.select_related("app", "connection", "confirmation")
        .filter(Q(public_id=order_id) | Q(client_order_id=order_id), connection_id=principal.connection_id)
        .first()
    )
    if order is None:
        raise Refusal(Code.UNKNOWN_ORDER, f"This connection has no order {order_id!r}.", field="order_id")
    return order


def listing(
    principal: Principal, account_id: str, *, only_open: bool, symbol: str | None = None, limit: int = 50
) -> list[Order]:
    """Orders of one account, newest first, open ones brought up to date with the broker first."""
    mine = Order.objects.select_related("app", "connection", "confirmation").filter(
        connection_id=principal.connection_id, account_id=account_id
    )
    if symbol is not None:
        mine = mine.filter(symbol=symbol)
    _each(mine.filter(status__in=(*states.AT_BROKER, Status.UNKNOWN)).order_by("-id"), refresh)
    if only_open:
        mine = mine.filter(status__in=states.OPEN)
    return list(mine.order_by("-id")[:limit])


def fills(order: Order) -> list[dict[str, str]]:
    """The order's fills, as the broker last told them."""
    told = [event.data["fills"] for event in order.events.all() if "fills" in event.data]
    return told[-1] if told else []


def refresh(order: Order) -> None:
    """Bring one order up to date with its broker. Raises BrokerError."""
    if order.state in states.AT_BROKER or order.state is Status.UNKNOWN:
        _look_up(order, reads.broker_of(order.connection))


def _look_up(order: Order, broker: Broker) -> Order:
    now = timezone.now()
    answer = broker.order(order.account_id, order.wire_id)
    if answer is not None:
        _adopt(order, answer)
        return order
    Order.objects.filter(pk=order.pk).update(looked_up_at=now)
    if order.state is Status.UNKNOWN and order.sent_at is not None:
        settled = order.sent_at + timedelta(seconds=_horizon(broker))
        if now >= settled:
            _settle(
                order,
                Status.NOT_FOUND,
                Code.BROKER_UNAVAILABLE,
                "The broker has no such order: it never arrived, and it will not be sent again.",
            )
    elif order.state in states.AT_BROKER:
        log.error("Order %s is open here, but its broker does not know it", order.public_id)
    return order


def _horizon(broker: Broker) -> float:
    """A sender may still be alive for as long as its lease; before that "no such order" proves nothing."""
    return max(broker.capabilities.not_found_after, settings.SENDING_LEASE_SECONDS)


def _request_of(order: Order) -> OrderRequest:
    return OrderRequest(
        client_order_id=order.wire_id,
        symbol=order.symbol,
        side=Side(order.side),
        order_type=OrderType(order.order_type),
        quantity=order.quantity,
        tif=TimeInForce(order.tif),
        limit_price=order.limit_price,
        stop_price=order.stop_price,
    )


# -- sweep ---------------------------------------------------------------------------------------------------


def sweep(now: datetime | None = None) -> None:
    """Carry on every order that nobody is carrying on: the same after a crash as on any other day."""
    now = now or timezone.now()
    lease = now - timedelta(seconds=settings.SENDING_LEASE_SECONDS)
    _each(_with(Status.AWAITING).filter(confirmation__expires_at__lte=now), _lapse)
    _each(_with(Status.INTENT).filter(moved_at__lte=lease), _resume)
    _each(_with(Status.SENDING).filter(moved_at__lte=lease), _lose)
    _each(_with(Status.UNKNOWN, Status.WORKING, Status.PARTIALLY_FILLED), refresh)


def _with(*statuses: Status) -> Any:
    return (
        Order.objects.filter(status__in=statuses)
        .select_related("app", "connection", "confirmation")
        .order_by(F("looked_up_at").asc(nulls_first=True), "pk")
    )


def _each(orders: Any, step: Any) -> None:
    for order in orders[:_SWEEP_AT_MOST]:
        try:
            step(order)
        except BrokerError as error:
            Order.objects.filter(pk=order.pk).update(looked_up_at=timezone.now())
            log.warning("Order %s could not be looked up: %s", order.public_id, error)
        except _Moved:
            continue
        except Exception:  # one broken order must not stop the others
            log.exception("Sweeping order %s failed", order.public_id)


def _lapse(order: Order) -> None:
    _move(
        order,
        Status.LAPSED,
        f"Nobody confirmed within {settings.CONFIRMATION_SECONDS} s. Nothing was sent.",
        "Tradelatch",
        "",
        code=Code.CONFIRMATION_EXPIRED,
    )


def _resume(order: Order) -> None:
    """An intent whose process died before it sent. Sent now if the person's yes is still fresh, else refused."""
    try:
        risk.check_permission(order.app, order.connection)
        if order.confirmation.redeemed_at is None or (
            timezone.now() - order.confirmation.redeemed_at > _RESEND_NOTHING_AFTER
        ):
            raise Refusal(
                Code.CONFIRMATION_EXPIRED,
                "It was confirmed, but Tradelatch stopped before it could be sent, and the confirmation is too "
                "old now. Nothing was sent.",
            )
    except Refusal as refusal:
        _deny(order, refusal, "Tradelatch", "")
        return
    send(order, by="Tradelatch")


def _lose(order: Order) -> None:
    _settle(
        order,
        Status.UNKNOWN,
        Code.OUTCOME_UNKNOWN,
        "Tradelatch stopped while it was being sent. It is being looked up.",
    )
    refresh(order)


# -- moves ---------------------------------------------------------------------------------------------------


def _move(
    order: Order,
    after: Status,
    what: str,
    by: str,
    request_id: str,
    *,
    data: Mapping[str, Any] | None = None,
    **fields: Any,
) -> None:
    """One allowed move and its event, in one transaction. Raises _Moved when the order stood elsewhere."""
    before = order.state
    if not states.allowed(before, after):
        raise _Moved(f"{order.public_id}: {before} → {after}")
    now = timezone.now()
    with transaction.atomic():
        changed = Order.objects.filter(pk=order.pk, status=before).update(
            status=after, moved_at=now, **fields
        )
        if not changed:
            raise _Moved(f"{order.public_id} is no longer {before}")
        order.status, order.moved_at = after, now
        for name, value in fields.items():
            setattr(order, name, value)
        _event(order, before, what, by, request_id, data or {})


def _note(order: Order, answer: BrokerOrder, fields: dict[str, Any]) -> None:
    """News that do not change where the order stands."""
    with transaction.atomic():
        news = order.filled_quantity != answer.filled_quantity
        Order.objects.filter(pk=order.pk, status=order.status).update(**fields)
        for name, value in fields.items():
            setattr(order, name, value)
        if news:
            _event(order, order.status, _news(order, answer), "broker", "", _fills(answer))


def _event(order: Order, before: str, what: str, by: str, request_id: str, data: Mapping[str, Any]) -> None:
    OrderEvent.objects.create(
        order=order,
        at=timezone.now(),
        before=before,
        after=order.status,
        what=what[:500],
        data=dict(data),
        by=by,
        request_id=request_id,
    )
