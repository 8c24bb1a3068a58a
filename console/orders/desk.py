"""What may be done with an order. Doors call this module; nothing else in Tradelatch moves one.

prepare → AWAITING            shown, nothing sent
confirm → INTENT              committed before anything is sent
          SENDING → answer    sent once (sending); a lost answer is UNKNOWN and is looked up, never resent
          the rest            the same steps after a crash, and the news about orders that rest (sweeps)
"""

import logging
import uuid
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, NoReturn

from django.conf import settings
from django.db import DatabaseError, IntegrityError, transaction
from django.utils import timezone

from brokers.decimals import plain
from brokers.errors import BrokerError, Outcome
from brokers.types import OrderRequest, Preview, Side
from console import ids
from console.connected_apps.models import ConnectedApp
from console.connections import reads
from console.connections.models import Connection
from console.errors import Code, Refusal, refusal_of
from console.halts import verbs as halts
from console.halts.verbs import Action
from console.orders import exposure, moves, risk, sending, states, sweeps
from console.orders.models import Confirmation, Order
from console.orders.moves import Moved
from console.orders.risk import Facts
from console.orders.states import Status
from console.orders.terms import Terms, check_client_order_id, digest
from console.principal import Principal

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    order: Order
    confirmation: Confirmation
    preview: Preview | None
    """None when the same client_order_id had been prepared before."""


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
        account = reads.choose_account(broker, account_id, principal.account_id)
        halts.check(Action.PREPARE, connection, app.pk, account.account_id)
        instrument = broker.instrument(terms.symbol)
        terms = replace(terms, symbol=instrument.symbol)
        request = terms.request(wire_id)
        if client_order_id is not None:
            check_client_order_id(client_order_id)
            if earlier := _same_id(connection, app, client_order_id, account.account_id, request):
                return earlier
        preview = broker.preview(account.account_id, request)
        facts = exposure.look(broker, connection, app, instrument, preview.quote)
    except BrokerError as error:
        raise refusal_of(error) from error
    worst = exposure.check(request, facts, connection, app)

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
                worst_notional=worst,
                status=Status.AWAITING,
                created_at=now,
                moved_at=now,
            )
            moves.event(order, "", "Prepared and shown. Nothing was sent.", principal.app_label, request_id, shown)
    except IntegrityError as error:
        # The same id was prepared by a call beside this one.
        earlier = _same_id(connection, app, client_order_id or wire_id, account.account_id, request)
        if earlier is None:
            raise _id_conflict(client_order_id or wire_id) from error
        return earlier
    return Prepared(order=order, confirmation=confirmation, preview=preview)


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
    before = sending.request_of(order)
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


def _shown(connection: Connection, account_id: str, terms: Terms, preview: Preview, currency: str) -> dict[str, Any]:
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


def approval_url(order: Order) -> str:
    """Where its owner sees the order and can release it."""
    return f"{settings.PUBLIC_URL}/orders/{order.public_id}/"


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
    risk.check_policy(order.connection)
    by = principal.app_label
    try:
        risk.check_permission(confirmation.app, order.connection)
        halts.check(Action.RELEASE, order.connection, order.app_id, order.account_id)
        facts = sending.check_release(order)
    except BrokerError as error:
        if error.outcome is not Outcome.REJECTED:
            # Nothing was decided about the order: the same confirmation may still be used.
            raise Refusal(Code.BROKER_UNAVAILABLE, str(error), order_id=order.public_id) from error
        _refuse(confirmation, order, refusal_of(error), by, request_id)
    except Refusal as refusal:
        _refuse(confirmation, order, refusal, by, request_id)
    try:
        _redeem(confirmation, order, facts, by, request_id)
    except Refusal as refusal:
        if refusal.code in _FINAL and not _worth_another_try(refusal):
            _refuse(confirmation, order, refusal, by, request_id)
        raise
    try:
        return sending.send(order, by=by, request_id=request_id)
    except Refusal:
        raise
    except Exception as error:
        # It was released: whatever failed now, the caller must not believe that nothing happened.
        log.exception("Order %s was released, but what became of it was not recorded", order.public_id)
        raise Refusal(
            Code.OUTCOME_UNKNOWN,
            "The order was confirmed, but its outcome could not be recorded. Do not place it again; ask "
            "get_order_status.",
            order_id=order.public_id,
        ) from error


# A limit or a halt said no under the locks: the order ends. Anything else leaves it to the same confirmation.
_FINAL = frozenset({Code.HALTED, Code.LIMIT_EXCEEDED, Code.OUTSIDE_LIMITS, Code.LIMITS_REQUIRED})


def _worth_another_try(refusal: Refusal) -> bool:
    """Whether the same confirmation can still be good by the time there is room."""
    return refusal.retry_after is not None and refusal.retry_after < settings.CONFIRMATION_SECONDS


def _refuse(confirmation: Confirmation, order: Order, refusal: Refusal, by: str, request_id: str) -> NoReturn:
    """End the order unsent. If another call has released it meanwhile, that is what the caller is told."""
    if not moves.deny(order, refusal, by, request_id):
        confirmation.refresh_from_db()
        order.refresh_from_db()
        _check_redeemable(confirmation, order)
    raise refusal


def _check_redeemable(confirmation: Confirmation, order: Order) -> None:
    # The order may have moved on between the reading of the two rows, so either of them tells.
    if confirmation.redeemed_at is not None or order.state not in (Status.AWAITING, Status.DENIED, Status.LAPSED):
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
    request = sending.request_of(order)
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
def _redeem(confirmation: Confirmation, order: Order, facts: Facts, by: str, request_id: str) -> None:
    """Use the confirmation up and commit the intent, under the locks of the app's and the connection's row.

    A revocation, a halt or a tighter limit committed before this one is seen; one committed after finds the order
    released. What it takes of the limits is on record with the intent, so that orders released at once share them.
    """
    now = timezone.now()
    app = ConnectedApp.objects.select_for_update().get(pk=confirmation.app_id)
    connection = Connection.objects.select_for_update().get(pk=order.connection_id)
    risk.check_permission(app, connection)
    risk.check_policy(connection)
    halts.check(Action.RELEASE, connection, app.pk, order.account_id)
    used = Confirmation.objects.filter(pk=confirmation.pk, redeemed_at=None, expires_at__gt=now).update(redeemed_at=now)
    if not used:
        confirmation.refresh_from_db()
        order.refresh_from_db()
        _check_redeemable(confirmation, order)
        raise Refusal(Code.CONFIRMATION_EXPIRED, "This confirmation expired. Nothing was sent.")
    worst = exposure.check(sending.request_of(order), facts, connection, app, besides=order.pk)
    try:
        moves.move(
            order,
            Status.INTENT,
            "Confirmed. The intent is on record; it will be sent once.",
            by,
            request_id,
            worst_notional=worst,
            released_at=now,
        )
    except Moved as error:
        raise Refusal(
            Code.CONFIRMATION_EXPIRED,
            "This confirmation expired. Nothing was sent.",
            order_id=order.public_id,
        ) from error


# -- cancel --------------------------------------------------------------------------------------------------


def cancel(principal: Principal, order_id: str, *, request_id: str = "") -> Order:
    """An app takes an order of its connection back; see ``take_back``."""
    return take_back(find(principal, order_id), by=principal.app_label, request_id=request_id)


def take_back(order: Order, *, by: str, request_id: str = "") -> Order:
    """Take an order back. Passes every limit and pause but the app's own; raises Refusal when it has ended.

    An order that is just being sent is cancelled as soon as its broker knows it.
    """
    if order.state in (Status.AWAITING, Status.INTENT) and moves.attempt(
        order, Status.CANCELLED, "Cancelled before it was sent.", by, request_id, reason="Cancelled before it was sent."
    ):
        return order
    if order.state not in states.OPEN and order.state is not Status.NOT_FOUND:
        raise _has_ended(order)
    try:
        Order.objects.filter(pk=order.pk, cancel_requested_at=None).update(cancel_requested_at=timezone.now())
    except DatabaseError:  # a full disk must not keep anyone from getting out
        log.exception("The cancel of order %s could not be put on record", order.public_id)
    try:
        sending.take_back(order)
    except BrokerError as error:
        if error.outcome is not Outcome.REJECTED:
            raise Refusal(
                Code.OUTCOME_UNKNOWN,
                "The broker did not answer. The cancel is on record and is sent again until the broker answers; "
                "ask get_order_status.",
                order_id=order.public_id,
            ) from error
        refusal = refusal_of(error)
        refusal.order_id = order.public_id
        raise refusal from error
    if order.state in states.ENDED - {Status.CANCELLED}:
        raise _has_ended(order)
    return order


def _has_ended(order: Order) -> Refusal:
    return Refusal(
        Code.NOT_CANCELLABLE,
        f"Order {order.public_id} has ended: {order.status_words.lower()}.",
        order_id=order.public_id,
    )


# -- read ----------------------------------------------------------------------------------------------------


def find(principal: Principal, order_id: str) -> Order:
    """An order of the principal's own connection, by our id or by the caller's. Raises Refusal."""
    mine = Order.objects.select_related("app", "connection", "confirmation").filter(
        connection_id=principal.connection_id
    )
    order = mine.filter(public_id=order_id).first() or mine.filter(client_order_id=order_id).first()
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
    sweeps.each(mine.filter(status__in=(*states.AT_BROKER, Status.UNKNOWN)).order_by("-id"), sending.refresh)
    if only_open:
        mine = mine.filter(status__in=states.OPEN)
    return list(mine.order_by("-id")[:limit])


def fills(order: Order) -> list[dict[str, str]]:
    """The order's fills, as the broker last told them."""
    told = [event.data["fills"] for event in order.events.all() if "fills" in event.data]
    return told[-1] if told else []
