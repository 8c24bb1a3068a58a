"""Sending a committed intent, once, and learning what became of it.

No broker is called inside a transaction: a row is claimed by a conditional move, the broker is called, the
outcome is recorded by another move.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from django.conf import settings
from django.db import DatabaseError, transaction
from django.utils import timezone

from brokers.base import AskingBroker, Broker
from brokers.decimals import plain
from brokers.errors import (
    BrokerError,
    DuplicateClientId,
    InsufficientFunds,
    InsufficientPosition,
    NeedsAnswer,
    Rejected,
    UnknownOutcome,
    WriteOutcome,
)
from brokers.types import BrokerOrder, BrokerStatus, Fill, OrderType, Preview, Side
from console import ids
from console.connections import broker_access
from console.errors import Code, Refusal, code_of
from console.halts import services as halts
from console.halts.services import GatedAction
from console.orders import changes, exposure, moves, risk, sizing, states
from console.orders.checks import rows
from console.orders.models import Modification, Order, Question
from console.orders.moves import Moved
from console.orders.risk import Facts
from console.orders.states import Change, Status

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """An order that passed every check outside a transaction, and what those inside one need."""

    preview: Preview | None
    """None where the broker cannot estimate it yet."""
    facts: Facts
    held: sizing.Held | None
    """For an order that was sized by a position: what that is now."""


def check_release(order: Order) -> Checked:
    """Funds and rules by the broker's own word, and the price against the one shown. Raises BrokerError, Refusal.

    What it returns is for the transaction that releases the order.
    """
    broker = broker_access.broker_of(order.connection)
    held = None
    if order.position_shown is not None:
        held = sizing.look(order, broker)
        sizing.check_still(order, held)
    request = order.request
    preview = broker.preview(order.account_id, request)
    risk.check_drift(OrderType(order.order_type), order.shown_price, preview.price)
    instrument = broker.instrument(order.symbol)
    facts = exposure.look(broker, order.connection, order.app, instrument, preview.quote, request=request)
    return Checked(preview=preview, facts=facts, held=held)


def check_asked(order: Order) -> Checked:
    """``check_release`` of an order its broker asks about: by quotes, as a preview beside it could undo the question.

    Raises BrokerError, Refusal.
    """
    broker = broker_access.broker_of(order.connection)
    held = None
    if order.position_shown is not None:
        held = sizing.look(order, broker)
        sizing.check_still(order, held)
    quote = broker.quotes([order.symbol])[0]
    price = order.limit_price or order.stop_price or (quote.bid if order.side == Side.SELL else quote.ask)
    risk.check_drift(OrderType(order.order_type), order.shown_price, price)
    instrument = broker.instrument(order.symbol)
    facts = exposure.look(broker, order.connection, order.app, instrument, quote, request=order.request)
    return Checked(preview=None, facts=facts, held=held)


def check_ahead(order: Order) -> Checked:
    """What can be told of a close while other orders still hold its position: that it is as shown, and the price.

    Raises BrokerError, Refusal.
    """
    broker = broker_access.broker_of(order.connection)
    sizing.check_as_shown(order, sizing.look(order, broker))
    quote = broker.quotes([order.symbol])[0]
    risk.check_drift(
        OrderType(order.order_type), order.shown_price, quote.bid if order.side == Side.SELL else quote.ask
    )
    instrument = broker.instrument(order.symbol)
    facts = exposure.look(broker, order.connection, order.app, instrument, quote)
    # Whatever else its broker would refuse it for is known before anything that guards the position is cancelled.
    with suppress(InsufficientPosition, InsufficientFunds):
        broker.preview(order.account_id, order.request)
    return Checked(preview=None, facts=facts, held=None)


def send(order: Order, *, by: str, request_id: str = "") -> Order:
    """Send a committed intent, once. Raises Refusal, the order then DENIED, when permission was taken back."""
    try:
        _claim(order, by, request_id)
    except Moved:
        order.refresh_from_db()
        return order
    except Refusal as refusal:
        moves.deny(order, refusal, by, request_id)
        raise
    _deliver(order, lambda broker: broker.submit(order.account_id, order.request))
    return order


def answer_yes(question: Question) -> Order:
    """Tell the broker its owner's yes, once. It is committed, and what it is about SENDING, before this is called."""
    order = question.order

    def say(broker: Broker) -> BrokerOrder | None:
        return cast(AskingBroker, broker).answer(order.account_id, order.wire_id, question.token, True)

    if question.modification is None:
        _deliver(order, say)
    else:
        _deliver_change(question.modification, say)
        order.refresh_from_db()
    return order


def answer_no(question: Question) -> None:
    """Tell the broker its owner's no, once. The order has ended here already, and without a yes nothing stands."""
    order = question.order
    try:
        cast(AskingBroker, broker_access.broker_of(order.connection)).answer(
            order.account_id, order.wire_id, question.token, False
        )
    except BrokerError as error:
        log.warning("The no to question %s may not have arrived: %s", question.public_id, error)


def _deliver(order: Order, act: Callable[[Broker], BrokerOrder | None]) -> None:
    """Send what was committed, once, and record what became of it."""
    try:
        answer = act(broker_access.broker_of(order.connection))
        if answer is None:
            raise UnknownOutcome("The broker did not say what became of the order.")
    except NeedsAnswer as asked:
        _ask(order, asked)
        return
    except DuplicateClientId:
        moves.settle(order, Status.UNKNOWN, Code.OUTCOME_UNKNOWN, "The broker has an order of this id already.")
        with suppress(BrokerError):  # the sweep asks again
            refresh(order)
        return
    except BrokerError as error:
        after = {
            WriteOutcome.REJECTED: Status.REJECTED,
            WriteOutcome.NOT_SENT: Status.NOT_SENT,
            WriteOutcome.UNKNOWN: Status.UNKNOWN,
        }[error.outcome]
        moves.settle(order, after, code_of(error), str(error))
        return
    except Exception:
        # Not proved to be unsent, so it may stand.
        log.exception("Sending order %s failed", order.public_id)
        moves.settle(order, Status.UNKNOWN, Code.OUTCOME_UNKNOWN, "The broker's answer was lost.")
        return
    adopt(order, answer)
    for leg in order.legs.filter(status=Status.SENDING) if order.has_legs else ():
        with suppress(BrokerError):  # the sweep asks again
            refresh(leg)


@transaction.atomic
def _ask(order: Order, asked: NeedsAnswer) -> None:
    """Keep the broker's question for the order's owner. No program answers it, and no token leads to its answer."""
    if not moves.attempt(
        order,
        Status.ASKED,
        f"{asked} Only its owner can answer, in the console.",
        "broker",
        "",
        code=Code.BROKER_ASKS,
        reason=str(asked)[:500],
    ):
        log.error("Order %s is %s, and its broker asks about it", order.public_id, order.status)
        return
    _keep(order, None, asked)


@transaction.atomic
def _ask_about(change: Modification, asked: NeedsAnswer) -> None:
    words = f"{asked} Only its owner can answer, in the console. The order stands as it was."
    if changes.attempt(change, Change.ASKED, words, "broker", "", code=Code.BROKER_ASKS, reason=str(asked)[:500]):
        _keep(change.order, change, asked)
    else:
        log.error("Modification %s is %s, and its broker asks about it", change.public_id, change.status)


def _keep(order: Order, change: Modification | None, asked: NeedsAnswer) -> None:
    now = timezone.now()
    Question.objects.create(
        public_id=ids.new("qst"),
        order=order,
        modification=change,
        words=[words[:2000] for words in asked.questions],
        token=asked.token,
        asked_at=now,
        expires_at=now + timedelta(seconds=settings.CONFIRMATION_SECONDS),
    )


@transaction.atomic
def _claim(order: Order, by: str, request_id: str) -> None:
    """Whoever moves it to SENDING is the one who sends, with permission looked at under the same locks."""
    app, connection = rows.locked(order.app_id)
    risk.check_permission(app, connection)
    halts.check(order.confirmation.at_halts, connection, app.pk, order.account_id)
    moves.move(order, Status.SENDING, "Sent to the broker.", by, request_id, sent_at=timezone.now())


def replace(change: Modification, *, by: str, request_id: str = "") -> None:
    """Send a committed modification, once. Raises Refusal, it then DENIED, when permission was taken back."""
    order = change.order
    try:
        _claim_change(change, by, request_id)
    except Moved:
        change.refresh_from_db()
        return
    except Refusal as refusal:
        changes.deny(change, refusal, by, request_id)
        raise
    _deliver_change(
        change, lambda broker: broker.replace(order.account_id, order.wire_id, change.asked, change.wire_id)
    )


def _deliver_change(change: Modification, act: Callable[[Broker], BrokerOrder | None]) -> None:
    """Send what was committed, once, and record what became of it."""
    order = change.order
    try:
        answer = act(broker_access.broker_of(order.connection))
        if answer is None:
            raise UnknownOutcome("The broker did not say what became of the change.")
    except NeedsAnswer as asked:
        _ask_about(change, asked)
        return
    except DuplicateClientId:
        changes.settle(change, Change.UNKNOWN, Code.OUTCOME_UNKNOWN, "The broker has an order of this id already.")
    except BrokerError as error:
        after = {
            WriteOutcome.REJECTED: Change.REJECTED,
            WriteOutcome.NOT_SENT: Change.NOT_SENT,
            WriteOutcome.UNKNOWN: Change.UNKNOWN,
        }[error.outcome]
        changes.settle(change, after, code_of(error), str(error))
    except Exception:
        # Not proved to be unsent, so it may hold.
        log.exception("Sending modification %s failed", change.public_id)
        changes.settle(change, Change.UNKNOWN, Code.OUTCOME_UNKNOWN, "The broker's answer was lost.")
    else:
        changes.done(change, answer)
        if answer.filled_quantity >= order.filled_quantity:
            adopt(order, answer)
            return
        # An answer to a question tells no fills: they are read.
    with suppress(BrokerError):  # the sweep asks again
        refresh(order)
    change.refresh_from_db()


@transaction.atomic
def _claim_change(change: Modification, by: str, request_id: str) -> None:
    app, connection = rows.locked(change.confirmation.app_id)
    risk.check_permission(app, connection)
    halts.check(GatedAction.RELEASE, connection, app.pk, change.order.account_id)
    changes.move(change, Change.SENDING, "The change was sent to the broker.", by, request_id)


def take_back(order: Order) -> None:
    """Ask the broker to cancel; for an order still on its way, only once the broker knows it. Raises BrokerError.

    What is known to be at the broker is cancelled there even when it cannot be looked up, or nothing written here.
    """
    try:
        refresh(order)
    except (BrokerError, DatabaseError):
        if order.state not in states.AT_BROKER:
            raise
        log.exception("Order %s could not be brought up to date before its cancel", order.public_id)
    if order.state in states.AT_BROKER:
        try:
            answer = broker_access.broker_of(order.connection).cancel(
                order.account_id, order.wire_id, symbol=order.symbol
            )
        except Rejected:
            asked = order.wire_id
            try:
                order.refresh_from_db()
                refresh(order)
            except (BrokerError, DatabaseError):
                log.exception("What stands of order %s, whose cancel was rejected, is not known", order.public_id)
            if order.wire_id == asked or order.state not in states.AT_BROKER:
                raise
            take_back(order)  # a change made another order of it meanwhile
            return
        try:
            adopt(order, answer)
        except DatabaseError:
            log.exception("The broker's answer to the cancel of order %s is not on record", order.public_id)
            # For the caller; the sweep puts it on record once it can.
            order.status, order.filled_quantity = states.FROM_BROKER[answer.status], answer.filled_quantity


def refresh(order: Order) -> None:
    """Bring one order up to date with its broker. Raises BrokerError."""
    sent_with_its_parent = order.parent_id is not None and order.state is Status.SENDING
    if (
        order.state in states.AT_BROKER
        or order.state in (Status.UNKNOWN, Status.NOT_FOUND)
        or sent_with_its_parent
        or order.modifications.filter(status=Change.UNKNOWN).exists()
    ):
        _look_up(order, broker_access.broker_of(order.connection))


def not_as_told(orders: Sequence[Order], told: Sequence[BrokerOrder]) -> list[Order]:
    """Those of ``orders`` that have to be looked up one by one. The others rest as the broker's list of open orders
    has them, unfilled and unchanged, and are noted as looked up.
    """
    listed = {each.client_order_id: each for each in told}
    changing = Modification.objects.filter(order__in=[order.pk for order in orders], status__in=_CHANGING)
    others = set(changing.values_list("order_id", flat=True))
    same = {order.pk for order in orders if order.pk not in others and _rests_as(order, listed.get(order.wire_id))}
    if same:
        Order.objects.filter(pk__in=same, status=Status.WORKING).update(looked_up_at=timezone.now())
    return [order for order in orders if order.pk not in same]


def _rests_as(order: Order, answer: BrokerOrder | None) -> bool:
    """Whatever else a list tells of an order may be less than what the broker tells of that order alone."""
    return (
        answer is not None
        and answer.broker_order_id == order.broker_order_id
        and states.FROM_BROKER[answer.status] is order.state is Status.WORKING
        and not answer.filled_quantity
        and not order.filled_quantity
    )


def _look_up(order: Order, broker: Broker) -> None:
    now = timezone.now()
    change = order.modifications.filter(status__in=_CHANGING).first()
    answer = None if change is None else broker.order(order.account_id, change.wire_id, symbol=order.symbol)
    if answer is None:
        answer = broker.order(order.account_id, order.wire_id, symbol=order.symbol)
        if change is not None and not _settle_change(change, answer, now, broker):
            Order.objects.filter(pk=order.pk).update(looked_up_at=now)
            return
    elif change is not None:
        changes.done(change, answer)
    if change is not None:
        order.refresh_from_db()
    elif answer is not None and answer.status is BrokerStatus.CANCELLED:
        if _overtaken(order):
            order.refresh_from_db()
            return  # the next look is at what the change made of it
        answer = _made_late(order, broker) or answer
    if answer is not None:
        adopt(order, answer)
        return
    Order.objects.filter(pk=order.pk).update(looked_up_at=now)
    if order.state is Status.UNKNOWN:
        if now >= order.moved_at + timedelta(seconds=_horizon(broker)):
            moves.settle(
                order,
                Status.NOT_FOUND,
                Code.BROKER_UNAVAILABLE,
                "The broker has no such order: it never arrived, and it will not be sent again.",
            )
    elif order.state in states.AT_BROKER:
        log.error("Order %s is open here, but its broker does not know it", order.public_id)


def _settle_change(change: Modification, answer: BrokerOrder | None, now: datetime, broker: Broker) -> bool:
    """What the order as it is at the broker says of a modification under way. False: nothing can be said yet.

    A broker that makes a new order of a changed one reports the old one as cancelled, so until it is settled
    which of the two happened a cancelled order is not taken for one.
    """
    if answer is not None and changes.holds(change, answer):
        changes.done(change, answer)
        return True
    if change.state is Change.UNKNOWN and now >= change.moved_at + timedelta(seconds=_horizon(broker)):
        if answer is None or changes.holds(change, answer) is False:
            reason = "The broker still has the order as it was: the change never arrived, and is not sent again."
            changes.settle(change, Change.NOT_DONE, Code.BROKER_UNAVAILABLE, reason)
        return True
    return answer is not None and answer.status is not BrokerStatus.CANCELLED


_CHANGING = (Change.SENDING, Change.UNKNOWN)


def _overtaken(order: Order) -> bool:
    """Whether a change may have made another order of it since it was read: the broker calls the old one cancelled.

    Such a change is on its way before the broker can have it, and its new id on record once it is done.
    """
    if order.modifications.filter(status__in=_CHANGING).exists():
        return True
    return not Order.objects.filter(pk=order.pk, wire_id=order.wire_id).exists()


def _made_late(order: Order, broker: Broker) -> BrokerOrder | None:
    """The order that a change made of this one after it was given up: as with an order, a broker can be merely late."""
    for change in order.modifications.filter(status=Change.NOT_DONE):
        made = broker.order(order.account_id, change.wire_id, symbol=order.symbol)
        if made is not None and changes.done(change, made):
            order.refresh_from_db()
            return made
    return None


def _horizon(broker: Broker) -> float:
    """Seconds as UNKNOWN before "no such order" proves anything: until then a slow sender may still be at work."""
    return max(broker.capabilities.not_found_after, settings.SENDING_LEASE_SECONDS)


def adopt(order: Order, answer: BrokerOrder) -> None:
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
    # The sweep may have moved the order while its answer was on the way: the broker's word still counts.
    for _ in range(2):
        try:
            if after is order.state:
                _note(order, answer, fields)
            else:
                moves.move(order, after, _news(order, answer), "broker", "", data=_fills(answer), **fields)
        except Moved:
            order.refresh_from_db()
        else:
            return
    log.warning("Order %s is %s here and %s at its broker", order.public_id, order.status, after)


def _note(order: Order, answer: BrokerOrder, fields: dict[str, Any]) -> None:
    """News that do not change where the order stands."""
    if answer.filled_quantity < order.filled_quantity:
        return  # an older answer that arrived late
    with transaction.atomic():
        news = order.filled_quantity != answer.filled_quantity
        Order.objects.filter(pk=order.pk, status=order.status).update(**fields)
        for name, value in fields.items():
            setattr(order, name, value)
        if news:
            moves.event(order, order.status, _news(order, answer), "broker", "", _fills(answer))


def _news(order: Order, answer: BrokerOrder) -> str:
    words = states.WORDS[states.FROM_BROKER[answer.status]]
    if answer.filled_quantity:
        words += (
            f": {plain(answer.filled_quantity)}{_of(order)} at "
            f"{plain(answer.average_price) if answer.average_price is not None else '?'} {order.currency}, "
            f"fee {plain(answer.fees)} {order.currency}"
        )
    return f"{words}. {answer.reason}".strip() if answer.reason else f"{words}."


def _of(order: Order) -> str:
    return "" if order.quantity is None else f" of {plain(order.quantity)}"


def _fills(answer: BrokerOrder) -> dict[str, Any]:
    return {"fills": [_fill_record(fill) for fill in answer.fills]}


def _fill_record(fill: Fill) -> dict[str, str]:
    return {
        "quantity": plain(fill.quantity),
        "price": plain(fill.price),
        "fee": plain(fill.fee),
        "currency": fill.currency,
        "filled_at": fill.filled_at.isoformat(),
        "priced_by": fill.source,
    }
