"""The schedule leaves the sweep of plans out only where it would find nothing."""

import pytest

from console.plans import deciding, execution, preparing
from console.plans.models import PlanChild, TradingPlan
from console.plans.states import ChildStatus, PlanStatus
from console.principal import Principal
from tests.clock import Clock
from tests.console.plans.steps import started, twap

pytestmark = pytest.mark.django_db


def test_without_plans_there_is_none() -> None:
    assert not execution.has_work()


@pytest.mark.parametrize("status", PlanStatus)
def test_a_plan_that_is_not_over_is_some(clock: Clock, trader: Principal, status: PlanStatus) -> None:
    plan = preparing.prepare_plan(trader, twap())
    TradingPlan.objects.filter(pk=plan.pk).update(status=status)
    assert execution.has_work() is (status in {PlanStatus.AWAITING, PlanStatus.RUNNING, PlanStatus.PAUSED})


@pytest.mark.parametrize("status", ChildStatus)
def test_an_order_that_is_not_settled_is_some_when_its_plan_is_over(
    clock: Clock, trader: Principal, status: ChildStatus
) -> None:
    plan = started(trader, twap())
    deciding.cancel(plan, by="Claude")
    PlanChild.objects.filter(plan=plan, number=1).update(status=status)
    assert execution.has_work() is (status in {ChildStatus.WORKING, ChildStatus.OPEN})


def test_a_broken_plan_does_not_stop_the_others(
    clock: Clock, trader: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = started(trader, twap()), started(trader, twap())
    advance = execution.advance

    def breaks(plan: TradingPlan) -> None:
        if plan.pk == first.pk:
            raise RuntimeError("Broken.")
        advance(plan)

    monkeypatch.setattr(execution, "advance", breaks)
    execution.sweep()
    assert PlanChild.objects.filter(plan=second, order__isnull=False).exists()
