"""The moves of a plan and of its orders, each a conditional update with its line of history. Nothing else writes them.

Whatever a person or the world stops is a move of the plan's row. The release of an order holds that row, so once a plan
was moved nothing more of it goes.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from console.audit import log as audit_log
from console.audit.models import ChangeCategory
from console.errors import Code
from console.notifications import news, wording
from console.notifications.models import NewsKind
from console.notifications.news import Told
from console.orders.models import Order
from console.orders.states import Status
from console.orders.transitions import order_state
from console.plans.models import PlanChild, PlanEvent, PlanKind, TradingPlan
from console.plans.states import ACTIVE, CHILD_MOVES, NOT_OVER, PLAN_MOVES, ChildStatus, PlanStatus

BY_ITSELF = "Tradelatch"
_TOLD = frozenset({PlanStatus.PAUSED, PlanStatus.STOPPED, PlanStatus.CANCELLED})
"""What its owner is notified of where no person did it."""


def add_event(plan: TradingPlan, what: str, by: str, number: int | None = None) -> None:
    PlanEvent.objects.create(plan=plan, at=timezone.now(), what=what[:500], by=by[:255], number=number)


@transaction.atomic
def move(plan: TradingPlan, after: PlanStatus, what: str, by: str, *, code: str = "", **fields: Any) -> bool:
    """One allowed move of a plan; what waits of one that is over is left out with it.

    False when it stands somewhere else by now, as ``plan`` then says.
    """
    locked = TradingPlan.objects.select_for_update().get(pk=plan.pk)
    before = locked.state
    if after not in PLAN_MOVES.get(before, frozenset()):
        plan.refresh_from_db()
        return False
    now = timezone.now()
    changed = {"status": after, "moved_at": now, "code": code, "reason": what[:500], **fields}
    TradingPlan.objects.filter(pk=plan.pk).update(**changed)
    for name, value in changed.items():
        setattr(plan, name, value)
    add_event(plan, what, by)
    if after is not PlanStatus.RUNNING:
        _take_back_unsent(plan, by)
    if after not in NOT_OVER:
        waiting = PlanChild.objects.filter(plan=plan, status=ChildStatus.WAITING)
        waiting.update(status=ChildStatus.LEFT_OUT, moved_at=now, code=Code.CONFIRMATION_EXPIRED)
    if by == BY_ITSELF and before is not PlanStatus.AWAITING:
        audit_log.record_change(
            None,
            f"plan {after.value}",
            "plan",
            plan.public_id,
            plan.heading,
            before={"status": before.value},
            after={"status": after.value, "reason": what},
            owner_id=plan.connection.owner_id,
            connection_id=plan.connection_id,
            category=ChangeCategory.SYSTEM,
        )
        if after in _TOLD:
            _tell(plan, f"Plan {plan.status}", what, now)
    return True


def _take_back_unsent(plan: TradingPlan, by: str) -> None:
    """An order that was released and has not been sent, as where its process died, is sent by nobody any more."""
    pauses = plan.state is PlanStatus.PAUSED
    if pauses and plan.kind == PlanKind.TIME_EXIT:
        return  # it would not go again
    found = PlanChild.objects.filter(plan=plan, status=ChildStatus.OPEN, order__status=Status.INTENT)
    for child in found.select_related("order"):
        assert child.order is not None
        said = f"Plan {plan.public_id} is {plan.status}. Nothing was sent."
        if order_state.try_move(child.order, Status.CANCELLED, said, by, "", code="", reason=said) and pauses:
            recall(child)


def tell_of_unsent(plan: TradingPlan, what: str, number: int | None = None) -> None:
    """Its owner is notified of orders that did not go though their plan goes on, or is done. Of several that follow
    each other, ``number`` being that of one, the first is told of."""
    if number is not None and plan.children.filter(number=number - 1, status=ChildStatus.SKIPPED).exists():
        return
    _tell(plan, "Not sent by a plan" if number is None else f"Order {number} of a plan skipped", what, timezone.now())


def _tell(plan: TradingPlan, title: str, what: str, now: datetime) -> None:
    owner = plan.connection.owner
    if not owner.is_active:
        return
    label = wording.money_label(is_live=plan.connection.is_live)
    news.tell(
        owner,
        Told(
            kind=NewsKind.END,
            source=f"plan:{plan.pk}:{now:%Y%m%d%H%M%S%f}",
            title=f"{title}: {wording.sentence(plan.heading, 140)} ({label})",
            text=f"{wording.sentence(what)} On {wording.name(plan.connection.name)}, from "
            f"{wording.name(plan.app.name)}.",
            path=f"/plans/{plan.public_id}/",
            tag=f"plan-{plan.public_id}",
        ),
    )


@transaction.atomic
def move_child(
    child: PlanChild,
    before: ChildStatus,
    after: ChildStatus,
    what: str = "",
    *,
    code: str = "",
    reason: str = "",
    **fields: Any,
) -> bool:
    """One allowed move of an order of a plan; False when another process moved it first."""
    assert after in CHILD_MOVES.get(before, frozenset()), f"{before} → {after}"
    now = timezone.now()
    changed = {"status": after, "moved_at": now, "code": code, "reason": reason[:500], **fields}
    if not PlanChild.objects.filter(pk=child.pk, status=before).update(**changed):
        return False
    for name, value in changed.items():
        setattr(child, name, value)
    if what:
        add_event(child.plan, what, BY_ITSELF, child.number)
    return True


@transaction.atomic
def put_back(child: PlanChild, not_before: datetime, *, code: str = "", reason: str = "") -> None:
    """It waits until it is tried again, under its next id; of a plan that is over by now it is left out."""
    plan = TradingPlan.objects.select_for_update().get(pk=child.plan_id)
    after = ChildStatus.WAITING if plan.state in ACTIVE else ChildStatus.LEFT_OUT
    again: dict[str, Any] = {"attempt": child.attempt + 1, "not_before": not_before}
    move_child(child, ChildStatus.WORKING, after, code=code, reason=reason, **again)


@transaction.atomic
def give_back(child: PlanChild, order: Order, not_before: datetime) -> bool:
    """Its order surely never went: the plan counts it no more, and it is tried again under its next id.

    False when the plan is over by now, or the order was moved before.
    """
    plan = TradingPlan.objects.select_for_update().get(pk=child.plan_id)
    if plan.state not in ACTIVE:
        return False
    said = f"Order {order.public_id} never reached the broker, so it is tried again."
    again: dict[str, Any] = {"attempt": child.attempt + 1, "not_before": not_before, "order": None}
    kept = {"code": order.code, "reason": order.reason}
    if not move_child(child, ChildStatus.OPEN, ChildStatus.WAITING, said, **kept, **again):
        return False
    assert order.worst_notional is not None
    TradingPlan.objects.filter(pk=plan.pk).update(
        released_value=plan.released_value - order.worst_notional, released_orders=plan.released_orders - 1
    )
    return True


def claim(child: PlanChild, now: datetime, lease: timedelta) -> bool:
    """From now on this process works on it: it was waiting, or whoever worked on it has died."""
    mine = PlanChild.objects.filter(pk=child.pk, attempt=child.attempt)
    waiting = mine.filter(status=ChildStatus.WAITING, plan__status=PlanStatus.RUNNING)
    if waiting.update(status=ChildStatus.WORKING, claimed_at=now, moved_at=now):
        child.status, child.claimed_at = ChildStatus.WORKING, now
        return True
    # Claimed later than now: the clock was set back since.
    died = Q(claimed_at__lte=now - lease) | Q(claimed_at__gt=now + lease)
    left = mine.filter(died, status=ChildStatus.WORKING)
    if left.update(claimed_at=now):
        child.claimed_at = now
        return True
    return False


def count_attempt(child: PlanChild) -> None:
    """The order of the attempt before was never sent and cannot be any more."""
    PlanChild.objects.filter(pk=child.pk, status=ChildStatus.WORKING).update(attempt=child.attempt + 1)
    child.attempt += 1


def set_times(plan: TradingPlan, begins: datetime) -> None:
    """Of a plan that begins when it is confirmed: now it is known when each of its orders is due."""
    for child in PlanChild.objects.filter(plan=plan, due_at=None):
        due_at = begins + timedelta(seconds=child.after_seconds)
        PlanChild.objects.filter(pk=child.pk).update(due_at=due_at)


def recall(child: PlanChild) -> None:
    """Its order is taken back because the plan pauses."""
    PlanChild.objects.filter(pk=child.pk, status=ChildStatus.OPEN).update(recalled=True)


def keep(plan: TradingPlan, children: Collection[PlanChild]) -> None:
    """The orders of these stay open though the plan stops, and no other: only the owner cancels them."""
    guards = {each.pk for each in children}
    opened = PlanChild.objects.filter(plan=plan, status=ChildStatus.OPEN)
    opened.filter(pk__in=guards).update(kept=True)
    opened.exclude(pk__in=guards).update(kept=False)


@transaction.atomic
def follow_up(done: PlanChild, what: str, fields: dict[str, Any], *followers: dict[str, Any]) -> bool:
    """An order of a plan has ended, and others follow it, numbered on, unless the plan is over by now.

    False when it was moved before.
    """
    plan = TradingPlan.objects.select_for_update().get(pk=done.plan_id)
    if not move_child(done, ChildStatus.OPEN, ChildStatus.DONE, what, **fields):
        return False
    if plan.state not in ACTIVE:
        return True
    now = timezone.now()
    last = PlanChild.objects.filter(plan=plan).order_by("-number").values_list("number", flat=True)[0]
    began = plan.confirmed_at or now
    for number, follower in enumerate(followers, start=last + 1):
        PlanChild.objects.create(
            plan=plan,
            number=number,
            after_seconds=max(0, int((now - began).total_seconds())),
            due_at=now,
            status=ChildStatus.WAITING,
            moved_at=now,
            **follower,
        )
    return True
