"""The catalog against its word: every tool answers what it declares, and is listed with its hints."""

from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from console import toolsets
from console.scopes import Scope
from console.toolsets import Toolset
from mcpserver import catalog, result_schemas
from tests.mcpserver.wire import Wire, check_shape
from tests.serving import Server

STOP = "halt_trading"
RESTING = {
    "symbol": "BTC/USD",
    "side": "BUY",
    "quantity": "0.1",
    "order_type": "LMT",
    "limit_price": "100",
    "tif": "GTC",
}

# Needs an account that may sell short: test_trade_tools.
APART = (STOP, "reverse_position")

# Arguments that each tool answers on the simulated market; of the rest, those of RESTING or none.
SAMPLES: dict[str, dict[str, Any]] = {
    "search_security": {"query": "bitcoin"},
    "get_quote": {"symbols": ["BTC/USD", "AAPL"]},
    "get_history": {"symbol": "BTC/USD", "bar": "1h", "limit": 5},
    "get_change": {"symbols": ["BTC/USD"]},
    "get_security": {"symbol": "AAPL"},
    "get_order_book": {"symbol": "BTC/USD"},
    "get_trades": {"symbol": "BTC/USD", "limit": 5},
    "get_indicators": {"symbol": "BTC/USD", "indicators": ["RSI(14)", "MACD(12,26,9)", "BBANDS(20,2)"], "last": 2},
    "screen_securities": {"filters": [{"field": "price", "op": ">", "value": "1"}]},
    "get_movers": {"kind": "gainers"},
    "get_exchange_rate": {"base": "USD", "quote": "USD"},
    "preview_order": RESTING,
    "get_max_order": {"symbol": "BTC/USD", "side": "BUY"},
    "place_order": RESTING,
    "place_batch_orders": {"orders": [RESTING, RESTING | {"limit_price": "99"}]},
    "prepare_plan": {
        "kind": "twap",
        "symbol": "BTC/USD",
        "side": "BUY",
        "quantity": "0.02",
        "orders": 2,
        "minutes": 30,
    },
    "create_alert": {"kind": "price", "symbol": "BTC/USD", "condition": "above", "value": "1"},
    "emit_alert": {"text": "The report is ready."},
    "check_strategy": {"library": "sma-crossover"},
    "backtest_strategy": {"library": "sma-crossover"},
    "create_paper_account": {"name": "Second", "cash": "5000", "preset": "realistic"},
}


@pytest.fixture
def trade(server: Server) -> Wire:
    """Of an app whose owner switched every set on."""
    key = server.quickstart["paper_key_trade"]
    server.switch_on(key, Toolset)
    return Wire(server.mcp_url, key)


def sample(trade: Wire, tool: str) -> dict[str, Any]:
    match tool:
        case "set_current_account":
            return {"account_id": trade.result("get_current_account", {})["account"]["account_id"]}
        case "confirm_trade" | "discard_confirmation":
            return {"confirmation_id": trade.result("place_order", RESTING)["confirmation_id"]}
        case "cancel_order" | "get_order_status":
            prepared = trade.result("place_order", RESTING)
            trade.result("confirm_trade", {"confirmation_id": prepared["confirmation_id"]})
            return {"order_id": prepared["order"]["order_id"]}
        case "modify_order":
            return sample(trade, "cancel_order") | {"limit_price": "101"}
        case "close_position" | "flatten_account":
            held = trade.result("place_order", {"symbol": "AAPL", "side": "BUY", "quantity": "2"})
            trade.result("confirm_trade", {"confirmation_id": held["confirmation_id"]})
            return {} if tool == "flatten_account" else {"symbol": "AAPL"}
        case "reset_paper_account" | "set_paper_model":
            return {"account_id": trade.result("get_current_account", {})["account"]["account_id"]}
        case "pause_plan" | "cancel_plan":
            plan = trade.result("prepare_plan", SAMPLES["prepare_plan"])
            trade.result("confirm_trade", {"confirmation_id": plan["confirmation_id"]})
            return {"plan_id": plan["plan"]["plan_id"]}
        case "update_alert" | "cancel_alert":
            made = trade.result("create_alert", SAMPLES["create_alert"])
            return {"alert_id": made["alert"]["alert_id"]} | ({"value": "2"} if tool == "update_alert" else {})
        case "cancel_backtest":
            made = trade.result("backtest_strategy", SAMPLES["backtest_strategy"])
            return {"backtest_id": made["backtest"]["backtest_id"]}
        case "add_journal_note":
            prepared = trade.result("place_order", RESTING)
            return {"id": prepared["order"]["order_id"], "text": "The owner waits for a lower price.", "tags": ["dip"]}
        case _:
            return SAMPLES.get(tool, {})


# What a paper account has not, test_broker_tools calls.
ANSWERED = [tool for tool in catalog.TOOLS if tool.name not in APART and catalog.can("paper", tool)]


@pytest.mark.parametrize("tool", ANSWERED, ids=lambda tool: tool.name)
def test_a_tool_answers_what_it_declares(trade: Wire, tool: catalog.Tool) -> None:
    answer = trade.call(tool.name, sample(trade, tool.name))  # and the wire holds it against the schema
    assert answer.json()["result"].get("isError") in (None, False), answer.text


def test_a_result_that_says_more_or_less_than_declared_is_seen(trade: Wire) -> None:
    answer = trade.call("get_current_account", {})
    check_shape("get_current_account", answer)
    schema = result_schemas.schema(catalog.TOOLS[0].returns)
    content = trade.result(catalog.TOOLS[0].name, {})
    for wrong in (content | {"more": 1}, {"context": content["context"]}, {**content, "context": {}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema, jsonschema.Draft202012Validator)


@pytest.mark.parametrize("tool", catalog.TOOLS, ids=lambda tool: tool.name)
def test_output_schemas_are_closed_and_never_null(tool: catalog.Tool) -> None:
    def walk(node: Any) -> None:
        if isinstance(node, dict):
            assert node.get("type") != "null", tool.name
            if "properties" in node:
                assert node["additionalProperties"] is False
            for inner in node.values():
                walk(inner)
        elif isinstance(node, list):
            for inner in node:
                walk(inner)

    schema = result_schemas.schema(tool.returns)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert "context" in schema["required"]
    walk(schema)


def test_output_schemas_are_not_sent(trade: Wire) -> None:
    assert not any("outputSchema" in tool for tool in trade.rpc("tools/list", {}).json()["result"]["tools"])


def test_hints_say_what_a_call_can_do(trade: Wire) -> None:
    hints = {tool["name"]: tool["annotations"] for tool in trade.rpc("tools/list", {}).json()["result"]["tools"]}
    assert hints["get_quote"] == {"readOnlyHint": True}
    assert hints["discard_confirmation"] == {"readOnlyHint": False, "destructiveHint": False, "idempotentHint": True}
    assert hints["place_order"] == {"readOnlyHint": False, "destructiveHint": True}


def test_the_old_name_of_place_order_is_taken_and_not_listed(trade: Wire) -> None:
    assert trade.result("create_order", RESTING)["status"] == "needs_confirmation"
    assert "create_order" not in {tool["name"] for tool in trade.rpc("tools/list", {}).json()["result"]["tools"]}


def test_the_console_is_told_of_every_tool_once(trade: Wire) -> None:
    told = toolsets.provided()
    assert [tool.name for tool in told] == [tool.name for tool in catalog.TOOLS]
    for info, tool in zip(told, catalog.TOOLS, strict=True):
        assert (info.toolset, info.scope) == (tool.toolset, tool.scope)
        assert [field.name for field in info.takes] == [arg.name for arg in tool.args]


def test_no_reader_sees_the_tools_that_act_on_orders() -> None:
    assert {tool.scope for tool in catalog.TOOLS if tool.toolset is Toolset.TRADE} == {Scope.TRADE}


def test_halting_answers_what_it_declares_and_comes_last_because_nobody_here_can_lift_it(trade: Wire) -> None:
    answer = trade.call(STOP, {"reason": "The last test of this file."})
    assert answer.json()["result"].get("isError") in (None, False), answer.text
