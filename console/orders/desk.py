"""What may be done with an order. Doors call this module; nothing else in Tradelatch moves one.

preview                       what an order would cost; nothing is kept
prepare → AWAITING            shown, nothing sent
modify                        the same steps for a change of an order that rests (amend)
discard → CANCELLED           dropped before anybody confirmed
confirm → INTENT              checked again, committed before anything is sent (release)
          SENDING → answer    sent once (sending); a lost answer is UNKNOWN and is looked up, never resent
          the rest            the same steps after a crash, and the news about orders that rest (sweeps)
"""

import logging
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from brokers.base import Broker
from brokers.compiled_queries import Insertion
from brokers.decimals import plain
from brokers.errors import AuthFailed, BrokerError, InsufficientFunds, InsufficientPosition, RateLimited, Rejected
from brokers.types import (
    BrokerOrder,
    Instrument,
    LegRequest,
    OrderChanges,
    OrderRequest,
    OrderType,
    Position,
    Preview,
    Side,
)
from console import ids
from console.connected_apps.models import ConnectedApp
from console.connections import broker_access
from console.connections.models import Connection, Policy
from console.errors import Code, Refusal, refusal_of_read
from console.halts import services as halts
from console.orders import (
    amend,
    cancelling,
    exposure,
    held_cancels,
    moves,
    outside,
    reach,
    redeeming,
    release,
    risk,
    sizing,
    states,
    sweeps,
)
from console.orders.checks import rows
from console.orders.models import Action, Confirmation, Modification, Order
from console.orders.outside import AtBroker
from console.orders.states import Change, Status
from console.orders.terms import Terms, as_shown, check_client_order_id, words
from console.principal import Principal, Redeemer

log = logging.getLogger(__name__)

_MOST_PENDING = 50
_ORDERS = Insertion(Order)

_T = TypeVar("_T")
_R = TypeVar("_R")


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
    position: Decimal | None = None
    """The signed position its quantity comes from, for an order that closes or turns one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One order that passed every check and is about to be shown."""

    terms: Terms
    request: OrderRequest
    client_order_id: str
    instrument: Instrument
    preview: Preview
    position: Decimal | None = None
    with_fee: bool = True
    """False: the broker gave no estimate, so that of ``preview`` is ours and leaves the fee out."""


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
    """None where the order frees money only when it fills, or costs another currency than the one it is told in."""
    checks: tuple[Check, ...]
    warnings: tuple[str, ...]


def preview(
    principal: Principal, terms: Terms, *, account_id: str | None = None, client_order_id: str | None = None
) -> Previewed:
    """What an order would cost and whether it would pass. Sends nothing and keeps nothing.

    Raises Refusal for an order that no permission could save: bad terms, unknown symbol, broken rule, no funds.
    """
    terms.check()
    asking = rows.asking(principal.app_id)
    app, connection = asking.app, asking.connection
    warnings: list[str] = []
    if client_order_id is not None:
        check_client_order_id(client_order_id)
        if Order.objects.filter(connection=connection, client_order_id=client_order_id).exists():
            warnings.append(f"client_order_id {client_order_id} names an order already: it is no new one.")
    with broker_access.broker_for(principal) as broker:
        account = broker_access.choose_account(broker, account_id, principal.account_id)
        item = Item(terms=terms, client_order_id=client_order_id)
        draft = _draft(broker, account.account_id, item, *_request(broker, terms))
        facts = exposure.look(broker, connection, app, draft.instrument, draft.preview.quote, request=draft.request)
    estimate = draft.preview
    return Previewed(
        account_id=account.account_id,
        shown=_shown(connection, account.account_id, draft),
        buying_power_after=_left_of(estimate) if terms.side is Side.BUY else None,
        checks=(
            Check(name="rules and funds of the broker"),
            Check(name="permission to trade", refusal=_refused(risk.check_permission, app, connection)),
            Check(
                name="halts",
                refusal=_refused(asking.check_halts, halts.GatedAction.PREPARE, account.account_id),
            ),
            Check(name="limits", refusal=_refused(exposure.check, draft.request, facts, connection, app)),
            Check(name="release by the assistant", refusal=_refused(risk.check_policy, connection)),
        ),
        warnings=(*warnings, *risk.warnings(terms, estimate)),
    )


def _left_of(estimate: Preview) -> Decimal | None:
    if estimate.buying_power_currency != estimate.quote.currency:
        return None
    return estimate.buying_power + estimate.cash_effect


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
    _of_each(items, lambda item: item.terms.check())
    asking = rows.asking(principal.app_id)
    app, connection = asking.app, asking.connection
    risk.check_permission(app, connection)
    broker = broker_access.broker_of(connection)
    try:
        account = broker_access.choose_account(broker, account_id, principal.account_id)
        asking.check_halts(halts.GatedAction.PREPARE, account.account_id)
        wanted = _of_each(items, lambda item: _request(broker, item.terms))
        requests = [request for request, _ in wanted]
        if earlier := _prepared_before(principal, connection, items, account.account_id, requests):
            return earlier
        drafts = _of_each(
            list(zip(items, wanted, strict=True)), lambda pair: _draft(broker, account.account_id, pair[0], *pair[1])
        )
    except BrokerError as error:
        raise refusal_of_read(error) from error
    if all_or_none:
        together = exposure.Together(connection)
        for draft in drafts:
            together.add(draft.preview)
    plan = _Plan(app=app, account_id=account.account_id, action=action, all_or_none=all_or_none)
    try:
        return _prepared(principal, broker, plan, drafts, request_id)
    except IntegrityError as error:
        # The same id was prepared by a call beside this one.
        earlier = _prepared_before(principal, connection, items, account.account_id, requests)
        if earlier is None:
            raise _id_conflict(drafts[0].client_order_id) from error
        return earlier


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What holds for every order of one confirmation."""

    app: ConnectedApp
    account_id: str
    action: Action = Action.PLACE
    all_or_none: bool = True
    opening: str = ""
    """What the summary begins with, before the orders."""
    stays: tuple[str, ...] = ()
    """Symbols of positions that are not closed, and keep their orders."""


def _prepared(principal: Principal, broker: Broker, plan: _Plan, drafts: Sequence[Draft], request_id: str) -> Prepared:
    """The limits, and the rows. Raises Refusal, IntegrityError."""
    connection = plan.app.connection
    try:
        facts = [
            exposure.look(broker, connection, plan.app, each.instrument, each.preview.quote, request=each.request)
            for each in drafts
        ]
    except BrokerError as error:
        raise refusal_of_read(error) from error
    pairs = list(zip(drafts, facts, strict=True))
    closes = plan.action == Action.CLOSE
    _of_each(pairs, lambda pair: exposure.check(pair[0].request, pair[1], connection, plan.app, closes=closes))
    return _held(principal, plan, drafts, request_id)


def _held(principal: Principal, plan: _Plan, drafts: Sequence[Draft], request_id: str) -> Prepared:
    shown = _plan_shown(plan.app.connection, plan, drafts)
    confirmation, orders = _hold(principal, plan, drafts, shown, request_id)
    return Prepared(order=orders[0], orders=tuple(orders), confirmation=confirmation, preview=drafts[0].preview)


def _of_each(things: Sequence[_T], step: Callable[[_T], _R]) -> list[_R]:
    """What ``step`` makes of each. Of several, a Refusal names the one it is about."""
    made = []
    for number, thing in enumerate(things):
        try:
            made.append(step(thing))
        except BrokerError as error:
            if len(things) == 1:
                raise
            raise refusal_of_read(error).at(f"orders[{number}]") from error
        except Refusal as refusal:
            if len(things) > 1:
                refusal.at(f"orders[{number}]")
            raise
    return made


def _request(broker: Broker, terms: Terms) -> tuple[OrderRequest, Instrument]:
    terms.check_offered(broker.capabilities)
    known = broker.instrument(terms.symbol)
    tif = terms.tif or broker.capabilities.usual_tif(terms.order_type, known.asset_class)
    terms = replace(terms, symbol=known.symbol, tif=tif)
    return terms.request(_wire_id(), terms.legs(_wire_id)), known


def _wire_id() -> str:
    return uuid.uuid4().hex


def _draft(broker: Broker, account_id: str, item: Item, request: OrderRequest, instrument: Instrument) -> Draft:
    return Draft(
        terms=item.terms,
        request=request,
        client_order_id=item.client_order_id or request.client_order_id,
        instrument=instrument,
        preview=broker.preview(account_id, request),
        position=item.position,
    )


@transaction.atomic
def _hold(
    principal: Principal, plan: _Plan, drafts: Sequence[Draft], shown: dict[str, Any], request_id: str
) -> tuple[Confirmation, list[Order]]:
    by = principal.app_label
    confirmation = redeeming.hold(plan.app, plan.action, shown, asked=principal.redeemer, all_or_none=plan.all_or_none)
    orders = []
    for draft, told in zip(drafts, shown.get("orders", [shown]), strict=True):
        order = _row(confirmation, plan.account_id, draft, draft.request, draft.client_order_id, None)
        moves.event(order, "", "Prepared and shown. Nothing was sent.", by, request_id, told)
        for leg in draft.request.legs:
            row = _row(confirmation, plan.account_id, draft, leg, leg.client_order_id, order)
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
    return _ORDERS.create(
        public_id=ids.new("ord"),
        connection=confirmation.app.connection,
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
        position_shown=draft.position if parent is None else None,
        shown_price=draft.preview.price,
        status=Status.AWAITING,
        created_at=confirmation.created_at,
        moved_at=confirmation.created_at,
    )


def _prepared_before(
    principal: Principal,
    connection: Connection,
    items: Sequence[Item],
    account_id: str,
    requests: Sequence[OrderRequest],
) -> Prepared | None:
    """What the same client order ids named before, if it is the same plan. Raises Refusal when it is another.

    Whoever is asked about it now is asked from then on: an app that held its confirmation can no longer redeem it.
    """
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
        and (order.account_id, order.app_id) == (account_id, principal.app_id)
        and as_shown(order.request) == as_shown(request)
        for order, item, request in zip(plan, items, requests, strict=True)
    )
    if not same:
        raise _id_conflict(before[0].client_order_id)
    redeeming.narrow(confirmation, principal.redeemer)
    return Prepared(order=plan[0], orders=tuple(plan), confirmation=confirmation, preview=None)


def _id_conflict(client_order_id: str) -> Refusal:
    return Refusal(
        Code.DUPLICATE_ORDER_ID,
        f"client_order_id {client_order_id} names a different order on this connection. Use a new one.",
        field="client_order_id",
    )


def _plan_shown(connection: Connection, plan: _Plan, drafts: Sequence[Draft]) -> dict[str, Any]:
    """Everything a person judges the plan by, as text: what the digest binds."""
    each = [_shown(connection, plan.account_id, draft) for draft in drafts]
    if len(each) == 1:
        return each[0] | {"summary": f"{plan.opening}{each[0]['summary']}", "stays": list(plan.stays)}
    steps = " ".join(f"{number}. {words(draft.request)}." for number, draft in enumerate(drafts, start=1))
    together = (
        "None is sent unless all pass every check."
        if plan.all_or_none
        else "What does not pass its checks then is left out."
    )
    return {
        "connection": connection.name,
        "connection_id": connection.pk,
        "environment": connection.environment,
        "account_id": plan.account_id,
        "summary": (
            f"{plan.opening}{len(each)} orders on {connection.name} ({connection.environment}), sent one after "
            f"another. {together} {steps} {_totals(drafts)}"
        ),
        "stays": list(plan.stays),
        "orders": each,
    }


def _totals(drafts: Sequence[Draft]) -> str:
    """What the orders cost and bring in together, by currency."""
    said = []
    for currency in dict.fromkeys(draft.instrument.currency for draft in drafts):
        effects = [draft.preview.cash_effect for draft in drafts if draft.instrument.currency == currency]
        costs = -sum((each for each in effects if each < 0), Decimal(0))
        brings = sum((each for each in effects if each > 0), Decimal(0))
        parts = [f"cost about {_money(costs)} {currency}"] if costs else []
        parts += [f"bring in about {_money(brings)} {currency}"] if brings else []
        said.append(f"Together they {' and '.join(parts) or 'move no cash'}.")
    return " ".join(said)


def _shown(connection: Connection, account_id: str, draft: Draft) -> dict[str, Any]:
    preview, currency = draft.preview, draft.instrument.currency
    effect = "costs" if draft.request.side is Side.BUY else "brings in"
    fee = f"of which {_money(preview.fee)} {currency} is the fee" if draft.with_fee else "before fees"
    summary = (
        f"{words(draft.request)}, on {connection.name} ({connection.environment}). It {effect} about "
        f"{_money(abs(preview.cash_effect))} {currency}, {fee}, at {plain(preview.price)} {currency} each."
    )
    if draft.position is not None:
        summary += f" {_becomes(draft)}"
    return {
        "connection": connection.name,
        "connection_id": connection.pk,
        "environment": connection.environment,
        "account_id": account_id,
        "position": None if draft.position is None else plain(draft.position),
        **as_shown(draft.request),
        "currency": currency,
        "price": plain(preview.price),
        "value": plain(preview.notional),
        "fee": plain(preview.fee) if draft.with_fee else None,
        "cash_effect": plain(preview.cash_effect),
        "buying_power": plain(preview.buying_power),
        "priced_by": preview.quote.source,
        "summary": summary,
    }


def _becomes(draft: Draft) -> str:
    """What the order does to the position it was sized by."""
    assert draft.position is not None
    signed = draft.request.units if draft.request.side is Side.BUY else -draft.request.units
    after = draft.position + signed
    if not after:
        return f"It closes the whole position of {plain(draft.position)}."
    return f"The position goes from {plain(draft.position)} to {plain(after)}."


def _money(value: Any) -> str:
    return f"{value:,.2f}"


def approval_url(order: Order) -> str:
    """Where its owner sees the order and can release it."""
    return f"{settings.PUBLIC_URL}/orders/{order.public_id}/"


# -- positions -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A position that cannot be closed now, and why."""

    symbol: str
    refusal: Refusal


def prepare_close(
    principal: Principal,
    symbol: str,
    *,
    account_id: str | None = None,
    quantity: Decimal | None = None,
    percent: Decimal | None = None,
    order_type: OrderType = OrderType.MARKET,
    limit_price: Decimal | None = None,
    request_id: str = "",
) -> Prepared:
    """Hold an order that closes a position, all or in part; at release it is refused if it would turn it.

    Raises Refusal.
    """
    with broker_access.broker_for(principal) as broker:
        account = broker_access.choose_account(broker, account_id, principal.account_id)
        instrument = broker.instrument(symbol)
        position = sizing.position_of(broker, account.account_id, instrument.symbol)
        reduces = broker.capabilities.reduce_only
    if order_type not in (OrderType.MARKET, OrderType.LIMIT):
        raise Refusal(Code.INVALID_ARGUMENT, "A position is closed with a MKT or LMT order.", field="order_type")
    item = Item(
        terms=Terms(
            symbol=instrument.symbol,
            side=sizing.side_to_close(position.quantity),
            quantity=sizing.part_of(position, instrument, quantity=quantity, percent=percent),
            order_type=order_type,
            limit_price=limit_price,
            reduce_only=reduces,
        ),
        position=position.quantity,
    )
    return prepare_plan(principal, [item], account_id=account.account_id, action=Action.CLOSE, request_id=request_id)


def prepare_reverse(
    principal: Principal, symbol: str, *, account_id: str | None = None, request_id: str = ""
) -> Prepared:
    """Hold one market order of twice the position, which turns it around. Raises Refusal."""
    with broker_access.broker_for(principal) as broker:
        account = broker_access.choose_account(broker, account_id, principal.account_id)
        instrument = broker.instrument(symbol)
        if not broker.capabilities.crosses_zero:
            raise Refusal(
                Code.NOT_OFFERED_BY_BROKER,
                "This broker takes no order that turns a position around. Close it with close_position, and place an "
                "order for the other side once that has filled.",
                field="symbol",
            )
        position = sizing.position_of(broker, account.account_id, instrument.symbol)
    item = Item(
        terms=Terms(
            symbol=instrument.symbol,
            side=sizing.side_to_close(position.quantity),
            quantity=2 * abs(position.quantity),
        ),
        position=position.quantity,
    )
    return prepare_plan(principal, [item], account_id=account.account_id, action=Action.REVERSE, request_id=request_id)


def prepare_flatten(
    principal: Principal, *, account_id: str | None = None, request_id: str = ""
) -> tuple[Prepared, list[LeftOut]]:
    """Hold a plan that closes every position of the account and cancels its orders. Raises Refusal.

    Nothing is cancelled before the release; each close must then still be the whole position. With it come the
    positions that cannot be closed now: their orders stay, because what guards a position goes only with it.
    """
    asking = rows.asking(principal.app_id)
    app = asking.app
    risk.check_permission(app, app.connection)
    broker = broker_access.broker_of(app.connection)
    drafts, left_out = [], []
    try:
        account = broker_access.choose_account(broker, account_id, principal.account_id)
        is_owners = redeeming.of(app, principal.redeemer) is Redeemer.OWNER
        whose = None if is_owners else app
        asked = halts.GatedAction.FLATTEN if app.is_console else halts.GatedAction.PREPARE
        asking.check_halts(asked, account.account_id)
        for position in broker.positions(account.account_id):
            if position.quantity:
                try:
                    reach.check_clear(whose, app.connection, account.account_id, position.symbol)
                    draft = _draft_of_close(broker, account.account_id, position)
                    facts = exposure.look(broker, app.connection, app, draft.instrument, draft.preview.quote)
                    exposure.check(draft.request, facts, app.connection, app, closes=True)
                except (AuthFailed, RateLimited):  # said of the connection, not of this position
                    raise
                except Rejected as error:
                    left_out.append(LeftOut(symbol=position.symbol, refusal=refusal_of_read(error)))
                except Refusal as refusal:
                    left_out.append(LeftOut(symbol=position.symbol, refusal=refusal))
                else:
                    drafts.append(draft)
    except BrokerError as error:
        raise refusal_of_read(error) from error
    if not drafts:
        if left_out:
            raise left_out[0].refusal
        raise Refusal(Code.NO_POSITION, "This account has no position. To cancel its orders use cancel_all_orders.")
    plan = _Plan(
        app=app,
        account_id=account.account_id,
        action=Action.FLATTEN,
        all_or_none=False,
        opening=_opening(app.connection, account.account_id, left_out, whose),
        stays=tuple(each.symbol for each in left_out),
    )
    return _held(principal, plan, drafts, request_id), left_out


def _opening(connection: Connection, account_id: str, left_out: Sequence[LeftOut], whose: ConnectedApp | None) -> str:
    rows = cancelling.open_by_themselves(connection, whose).filter(account_id=account_id)
    working = Counter(rows.values_list("symbol", flat=True))
    kept = [(each, working.pop(each.symbol, 0)) for each in left_out]
    what = f"everything but {', '.join(each.symbol for each in left_out)}" if left_out else "everything"
    said = f"Close {what} in account {account_id}. "
    if count := working.total():
        said += f"First {_orders(count)} {'is' if count == 1 else 'are'} cancelled. "
    for each, count in kept:
        and_orders = f" and keeps {_orders(count)}" if count else ""
        said += f"{each.symbol} stays{and_orders}: {each.refusal} "
    return said


def _orders(count: int) -> str:
    return f"{count} working order{'' if count == 1 else 's'}"


def _draft_of_close(broker: Broker, account_id: str, position: Position) -> Draft:
    """What a working order holds of the position is free once that is cancelled: until then the estimate is ours."""
    terms = Terms(
        symbol=position.symbol,
        side=sizing.side_to_close(position.quantity),
        quantity=abs(position.quantity),
        reduce_only=broker.capabilities.reduce_only,
    )
    request, instrument = _request(broker, terms)
    try:
        return _draft(broker, account_id, Item(terms=terms, position=position.quantity), request, instrument)
    except (InsufficientPosition, InsufficientFunds):
        quote = broker.quotes([request.symbol])[0]
        price = quote.bid if request.side is Side.SELL else quote.ask
        state = broker.account_state(account_id)
        worth = price * request.units * instrument.multiplier
        preview = Preview(
            price=price,
            notional=worth,
            fee=Decimal(0),
            cash_effect=worth if request.side is Side.SELL else -worth,
            buying_power=state.buying_power,
            buying_power_currency=state.currency,
            quote=quote,
        )
        return Draft(
            terms=terms,
            request=request,
            client_order_id=request.client_order_id,
            instrument=instrument,
            preview=preview,
            position=position.quantity,
            with_fee=False,
        )


# -- modify --------------------------------------------------------------------------------------------------


def prepare_change(
    principal: Principal, order_id: str, asked: OrderChanges, *, account_id: str | None = None, request_id: str = ""
) -> Modification:
    """Hold a change of an order of the principal's connection for confirmation; see ``amend``. Raises Refusal."""
    app, order = _app(principal), find(principal, order_id, account_id)
    reach.check(app, order)
    return amend.prepare(app, order, asked, redeemer=principal.redeemer, by=principal.app_label, request_id=request_id)


# -- confirm -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """What a confirmation led to."""

    confirmation: Confirmation
    orders: tuple[Order, ...]
    """All it covers, without their legs; or the one it changed. They stand as their broker's answers left them."""


def confirm(principal: Principal, confirmation_id: str, *, request_id: str = "") -> Order:
    """``confirm_all``, of which it returns the first order."""
    return confirm_all(principal, confirmation_id, request_id=request_id).orders[0]


def confirm_all(principal: Principal, confirmation_id: str, *, request_id: str = "") -> Released:
    """Release the plan behind a confirmation and send it, once. Everything is checked again first.

    Raises Refusal; ``order_id`` tells which order a used confirmation had released.
    """
    plan = rows.plan_of(confirmation_id, principal.app_id)
    confirmation = held(principal, confirmation_id) if plan is None else plan.confirmation

    def may(connection: Connection) -> None:
        risk.check_redeemer(confirmation.decided_by(connection), connection, principal.redeemer)

    orders = release.release(confirmation, plan, may=may, by=principal.app_label, request_id=request_id)
    return Released(confirmation=confirmation, orders=tuple(orders))


def held(principal: Principal, confirmation_id: str) -> Confirmation:
    """A confirmation of the principal's own app, whether or not it can still be used. Raises Refusal."""
    found = Confirmation.objects.filter(public_id=confirmation_id, app_id=principal.app_id).first()
    if found is None:
        raise Refusal(
            Code.CONFIRMATION_UNKNOWN,
            "This app has no such confirmation. Prepare the order again with place_order.",
            field="confirmation_id",
        )
    return found


# -- discard -------------------------------------------------------------------------------------------------


def pending(principal: Principal, account_id: str | None = None) -> list[Confirmation]:
    """What this app prepared and may still confirm itself, newest first: what somebody else decides is not among it."""
    waiting = Q(orders__status=Status.AWAITING) | Q(modification__status=Change.AWAITING)
    mine = Confirmation.objects.filter(
        waiting,
        app_id=principal.app_id,
        redeemer=Redeemer.APP,
        app__connection__policy=Policy.TWO_STEP,
        redeemed_at=None,
        expires_at__gt=timezone.now(),
    ).distinct()
    if account_id:
        mine = mine.filter(terms__account_id=account_id)
    return list(mine.order_by("-id")[:_MOST_PENDING])


def discard(principal: Principal, confirmation_id: str, *, request_id: str = "") -> Order:
    """Drop what waits behind a confirmation: it can no longer be confirmed. Raises Refusal when it has moved on.

    What waits for its owner is the owner's to end, in the console or through the client that asks them.
    """
    confirmation = held(principal, confirmation_id)
    if principal.redeemer is Redeemer.APP:
        reach.check_undecided(confirmation)
    what = "Discarded before it was confirmed."
    return release.drop(confirmation, what, by=principal.app_label, request_id=request_id)[0]


# -- cancel --------------------------------------------------------------------------------------------------


def cancel(principal: Principal, order_id: str, *, account_id: str | None = None, request_id: str = "") -> Order:
    """An app takes an order of its own back; see ``reach`` and ``cancelling.take_back``.

    Raises Refusal, with APPROVAL_REQUIRED where the cancel is held for the owner.
    """
    app, order = _app(principal), find(principal, order_id, account_id)
    reach.check(app, order)
    if reach.is_held(order):
        change = held_cancels.prepare(app, order, by=principal.app_label, request_id=request_id)
        raise _held_for_owner(order, f" until {change.confirmation.expires_at:%H:%M:%S} UTC. Then ask get_order_status")
    return cancelling.take_back(order, by=principal.app_label, request_id=request_id)


def _held_for_owner(order: Order, until: str) -> Refusal:
    return Refusal(
        Code.APPROVAL_REQUIRED,
        f"Order {order.public_id} guards a position, so only its owner can let it go, in the console at "
        f"{approval_url(order)}{until}. Nothing was cancelled.",
        order_id=order.public_id,
    )


def cancel_all(
    principal: Principal, *, account_id: str | None = None, symbol: str | None = None, request_id: str = ""
) -> tuple[str, list[cancelling.Result]]:
    """Every open order that the app made in one account, or those in one symbol; see ``cancelling.cancel_all``.

    What guards a position stays where its owner releases orders, and nobody is asked for it. Raises Refusal.
    """
    app = _app(principal)

    def may(order: Order) -> None:
        if reach.is_held(order):
            raise _held_for_owner(order, "; to ask for that, use cancel_order")

    connection = Connection.objects.get(pk=principal.connection_id)
    try:
        broker = broker_access.broker_of(connection)
        account_id = broker_access.choose_account(broker, account_id, principal.account_id).account_id
        if symbol is not None:
            symbol = broker.instrument(symbol).symbol
    except BrokerError as error:
        raise refusal_of_read(error) from error
    return account_id, cancelling.cancel_all(
        connection, account_id, symbol=symbol, app=app, may=may, by=principal.app_label, request_id=request_id
    )


def _app(principal: Principal) -> ConnectedApp:
    return ConnectedApp.objects.select_related("connection").get(pk=principal.app_id)


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
    return Order.objects.select_related("app", "connection", "confirmation", "parent").filter(
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
    principal: Principal, at_broker: AtBroker, wanted: Wanted, *, limit: int = 50, after: str | None = None
) -> tuple[list[Order], str | None]:
    """Orders of one account, newest first, open ones brought up to date with the broker first. For showing them.

    With them comes the id to give as ``after`` for those that follow, None when these were the last. Keyset: a page
    stays what it is while new orders come in. Raises Refusal for an ``after`` that is no order of the connection.
    """
    mine = Order.objects.filter(connection_id=principal.connection_id, account_id=at_broker.account_id)
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
    sweeps.refresh_all(mine.filter(status__in=(*states.AT_BROKER, Status.UNKNOWN)).order_by("-id"), at_broker)
    if wanted.statuses is not None:
        mine = mine.filter(status__in=wanted.statuses)
    found = list(mine.select_related("parent").order_by("-id")[: limit + 1])
    return found[:limit], found[limit - 1].public_id if len(found) > limit else None


def external(principal: Principal, at_broker: AtBroker, *, symbol: str | None = None) -> list[BrokerOrder]:
    """Open orders of the account that were made elsewhere, newest first. Read now, kept nowhere.

    Limits do not count them; what they fill counts as position. Raises Refusal.
    """
    try:
        found = outside.made_elsewhere(at_broker, principal.connection_id)
    except BrokerError as error:
        raise refusal_of_read(error) from error
    return [each for each in found if symbol in (None, each.symbol)]


def fills(order: Order) -> list[dict[str, str]]:
    """The order's fills, as the broker last told them."""
    told = [event.data["fills"] for event in order.events.all() if "fills" in event.data]
    return told[-1] if told else []
