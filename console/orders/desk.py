"""What may be done with an order. Doors call this module; nothing else in Tradelatch moves one.

preview                       what an order would cost; nothing is kept
prepare → AWAITING            shown, nothing sent
confirm → INTENT              checked again, committed before anything is sent (release)
discard → CANCELLED           dropped before anybody confirmed
confirm → INTENT              committed before anything is sent
          SENDING → answer    sent once (sending); a lost answer is UNKNOWN and is looked up, never resent
          the rest            the same steps after a crash, and the news about orders that rest (sweeps)
"""

import logging
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import QuerySet
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
from console.halts import verbs as halts
from console.orders import exposure, moves, release, risk, sending, states, sweeps
from console.orders.models import Action, Confirmation, Order
from console.orders.states import Status
from console.orders.terms import Terms, as_shown, check_client_order_id, digest, words
from console.principal import Principal

log = logging.getLogger(__name__)

_MOST_PENDING = 50


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


# -- preview -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that must hold before an order goes, and whether it holds now."""

    name: str
    refusal: Refusal | None = None
    """Why the order would be refused; None: it would pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Previewed:
    account_id: str
    shown: dict[str, Any]
    """What ``prepare`` would show for the same order."""
    buying_power_after: Decimal | None
    """None where the order frees money only when it fills."""
    checks: tuple[Check, ...]
    warnings: tuple[str, ...]


def preview(
    principal: Principal, terms: Terms, *, account_id: str | None = None, client_order_id: str | None = None
) -> Previewed:
    """What an order would cost and whether it would pass. Sends nothing and keeps nothing.

    Raises Refusal for an order that no permission could save: bad terms, unknown symbol, broken rule, no funds.
    """
    terms.check()
    app = ConnectedApp.objects.select_related("connection__owner").get(pk=principal.app_id)
    connection = app.connection
    warnings: list[str] = []
    if client_order_id is not None:
        check_client_order_id(client_order_id)
        if Order.objects.filter(connection=connection, client_order_id=client_order_id).exists():
            warnings.append(f"client_order_id {client_order_id} names an order already: it is no new one.")
    with reads.broker_for(principal) as broker:
        account = reads.choose_account(broker, account_id, principal.account_id)
        item = Item(terms=terms, client_order_id=client_order_id)
        draft = _draft(broker, account.account_id, item, _request(broker, terms))
        facts = exposure.look(broker, connection, app, draft.instrument, draft.preview.quote)
    estimate = draft.preview
    return Previewed(
        account_id=account.account_id,
        shown=_shown(connection, account.account_id, draft),
        buying_power_after=estimate.buying_power + estimate.cash_effect if terms.side is Side.BUY else None,
        checks=(
            Check(name="rules and funds of the broker"),
            Check(name="permission to trade", refusal=_refused(risk.check_permission, app, connection)),
            Check(
                name="halts",
                refusal=_refused(halts.check, halts.Action.PREPARE, connection, app.pk, account.account_id),
            ),
            Check(name="limits", refusal=_refused(exposure.check, draft.request, facts, connection, app)),
            Check(name="release by the assistant", refusal=_refused(risk.check_policy, connection)),
        ),
        warnings=(*warnings, *risk.warnings(terms, estimate)),
    )


def _refused(check: Callable[..., object], *about: object) -> Refusal | None:
    try:
        check(*about)
    except Refusal as refusal:
        return refusal
    return None


def refusal_to_trade(principal: Principal) -> Refusal | None:
    """Why this app could prepare no order now, whatever the order; None: it could."""
    app = ConnectedApp.objects.select_related("connection__owner").get(pk=principal.app_id)
    return _refused(risk.check_permission, app, app.connection)


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
        halts.check(halts.Action.PREPARE, connection, app.pk, account.account_id)
        requests = [_request(broker, item.terms) for item in items]
        if earlier := _prepared_before(connection, app, items, account.account_id, requests):
            return earlier
        drafts = [
            _draft(broker, account.account_id, item, request) for item, request in zip(items, requests, strict=True)
        ]
        facts = [exposure.look(broker, connection, app, each.instrument, each.preview.quote) for each in drafts]
    except BrokerError as error:
        raise refusal_of(error) from error
    for draft, known in zip(drafts, facts, strict=True):
        exposure.check(draft.request, known, connection, app)

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


def approval_url(order: Order) -> str:
    """Where its owner sees the order and can release it."""
    return f"{settings.PUBLIC_URL}/orders/{order.public_id}/"


# -- confirm -------------------------------------------------------------------------------------------------


def confirm(principal: Principal, confirmation_id: str, *, request_id: str = "") -> Order:
    """Release the plan behind a confirmation and send it, once. Everything is checked again first.

    Returns its first order; ``order.confirmation.orders`` are all of them. Raises Refusal; ``order_id`` tells which
    order a used confirmation had released.
    """
    held = _held(principal, confirmation_id)
    return release.release(held, may=risk.check_policy, by=principal.app_label, request_id=request_id)[0]


def _held(principal: Principal, confirmation_id: str) -> Confirmation:
    """A confirmation of the principal's own app, whether or not it can still be used. Raises Refusal."""
    held = Confirmation.objects.filter(public_id=confirmation_id, app_id=principal.app_id).first()
    if held is None:
        raise Refusal(
            Code.CONFIRMATION_UNKNOWN,
            "This app has no such confirmation. Prepare the order again with place_order.",
            field="confirmation_id",
        )
    return held


# -- discard -------------------------------------------------------------------------------------------------


def pending(principal: Principal, account_id: str | None = None) -> list[Order]:
    """What this app prepared and may still confirm, newest first."""
    waiting = Order.objects.select_related("app", "connection", "confirmation").filter(
        app_id=principal.app_id, status=Status.AWAITING, confirmation__expires_at__gt=timezone.now()
    )
    if account_id:
        waiting = waiting.filter(account_id=account_id)
    return list(waiting.order_by("-id")[:_MOST_PENDING])


def discard(principal: Principal, confirmation_id: str, *, request_id: str = "") -> Order:
    """Drop what waits behind a confirmation: it can no longer be confirmed. Raises Refusal when it has moved on."""
    held = _held(principal, confirmation_id)
    what = "Discarded before it was confirmed."
    return release.drop(held, what, by=principal.app_label, request_id=request_id)[0]


# -- cancel --------------------------------------------------------------------------------------------------


def cancel(principal: Principal, order_id: str, *, account_id: str | None = None, request_id: str = "") -> Order:
    """An app takes an order of its connection back; see ``take_back``."""
    return take_back(find(principal, order_id, account_id), by=principal.app_label, request_id=request_id)


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


def find(principal: Principal, order_id: str, account_id: str | None = None) -> Order:
    """An order of the principal's own connection, by our id or by the caller's. Raises Refusal."""
    mine = _of_connection(principal)
    order = mine.filter(public_id=order_id).first() or mine.filter(client_order_id=order_id).first()
    if order is None or account_id not in (None, order.account_id):
        where = "connection" if account_id is None else f"connection's account {account_id}"
        raise Refusal(Code.UNKNOWN_ORDER, f"This {where} has no order {order_id!r}.", field="order_id")
    return order


def _of_connection(principal: Principal) -> QuerySet[Order]:
    return Order.objects.select_related("app", "connection", "confirmation").filter(
        connection_id=principal.connection_id
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which orders of an account. Times are when the order was prepared: ``start`` is included, ``end`` is not."""

    statuses: frozenset[Status] | None = states.OPEN
    """None: whatever the status."""
    symbol: str | None = None
    start: datetime | None = None
    end: datetime | None = None


def listing(
    principal: Principal, account_id: str, wanted: Wanted, *, limit: int = 50, after: str | None = None
) -> tuple[list[Order], str | None]:
    """Orders of one account, newest first, open ones brought up to date with the broker first.

    With them comes the id to give as ``after`` for those that follow, None when these were the last. Keyset: a page
    stays what it is while new orders come in. Raises Refusal for an ``after`` that is no order of the connection.
    """
    mine = _of_connection(principal).filter(account_id=account_id)
    if wanted.symbol is not None:
        mine = mine.filter(symbol=wanted.symbol)
    if wanted.start is not None:
        mine = mine.filter(created_at__gte=wanted.start)
    if wanted.end is not None:
        mine = mine.filter(created_at__lt=wanted.end)
    if after is not None:
        last = _of_connection(principal).filter(public_id=after).first()
        if last is None:
            raise Refusal(
                Code.INVALID_ARGUMENT,
                "cursor is not a next_cursor of this connection. Leave it out to start at the newest.",
                field="cursor",
            )
        mine = mine.filter(pk__lt=last.pk)
    sweeps.each(mine.filter(status__in=(*states.AT_BROKER, Status.UNKNOWN)).order_by("-id"), sending.refresh)
    if wanted.statuses is not None:
        mine = mine.filter(status__in=wanted.statuses)
    found = list(mine.order_by("-id")[: limit + 1])
    return found[:limit], found[limit - 1].public_id if len(found) > limit else None


def fills(order: Order) -> list[dict[str, str]]:
    """The order's fills, as the broker last told them."""
    told = [event.data["fills"] for event in order.events.all() if "fills" in event.data]
    return told[-1] if told else []
