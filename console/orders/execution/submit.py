"""Sending a committed intent, once, and learning what became of it.

No broker is called inside a transaction: a row is claimed by a conditional move, the broker is called, the
outcome is recorded by another move.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from typing import cast

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from brokers.base import AskingBroker, Broker, QuotingBroker
from brokers.errors import BrokerError, BrokerUnavailable, DuplicateClientId, NeedsAnswer, UnknownOutcome, WriteOutcome
from brokers.types import BrokerOrder
from console import ids
from console.connections import broker_access
from console.errors import Code, Refusal, code_of
from console.halts.services import GatedAction
from console.orders.checks import check_rows, pipeline
from console.orders.checks.check_subject import Subject
from console.orders.checks.pipeline import About, Stage
from console.orders.execution import sync
from console.orders.models import Modification, Order, Question
from console.orders.states import AmendmentStatus, Status
from console.orders.terms import shown_of_each
from console.orders.transitions import amendment_state, order_state
from console.orders.transitions.order_state import ConcurrentUpdate

log = logging.getLogger(__name__)


def send(order: Order, *, by: str, request_id: str = "") -> Order:
    """Send a committed intent, once. Raises Refusal, the order then DENIED, when permission was taken back."""
    try:
        _claim(order, by, request_id)
    except ConcurrentUpdate:
        order.refresh_from_db()
        return order
    except Refusal as refusal:
        order_state.deny(order, refusal, by, request_id)
        raise
    _deliver(order, lambda broker: _place(order, broker))
    return order


def _place(order: Order, broker: Broker) -> BrokerOrder:
    """An order that is filled at a quote has that quote's id kept before it is committed: it is looked up by nothing
    else."""
    request = order.request
    if broker.capabilities.firm_quotes:
        quoting = cast(QuotingBroker, broker)
        if quote_id := quoting.firm_quote(order.account_id, request, most_fee=_shown_fee(order)):
            if not order_state.keep_quote(order, quote_id):
                raise BrokerUnavailable("This took too long, and the order was given up. Nothing was sent.")
            return quoting.commit(order.account_id, request, quote_id)
    return broker.submit(order.account_id, request)


def _shown_fee(order: Order) -> Decimal | None:
    """What it was said to cost when it was confirmed; None: its fee was not told."""
    plan = list(order.confirmation.orders.filter(parent=None).order_by("pk").values_list("pk", flat=True))
    told = shown_of_each(order.confirmation.terms, len(plan))[plan.index(order.pk)].get("fee")
    return None if told is None else Decimal(told)


def answer_yes(question: Question) -> Order:
    """Tell the broker its owner's yes, once. It is committed, and what it is about SENDING, before this is called."""
    order = question.order

    def say(broker: Broker) -> BrokerOrder | None:
        return cast(AskingBroker, broker).answer(order.account_id, order.wire_id, question.token, True)

    if question.modification is None:
        _deliver(order, say)
    else:
        _deliver_amendment(question.modification, say)
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
            raise UnknownOutcome("The broker did not report the outcome of the order.")
    except NeedsAnswer as asked:
        _record_question(order, asked)
        return
    except DuplicateClientId:
        order_state.record_outcome(
            order, Status.UNKNOWN, Code.OUTCOME_UNKNOWN, "The broker already has an order with this id."
        )
        with suppress(BrokerError):  # the sweep asks again
            sync.refresh(order)
        return
    except BrokerError as error:
        after = {
            WriteOutcome.REJECTED: Status.REJECTED,
            WriteOutcome.NOT_SENT: Status.NOT_SENT,
            WriteOutcome.UNKNOWN: Status.UNKNOWN,
        }[error.outcome]
        order_state.record_outcome(order, after, code_of(error), str(error))
        return
    except Exception:
        # Not proved to be unsent, so it may stand.
        log.exception("Sending order %s failed", order.public_id)
        order_state.record_outcome(order, Status.UNKNOWN, Code.OUTCOME_UNKNOWN, "The broker's answer was lost.")
        return
    sync.apply_answer(order, answer)
    for leg in order.legs.filter(status=Status.SENDING) if order.has_legs else ():
        with suppress(BrokerError):  # the sweep asks again
            sync.refresh(leg)


@transaction.atomic
def _record_question(order: Order, asked: NeedsAnswer) -> None:
    """Keep the broker's question for the order's owner. No program answers it, and no token leads to its answer."""
    if not order_state.try_move(
        order,
        Status.ASKED,
        f"{asked} Only the owner can answer, in the console.",
        "broker",
        "",
        code=Code.BROKER_ASKS,
        reason=str(asked)[:500],
    ):
        log.error("Order %s is %s, and its broker asks about it", order.public_id, order.status)
        return
    _create_question(order, None, asked)


@transaction.atomic
def _record_amendment_question(change: Modification, asked: NeedsAnswer) -> None:
    words = f"{asked} Only the owner can answer, in the console. The order is unchanged."
    if amendment_state.try_move(
        change, AmendmentStatus.ASKED, words, "broker", "", code=Code.BROKER_ASKS, reason=str(asked)[:500]
    ):
        _create_question(change.order, change, asked)
    else:
        log.error("Modification %s is %s, and its broker asks about it", change.public_id, change.status)


def _create_question(order: Order, change: Modification | None, asked: NeedsAnswer) -> None:
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
    asking = Subject(
        asking=check_rows.locked(order.app_id), action=order.confirmation.at_halts, account_id=order.account_id
    )
    pipeline.require(asking, Stage.LOCKED, about={About.ASKER})
    order_state.move(order, Status.SENDING, "Sent to the broker.", by, request_id, sent_at=timezone.now())


def send_amendment(change: Modification, *, by: str, request_id: str = "") -> None:
    """Send a committed modification, once. Raises Refusal, it then DENIED, when permission was taken back."""
    order = change.order
    try:
        _claim_amendment(change, by, request_id)
    except ConcurrentUpdate:
        change.refresh_from_db()
        return
    except Refusal as refusal:
        amendment_state.deny(change, refusal, by, request_id)
        raise
    _deliver_amendment(
        change, lambda broker: broker.replace(order.account_id, order.wire_id, change.asked, change.wire_id)
    )


def _deliver_amendment(change: Modification, act: Callable[[Broker], BrokerOrder | None]) -> None:
    """Send what was committed, once, and record what became of it."""
    order = change.order
    try:
        answer = act(broker_access.broker_of(order.connection))
        if answer is None:
            raise UnknownOutcome("The broker did not report the outcome of the change.")
    except NeedsAnswer as asked:
        _record_amendment_question(change, asked)
        return
    except DuplicateClientId:
        amendment_state.record_outcome(
            change, AmendmentStatus.UNKNOWN, Code.OUTCOME_UNKNOWN, "The broker already has an order with this id."
        )
    except BrokerError as error:
        after = {
            WriteOutcome.REJECTED: AmendmentStatus.REJECTED,
            WriteOutcome.NOT_SENT: AmendmentStatus.NOT_SENT,
            WriteOutcome.UNKNOWN: AmendmentStatus.UNKNOWN,
        }[error.outcome]
        amendment_state.record_outcome(change, after, code_of(error), str(error))
    except Exception:
        # Not proved to be unsent, so it may hold.
        log.exception("Sending modification %s failed", change.public_id)
        amendment_state.record_outcome(
            change, AmendmentStatus.UNKNOWN, Code.OUTCOME_UNKNOWN, "The broker's answer was lost."
        )
    else:
        amendment_state.mark_done(change, answer)
        if answer.filled_quantity >= order.filled_quantity:
            sync.apply_answer(order, answer)
            return
        # An answer to a question tells no fills: they are read.
    with suppress(BrokerError):  # the sweep asks again
        sync.refresh(order)
    change.refresh_from_db()


@transaction.atomic
def _claim_amendment(change: Modification, by: str, request_id: str) -> None:
    asking = Subject(
        asking=check_rows.locked(change.confirmation.app_id),
        action=GatedAction.RELEASE,
        account_id=change.order.account_id,
    )
    pipeline.require(asking, Stage.LOCKED, about={About.ASKER})
    amendment_state.move(change, AmendmentStatus.SENDING, "The change was sent to the broker.", by, request_id)
