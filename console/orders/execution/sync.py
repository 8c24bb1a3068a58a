"""Learning from the broker what became of an order, and taking it over."""

import logging
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, cast

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from brokers.base import Broker, QuotingBroker
from brokers.decimals import plain
from brokers.types import BrokerOrder, BrokerStatus, Fill, Side
from console.connections import broker_access
from console.errors import Code
from console.orders import states
from console.orders.checks import daily_usage
from console.orders.models import Modification, Order
from console.orders.states import AmendmentStatus, Status
from console.orders.transitions import amendment_state, order_state
from console.orders.transitions.order_state import ConcurrentUpdate

log = logging.getLogger(__name__)


def refresh(order: Order, told: BrokerOrder | None = None) -> None:
    """Bring one order up to date with its broker. Raises BrokerError.

    ``told``: the order as its broker tells it by itself, where that was read a moment ago for several at once.
    """
    sent_with_its_parent = order.parent_id is not None and order.state is Status.SENDING
    if (
        order.state in states.AT_BROKER
        or order.state in (Status.UNKNOWN, Status.NOT_FOUND)
        or sent_with_its_parent
        or order.modifications.filter(status=AmendmentStatus.UNKNOWN).exists()
    ):
        _look_up(order, broker_access.broker_of(order.connection), told)


def _look_up(order: Order, broker: Broker, told: BrokerOrder | None = None) -> None:
    now = timezone.now()
    change = order.modifications.filter(status__in=IN_PROGRESS).first()
    answer = None if change is None else _under_new_id(order, change, broker)
    if answer is None:
        answer = told or _asked(order, broker)
        if change is not None and not _settle_amendment(change, answer, now, broker):
            order_state.mark_looked_up(order, now)
            return
    elif change is not None:
        amendment_state.mark_done(change, answer)
    if change is not None:
        order.refresh_from_db()
    elif answer is not None and answer.status is BrokerStatus.CANCELLED:
        if _overtaken(order):
            order.refresh_from_db()
            return  # the next look is at what the change made of it
        answer = _late_replacement(order, broker) or answer
    elif answer is not None and answer.status.is_open:
        _notice_late_change(order, answer)
    if answer is not None:
        apply_answer(order, answer)
        return
    order_state.mark_looked_up(order, now)
    if order.state is Status.UNKNOWN:
        if now >= order.moved_at + timedelta(seconds=_not_found_after(broker)):
            order_state.record_outcome(
                order,
                Status.NOT_FOUND,
                Code.BROKER_UNAVAILABLE,
                "The broker has no such order: it never arrived. It will not be sent again.",
            )
    elif order.state in states.AT_BROKER:
        log.error("Order %s is open here, but its broker does not know it", order.public_id)


def _asked(order: Order, broker: Broker) -> BrokerOrder | None:
    if broker.capabilities.firm_quotes and order.broker_order_id:
        return cast(QuotingBroker, broker).order_of_quote(order.account_id, order.request, order.broker_order_id)
    return broker.order(order.account_id, order.wire_id, symbol=order.symbol)


def _under_new_id(order: Order, change: Modification, broker: Broker) -> BrokerOrder | None:
    if not broker.capabilities.change_may_rename:
        return None
    return broker.order(order.account_id, change.wire_id, symbol=order.symbol)


def _settle_amendment(change: Modification, answer: BrokerOrder | None, now: datetime, broker: Broker) -> bool:
    """What the order as it is at the broker says of a modification under way. False: nothing can be said yet.

    A broker that makes a new order of a changed one reports the old one as cancelled, so until it is settled
    which of the two happened a cancelled order is not taken for one.
    """
    if answer is not None and amendment_state.has_taken_effect(change, answer):
        amendment_state.mark_done(change, answer)
        return True
    if change.state is AmendmentStatus.UNKNOWN and now >= change.moved_at + timedelta(seconds=_not_found_after(broker)):
        if answer is None or amendment_state.has_taken_effect(change, answer) is False:
            reason = "The broker still has the old order: the change never arrived. It will not be sent again."
            amendment_state.record_outcome(change, AmendmentStatus.NOT_DONE, Code.BROKER_UNAVAILABLE, reason)
        return True
    return answer is not None and answer.status is not BrokerStatus.CANCELLED


IN_PROGRESS = (AmendmentStatus.SENDING, AmendmentStatus.UNKNOWN)


def _overtaken(order: Order) -> bool:
    """Whether a change may have made another order of it since it was read: the broker calls the old one cancelled.

    Such a change is on its way before the broker can have it, and its new id on record once it is done.
    """
    if order.modifications.filter(status__in=IN_PROGRESS).exists():
        return True
    return not Order.objects.filter(pk=order.pk, wire_id=order.wire_id).exists()


def _late_replacement(order: Order, broker: Broker) -> BrokerOrder | None:
    """The order that a change made of this one after it was given up: as with an order, a broker can be merely late."""
    for change in order.modifications.filter(status=AmendmentStatus.NOT_DONE):
        made = _under_new_id(order, change, broker)
        if made is not None and amendment_state.mark_done(change, made):
            order.refresh_from_db()
            return made
    return None


def _notice_late_change(order: Order, answer: BrokerOrder) -> None:
    """The same at a broker that changes an order in place: it stands there as a change that was given up asked for."""
    if all(getattr(answer, name) in (None, getattr(order, name)) for name in amendment_state.PRICED):
        return
    for change in order.modifications.filter(status=AmendmentStatus.NOT_DONE).order_by("-pk"):
        is_new = any(getattr(order, name) != value for name, value in amendment_state.terms_of(change).items())
        if is_new and amendment_state.has_taken_effect(change, answer) and amendment_state.mark_done(change, answer):
            order.refresh_from_db()
            return


def _not_found_after(broker: Broker) -> float:
    """Seconds as UNKNOWN before "no such order" proves anything: until then a slow sender may still be at work."""
    return max(broker.capabilities.not_found_after, settings.SENDING_LEASE_SECONDS)


def apply_answer(order: Order, answer: BrokerOrder) -> None:
    """Take over what the broker says about the order. Its word is final about fills."""
    after = states.FROM_BROKER[answer.status]
    fields: dict[str, Any] = {
        "filled_quantity": answer.filled_quantity,
        "average_price": answer.average_price,
        "fees": answer.fees,
        "broker_order_id": answer.broker_order_id,
        "looked_up_at": timezone.now(),
    }
    placed = None if answer.held else answer.quantity
    if placed and order.quantity not in (None, placed) and daily_usage.is_exit(order):
        fields["quantity"] = placed  # a broker places an exit for what its order has filled
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
                _apply_without_move(order, answer, fields)
            else:
                order_state.move(
                    order, after, _describe_answer(order, answer), "broker", "", data=_fills(order, answer), **fields
                )
        except ConcurrentUpdate:
            order.refresh_from_db()
        else:
            return
    order_state.mark_looked_up(order, timezone.now())
    log.warning("Order %s is %s here and %s at its broker", order.public_id, order.status, after)


def _apply_without_move(order: Order, answer: BrokerOrder, fields: dict[str, Any]) -> None:
    """News that do not change where the order stands."""
    if answer.filled_quantity < order.filled_quantity:  # an older answer that arrived late
        order_state.mark_looked_up(order, timezone.now())
        return
    with transaction.atomic():
        news = order.filled_quantity != answer.filled_quantity
        order_state.apply_in_place(order, fields)
        if news:
            order_state.add_event(
                order, order.status, _describe_answer(order, answer), "broker", "", _fills(order, answer)
            )


def _describe_answer(order: Order, answer: BrokerOrder) -> str:
    words = states.STATUS_LABELS[states.FROM_BROKER[answer.status]]
    if answer.filled_quantity:
        words += (
            f": {plain(answer.filled_quantity)}{_of_quantity(order)} at "
            f"{plain(answer.average_price) if answer.average_price is not None else '?'} {order.currency}, "
            f"fee {plain(answer.fees)} {order.currency}"
        )
        words += _of_legs(order, answer)
    return f"{words}. {answer.reason}".strip() if answer.reason else f"{words}."


def _of_legs(order: Order, answer: BrokerOrder) -> str:
    """What became of each option of an order of several, at its average price."""
    said = []
    for leg in () if order.spread is None else order.spread.legs:
        fills = [fill for fill in answer.fills if leg.is_called(fill.symbol)]
        if units := sum((fill.quantity for fill in fills), Decimal(0)):
            paid = sum((fill.quantity * fill.price for fill in fills), Decimal(0)) / units
            done = "bought" if fills[0].side is Side.BUY else "sold"
            said.append(f"{leg.words}: {done} {plain(units)} at {plain(round(paid, 4))}")
    return f" ({'; '.join(said)})" if said else ""


def _of_quantity(order: Order) -> str:
    return "" if order.quantity is None else f" of {plain(order.quantity)}"


def _fills(order: Order, answer: BrokerOrder) -> dict[str, Any]:
    """Of several options in one order each fill says which of them it was."""
    of_legs = order.spread is not None
    return {"fills": [_fill_record(fill) | (_leg_record(fill) if of_legs else {}) for fill in answer.fills]}


def _leg_record(fill: Fill) -> dict[str, str]:
    return {"symbol": fill.symbol, "side": fill.side.value}


def _fill_record(fill: Fill) -> dict[str, str]:
    return {
        "quantity": plain(fill.quantity),
        "price": plain(fill.price),
        "fee": plain(fill.fee),
        "currency": fill.currency,
        "filled_at": fill.filled_at.isoformat(),
        "priced_by": fill.source,
    }
