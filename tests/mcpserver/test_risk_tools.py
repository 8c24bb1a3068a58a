"""What a model is told of limits, halts and who releases; and that it can stop but never start."""

from typing import Any

import pytest
from django.conf import settings

from console import limits
from console.accounts.models import User
from console.audit.models import Call, Change
from console.authority import bearer, call_quota
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections import services as connections
from console.connections.models import Connection, Policy
from console.halts import services as halts
from console.halts.models import Halt
from console.keys import minting
from console.orders.models import Order
from console.principal import Principal
from console.scopes import Scope
from mcpserver import catalog, pipeline

pytestmark = pytest.mark.django_db

ORDER = {"symbol": "BTC/USD", "side": "BUY", "quantity": "1", "order_type": "LMT", "limit_price": "1000"}


@pytest.fixture(autouse=True)
def in_the_tests_own_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    call_quota.reset()
    monkeypatch.setattr(pipeline, "close_old_connections", lambda: None)


@pytest.fixture
def trader(trade_key: str) -> Principal:
    return bearer.authenticate(trade_key)


def call(who: Principal, tool: str, **given: Any) -> dict[str, Any]:
    call.count += 1  # type: ignore[attr-defined]
    return pipeline.call(who, tool, given, request_id=f"req_{call.count}").content  # type: ignore[attr-defined]


call.count = 0  # type: ignore[attr-defined]


def test_the_status_tells_limits_use_headroom_and_policy(trader: Principal, paper: Connection, owner: User) -> None:
    connections.set_limits(
        paper, limits.parse({"order_notional": "5000", "daily_notional": "3000", "symbols": ["BTC/USD"]}), by=owner
    )
    grants.set_limits(ConnectedApp.objects.get(pk=trader.app_id), limits.parse({"orders_per_minute": 3}), by=owner)
    call(trader, "confirm_trade", confirmation_id=call(trader, "place_order", **ORDER)["confirmation_id"])
    status = call(trader, "get_risk_status")
    assert status["may_place_orders"] is True
    assert (status["policy"], status["confirmed_by"], status["currency"]) == ("two_step", "confirm_trade", "USD")
    assert status["connection"] == {
        "limits": [
            {"limit": "order_notional", "value": "5000", "unit": "USD"},
            {"limit": "daily_notional", "value": "3000", "unit": "USD", "used": "1000", "headroom": "2000"},
        ],
        "symbols": ["BTC/USD"],
        "used_today": "1000",
        "orders_last_minute": 1,
    }
    assert status["app"]["limits"] == [
        {"limit": "orders_per_minute", "value": "3", "unit": "orders", "used": "1", "headroom": "2"}
    ]
    assert status["halts"] == []


def test_a_refusal_tells_the_model_the_limit_and_what_is_left(
    trader: Principal, paper: Connection, owner: User
) -> None:
    connections.set_limits(paper, limits.parse({"order_notional": "500"}), by=owner)
    error = call(trader, "place_order", **ORDER)["error"]
    assert error["code"] == "limit_exceeded"
    assert error["limit"] == {
        "name": "order_notional",
        "of": "the connection Practice",
        "value": "500",
        "unit": "USD",
        "used": "0",
        "headroom": "500",
    }
    assert "Trying again does not help" in error["message"]


def test_a_model_halts_its_connection_for_every_app_and_cannot_take_it_back(
    trader: Principal, paper: Connection, owner: User
) -> None:
    _, raw = minting.mint(owner, paper, frozenset({Scope.TRADE}), name="second app")
    answer = call(trader, "halt_trading", reason="The plan no longer holds.")
    assert (answer["status"], answer["halt"]["stops"]) == ("halted", "orders on Practice")
    assert f"{settings.PUBLIC_URL}/halts/" in answer["next"]
    for who in (trader, bearer.authenticate(raw)):
        assert call(who, "place_order", **ORDER)["error"]["code"] == "halted"
        status = call(who, "get_risk_status")
        assert status["may_place_orders"] is False
        assert status["halts"][0]["reason"] == "The plan no longer holds."
    halt = Halt.objects.get()
    assert (halt.is_quoted, halt.by_label, halt.lifted_at) == (True, trader.app_label, None)
    assert Call.objects.filter(tool="halt_trading", outcome="ok").count() == 1
    assert Change.objects.filter(action="halted", target_id=str(halt.pk)).count() == 1


def test_one_account_can_be_halted_and_an_unknown_one_is_refused(trader: Principal) -> None:
    assert call(trader, "halt_trading", account_id="NOBODYS")["error"]["code"] == "unknown_account"
    assert not Halt.objects.exists()
    assert call(trader, "halt_trading", account_id=trader.account_id)["halt"]["account_id"] == trader.account_id
    assert call(trader, "place_order", **ORDER)["error"]["code"] == "halted"


def test_a_reader_sees_the_status_and_cannot_halt(read_key: str) -> None:
    reader = bearer.authenticate(read_key)
    assert call(reader, "get_risk_status")["may_place_orders"] is False
    assert call(reader, "halt_trading")["error"]["code"] == "insufficient_scope"
    assert not Halt.objects.exists()


def test_a_paused_connection_can_still_be_halted(trader: Principal, paper: Connection, owner: User) -> None:
    connections.pause(paper, by=owner)
    paused = bearer.authenticate(minting.mint(owner, paper, frozenset({Scope.TRADE}), name="again")[1])
    assert call(paused, "halt_trading")["status"] == "halted"


def test_halting_is_throttled_like_cancels_not_like_orders(trader: Principal) -> None:
    tool = catalog.find("halt_trading")
    assert tool is not None and tool.throttle is call_quota.CallKind.CANCEL


def test_no_tool_lifts_a_halt_widens_a_limit_changes_a_policy_or_approves(
    trader: Principal, paper: Connection, owner: User
) -> None:
    connections.set_limits(paper, limits.parse({"order_notional": "500"}), by=owner)
    connections.set_policy(paper, Policy.OWNER_APPROVAL, by=owner)
    halts.halt_connection(paper, by=owner)
    before = Connection.objects.values("limits", "policy").get(pk=paper.pk)
    tried = ("lift_halt", "resume_trading", "set_limits", "set_policy", "approve_order", "set_connection_policy")
    for name in tried:
        with pytest.raises(pipeline.UnknownTool):
            call(trader, name, connection_id=paper.pk, halt_id=1, policy="two_step", limits={})
    assert Connection.objects.values("limits", "policy").get(pk=paper.pk) == before
    assert Halt.objects.get().lifted_at is None
    assert set(Call.objects.filter(outcome="refused", code="unknown_tool").values_list("tool", flat=True)) == set(tried)


def test_where_the_owner_approves_the_model_is_sent_to_the_console_and_cannot_confirm(
    trader: Principal, paper: Connection, owner: User
) -> None:
    connections.set_policy(paper, Policy.OWNER_APPROVAL, by=owner)
    answer = call(trader, "place_order", **ORDER)
    order = Order.objects.get()
    assert answer["status"] == "needs_approval"
    assert answer["approve_at"] == f"{settings.PUBLIC_URL}/orders/{order.public_id}/"
    assert answer["approve_at"] in answer["next"]
    assert "confirmation_id" not in answer
    refused = call(trader, "confirm_trade", confirmation_id=order.confirmation.public_id)["error"]
    assert refused["code"] == "approval_required"
    order.refresh_from_db()
    assert order.status == "awaiting_confirmation", "a model that tries must not end what waits for the owner"
    assert order.released_at is None
