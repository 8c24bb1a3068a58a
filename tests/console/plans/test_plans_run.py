"""A plan that was confirmed once sends each of its orders at its time, once, and says what became of it."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from brokers.errors import BrokerUnavailable, UnknownOutcome
from brokers.types import OrderRequest, Side
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.orders import preview as previewing
from console.orders.execution import reconcile
from console.orders.models import Order
from console.plans import deciding, execution, preparing, transitions
from console.plans.models import AtRefusal, PlanChild, PlanKind, TradingPlan
from console.plans.preparing import PlanWish
from console.plans.states import PlanStatus
from console.principal import Principal
from tests.clock import Clock
from tests.console.plans.steps import go_on, now_of, sent, started, statuses, trade, twap
from tests.watched_broker import Watch, WatchedBroker

pytestmark = pytest.mark.django_db


def test_a_twap_sends_its_orders_one_after_the_other_and_is_done(clock: Clock, trader: Principal) -> None:
    plan = started(trader, twap())
    execution.sweep()
    assert [str(each.quantity) for each in sent(plan)] == ["0.1"]
    go_on(clock, minutes=5)
    assert len(sent(plan)) == 1
    go_on(clock, minutes=5)
    go_on(clock, minutes=10)
    assert [str(each.quantity) for each in sent(plan)] == ["0.1", "0.1", "0.1"]
    execution.sweep()
    assert now_of(plan).state is PlanStatus.DONE
    assert statuses(plan) == ["done", "done", "done"]
    assert now_of(plan).released_orders == 3


def test_nothing_goes_before_the_plan_was_confirmed_or_after_nobody_did(clock: Clock, trader: Principal) -> None:
    plan = preparing.prepare_plan(trader, twap())
    go_on(clock, seconds=60)
    assert Order.objects.count() == 0
    go_on(clock, minutes=10)
    assert now_of(plan).state is PlanStatus.LAPSED
    with pytest.raises(Refusal) as refused:
        deciding.confirm(trader, plan.confirmation.public_id)
    assert refused.value.code is Code.CONFIRMATION_EXPIRED
    assert (Order.objects.count(), statuses(plan)) == (0, ["left_out"] * 3)


def test_a_confirmation_starts_one_plan_once(clock: Clock, trader: Principal) -> None:
    plan = started(trader, twap())
    with pytest.raises(Refusal) as refused:
        deciding.confirm(trader, plan.confirmation.public_id)
    assert refused.value.code is Code.CONFIRMATION_USED


def test_what_was_not_shown_is_not_started(clock: Clock, trader: Principal) -> None:
    plan = preparing.prepare_plan(trader, twap())
    PlanChild.objects.filter(plan=plan, number=2).update(quantity=Decimal(9))
    with pytest.raises(Refusal) as refused:
        deciding.confirm(trader, plan.confirmation.public_id)
    assert refused.value.code is Code.CONFIRMATION_CHANGED


@pytest.mark.parametrize("changed", [{"kind": PlanKind.DCA}, {"currency": "EUR"}])
def test_a_plan_of_another_kind_or_currency_than_shown_is_not_started(
    clock: Clock, trader: Principal, changed: dict[str, str]
) -> None:
    plan = preparing.prepare_plan(trader, twap())
    TradingPlan.objects.filter(pk=plan.pk).update(**changed)
    with pytest.raises(Refusal) as refused:
        deciding.confirm(trader, plan.confirmation.public_id)
    assert refused.value.code is Code.CONFIRMATION_CHANGED


def test_the_preview_names_every_order_with_its_time_worst_cost_and_fee(clock: Clock, trader: Principal) -> None:
    shown = preparing.prepare_plan(trader, twap()).confirmation.terms
    assert [each["after_seconds"] for each in shown["children"]] == [0, 600, 1200]
    assert all(Decimal(each["value"]) > 0 and Decimal(each["fee"]) > 0 for each in shown["children"])
    assert Decimal(shown["most_value"]) > Decimal(shown["value"])
    assert "Never more than 3 orders" in shown["summary"]
    assert len(shown["could_stop"]) >= 3


def test_the_value_of_a_plan_in_a_currency_of_small_units_is_bounded_in_that_of_the_connection(
    clock: Clock, trader: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As yen are in dollars: a bound of as many dollars would bound nothing."""
    real = previewing.preview

    def preview(*given: Any, **more: Any) -> previewing.PreviewResult:
        found = real(*given, **more)
        assert found.worst is not None
        return replace(found, worst=found.worst / 150, shown=found.shown | {"currency": "JPY"})

    shown = preparing.prepare_plan(trader, twap()).confirmation.terms
    monkeypatch.setattr(previewing, "preview", preview)
    small = preparing.prepare_plan(trader, twap()).confirmation.terms
    assert Decimal(small["most_value"]) < Decimal(shown["most_value"]) / 100


def test_an_order_that_would_pass_the_value_of_its_plan_is_not_sent(clock: Clock, trader: Principal) -> None:
    each = Decimal(preparing.prepare_plan(trader, twap()).confirmation.terms["children"][0]["value"])
    plan = started(trader, twap(most_value=each * 2))
    execution.sweep()
    go_on(clock, minutes=10)
    go_on(clock, minutes=10)
    found = now_of(plan)
    assert len(sent(plan)) < 3
    assert found.state is PlanStatus.STOPPED
    assert found.code == Code.LIMIT_EXCEEDED
    assert found.released_value <= found.most_value


def test_what_comes_too_late_is_skipped_and_not_sent_at_once_with_the_rest(clock: Clock, trader: Principal) -> None:
    plan = started(trader, twap())
    execution.sweep()
    go_on(clock, minutes=21)
    execution.sweep()
    assert statuses(plan) == ["done", "skipped", "done"]
    assert len(sent(plan)) == 2


def test_after_an_outage_the_missed_orders_of_a_twap_do_not_go_at_once(clock: Clock, trader: Principal) -> None:
    plan = started(trader, twap(orders=11, quantity=Decimal("0.11"), minutes=5))
    execution.sweep()
    go_on(clock, seconds=265)
    assert statuses(plan)[:10] == ["done"] + ["skipped"] * 6 + ["open", "waiting", "waiting"]
    assert len(sent(plan)) == 2


@pytest.mark.parametrize(("at_refusal", "status"), [(AtRefusal.SKIP, "running"), (AtRefusal.STOP, "stopped")])
def test_a_refused_order_is_skipped_or_stops_its_plan_as_was_confirmed(
    clock: Clock, trader: Principal, at_refusal: AtRefusal, status: str
) -> None:
    plan = started(trader, twap(at_refusal=at_refusal))
    Connection.objects.update(limits={"order_notional": "10"})
    execution.sweep()
    found = now_of(plan)
    assert found.status == status
    assert statuses(plan)[0] == "skipped"
    assert Order.objects.filter(released_at__isnull=False).count() == 0


def test_a_broker_that_is_away_for_a_moment_is_tried_again(
    clock: Clock, trader: Principal, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = started(trader, twap())
    with monkeypatch.context() as patched:

        def away(*given: object, **more: object) -> None:
            raise BrokerUnavailable("The broker does not answer.")

        patched.setattr(WatchedBroker, "preview", away)
        execution.sweep()
        assert statuses(plan)[0] == "waiting"
    go_on(clock, seconds=30)
    assert len(watch.submitted) == 1


def test_an_exit_closes_what_there_is_when_it_is_due(clock: Clock, trader: Principal) -> None:
    trade(trader, "0.5")
    plan = started(trader, PlanWish(kind=PlanKind.TIME_EXIT, symbol="BTC/USD", minutes=30))
    execution.sweep()
    assert sent(plan) == []
    trade(trader, "0.25")
    go_on(clock, minutes=30)
    (closing,) = sent(plan)
    assert (closing.side, closing.quantity) == ("SELL", Decimal("0.75"))


def test_an_exit_that_never_reached_its_broker_is_tried_again(clock: Clock, trader: Principal, watch: Watch) -> None:
    trade(trader, "0.5")
    plan = started(trader, PlanWish(kind=PlanKind.TIME_EXIT, symbol="BTC/USD", minutes=30))

    def away(request: OrderRequest) -> None:
        raise BrokerUnavailable("The broker does not answer.")

    watch.before_submit = away
    go_on(clock, minutes=30)
    assert Order.objects.get(plan_child__plan=plan).status == "not_sent"
    execution.sweep()
    found = now_of(plan)
    assert (statuses(plan), found.released_orders, found.released_value) == (["waiting"], 0, 0)
    watch.before_submit = lambda request: None
    go_on(clock, seconds=30)
    (closing,) = sent(plan)
    assert (closing.side, closing.quantity) == ("SELL", Decimal("0.5"))
    execution.sweep()
    assert now_of(plan).state is PlanStatus.DONE


def test_an_exit_without_a_position_any_more_is_skipped(clock: Clock, trader: Principal) -> None:
    trade(trader, "0.5")
    plan = started(trader, PlanWish(kind=PlanKind.TIME_EXIT, symbol="BTC/USD", minutes=30))
    trade(trader, "0.5", Side.SELL)
    go_on(clock, minutes=30)
    assert statuses(plan) == ["skipped"]
    execution.sweep()
    assert now_of(plan).state is PlanStatus.DONE


def test_a_child_that_fails_in_the_middle_of_its_sending_is_not_sent_again(
    clock: Clock, trader: Principal, watch: Watch
) -> None:
    def lost(request: OrderRequest) -> None:
        raise RuntimeError("The answer is lost.")

    watch.after_submit = lost
    plan = started(trader, twap())
    execution.sweep()
    watch.after_submit = lambda request: None
    for _ in range(4):
        go_on(clock, seconds=30)
    assert len(watch.submitted) == 1
    assert now_of(plan).released_orders == 1


@pytest.mark.parametrize("by_broker", [False, True])
def test_a_process_that_dies_at_a_refusal_leaves_no_plan_running_that_it_stops(
    clock: Clock, trader: Principal, watch: Watch, monkeypatch: pytest.MonkeyPatch, by_broker: bool
) -> None:
    plan = started(trader, twap(at_refusal=AtRefusal.STOP))
    if by_broker:
        execution.sweep()
        PlanChild.objects.filter(plan=plan, number=1).update(status="open")
        Order.objects.filter(plan_child__plan=plan).update(status="rejected", filled_quantity=0)
    else:
        Connection.objects.update(limits={"order_notional": "10"})
    with monkeypatch.context() as patched:

        def dies(*given: object, **more: object) -> bool:
            raise RuntimeError("The process ends here.")

        patched.setattr(transitions, "move", dies)
        execution.sweep()
    Connection.objects.update(limits={})
    assert statuses(plan)[0] not in ("skipped", "done")
    if by_broker:
        go_on(clock, minutes=10)
        assert now_of(plan).state is PlanStatus.STOPPED
        assert len(watch.submitted) == 1


def test_the_next_order_waits_until_it_is_known_what_became_of_the_last(
    clock: Clock, trader: Principal, watch: Watch
) -> None:
    def lost(request: OrderRequest) -> None:
        raise UnknownOutcome("The answer is lost.")

    watch.after_submit = lost
    plan = started(trader, twap())
    execution.sweep()
    assert Order.objects.get(plan_child__plan=plan).status == "unknown"
    watch.after_submit = lambda request: None
    go_on(clock, minutes=10)
    assert (statuses(plan), len(watch.submitted)) == (["open", "waiting", "waiting"], 1)
    reconcile.sweep()
    go_on(clock, seconds=5)
    assert (statuses(plan)[0], len(watch.submitted)) == ("done", 2)
