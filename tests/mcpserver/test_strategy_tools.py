"""Strategies through their tools: checked, tested on past bars, told; for the app that asked and nobody else."""

import json
from decimal import Decimal
from typing import Any

import pytest

from console.accounts.models import User
from console.authority import bearer, call_quota
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.keys import minting
from console.onboarding import connection_lifecycle
from console.orders.models import Order
from console.scopes import Scope
from console.strategies import running
from console.strategies.models import Backtest
from console.toolsets import Toolset
from mcpserver import catalog, pipeline
from mcpserver.arguments.types import cursor
from tests.console.strategies.conftest import SHORT, Prices, prices
from tests.mcpserver.steps import call

__all__ = ["prices"]

pytestmark = pytest.mark.django_db

TOOLS = sorted(tool.name for tool in catalog.TOOLS if tool.toolset is Toolset.STRATEGIES)
ASKED = {"rules": SHORT, "start": "2026-01-01", "end": "2026-03-01", "cash": "5000", "costs": "thin"}


@pytest.fixture(autouse=True)
def _one_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    # The pipeline is made for worker threads and lets connections go; the test's own must stay.
    monkeypatch.setattr(pipeline, "close_old_connections", lambda: None)
    # These are more calls than one user has in a minute; tests/mcpserver/test_call_limits.py is about that.
    monkeypatch.setattr(call_quota, "check", lambda *about, **own: None)


def switched_on(key: str) -> str:
    app = ConnectedApp.objects.get(api_keys__public_id=key.split("_")[2])
    grants.set_toolsets(app, set(Toolset), by=app.owner, may_widen=True)
    return key


@pytest.fixture
def key(trade_key: str) -> str:
    return switched_on(trade_key)


def code(key: str, tool: str, **arguments: Any) -> str:
    found: str = call(key, tool, **arguments)["error"]["code"]
    return found


def arguments_of(tool: str, backtest_id: str) -> dict[str, Any]:
    match tool:
        case "backtest_strategy":
            return ASKED
        case "check_strategy":
            return {"rules": SHORT}
        case "get_backtest" | "cancel_backtest":
            return {"backtest_id": backtest_id}
    return {}


def started(key: str) -> str:
    found: str = call(key, "backtest_strategy", **ASKED)["backtest"]["backtest_id"]
    return found


def test_the_library_is_read_and_what_it_holds_is_right(key: str, prices: Prices) -> None:
    listed = call(key, "get_strategies")["strategies"]
    assert len(listed) == 12
    for each in listed:
        rules = call(key, "get_strategies", library=each["name"])["rules"]
        checked = call(key, "check_strategy", rules=rules)
        assert checked["ok"], checked
    assert json.loads(call(key, "get_strategies", schema=True)["schema"])["title"] == "Rules of a strategy"
    assert code(key, "get_strategies", library="martingale") == "invalid_argument"


def test_wrong_rules_are_told_line_by_line(key: str) -> None:
    told = call(key, "check_strategy", rules='{\n"name": "x",\n"entry": {"left": "SMA(1)", "is": "above", "right": 5}}')
    assert told["ok"] is False
    assert {"line": 3, "column": 19, "path": "entry.left"}.items() <= told["problems"][-1].items()
    assert "SMA must be whole numbers from 2 to 200" in told["problems"][-1]["message"]
    assert not Backtest.objects.exists()


def test_rules_may_come_as_an_object(key: str) -> None:
    told = call(key, "check_strategy", rules=json.loads(SHORT))
    assert (told["ok"], told["entry"], told["bars_needed"]) == (True, "close above 105", 1)
    spoiled = json.loads(SHORT) | {"size": {"worth": -1}}
    problem = call(key, "check_strategy", rules=spoiled)["problems"][0]
    assert problem["path"] == "size.worth"


def test_one_is_started_watched_and_read(key: str, prices: Prices) -> None:
    backtest_id = started(key)
    assert call(key, "get_backtest", backtest_id=backtest_id)["backtest"]["status"] == "waiting"
    running.run_next()
    told = call(key, "get_backtest", backtest_id=backtest_id)
    assert told["backtest"]["status"] == "done"
    assert told["figures"]["trades"] == sum(told["trade_figures"]["exits"].values()) > 10
    assert {"in_sample", "out_of_sample", "years", "warnings"} <= set(told)
    for part in ("trades", "curve", "months", "walk_forward"):
        assert call(key, "get_backtest", backtest_id=backtest_id, part=part)[part]
    assert [each["backtest_id"] for each in call(key, "get_backtest")["backtests"]] == [backtest_id]
    assert not Order.objects.exists()


def test_a_cursor_that_names_no_row_is_refused_rather_than_the_first_page_again(key: str) -> None:
    assert call(key, "get_backtest", cursor=cursor("backtests", "x"))["error"]["field"] == "cursor"


def test_one_of_the_library_runs_on_other_symbols_and_bars(key: str, prices: Prices) -> None:
    asked = {"library": "sma-crossover", "symbols": ["AAPL", "MSFT"], "timeframe": "1h"}
    call(key, "backtest_strategy", **asked, start="2026-01-01", end="2026-02-01")
    running.run_next()
    assert {symbol for symbol, _, _ in prices.asked} == {"AAPL", "MSFT"}
    assert Backtest.objects.get().status == "done"


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"rules": SHORT, "library": "sma-crossover"},
        {"rules": SHORT, "timeframe": "1h"},
        {"rules": "not JSON"},
        {"rules": SHORT, "cash": "1"},
        {"rules": SHORT, "costs": "free"},
    ],
)
def test_what_cannot_be_started_is_refused(wrong: dict[str, Any], key: str, prices: Prices) -> None:
    assert code(key, "backtest_strategy", **wrong) in ("invalid_argument", "missing_argument")
    assert not Backtest.objects.exists()


def test_it_is_cancelled_once(key: str, prices: Prices) -> None:
    backtest_id = started(key)
    assert call(key, "cancel_backtest", backtest_id=backtest_id)["backtest"]["status"] == "cancelled"
    assert code(key, "cancel_backtest", backtest_id=backtest_id) == "invalid_request"


@pytest.mark.parametrize("tool", TOOLS)
def test_every_tool_is_off_until_the_owner_switches_it_on(tool: str, trade_key: str, prices: Prices) -> None:
    assert code(trade_key, tool, **arguments_of(tool, "btt_1")) == "toolset_off"
    assert tool not in {each.name for each in catalog.visible(bearer.authenticate(trade_key))}
    switched_on(trade_key)
    assert tool in {each.name for each in catalog.visible(bearer.authenticate(trade_key))}


@pytest.mark.parametrize("tool", ["backtest_strategy", "cancel_backtest"])
def test_a_reader_starts_and_ends_none(tool: str, key: str, read_key: str, prices: Prices) -> None:
    backtest_id = started(key)
    assert code(switched_on(read_key), tool, **arguments_of(tool, backtest_id)) == "insufficient_scope"
    assert Backtest.objects.get().status == "waiting"


@pytest.mark.parametrize("whose", ["another app", "another person"])
@pytest.mark.parametrize("tool", ["get_backtest", "cancel_backtest"])
def test_the_backtest_of_somebody_else_is_not_there(
    tool: str, whose: str, key: str, other: User, owner: User, paper: Connection, prices: Prices
) -> None:
    backtest_id = started(key)
    connection, person = paper, owner
    if whose == "another person":
        person = other
        connection, _ = connection_lifecycle.open_paper(other, name="Theirs", starting_cash=Decimal(1000))
    _, stranger = minting.mint(person, connection, frozenset({Scope.TRADE}), name="Stranger")
    switched_on(stranger)
    assert code(stranger, tool, backtest_id=backtest_id) == "not_found"
    assert call(stranger, "get_backtest")["backtests"] == []
    assert Backtest.objects.get().status == "waiting"


def test_no_tool_of_strategies_names_an_order() -> None:
    names = {arg.name for tool in catalog.TOOLS if tool.toolset is Toolset.STRATEGIES for arg in tool.args}
    assert not names & {"side", "quantity", "notional", "order_type", "confirmation_id", "limit_price", "account_id"}
