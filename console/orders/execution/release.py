"""From a yes to the broker: a confirmation is used up once, and everything it covers is checked again before.

The assistant's ``actions.confirm`` and the owner's approval both end here; they differ in who may say yes.
"""

import logging
from typing import NoReturn

from django.db import transaction
from django.utils import timezone

from brokers.errors import BrokerError, WriteOutcome
from console.errors import Code, Refusal, refusal_of
from console.orders.checks import check_rows, check_subject, facts, pipeline
from console.orders.checks.check_subject import Authorize, Facts
from console.orders.checks.pipeline import About, Stage
from console.orders.execution import amendments, flatten, protective_cancels, submit
from console.orders.execution.amendments import OnReleased
from console.orders.models import Action, Confirmation, Order, StandingRule
from console.orders.states import Status
from console.orders.terms import shown_of_each
from console.orders.transitions import confirmations, order_state, rule_releases
from console.orders.transitions.order_state import ConcurrentUpdate

log = logging.getLogger(__name__)

_OF_THE_ORDER = pipeline.EVERYTHING - {About.CONFIRMATION}


def release(
    confirmation: Confirmation,
    read: check_rows.PlanRows | None = None,
    *,
    authorize: Authorize,
    by: str,
    request_id: str = "",
    on_released: OnReleased | None = None,
    rule: StandingRule | None = None,
) -> list[Order]:
    """Use the confirmation up and send what it covers, once, in the order it was shown. Raises Refusal.

    ``read``: what it covers, where that was just read. ``rule``: the owner's, by which ``authorize`` lets it go.

    Of a plan that may go in part, what does not pass is DENIED and the rest goes; if nothing passes, the first
    refusal is raised.
    """
    if confirmation.action == Action.CANCEL:
        return [
            protective_cancels.release(
                confirmation, authorize=authorize, by=by, request_id=request_id, on_released=on_released
            )
        ]
    if confirmation.action == Action.MODIFY:
        return [
            amendments.release(confirmation, authorize=authorize, by=by, request_id=request_id, on_released=on_released)
        ]
    asking, plan = _plan(confirmation, read)
    lead = next((order for order in plan if order.state is Status.AWAITING), plan[0])
    if confirmation.all_or_none:  # one refused order ends the plan, whatever became of the others' rows
        lead = next((order for order in plan if order.state is Status.DENIED), lead)
    _check_redeemable(confirmation, lead)
    flattens = confirmation.action == Action.FLATTEN
    subjects = [
        check_subject.of_order(
            order, asking, confirmation, shown, authorize=authorize, before_cancels=flattens, rule=rule
        )
        for order, shown in zip(plan, shown_of_each(confirmation.terms, len(plan)), strict=True)
    ]
    # Whoever may not say yes does not end what waits for somebody else's.
    too_soon = [pipeline.require_yes(each) for each in subjects]
    going: list[tuple[Order, Facts]] = []
    refused: list[tuple[Order, Refusal]] = []
    together = facts.FundsCheck(asking.connection)
    open_broker = check_subject.opener(asking.connection)
    for order, each, early in zip(plan, subjects, too_soon, strict=True):
        if order.state is not Status.AWAITING:
            continue  # taken back before it was confirmed
        try:
            if early is not None:
                pipeline.require(each, Stage.CONFIRMED, about={About.ASKER})
                raise early
            known = pipeline.require(each, Stage.CONFIRMED, Facts(each, open_broker), about=_OF_THE_ORDER)
            if known.preview is not None and not flattens:  # a short that is bought back frees what it held
                together.add(known.preview)
        except BrokerError as error:
            if error.outcome is not WriteOutcome.REJECTED:
                # Nothing was decided about the order: the same confirmation may still be used.
                raise Refusal(Code.BROKER_UNAVAILABLE, str(error), order_id=order.public_id) from error
            refused.append((order, refusal_of(error)))
        except Refusal as error:
            if error is early:
                raise  # nothing was decided about the order either
            refused.append((order, error))
        else:
            going.append((order, known))
    if refused and (confirmation.all_or_none or not going):
        _refuse(confirmation, plan, refused[0], by, request_id)
    try:
        gone, over = _redeem(confirmation, going, authorize, by, request_id, on_released)
    except _ReleaseStopped as stopped:
        if not _is_final(stopped.refusal, confirmation):
            raise stopped.refusal from None
        for order in plan:  # what was moved to INTENT before it was rolled back
            order.refresh_from_db()
        _refuse(confirmation, plan, (stopped.order, stopped.refusal), by, request_id)
    for order, refusal in (*refused, *over):
        order_state.deny(order, refusal, by, request_id)
    if flattens:
        gone = flatten.cancel_conflicting(confirmation, gone, by, request_id)
    _send(gone, by, request_id)
    return plan


def resume_flatten(confirmation: Confirmation) -> None:
    """A flatten whose process died: what it would cancel first is cancelled first. Raises Refusal."""
    going = [order for order in _plan(confirmation)[1] if order.state is Status.INTENT]
    if going:
        _send(flatten.cancel_conflicting(confirmation, going, "Tradelatch", ""), "Tradelatch", "")


class _ReleaseStopped(Exception):
    """A check said no to an order under the locks, and so to the whole plan."""

    def __init__(self, order: Order, refusal: Refusal) -> None:
        super().__init__(str(refusal))
        self.order, self.refusal = order, refusal


# What ends an order. Where a price or a balance was missing or far off, the same confirmation may still be used.
_FINAL = frozenset({Code.HALTED, Code.LIMIT_EXCEEDED, Code.OUTSIDE_LIMITS, Code.LIMITS_REQUIRED, Code.POSITION_CHANGED})


def _is_final(refusal: Refusal, confirmation: Confirmation) -> bool:
    """Unless there is room again within the life of the confirmation."""
    left = (confirmation.expires_at - timezone.now()).total_seconds()
    soon = refusal.retry_after is not None and refusal.retry_after < left
    return refusal.code in _FINAL and not soon


def discard(
    confirmation: Confirmation, what: str, *, by: str, request_id: str = "", code: Code | None = None
) -> list[Order]:
    """End a plan before it is released, ``what`` saying why. Raises Refusal when it has moved on."""
    if confirmation.is_about_an_order:
        return [amendments.discard(confirmation, what, by=by, request_id=request_id, code=code)]
    _, plan = _plan(confirmation)
    waiting = [order for order in plan if order.state is Status.AWAITING]
    _check_redeemable(confirmation, (waiting or plan)[0])
    after = Status.REJECTED_BY_OWNER if code is Code.REJECTED_BY_OWNER else Status.CANCELLED
    for order in waiting:
        if not order_state.try_move(order, after, what, by, request_id, code=code or "", reason=what[:500]):
            confirmation.refresh_from_db()
            _check_redeemable(confirmation, order)
    return plan


def _plan(
    confirmation: Confirmation, read: check_rows.PlanRows | None = None
) -> tuple[check_rows.AppRows, list[Order]]:
    """Who asks, and the orders it covers, without their legs; their ``confirmation`` is the given one."""
    plan = read or check_rows.plan_of(confirmation.public_id, confirmation.app_id, confirmation)
    assert plan is not None, f"{confirmation} covers no order"
    return plan.asking, plan.orders


def _send(going: list[Order], by: str, request_id: str) -> None:
    """One after another. What could not be sent says so in its own row, and does not keep the next from going."""
    for order in going:
        try:
            submit.send(order, by=by, request_id=request_id)
        except Refusal:
            if len(going) == 1:
                raise
        except Exception as error:
            # It was released: whatever failed now, the caller must not believe that nothing happened.
            log.exception("Order %s was released, but what became of it was not recorded", order.public_id)
            raise Refusal(
                Code.OUTCOME_UNKNOWN,
                "The order was confirmed, but its outcome could not be recorded. Do not place it again; call "
                "get_order_status.",
                order_id=order.public_id,
            ) from error


def _refuse(
    confirmation: Confirmation, plan: list[Order], refused: tuple[Order, Refusal], by: str, request_id: str
) -> NoReturn:
    """End the plan unsent. If another call has released it meanwhile, that is what the caller is told."""
    culprit, refusal = refused
    if not order_state.deny(culprit, refusal, by, request_id):
        confirmation.refresh_from_db()
        culprit.refresh_from_db()
        _check_redeemable(confirmation, culprit)
    for order in plan:
        if order is not culprit and order.state is Status.AWAITING:
            order_state.deny(order, _refused_with(culprit, refusal), by, request_id)
    refusal.order_id = culprit.public_id
    raise refusal


def _refused_with(culprit: Order, refusal: Refusal) -> Refusal:
    return Refusal(refusal.code, f"Not sent, because {culprit.public_id} in the same confirmation was refused.")


def _check_redeemable(confirmation: Confirmation, order: Order) -> None:
    if order.code == Code.REJECTED_BY_OWNER:
        raise Refusal(Code.REJECTED_BY_OWNER, f"{order.reason} Nothing was sent.", order_id=order.public_id)
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
            f"This confirmation expired after {confirmation.lifetime_text}. Nothing was sent; prepare the order again.",
            order_id=order.public_id,
        )


@transaction.atomic
def _redeem(
    confirmation: Confirmation,
    going: list[tuple[Order, Facts]],
    authorize: Authorize,
    by: str,
    request_id: str,
    on_released: OnReleased | None,
) -> tuple[list[Order], list[tuple[Order, Refusal]]]:
    """Use the confirmation up and commit every intent, under the locks of the app's and the connection's row.

    A revocation, a halt or a tighter limit committed before this one is seen; one committed after finds the orders
    released. What an order takes of the limits is on record with its intent, so orders released at once share them.
    Returns what went, and what a limit held back of a plan that may go in part. Raises _ReleaseStopped, Refusal.
    """
    lead = going[0][0]
    asking = check_rows.locked(confirmation.app_id)
    now = timezone.now()  # of after the wait for the locks: what it is held against is counted from here
    if confirmation.action == Action.FLATTEN:
        flatten.check_alone(confirmation, asking.connection, lead)
    if not confirmations.use(confirmation, now):
        confirmation.refresh_from_db()
        lead.refresh_from_db()
        _check_redeemable(confirmation, lead)
        authorize(asking.connection)
        if not confirmations.use(confirmation, now):
            raise Refusal(Code.CONFIRMATION_EXPIRED, "This confirmation expired. Nothing was sent.")
    gone: list[Order] = []
    held: list[tuple[Order, Refusal]] = []
    for order, known in going:
        try:
            worst = pipeline.require(known.subject.under_locks(asking), Stage.LOCKED, known).worst
        except Refusal as refusal:
            # What a rule does not release waits whole for its owner.
            if confirmation.all_or_none or refusal.code is Code.APPROVAL_REQUIRED:
                raise _ReleaseStopped(order, refusal) from refusal
            held.append((order, refusal))
            continue
        try:
            order_state.move(
                order,
                Status.INTENT,
                f"Confirmed {confirmation.confirmed_after} after it was shown, and recorded; it will be sent once.",
                by,
                request_id,
                data={"confirmed_after_ms": confirmation.confirmed_after_ms},
                worst_notional=worst,
                released_at=now,
            )
        except ConcurrentUpdate as error:
            raise Refusal(
                Code.CONFIRMATION_EXPIRED,
                "This confirmation expired, or its order was cancelled. Nothing was sent.",
                order_id=order.public_id,
            ) from error
        if (rule := known.subject.rule) is not None and worst is not None:
            rule_releases.record(rule, order, worst, now, by=by, request_id=request_id)
        gone.append(order)
    if not gone:
        raise _ReleaseStopped(*held[0])
    if on_released is not None:
        on_released(gone)
    return gone, held
