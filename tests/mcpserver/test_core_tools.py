"""The tools every client has: what may I do here, and does it work?"""

from decimal import Decimal

import pytest
from django.utils import timezone

from brokers.errors import BrokerUnavailable
from brokers.paper.adapter import PaperBroker
from brokers.types import Account
from console.accounts.models import User
from console.authority import bearer
from console.connections.models import Connection
from console.onboarding import connection_lifecycle
from mcpserver.context import ToolCall
from mcpserver.tools import server_info
from tests.mcpserver.wire import Wire
from tests.serving import Server


@pytest.fixture(scope="module")
def server(shared_server: Server) -> Server:
    return shared_server


@pytest.fixture
def read(server: Server) -> Wire:
    return Wire(server.mcp_url, server.quickstart["paper_key_read"])


@pytest.fixture
def trade(server: Server) -> Wire:
    return Wire(server.mcp_url, server.quickstart["paper_key_trade"])


def call(key: str) -> ToolCall:
    return ToolCall(principal=bearer.authenticate(key), request_id="req_1", args={})


def test_capabilities_say_where_the_client_is_and_what_it_may(read: Wire, trade: Wire) -> None:
    told = read.result("get_capabilities", {})
    assert told["server"]["name"] == "Tradelatch"
    assert told["mode"] == "paper"
    assert told["scopes"] == ["mcp:read"]
    assert told["trading"] == {
        "allowed": False,
        "scope": False,
        "enabled_on_connection": True,
        "confirmation": "two_step",
        "confirmation_seconds": 120,
        "confirmation_delay_seconds": 0,
        "ask_in_assistant": True,
        "order_types": ["MKT", "LMT", "STP", "STP_LIMIT", "TRAIL"],
        "time_in_force": ["DAY", "GTC", "IOC", "FOK", "OPG", "CLS"],
        "time_in_force_of": {kind: ["DAY", "GTC"] for kind in ("STP", "STP_LIMIT", "TRAIL")},
        "order_classes": ["simple", "bracket", "oco", "oto"],
        "also": ["modify", "notional", "short", "reverse", "reduce_only", "post_only"],
        "not_reported": ["earnings_date", "trading_halt", "tax_lots"],
    }
    assert trade.result("get_capabilities", {})["trading"]["allowed"] is True


def test_a_connection_that_works_passes_its_test(read: Wire, trade: Wire) -> None:
    told = read.result("self_test", {})
    assert told["ok"] is True
    [connection] = told["connections"]
    assert [check["check"] for check in connection["checks"]] == ["broker", "accounts", "balances"]
    assert all("next" not in check for check in connection["checks"])
    assert [check["check"] for check in trade.result("self_test", {})["connections"][0]["checks"]][-1] == "trading"


def test_a_broker_that_does_not_answer_is_told_with_the_next_step(
    trade_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(self: PaperBroker) -> list[Account]:
        raise BrokerUnavailable("The broker does not answer.")

    monkeypatch.setattr(PaperBroker, "accounts", silent)
    told = server_info.self_test(call(trade_key))
    assert told["ok"] is False
    check = told["connections"][0]["checks"][0]
    assert (check["check"], check["ok"], check["detail"]) == ("broker", False, "The broker does not answer.")
    assert "Try again" in check["next"]


def test_a_default_account_that_is_gone_is_told(trade_key: str, paper: Connection) -> None:
    Connection.objects.filter(pk=paper.pk).update(default_account="GONE")
    told = server_info.self_test(call(trade_key))
    check = told["connections"][0]["checks"][1]
    assert (check["check"], check["ok"]) == ("accounts", False)
    assert "GONE" in check["detail"]


def test_trading_that_is_switched_off_fails_the_test_of_an_app_that_may_trade(
    trade_key: str, read_key: str, paper: Connection
) -> None:
    Connection.objects.filter(pk=paper.pk).update(trading_enabled=False)
    told = server_info.self_test(call(trade_key))
    assert told["connections"][0]["checks"][-1]["detail"].startswith("trading_disabled: ")
    assert server_info.self_test(call(read_key))["ok"] is True


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({"checked_at": None}, "not_checked"),
        ({"checked_at": timezone.now(), "last_error": ""}, "ok"),
        ({"checked_at": timezone.now(), "last_error": "The broker does not answer."}, "error"),
        ({"paused_at": timezone.now()}, "paused"),
    ],
    ids=["not_checked", "ok", "error", "paused"],
)
def test_connections_are_told_with_their_state(
    read_key: str, paper: Connection, fields: dict[str, object], state: str
) -> None:
    Connection.objects.filter(pk=paper.pk).update(**fields)
    [told] = server_info.get_connections(call(read_key))["connections"]
    assert told["state"] == state
    assert (told["environment"], told["broker"]) == ("paper", "paper")
    assert told.get("last_error") == (fields.get("last_error") or None)


def test_an_app_is_told_of_its_own_connection_alone(read_key: str, owner: User, other: User, paper: Connection) -> None:
    for person, name in ((owner, "Second"), (other, "Oscar's")):
        connection_lifecycle.open_paper(person, name=name, starting_cash=Decimal(1000))
    for tool in (server_info.get_connections, server_info.self_test):
        assert [each["name"] for each in tool(call(read_key))["connections"]] == ["Practice"]
