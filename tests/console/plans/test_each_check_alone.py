"""Each check of a plan says no by itself, where no other one would."""

from decimal import Decimal

import pytest
from django.utils import timezone

from brokers.types import Side
from console.accounts.models import User
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection, Policy
from console.errors import Code, Refusal
from console.halts.services import Proof
from console.keys import minting
from console.orders.models import Confirmation
from console.orders.owner.approvals import Evidence
from console.plans import bounds, deciding, execution, preparing, transitions
from console.plans.models import PlanChild, PlanKind, TradingPlan
from console.plans.preparing import PlanWish
from console.plans.states import ChildStatus, PlanStatus
from console.principal import Principal
from console.scopes import Scope
from tests.clock import Clock
from tests.console.plans.steps import go_on, principal_of, sent, started, statuses, trade, twap

pytestmark = pytest.mark.django_db


def test_the_number_of_orders_is_a_bound_of_its_own(clock: Clock, trader: Principal) -> None:
    plan = started(trader, twap(most_value=Decimal(10**9)))
    TradingPlan.objects.filter(pk=plan.pk).update(released_orders=3)
    execution.sweep()
    assert sent(plan) == []


def test_nothing_runs_beyond_the_end(clock: Clock, paper: Connection, trader: Principal) -> None:
    plan = started(trader, twap())
    with pytest.raises(bounds.PlanBound):
        bounds.check_running(plan, paper, plan.ends_at or timezone.now())


def test_real_money_is_resumed_with_a_passkey(clock: Clock, owner: User, paper: Connection, trader: Principal) -> None:
    plan = started(trader, twap())
    deciding.pause(plan, by=owner.email, user=owner)
    Connection.objects.filter(pk=paper.pk).update(environment="live", policy=Policy.OWNER_APPROVAL)
    plan = TradingPlan.objects.get(pk=plan.pk)
    with pytest.raises(Refusal) as refused:
        deciding.resume(plan, by=owner, evidence=Evidence(proof=Proof.PASSWORD, label="the password"))
    assert refused.value.code is Code.RE_AUTHENTICATION_REQUIRED


def test_a_plan_is_no_other_apps_of_the_same_connection(
    clock: Clock, owner: User, paper: Connection, trader: Principal
) -> None:
    plan = started(trader, twap())
    key, _ = minting.mint(owner, paper, frozenset({Scope.TRADE}), name="another")
    with pytest.raises(Refusal) as refused:
        deciding.own(principal_of(ConnectedApp.objects.get(pk=key.app_id)), plan.public_id)
    assert refused.value.code is Code.NOT_FOUND


def test_nobody_but_its_owner_declines_it(clock: Clock, other: User, trader: Principal) -> None:
    plan = preparing.prepare_plan(trader, twap())
    with pytest.raises(Refusal) as refused:
        deciding.decline(plan, by=other)
    assert refused.value.code is Code.NOT_PERMITTED


def test_no_app_redeems_what_an_order_of_a_plan_waits_with(clock: Clock, trader: Principal) -> None:
    plan = started(trader, twap())
    execution.sweep()
    assert list(Confirmation.objects.filter(orders__plan_child__plan=plan).values_list("redeemer", flat=True)) == [
        "owner"
    ]


def test_an_exit_closes_no_more_than_was_confirmed(clock: Clock, trader: Principal) -> None:
    trade(trader, "0.5")
    plan = started(trader, PlanWish(kind=PlanKind.TIME_EXIT, symbol="BTC/USD", minutes=30, quantity=Decimal("0.2")))
    go_on(clock, minutes=30)
    assert [each.quantity for each in sent(plan)] == [Decimal("0.2")]


def test_an_exit_of_the_other_side_closes_nothing(clock: Clock, trader: Principal) -> None:
    """What was shown as a sale does not buy, nor the other way round."""
    trade(trader, "0.5")
    plan = started(trader, PlanWish(kind=PlanKind.TIME_EXIT, symbol="BTC/USD", minutes=30))
    PlanChild.objects.filter(plan=plan).update(side=Side.BUY)
    go_on(clock, minutes=30)
    assert (statuses(plan), sent(plan)) == (["skipped"], [])
    assert PlanChild.objects.get(plan=plan).code == Code.POSITION_CHANGED


def test_no_process_takes_up_an_order_of_a_plan_that_does_not_run(clock: Clock, trader: Principal) -> None:
    plan = started(trader, twap())
    child = PlanChild.objects.get(plan=plan, number=1)
    TradingPlan.objects.filter(pk=plan.pk).update(status=PlanStatus.PAUSED)
    assert not transitions.claim(child, clock.now, clock.now - clock.now)
    assert PlanChild.objects.get(pk=child.pk).state is ChildStatus.WAITING
