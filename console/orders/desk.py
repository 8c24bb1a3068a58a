"""What may be done with an order. Doors call this module; nothing else in Tradelatch moves one.

prepare → AWAITING            shown, nothing sent
confirm → INTENT              checked again, committed before anything is sent (release)
          SENDING → answer    sent once (sending); a lost answer is UNKNOWN and is looked up, never resent
          the rest            the same steps after a crash, and the news about orders that rest (sweeps)
"""

import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError, IntegrityError, transaction
from django.utils import timezone

from brokers.base import Broker
from brokers.decimals import plain
from brokers.errors import BrokerError, Outcome
from brokers.types import Instrument, LegRequest, OrderRequest, Preview, Side
from console import ids
from console.connected_apps.models import ConnectedApp
from console.connections import reads
from console.connections.models import Connection
from console.errors import Code, Refusal, refusal_of
from console.orders import moves, release, risk, sending, states, sweeps
from console.orders.models import Action, Confirmation, Order
from console.orders.states import Status
from console.orders.terms import Terms, as_shown, check_client_order_id, digest, words
from console.principal import Principal

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    order: Order
    """The first of ``orders``."""
    confirmation: Confirmation
    preview: Preview | None
    """None when the same client_order_id had been prepared before."""
    orders: tuple[Order, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One order of a plan, before it is checked."""

    terms: Terms
    client_order_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One order that passed every check and is about to be shown."""

    terms: Terms
    request: OrderRequest
    client_order_id: str
    instrument: Instrument
    preview: Preview


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
    item = Item(terms=terms, client_order_id=client_order_id)
    return prepare_plan(principal, [item], account_id=account_id, request_id=request_id)


def prepare_plan(
    principal: Principal,
    items: Sequence[Item],
    *,
    account_id: str | None = None,
    action: Action = Action.PLACE,
    all_or_none: bool = True,
    request_id: str = "",
) -> Prepared:
    """Check several orders and hold them for one confirmation. Sends nothing. Raises Refusal, naming the item.

    A plan is known again by its client order ids: all of them with the same terms, or none.
    """
    for item in items:
        item.terms.check()
    app = ConnectedApp.objects.select_related("connection").get(pk=principal.app_id)
    connection = app.connection
    risk.check_permission(app, connection)
    broker = reads.broker_of(connection)
    try:
        account = reads.choose_account(broker, account_id, principal.account_id)
        requests = [_request(broker, item.terms) for item in items]
        if earlier := _prepared_before(connection, app, items, account.account_id, requests):
            return earlier
        drafts = [
            _draft(broker, account.account_id, item, request) for item, request in zip(items, requests, strict=True)
        ]
    except BrokerError as error:
        raise refusal_of(error) from error

    shown = _plan_shown(connection, account.account_id, drafts)
    try:
        confirmation, orders = _hold(
            app, account.account_id, drafts, shown, action, all_or_none, principal.app_label, request_id
        )
    except IntegrityError as error:
        # The same id was prepared by a call beside this one.
        earlier = _prepared_before(connection, app, items, account.account_id, requests)
        if earlier is None:
            raise _id_conflict(drafts[0].client_order_id) from error
        return earlier
    return Prepared(order=orders[0], orders=tuple(orders), confirmation=confirmation, preview=drafts[0].preview)


def _request(broker: Broker, terms: Terms) -> OrderRequest:
    terms.check_offered(broker.capabilities)
    terms = replace(terms, symbol=broker.instrument(terms.symbol).symbol)
    return terms.request(_wire_id(), terms.legs(_wire_id))


def _wire_id() -> str:
    return uuid.uuid4().hex


def _draft(broker: Broker, account_id: str, item: Item, request: OrderRequest) -> Draft:
    return Draft(
        terms=item.terms,
        request=request,
        client_order_id=item.client_order_id or request.client_order_id,
        instrument=broker.instrument(request.symbol),
        preview=broker.preview(account_id, request),
    )


@transaction.atomic
def _hold(
    app: ConnectedApp,
    account_id: str,
    drafts: Sequence[Draft],
    shown: dict[str, Any],
    action: Action,
    all_or_none: bool,
    by: str,
    request_id: str,
) -> tuple[Confirmation, list[Order]]:
    now = timezone.now()
    confirmation = Confirmation.objects.create(
        public_id=ids.new("cnf"),
        app=app,
        action=action,
        all_or_none=all_or_none,
        terms=shown,
        terms_digest=digest(shown),
        created_at=now,
        expires_at=now + timedelta(seconds=settings.CONFIRMATION_SECONDS),
    )
    orders = []
    for draft, told in zip(drafts, shown.get("orders", [shown]), strict=True):
        order = _row(confirmation, account_id, draft, draft.request, draft.client_order_id, None)
        moves.event(order, "", "Prepared and shown. Nothing was sent.", by, request_id, told)
        for leg in draft.request.legs:
            row = _row(confirmation, account_id, draft, leg, leg.client_order_id, order)
            moves.event(row, "", f"Prepared and shown with {order.public_id}. Nothing was sent.", by, request_id, {})
        orders.append(order)
    return confirmation, orders


def _row(
    confirmation: Confirmation,
    account_id: str,
    draft: Draft,
    request: OrderRequest | LegRequest,
    client_order_id: str,
    parent: Order | None,
) -> Order:
    whole = draft.request
    return Order.objects.create(
        public_id=ids.new("ord"),
        connection_id=confirmation.app.connection_id,
        app=confirmation.app,
        confirmation=confirmation,
        parent=parent,
        account_id=account_id,
        client_order_id=client_order_id,
        wire_id=request.client_order_id,
        symbol=whole.symbol,
        asset_class=draft.instrument.asset_class,
        currency=draft.instrument.currency,
        side=request.side,
        order_type=request.order_type,
        tif=request.tif,
        quantity=request.quantity or whole.quantity,
        notional=whole.notional,
        limit_price=request.limit_price,
        stop_price=request.stop_price,
        trail_amount=request.trail_amount,
        trail_percent=request.trail_percent,
        outside_rth=whole.outside_rth,
        reduce_only=whole.reduce_only,
        post_only=whole.post_only and parent is None,
        order_class=whole.order_class,
        shown_price=draft.preview.price,
        status=Status.AWAITING,
        created_at=confirmation.created_at,
        moved_at=confirmation.created_at,
    )


def _prepared_before(
    connection: Connection,
    app: ConnectedApp,
    items: Sequence[Item],
    account_id: str,
    requests: Sequence[OrderRequest],
) -> Prepared | None:
    """What the same client order ids named before, if it is the same plan. Raises Refusal when it is another."""
    named = [item.client_order_id for item in items if item.client_order_id is not None]
    for name in named:
        check_client_order_id(name)
    if len(set(named)) != len(named):
        raise Refusal(Code.INVALID_ARGUMENT, "Every order needs a client_order_id of its own.", field="client_order_id")
    known = Order.objects.select_related("confirmation").filter(connection=connection, client_order_id__in=named)
    if not (before := list(known)):
        return None
    confirmation = before[0].confirmation
    plan = list(confirmation.orders.filter(parent=None).order_by("pk"))
    same = len(plan) == len(items) and all(
        order.client_order_id == item.client_order_id
        and (order.account_id, order.app_id) == (account_id, app.pk)
        and as_shown(order.request) == as_shown(request)
        for order, item, request in zip(plan, items, requests, strict=True)
    )
    if not same:
        raise _id_conflict(before[0].client_order_id)
    return Prepared(order=plan[0], orders=tuple(plan), confirmation=confirmation, preview=None)


def _id_conflict(client_order_id: str) -> Refusal:
    return Refusal(
        Code.DUPLICATE_ORDER_ID,
        f"client_order_id {client_order_id} names a different order on this connection. Use a new one.",
        field="client_order_id",
    )


def _plan_shown(connection: Connection, account_id: str, drafts: Sequence[Draft]) -> dict[str, Any]:
    """Everything a person judges the plan by, as text: what the digest binds."""
    each = [_shown(connection, account_id, draft) for draft in drafts]
    if len(each) == 1:
        return each[0]
    steps = " ".join(f"{number}. {words(draft.request)}." for number, draft in enumerate(drafts, start=1))
    return {
        "connection": connection.name,
        "connection_id": connection.pk,
        "environment": connection.environment,
        "account_id": account_id,
        "summary": f"{len(each)} orders on {connection.name} ({connection.environment}): {steps}",
        "orders": each,
    }


def _shown(connection: Connection, account_id: str, draft: Draft) -> dict[str, Any]:
    preview, currency = draft.preview, draft.instrument.currency
    effect = "costs" if draft.request.side is Side.BUY else "brings in"
    summary = (
        f"{words(draft.request)}, on {connection.name} ({connection.environment}). It {effect} about "
        f"{_money(abs(preview.cash_effect))} {currency}, of which {_money(preview.fee)} {currency} is the fee, "
        f"at {plain(preview.price)} {currency} each."
    )
    return {
        "connection": connection.name,
        "connection_id": connection.pk,
        "environment": connection.environment,
        "account_id": account_id,
        **as_shown(draft.request),
        "currency": currency,
        "price": plain(preview.price),
        "value": plain(preview.notional),
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
    """Release the plan behind a confirmation and send it, once. Everything is checked again first.

    Returns its first order; ``order.confirmation.orders`` are all of them. Raises Refusal; ``order_id`` tells which
    order a used confirmation had released.
    """
    confirmation = Confirmation.objects.filter(public_id=confirmation_id, app_id=principal.app_id).first()
    if confirmation is None:
        raise Refusal(
            Code.CONFIRMATION_UNKNOWN,
            "This app has no such confirmation. Prepare the order again with place_order.",
            field="confirmation_id",
        )
    return release.release(confirmation, may=risk.check_policy, by=principal.app_label, request_id=request_id)[0]


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
