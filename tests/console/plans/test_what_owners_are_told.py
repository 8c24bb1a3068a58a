"""The owner of a plan hears of orders that did not go, whatever became of the plan."""

import pytest

from brokers.types import Side
from console.accounts.models import User
from console.connections.models import Connection
from console.errors import Code
from console.notifications.models import NewsItem
from console.plans import execution
from console.plans.models import AtRefusal, PlanKind, WhenSilent
from console.plans.preparing import PlanWish
from console.plans.states import PlanStatus
from console.principal import Principal
from tests.clock import Clock
from tests.console.plans.steps import go_on, now_of, sent, started, statuses, trade, twap

pytestmark = pytest.mark.django_db


def _titles(owner: User) -> list[str]:
    """Of news of plans, oldest first, up to the colon."""
    mine = NewsItem.objects.filter(user=owner, source__startswith="plan:").order_by("pk")
    return [title.partition(":")[0] for title in mine.values_list("title", flat=True)]


def test_an_exit_that_closed_nothing_is_told(clock: Clock, owner: User, trader: Principal) -> None:
    trade(trader, "0.5")
    plan = started(trader, PlanWish(kind=PlanKind.TIME_EXIT, symbol="BTC/USD", minutes=30))
    trade(trader, "0.5", Side.SELL)
    go_on(clock, minutes=30)
    assert (statuses(plan), _titles(owner)) == (["skipped"], ["Order 1 of a plan skipped"])


def test_of_skips_in_a_row_the_first_is_told(clock: Clock, owner: User, trader: Principal) -> None:
    plan = started(trader, twap())
    Connection.objects.update(limits={"order_notional": "10"})
    execution.sweep()
    go_on(clock, minutes=10)
    assert (statuses(plan)[:2], _titles(owner)) == (["skipped"] * 2, ["Order 1 of a plan skipped"])


def test_a_plan_whose_time_ended_before_an_order_went_is_told(clock: Clock, owner: User, trader: Principal) -> None:
    plan = started(trader, twap())
    execution.sweep()
    go_on(clock, hours=5)
    assert (now_of(plan).state, len(sent(plan))) == (PlanStatus.DONE, 1)
    assert _titles(owner) == ["Not sent by a plan"]


def test_a_plan_that_its_apps_silence_cancelled_is_told(clock: Clock, owner: User, trader: Principal) -> None:
    plan = started(trader, twap(silent_minutes=6, when_silent=WhenSilent.CANCEL))
    execution.sweep()
    go_on(clock, minutes=7)
    assert (now_of(plan).state, _titles(owner)) == (PlanStatus.CANCELLED, ["Plan cancelled"])


def test_an_order_that_comes_too_late_stops_a_plan_that_skips_none(
    clock: Clock, owner: User, trader: Principal
) -> None:
    plan = started(trader, twap(at_refusal=AtRefusal.STOP))
    go_on(clock, minutes=6)
    found = now_of(plan)
    assert (found.state, found.code) == (PlanStatus.STOPPED, Code.CONFIRMATION_EXPIRED)
    assert (statuses(plan), _titles(owner)) == (["skipped", "left_out", "left_out"], ["Plan stopped"])
