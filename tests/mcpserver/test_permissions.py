"""Every tool that changes something: nobody but the app whose it is, and whose owner lets it, gets anywhere with it."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from django.apps import apps

from brokers.paper.adapter import PaperBroker
from console.accounts.models import User
from console.alerts.models import AlertEvent
from console.audit.models import Call
from console.authority import bearer, call_quota
from console.connected_apps import grants
from console.connected_apps.grants import AppRestrictions
from console.connected_apps.models import ConnectedApp
from console.connections import paper_linking as paper_connections
from console.connections.models import Connection
from console.keys import minting
from console.limits import Limits
from console.scopes import Scope
from console.strategies.models import Backtest
from console.toolsets import Toolset
from mcpserver import catalog, pipeline
from tests.brokers.paper.support import order
from tests.mcpserver.wire import Wire
from tests.serving import Server

TRADERS = [tool.name for tool in catalog.TOOLS if tool.scope is Scope.TRADE]
# What somebody else is told; that there is no such account where it is not here.
ABSENT = {
    "confirm_trade": "confirmation_unknown",
    "discard_confirmation": "confirmation_unknown",
    "modify_order": "unknown_order",
    "cancel_order": "unknown_order",
    "add_journal_note": "invalid_argument",
    "pause_plan": "not_found",
    "cancel_plan": "not_found",
    "update_alert": "not_found",
    "cancel_alert": "not_found",
    "cancel_backtest": "not_found",
}
TWAP = {"kind": "twap", "symbol": "BTC/USD", "side": "BUY", "quantity": "0.02", "orders": 2, "minutes": 30}
TESTED = {"library": "sma-crossover"}
LIMIT = {"symbol": "BTC/USD", "side": "BUY", "quantity": "0.01", "order_type": "LMT", "limit_price": "100"}
EQUITY = {"kind": "equity", "condition": "above", "value": "1"}


@dataclass(frozen=True)
class Scene:
    """What the owner's app has: an account with a position, orders that rest and wait, a finished trade, an alert, a
    plan that runs and a backtest."""

    account_id: str
    order_id: str
    confirmation_id: str
    trade_id: str
    plan_id: str
    alert_id: str
    backtest_id: str


# Each would do what the tool is for, asked by the app whose scene it is.
ASKED: dict[str, Callable[[Scene], dict[str, Any]]] = {
    "set_current_account": lambda scene: {"account_id": scene.account_id},
    "place_order": lambda scene: {**LIMIT, "account_id": scene.account_id},
    "confirm_trade": lambda scene: {"confirmation_id": scene.confirmation_id},
    "get_pending_confirmations": lambda scene: {"account_id": scene.account_id},
    "discard_confirmation": lambda scene: {"confirmation_id": scene.confirmation_id},
    "modify_order": lambda scene: {"order_id": scene.order_id, "limit_price": "90"},
    "cancel_order": lambda scene: {"order_id": scene.order_id},
    "cancel_all_orders": lambda scene: {"account_id": scene.account_id},
    "place_batch_orders": lambda scene: {"orders": [LIMIT, LIMIT], "account_id": scene.account_id},
    "close_position": lambda scene: {"symbol": "SPY", "account_id": scene.account_id},
    "reverse_position": lambda scene: {"symbol": "SPY", "account_id": scene.account_id},
    "flatten_account": lambda scene: {"account_id": scene.account_id},
    "halt_trading": lambda scene: {"account_id": scene.account_id, "reason": "enough"},
    "add_journal_note": lambda scene: {"id": scene.trade_id, "text": "Well done"},
    "create_alert": lambda scene: EQUITY | {"account_id": scene.account_id},
    "update_alert": lambda scene: {"alert_id": scene.alert_id, "value": "2"},
    "cancel_alert": lambda scene: {"alert_id": scene.alert_id},
    "emit_alert": lambda scene: {"text": "Well done"},
    "backtest_strategy": lambda scene: TESTED,
    "cancel_backtest": lambda scene: {"backtest_id": scene.backtest_id},
    "create_paper_account": lambda scene: {"name": "Copy", "clone_account_id": scene.account_id},
    "reset_paper_account": lambda scene: {"account_id": scene.account_id},
    "prepare_plan": lambda scene: {**TWAP, "account_id": scene.account_id},
    "pause_plan": lambda scene: {"plan_id": scene.plan_id},
    "cancel_plan": lambda scene: {"plan_id": scene.plan_id},
    "set_paper_model": lambda scene: {"account_id": scene.account_id, "preset": "realistic"},
}


@pytest.fixture(autouse=True)
def _one_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    # The pipeline is made for worker threads and lets connections go; the test's own must stay.
    monkeypatch.setattr(pipeline, "close_old_connections", lambda: None)
    call_quota.reset()


def call(key: str, tool: str, **arguments: Any) -> dict[str, Any]:
    return pipeline.call(bearer.authenticate(key), tool, arguments, request_id=uuid.uuid4().hex).content


@pytest.fixture
def margin(owner: User) -> Connection:
    """An account in which a position can be turned around."""
    return paper_connections.link_paper(owner, name="Margin", starting_cash=Decimal(100_000), kind="margin")


def app(owner: User, connection: Connection, *scopes: Scope) -> str:
    """The key of a new one, whose owner switched every set on."""
    every = AppRestrictions(Limits(), [each.value for each in Toolset])
    return minting.mint(owner, connection, frozenset(scopes), name="script", start=every)[1]


@pytest.fixture
def trader(owner: User, margin: Connection) -> str:
    return app(owner, margin, Scope.READ, Scope.TRADE)


@pytest.fixture
def scene(margin: Connection, trader: str) -> Scene:
    broker = PaperBroker.open(margin.settings)
    for side, quantity, symbol in (("BUY", "2", "AAPL"), ("SELL", "2", "AAPL"), ("BUY", "1", "SPY")):
        broker.submit(margin.default_account, order(side, quantity, symbol))
    resting = call(trader, "place_order", **LIMIT)
    call(trader, "confirm_trade", confirmation_id=resting["confirmation_id"])
    waiting = call(trader, "place_order", **LIMIT)
    trades = call(trader, "get_journal_trades")["trades"]
    plan = call(trader, "prepare_plan", **TWAP)
    call(trader, "confirm_trade", confirmation_id=plan["confirmation_id"])
    return Scene(
        account_id=margin.default_account,
        order_id=resting["order"]["order_id"],
        confirmation_id=waiting["confirmation_id"],
        trade_id=next(each["trade_id"] for each in trades if each["symbol"] == "AAPL"),
        plan_id=plan["plan"]["plan_id"],
        alert_id=call(trader, "create_alert", **EQUITY)["alert"]["alert_id"],
        backtest_id=call(trader, "backtest_strategy", **TESTED)["backtest"]["backtest_id"],
    )


def everything() -> dict[str, list[dict[str, Any]]]:
    """Every row there is but those that tell who called and when."""
    return {
        model._meta.label: [
            {name: value for name, value in row.items() if not name.startswith("last_")}
            for row in model._default_manager.order_by("pk").values()
        ]
        for model in apps.get_models()
        if model._meta.app_label != "audit"
    }


def refused(key: str, tool: str, scene: Scene) -> str:
    """The code of a refusal that changed nothing and is on record as a call of the app of this key."""
    before, calls = everything(), Call.objects.count()
    error = call(key, tool, **ASKED[tool](scene))["error"]
    assert everything() == before
    row = Call.objects.latest("pk")
    assert Call.objects.count() == calls + 1
    assert (row.app_id, row.tool, row.outcome, row.code) == (
        bearer.authenticate(key).app_id,
        tool,
        "refused",
        error["code"],
    )
    return str(error["code"])


def test_every_tool_that_changes_something_is_asked_for_here() -> None:
    assert sorted(ASKED) == sorted(TRADERS)


@pytest.mark.parametrize("tool", TRADERS)
def test_the_app_whose_it_is_gets_what_it_asks_for_and_no_other_gets_anything(
    owner: User, other: User, margin: Connection, trader: str, scene: Scene, tool: str
) -> None:
    theirs = paper_connections.link_paper(other, name="Theirs", starting_cash=Decimal(100_000), kind="margin")
    stranger = app(other, theirs, Scope.READ, Scope.TRADE)
    if tool == "get_pending_confirmations":
        assert call(stranger, tool, **ASKED[tool](scene))["pending"] == []
    elif tool == "emit_alert":
        assert "error" not in call(stranger, tool, **ASKED[tool](scene))
        assert not AlertEvent.objects.filter(owner=owner).exists(), "it goes to its own owner"
    elif tool == "backtest_strategy":
        assert "error" not in call(stranger, tool, **ASKED[tool](scene))
        assert Backtest.objects.filter(owner=owner).count() == 1, "it is on its own connection"
    else:
        assert refused(stranger, tool, scene) == ABSENT.get(tool, "unknown_account")
    assert refused(app(owner, margin, Scope.READ), tool, scene) == "insufficient_scope"
    paused = ConnectedApp.objects.get(pk=bearer.authenticate(trader).app_id)
    grants.pause(paused, by=owner)
    assert refused(trader, tool, scene) == "app_paused"
    grants.resume(paused, by=owner)
    answer = call(trader, tool, **ASKED[tool](scene))
    assert "error" not in answer, answer


def test_a_revoked_app_gets_no_further_than_the_endpoint_with_any_of_them(server: Server) -> None:
    key = server.quickstart["paper_key_trade"]
    wire = Wire(server.mcp_url, key)
    prepared = wire.result("place_order", LIMIT)
    mine = Scene(
        account_id=prepared["context"]["account_id"],
        order_id=prepared["order"]["order_id"],
        confirmation_id=prepared["confirmation_id"],
        trade_id="trd_none",
        plan_id="pln_none",
        alert_id="alt_none",
        backtest_id="btt_none",
    )
    (app_id,) = server.query("SELECT app_id FROM orders_order WHERE public_id = ?", mine.order_id)[0]
    server.query("UPDATE connected_apps_connectedapp SET revoked_at = CURRENT_TIMESTAMP WHERE id = ?", app_id)
    tables = ("orders_order", "orders_confirmation", "orders_orderevent", "connections_connection", "journal_note")
    rows = [server.query(f"SELECT * FROM {table} ORDER BY id") for table in tables]  # noqa: S608 - names of ours
    for tool in TRADERS:
        answer = wire.call(tool, ASKED[tool](mine))
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), tool
        row = server.query("SELECT app_id, outcome, code FROM audit_call ORDER BY id DESC LIMIT 1")
        assert row == [(app_id, "refused", "unauthenticated")], tool
    assert [server.query(f"SELECT * FROM {table} ORDER BY id") for table in tables] == rows  # noqa: S608
