"""A client that can ask its user asks about a whole plan, and no call of a model starts it meanwhile."""

from collections.abc import Callable
from typing import Any

import pytest

from console.accounts.models import User
from console.authority import bearer
from console.connections import services as connections
from console.connections.models import Connection, Policy
from console.plans.models import TradingPlan
from tests.console.plans.steps import switch_on
from tests.mcpserver.asked_steps import (
    CANCEL,
    DECLINE,
    NO,
    NOBODY,
    URL,
    YES,
    Host,
    host,
    newest,
    person,
    program,
)
from tests.mcpserver.ways import short

__all__ = ["host", "person", "program", "short"]

TWAP: dict[str, Any] = {
    "kind": "twap", "symbol": "BTC/USD", "side": "BUY", "quantity": "0.2", "orders": 2, "minutes": 10,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _with_plans(trade_key: str) -> None:
    switch_on(bearer.authenticate(trade_key).app_id)


def status() -> str:
    return TradingPlan.objects.latest("pk").status


def test_a_yes_of_its_user_starts_it(host: Host, person: Callable[[], None]) -> None:
    person()
    state = host.asked("prepare_plan", TWAP)
    refused = host.call("confirm_trade", {"confirmation_id": newest().public_id})
    assert refused["error"]["code"] == "user_is_asked"
    assert host.answer("prepare_plan", TWAP, state, YES)["status"] == "running"
    assert status() == "running"


@pytest.mark.parametrize("said", [NO, DECLINE])
def test_a_no_ends_it(host: Host, person: Callable[[], None], said: dict[str, Any]) -> None:
    person()
    answer = host.answer("prepare_plan", TWAP, host.asked("prepare_plan", TWAP), said)
    assert answer["note"] == "The user declined. Nothing was sent."
    assert status() == "discarded"


def test_closed_it_waits_for_its_owner(host: Host, person: Callable[[], None]) -> None:
    person()
    answer = host.answer("prepare_plan", TWAP, host.asked("prepare_plan", TWAP), CANCEL)
    assert answer["status"] == "needs_approval"
    assert answer["approve_at"].endswith(f"/plans/{answer['plan']['plan_id']}/")
    refused = host.call("confirm_trade", {"confirmation_id": newest().public_id})
    assert refused["error"]["code"] == "approval_required"


def test_a_program_that_answers_by_itself_starts_nothing(host: Host) -> None:
    answer = host.answer("prepare_plan", TWAP, host.asked("prepare_plan", TWAP), YES)
    assert answer["note"] == NOBODY
    assert status() == "awaiting_confirmation"


def test_where_its_owner_approves_the_question_leads_to_its_page(
    host: Host, owner: User, paper: Connection, person: Callable[[], None]
) -> None:
    person()
    connections.set_policy(paper, Policy.OWNER_APPROVAL, by=owner)
    result = host.send("prepare_plan", TWAP, URL)
    plan = TradingPlan.objects.latest("pk")
    assert result["inputRequests"]["order"]["params"]["url"].endswith(f"/plans/{plan.public_id}/")
    answer = host.answer("prepare_plan", TWAP, result["requestState"], {"action": "accept"}, URL)
    assert answer["status"] == "awaiting_confirmation"
    assert "Only the owner can start it" in answer["next"]
