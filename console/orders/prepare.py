"""Orders are prepared here: checked, held for confirmation, shown. Nothing is sent.

prepare → AWAITING            shown, nothing sent
discard → CANCELLED           dropped before anybody confirmed (actions)
confirm → INTENT              checked again, committed before anything is sent (execution.release)
          SENDING → answer    sent once (execution.submit); a lost answer is UNKNOWN, looked up, never resent
          the rest            the same steps after a crash, and news about open orders (execution.reconcile)
"""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_DOWN, Decimal
from functools import partial
from typing import Any, TypeVar

from django.db import IntegrityError, transaction

from brokers import leg_ids
from brokers.base import Broker
from brokers.compiled_queries import Insertion
from brokers.decimals import plain
from brokers.errors import AuthFailed, BrokerError, RateLimited, Rejected
from brokers.types import (
    AssetClass,
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
from console.connections.models import Connection
from console.errors import Code, Refusal, refusal_of_read
from console.halts import services as halts
from console.orders import queries as order_queries
from console.orders import summary
from console.orders.checks import check_rows, order_access, pipeline, position_checks, repeated_orders, standing_rules
from console.orders.checks import facts as check_facts
from console.orders.checks.check_subject import Facts, PriceSource, Subject
from console.orders.checks.pipeline import About, Stage
from console.orders.execution import amendments
from console.orders.models import Action, Confirmation, Modification, Order
from console.orders.states import Status
from console.orders.summary import Draft, Plan, Unclosable
from console.orders.terms import Terms, check_client_order_id, shown_terms
from console.orders.transitions import confirmations, order_state
from console.principal import Principal, Redeemer

_ORDERS = Insertion(Order)
_OF_THE_ORDER = frozenset({About.POSITION, About.ORDER})

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
class PlanItem:
    """One order of a plan, before it is checked."""

    terms: Terms
    client_order_id: str | None = None
    position: Decimal | None = None
    """The signed position its quantity comes from, for an order that closes or turns one."""


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
    item = PlanItem(terms=terms, client_order_id=client_order_id)
    return prepare_plan(principal, [item], account_id=account_id, request_id=request_id)


def prepare_plan(
    principal: Principal,
    items: Sequence[PlanItem],
    *,
    account_id: str | None = None,
    action: Action = Action.PLACE,
    all_or_none: bool = True,
    plan_id: str = "",
    request_id: str = "",
) -> Prepared:
    """Check several orders and hold them for one confirmation. Sends nothing. Raises Refusal, naming the item.

    A plan is known again by its client order ids: all of them with the same terms, or none. ``plan_id``: the trading
    plan whose order it is, and which alone releases it.
    """
    _for_each(items, lambda item: item.terms.check())
    asking = check_rows.app_rows(principal.app_id)
    asker = Subject(asking=asking, action=halts.GatedAction.PREPARE)
    pipeline.require(asker, Stage.SHOWN, about={About.ASKER})
    broker = broker_access.broker_of(asking.connection)
    try:
        account = broker_access.choose_account(broker, account_id, principal.account_id)
        asker = replace(asker, account_id=account.account_id, closes=action == Action.CLOSE)
        pipeline.require(asker, Stage.SHOWN, about={About.ASKER})
        wanted = _for_each(items, lambda item: order_request(broker, item.terms))
        requests = [request for request, _ in wanted]
        if earlier := _find_existing(principal, asking.connection, items, account.account_id, requests, plan_id):
            return earlier
        drafts = _for_each(
            list(zip(items, wanted, strict=True)), lambda pair: _checked_draft(asker, broker, pair[0], *pair[1])
        )
    except BrokerError as error:
        raise refusal_of_read(error) from error
    if all_or_none:
        together = check_facts.FundsCheck(asking.connection)
        for draft in drafts:
            together.add(draft.preview)
    plan = Plan(app=asking.app, account_id=account.account_id, action=action, all_or_none=all_or_none, plan_id=plan_id)
    try:
        return _hold_plan(principal, plan, drafts, request_id)
    except IntegrityError as error:
        # The same id was prepared by a call beside this one.
        earlier = _find_existing(principal, asking.connection, items, account.account_id, requests, plan_id)
        if earlier is None:
            raise _id_conflict(drafts[0].client_order_id) from error
        return earlier


def with_repeats(app: ConnectedApp, account_id: str, drafts: Sequence[Draft]) -> list[Draft]:
    """Each with how long ago the same order was confirmed; see ``repeated_orders.ago``."""
    agos = repeated_orders.ago(app, account_id, [each.request for each in drafts])
    return [replace(each, repeats=ago) for each, ago in zip(drafts, agos, strict=True)]


def _hold_plan(principal: Principal, plan: Plan, drafts: Sequence[Draft], request_id: str) -> Prepared:
    drafts = with_repeats(plan.app, plan.account_id, drafts)
    shown = summary.plan_terms(plan.app.connection, plan, drafts)
    confirmation, orders = _create(principal, plan, drafts, shown, request_id)
    return Prepared(order=orders[0], orders=tuple(orders), confirmation=confirmation, preview=drafts[0].preview)


def _for_each(things: Sequence[_T], step: Callable[[_T], _R]) -> list[_R]:
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


def order_request(broker: Broker, terms: Terms) -> tuple[OrderRequest, Instrument]:
    terms.check_offered(broker.capabilities)
    known = broker.instrument(terms.symbol)
    tif = terms.tif or broker.capabilities.usual_tif(terms.order_type, known.asset_class)
    terms = replace(terms, symbol=known.symbol, tif=tif)
    wire_id = uuid.uuid4().hex
    return terms.request(wire_id, terms.legs(partial(leg_ids.of_exit, wire_id))), known


def _checked_draft(
    asker: Subject, broker: Broker, item: PlanItem, request: OrderRequest, instrument: Instrument
) -> Draft:
    """Raises BrokerError, Refusal."""
    order = replace(asker, wanted=request, at_once=item.terms.at_once)
    facts = pipeline.require(order, Stage.SHOWN, Facts(order, broker, instrument=instrument), about=_OF_THE_ORDER)
    return draft_of(item, facts)


def draft_of(item: PlanItem, facts: Facts) -> Draft:
    """What is shown of an order. Where its broker has no estimate yet, that is ours. Raises BrokerError."""
    request, preview = facts.subject.request, facts.preview
    return Draft(
        terms=item.terms,
        request=request,
        client_order_id=item.client_order_id or request.client_order_id,
        instrument=facts.instrument,
        preview=preview or _own_estimate(facts),
        position=item.position,
        with_fee=preview is not None,
        worst=facts.worst,
    )


def _own_estimate(facts: Facts) -> Preview:
    """By the quote, without a fee: what a working order holds of a position is free once that is cancelled."""
    request, quote = facts.subject.request, facts.quote
    state = facts.broker.account_state(facts.subject.account_id or "")
    worth = facts.price * request.units * facts.instrument.multiplier
    return Preview(
        price=facts.price,
        notional=worth,
        fee=Decimal(0),
        cash_effect=worth if request.side is Side.SELL else -worth,
        buying_power=state.buying_power,
        buying_power_currency=state.currency,
        quote=quote,
    )


@transaction.atomic
def _create(
    principal: Principal, plan: Plan, drafts: Sequence[Draft], shown: dict[str, Any], request_id: str
) -> tuple[Confirmation, list[Order]]:
    by = principal.app_label
    wanted = [
        standing_rules.Wanted(request=draft.request, worst=draft.worst, at_once=draft.terms.at_once) for draft in drafts
    ]
    confirmation = confirmations.create(
        plan.app,
        plan.action,
        shown,
        asked=principal.redeemer,
        all_or_none=plan.all_or_none,
        rule=standing_rules.covering(plan.app, plan.app.connection, plan.action, wanted),
        plan_id=plan.plan_id,
    )
    orders = []
    for draft, told in zip(drafts, shown.get("orders", [shown]), strict=True):
        order = _row(confirmation, plan.account_id, draft, draft.request, draft.client_order_id, None)
        order_state.add_event(order, "", "Prepared and shown. Nothing was sent.", by, request_id, told)
        for leg in draft.request.legs:
            row = _row(confirmation, plan.account_id, draft, leg, leg.client_order_id, order)
            order_state.add_event(
                row, "", f"Prepared and shown with {order.public_id}. Nothing was sent.", by, request_id, {}
            )
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
        at_once=draft.terms.at_once and parent is None,
        position_shown=draft.position if parent is None else None,
        shown_price=draft.preview.price,
        status=Status.AWAITING,
        created_at=confirmation.created_at,
        moved_at=confirmation.created_at,
    )


def _find_existing(
    principal: Principal,
    connection: Connection,
    items: Sequence[PlanItem],
    account_id: str,
    requests: Sequence[OrderRequest],
    plan_id: str = "",
) -> Prepared | None:
    """What the same client order ids named before, if it is the same plan. Raises Refusal when it is another.

    Whoever is asked about it now is asked from then on: an app that held its confirmation can no longer redeem it.
    """
    named = [item.client_order_id for item in items if item.client_order_id is not None]
    for name in named:
        check_client_order_id(name, plan_id=plan_id)
    if len(set(named)) != len(named):
        raise Refusal(Code.INVALID_ARGUMENT, "Each order needs its own client_order_id.", field="client_order_id")
    known = Order.objects.select_related("confirmation").filter(connection=connection, client_order_id__in=named)
    if not (before := list(known)):
        return None
    confirmation = before[0].confirmation
    plan = list(confirmation.orders.filter(parent=None).order_by("pk"))
    same = (len(plan), confirmation.plan_id) == (len(items), plan_id) and all(
        order.client_order_id == item.client_order_id
        and (order.account_id, order.app_id) == (account_id, principal.app_id)
        and order.at_once == item.terms.at_once
        and shown_terms(order.request) == shown_terms(request)
        for order, item, request in zip(plan, items, requests, strict=True)
    )
    if not same:
        raise _id_conflict(before[0].client_order_id)
    confirmations.narrow(confirmation, principal.redeemer)
    return Prepared(order=plan[0], orders=tuple(plan), confirmation=confirmation, preview=None)


def _id_conflict(client_order_id: str) -> Refusal:
    return Refusal(
        Code.DUPLICATE_ORDER_ID,
        f"client_order_id {client_order_id} names a different order on this connection. Use a new one.",
        field="client_order_id",
    )


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
        position = open_position(broker, account.account_id, instrument.symbol)
        reduces = broker.capabilities.takes_reduce_only(instrument.asset_class)
    if order_type not in (OrderType.MARKET, OrderType.LIMIT):
        raise Refusal(Code.INVALID_ARGUMENT, "Close a position with a MKT or LMT order.", field="order_type")
    item = PlanItem(
        terms=Terms(
            symbol=instrument.symbol,
            side=side_to_close(position.quantity),
            quantity=quantity_to_close(position, instrument, quantity=quantity, percent=percent),
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
                "This broker cannot reverse a position in one order. Close it with close_position, then place an "
                "order on the other side once that has filled.",
                field="symbol",
            )
        position = open_position(broker, account.account_id, instrument.symbol)
    item = PlanItem(
        terms=Terms(
            symbol=instrument.symbol,
            side=side_to_close(position.quantity),
            quantity=2 * abs(position.quantity),
        ),
        position=position.quantity,
    )
    return prepare_plan(principal, [item], account_id=account.account_id, action=Action.REVERSE, request_id=request_id)


def prepare_flatten(
    principal: Principal, *, account_id: str | None = None, request_id: str = ""
) -> tuple[Prepared, list[Unclosable]]:
    """Hold a plan that closes every position of the account and cancels its orders. Raises Refusal.

    Nothing is cancelled before the release; each close must then still be the whole position. With it come the
    positions that cannot be closed now: their orders stay, because what guards a position goes only with it. So do all
    orders in symbols without a known position where the broker lists one that cannot be read.
    """
    asking = check_rows.app_rows(principal.app_id)
    app = asking.app
    asker = Subject(
        asking=asking,
        action=halts.GatedAction.FLATTEN if app.is_console else halts.GatedAction.PREPARE,
        estimate=PriceSource.PREVIEW_OR_QUOTE,
        closes=True,
    )
    pipeline.require(asker, Stage.SHOWN, about={About.ASKER})
    broker = broker_access.broker_of(app.connection)
    drafts, left_out = [], []
    try:
        account = broker_access.choose_account(broker, account_id, principal.account_id)
        is_owners = confirmations.redeemer_of(app, principal.redeemer) is Redeemer.OWNER
        whose = None if is_owners else app
        asker = replace(asker, account_id=account.account_id)
        pipeline.require(asker, Stage.SHOWN, about={About.ASKER})
        for position in broker.positions(account.account_id):
            if position.quantity:
                try:
                    order_access.check_no_other_orders(whose, app.connection, account.account_id, position.symbol)
                    item = _close_of(broker, position)
                    draft = _checked_draft(asker, broker, item, *order_request(broker, item.terms))
                except (AuthFailed, RateLimited):  # said of the connection, not of this position
                    raise
                except Rejected as error:
                    left_out.append(Unclosable(symbol=position.symbol, refusal=refusal_of_read(error)))
                except Refusal as refusal:
                    left_out.append(Unclosable(symbol=position.symbol, refusal=refusal))
                else:
                    drafts.append(draft)
        unreadable = position_checks.unreadable(broker)
    except BrokerError as error:
        raise refusal_of_read(error) from error
    left_out += [Unclosable(symbol=name, refusal=_unreadable(name, word)) for name, word in unreadable]
    if not drafts:
        if left_out:
            raise left_out[0].refusal
        raise Refusal(Code.NO_POSITION, "This account has no position. To cancel its orders, use cancel_all_orders.")
    plan = Plan(
        app=app,
        account_id=account.account_id,
        action=Action.FLATTEN,
        all_or_none=False,
        opening=summary.opening_text(
            app.connection,
            account.account_id,
            left_out,
            whose,
            closing=[each.request.symbol for each in drafts],
            only_closed=bool(unreadable),
        ),
        stays=tuple(each.symbol for each in left_out),
        only_closed=bool(unreadable),
        cancels=order_access.ALL_ORDERS if is_owners else order_access.OWN_ORDERS,
    )
    return _hold_plan(principal, plan, drafts, request_id), left_out


def _unreadable(name: str, word: str) -> Refusal:
    return Refusal(
        Code.POSITION_UNREADABLE,
        f"The broker lists a position {name} that this version cannot read ({word}). It is not closed; look at it at "
        "the broker.",
    )


def _close_of(broker: Broker, position: Position) -> PlanItem:
    """Raises BrokerError."""
    units = abs(position.quantity)
    if position.asset_class is AssetClass.CRYPTO:
        units = _whole_lots(position, broker.instrument(position.symbol))
    terms = Terms(
        symbol=position.symbol,
        side=side_to_close(position.quantity),
        quantity=units,
        reduce_only=broker.capabilities.takes_reduce_only(position.asset_class),
    )
    return PlanItem(terms=terms, position=position.quantity)


# -- modify --------------------------------------------------------------------------------------------------


def prepare_change(
    principal: Principal,
    order_id: str,
    asked: OrderChanges,
    *,
    account_id: str | None = None,
    at_once: bool = False,
    request_id: str = "",
) -> Modification:
    """Hold a change of an order of the principal's connection for confirmation; see ``amendments``. Raises Refusal."""
    asking, order = check_rows.app_rows(principal.app_id), order_queries.find_order(principal, order_id, account_id)
    order_access.check_may_change(asking.app, order)
    return amendments.prepare(
        asking,
        order,
        asked,
        at_once=at_once,
        redeemer=principal.redeemer,
        by=principal.app_label,
        request_id=request_id,
    )


def app_of(principal: Principal) -> ConnectedApp:
    return ConnectedApp.objects.select_related("connection").get(pk=principal.app_id)


def open_position(broker: Broker, account_id: str, symbol: str) -> Position:
    """Raises Refusal when there is none, and BrokerError."""
    for each in broker.positions(account_id):
        if each.symbol == symbol and each.quantity:
            return each
    raise Refusal(Code.NO_POSITION, f"This account has no position in {symbol}. Nothing was prepared.", field="symbol")


def side_to_close(quantity: Decimal) -> Side:
    return Side.SELL if quantity > 0 else Side.BUY


def _whole_lots(position: Position, instrument: Instrument) -> Decimal:
    """All of it; of a coin without what is less than a lot, as a fee taken in coins leaves it. Less than one lot is
    all of it, for its broker to refuse."""
    whole = abs(position.quantity)
    if position.asset_class is not AssetClass.CRYPTO:
        return whole
    return whole // instrument.lot * instrument.lot or whole


def quantity_to_close(
    position: Position, instrument: Instrument, *, quantity: Decimal | None = None, percent: Decimal | None = None
) -> Decimal:
    """Units to close: as named, or a share rounded down to the lot, or all of it. Raises Refusal."""
    held, whole = abs(position.quantity), _whole_lots(position, instrument)
    if quantity is not None and percent is not None:
        raise Refusal(Code.INVALID_ARGUMENT, "Give quantity or percent, not both.", field="percent")
    if percent is not None:
        if not 0 < percent <= 100:
            raise Refusal(Code.INVALID_ARGUMENT, "percent must be above 0 and at most 100.", field="percent")
        part = held * percent / 100
        part = whole if percent == 100 else (part / instrument.lot).to_integral_value(ROUND_DOWN) * instrument.lot
        if not part:
            raise Refusal(
                Code.INVALID_ARGUMENT,
                f"{plain(percent)}% of {plain(held)} {position.symbol} is less than the lot size of "
                f"{plain(instrument.lot)}.",
                field="percent",
            )
        return part
    if quantity is not None and quantity > held:
        raise Refusal(
            Code.INSUFFICIENT_POSITION,
            f"The position is {plain(position.quantity)} {position.symbol}, less than {plain(quantity)}. To reverse "
            "it, use reverse_position.",
            field="quantity",
        )
    return whole if quantity is None else quantity
