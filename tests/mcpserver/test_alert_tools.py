"""Alerts through the pipeline: off until switched on, of one's own alone, and no way to trade."""

import uuid
from decimal import Decimal
from typing import Any

import pytest

from console.accounts.models import User
from console.alerts.models import Alert, AlertEvent
from console.authority import bearer, call_quota
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.keys import minting
from console.onboarding import connection_lifecycle
from console.orders.models import Order
from console.scopes import Scope
from console.toolsets import Toolset
from mcpserver import catalog, pipeline
from mcpserver.arguments.types import cursor
from tests.clock import Clock
from tests.console.alerts.conftest import Look, SetPrices, clock, look, market

__all__ = ["clock", "look", "market"]
pytestmark = pytest.mark.django_db

TOOLS = [tool.name for tool in catalog.TOOLS if tool.toolset is Toolset.ALERTS]
ABOVE = {"kind": "price", "symbol": "AAPL", "condition": "above", "value": "200"}


@pytest.fixture(autouse=True)
def _one_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    # The pipeline is made for worker threads and lets connections go; the test's own must stay.
    monkeypatch.setattr(pipeline, "close_old_connections", lambda: None)
    # These are more calls than one user has in a minute; tests/mcpserver/test_call_limits.py is about that.
    monkeypatch.setattr(call_quota, "check", lambda *about, **own: None)


def app_of(key: str) -> ConnectedApp:
    return ConnectedApp.objects.get(api_keys__public_id=key.split("_")[2])


def switched_on(key: str) -> str:
    app = app_of(key)
    grants.set_toolsets(app, frozenset(Toolset), by=app.owner, may_widen=True)
    return key


@pytest.fixture
def key(trade_key: str) -> str:
    return switched_on(trade_key)


def call(key: str, tool: str, **arguments: Any) -> dict[str, Any]:
    return pipeline.call(bearer.authenticate(key), tool, arguments, request_id=uuid.uuid4().hex).content


def code(key: str, tool: str, **arguments: Any) -> str:
    return str(call(key, tool, **arguments)["error"]["code"])


def arguments_of(tool: str, alert_id: str) -> dict[str, Any]:
    given: dict[str, dict[str, Any]] = {"create_alert": ABOVE, "emit_alert": {"text": "Look"}}
    return given.get(tool, {"alert_id": alert_id} if tool in ("update_alert", "cancel_alert") else {})


def test_an_alert_is_created_changed_read_and_cancelled(
    key: str, look: Look, market: SetPrices, paper: Connection
) -> None:
    made = call(key, "create_alert", **ABOVE, repeat=True, cooldown_minutes=5, note="Earnings")
    assert (made["now"], made["already_met"]) == ("100 USD", False)
    alert = made["alert"]
    assert (alert["condition"], alert["status"], alert["fired"]) == ("AAPL is above 200 USD", "active", 0)
    look("201", market)
    [listed] = call(key, "get_alerts", active=True)["alerts"]
    assert (listed["fired"], listed["last_seen"], listed["cooldown_minutes"]) == (1, "201 USD", 5)
    changed = call(key, "update_alert", alert_id=alert["alert_id"], value="150")
    assert changed["alert"]["condition"] == "AAPL is above 150 USD"
    assert changed["already_met"]
    assert call(key, "get_alerts", active=False)["alerts"] == []
    assert call(key, "cancel_alert", alert_id=alert["alert_id"])["alert"]["status"] == "cancelled"
    assert call(key, "get_alerts", active=True)["alerts"] == []
    [event] = call(key, "get_alert_history", alert_id=alert["alert_id"])["events"]
    assert (event["title"], event["value"]) == ("AAPL is above 200 USD (Paper)", "201")


def test_lists_go_on_where_they_ended(key: str, market: SetPrices, paper: Connection) -> None:
    made = [call(key, "create_alert", **ABOVE)["alert"]["alert_id"] for _ in range(3)]
    first = call(key, "get_alerts", limit=2)
    rest = call(key, "get_alerts", limit=2, cursor=first["next_cursor"])
    assert [each["alert_id"] for each in first["alerts"] + rest["alerts"]] == made[::-1]
    assert "next_cursor" not in rest
    assert code(key, "get_alert_history", cursor=first["next_cursor"]) == "invalid_argument"


def test_a_cursor_that_names_no_row_is_refused_rather_than_the_first_page_again(key: str, paper: Connection) -> None:
    for tool, of in (("get_alerts", "alerts"), ("get_alert_history", "alert_history")):
        assert call(key, tool, cursor=cursor(of, "x"))["error"]["field"] == "cursor"


def test_a_message_is_sent_and_in_the_history(key: str, clock: Clock, paper: Connection) -> None:
    sent = call(key, "emit_alert", text="Done. Details at https://evil.example")
    assert sent["text"] == "Done. Details at https evil example"
    [event] = call(key, "get_alert_history")["events"]
    assert event["title"].startswith("Message from the app ")
    for _ in range(9):
        call(key, "emit_alert", text="Again")
    assert code(key, "emit_alert", text="Again") == "rate_limited"


@pytest.mark.parametrize("tool", TOOLS)
def test_every_tool_is_off_until_the_owner_switches_it_on(
    tool: str, trade_key: str, market: SetPrices, paper: Connection
) -> None:
    assert code(trade_key, tool, **arguments_of(tool, "alt_1")) == "toolset_off"
    assert tool not in {each.name for each in catalog.visible(bearer.authenticate(trade_key))}
    switched_on(trade_key)
    assert tool in {each.name for each in catalog.visible(bearer.authenticate(trade_key))}


@pytest.mark.parametrize("tool", TOOLS)
def test_a_reader_reads_and_changes_nothing(
    tool: str, key: str, read_key: str, market: SetPrices, paper: Connection
) -> None:
    call(key, "create_alert", **ABOVE)
    before = (Alert.objects.count(), AlertEvent.objects.count())
    answer = call(switched_on(read_key), tool, **arguments_of(tool, Alert.objects.get().public_id))
    if tool.startswith("get_"):
        assert next(value for value in answer.values() if isinstance(value, list)) == []
    else:
        assert answer["error"]["code"] == "insufficient_scope"
    assert (Alert.objects.count(), AlertEvent.objects.count()) == before


@pytest.mark.parametrize("whose", ["another app", "another person"])
@pytest.mark.parametrize("tool", ["update_alert", "cancel_alert", "get_alert_history"])
def test_the_alert_of_somebody_else_is_not_there(
    tool: str, whose: str, key: str, other: User, owner: User, market: SetPrices, paper: Connection
) -> None:
    alert_id = call(key, "create_alert", **ABOVE)["alert"]["alert_id"]
    connection, person = paper, owner
    if whose == "another person":
        connection, person = (
            connection_lifecycle.open_paper(other, name="Theirs", starting_cash=Decimal(1000))[0],
            other,
        )
    _, stranger = minting.mint(person, connection, frozenset({Scope.TRADE}), name="Stranger")
    switched_on(stranger)
    more = {"value": "1"} if tool == "update_alert" else {}
    assert code(stranger, tool, alert_id=alert_id, **more) == "not_found"
    assert call(stranger, "get_alerts")["alerts"] == []
    assert Alert.objects.get().status == "active"


def test_no_tool_of_alerts_touches_an_order(key: str, look: Look, market: SetPrices, paper: Connection) -> None:
    alert_id = call(key, "create_alert", **ABOVE, note="Buy 100 AAPL at once")["alert"]["alert_id"]
    for tool in TOOLS:
        call(key, tool, **arguments_of(tool, alert_id))
    look("300", market)
    assert not Order.objects.exists()
    names = {arg.name for tool in catalog.TOOLS if tool.toolset is Toolset.ALERTS for arg in tool.args}
    assert not names & {"side", "quantity", "notional", "order_type", "confirmation_id", "limit_price"}


def test_an_update_without_anything_to_change_is_refused(key: str, market: SetPrices, paper: Connection) -> None:
    alert_id = call(key, "create_alert", **ABOVE)["alert"]["alert_id"]
    assert code(key, "update_alert", alert_id=alert_id) == "missing_argument"
