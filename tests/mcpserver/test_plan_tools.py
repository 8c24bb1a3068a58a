"""The tools of plans, through the pipeline that every way to a tool ends in."""

from typing import Any

import pytest

from console.accounts.models import User
from console.authority import bearer
from console.connected_apps.models import ConnectedApp
from console.connections import services as connections
from console.connections.models import Connection, Policy
from console.errors import Refusal
from console.orders import actions as order_actions
from console.orders.models import Order
from console.plans import execution
from console.plans.models import TradingPlan
from mcpserver import catalog, pipeline
from tests import clock as clocks
from tests.clock import Clock
from tests.console.plans.steps import switch_on
from tests.mcpserver.steps import call, refusal, sent

pytestmark = pytest.mark.django_db

TWAP = {"kind": "twap", "symbol": "BTC/USD", "side": "BUY", "quantity": "0.2", "orders": 2, "minutes": 10}


@pytest.fixture(autouse=True)
def _one_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "close_old_connections", lambda: None)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return clocks.install(monkeypatch)


@pytest.fixture
def key(trade_key: str) -> str:
    switch_on(bearer.authenticate(trade_key).app_id)
    return trade_key


def test_a_plan_from_its_preview_to_its_end(clock: Clock, key: str) -> None:
    _, prepared = sent(key, "prepare_plan", **TWAP)
    assert prepared["status"] == "needs_confirmation"
    assert "Never more than 2 orders" in prepared["summary"]
    assert "call confirm_trade only after they agree" in prepared["next"]
    _, running = sent(key, "confirm_trade", confirmation_id=prepared["confirmation_id"])
    assert (running["status"], running["plan"]["orders_sent"]) == ("running", 0)
    execution.sweep()
    clock.advance(minutes=10)
    execution.sweep()
    execution.sweep()
    plan_id = prepared["plan"]["plan_id"]
    _, listed = sent(key, "get_plans", over=True)
    _, one = sent(key, "get_plans", plan_id=plan_id)
    assert one["plan"]["status"] == "done"
    assert plan_id in str(listed)
    told = call(key, "get_plans", plan_id=plan_id)
    assert [each["status"] for each in told["orders"]] == ["filled", "filled"]
    assert refusal(key, "confirm_trade", confirmation_id=prepared["confirmation_id"])["code"] == "confirmation_used"


def test_a_plan_is_discarded_paused_and_cancelled(clock: Clock, key: str) -> None:
    first, second = (call(key, "prepare_plan", **TWAP) for _ in range(2))
    _, discarded = sent(key, "discard_confirmation", confirmation_id=first["confirmation_id"])
    assert discarded["status"] == "discarded"
    call(key, "confirm_trade", confirmation_id=second["confirmation_id"])
    _, paused = sent(key, "pause_plan", plan_id=second["plan"]["plan_id"])
    assert paused["status"] == "paused" and "Only the owner can resume it" in paused["note"]
    _, ended = sent(key, "cancel_plan", plan_id=second["plan"]["plan_id"])
    assert ended["status"] == "cancelled"
    execution.sweep()
    assert Order.objects.count() == 0


def test_where_the_owner_approves_no_confirmation_is_given_away(
    clock: Clock, owner: User, paper: Connection, key: str
) -> None:
    connections.set_policy(paper, Policy.OWNER_APPROVAL, by=owner)
    prepared = call(key, "prepare_plan", **TWAP)
    assert prepared["status"] == "needs_approval"
    assert prepared["approve_at"].endswith(f"/plans/{prepared['plan']['plan_id']}/")
    assert "confirmation_id" not in prepared
    plan = TradingPlan.objects.get()
    found = refusal(key, "confirm_trade", confirmation_id=plan.confirmation.public_id)
    assert found["code"] == "approval_required"


def test_with_the_toolset_off_there_are_no_plans(trade_key: str, key: str) -> None:
    ConnectedApp.objects.update(toolsets=None)
    for tool in ("prepare_plan", "get_plans", "pause_plan", "cancel_plan"):
        assert refusal(key, tool, **({"plan_id": "pln_1"} if "e_plan" in tool else TWAP))["code"] == "toolset_off"


def test_who_may_only_read_prepares_none(read_key: str) -> None:
    switch_on(bearer.authenticate(read_key).app_id)
    assert refusal(read_key, "prepare_plan", **TWAP)["code"] == "insufficient_scope"
    assert call(read_key, "get_plans")["plans"] == []


@pytest.mark.parametrize("kind", ["rebalance", "trailing_entry"])
def test_a_kind_that_is_not_there_is_refused_and_the_tool_says_so(key: str, kind: str) -> None:
    found = refusal(key, "prepare_plan", **(TWAP | {"kind": kind}))
    assert (found["code"], found["field"]) == ("invalid_argument", "kind")
    declared = catalog.find("prepare_plan")
    assert declared is not None
    assert "no rebalance, trailing entry" in declared.about


def test_its_confirmation_does_not_go_as_that_of_an_order(clock: Clock, key: str) -> None:
    """REST confirms orders alone."""
    prepared = call(key, "prepare_plan", **TWAP)
    who: Any = bearer.authenticate(key)
    for act in (order_actions.confirm_all, order_actions.discard):
        with pytest.raises(Refusal, match="A plan is started and discarded with the tools"):
            act(who, prepared["confirmation_id"])
    assert TradingPlan.objects.get().status == "awaiting_confirmation"
