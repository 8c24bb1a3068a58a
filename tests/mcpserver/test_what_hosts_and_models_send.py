"""Arguments in another form than the schema's, as hosts and models are known to send them.

They are taken where they can mean one thing only, and refused with the name that was meant where they cannot.
"""

import json
import re
from typing import Any

import pytest

from console.authority import call_quota
from mcpserver import catalog, pipeline
from mcpserver.arguments import base as arguments
from mcpserver.arguments import lenient
from mcpserver.arguments.types import Amounts, Filters, OrderItems, Texts
from tests.mcpserver.steps import call, refusal

BUY: dict[str, Any] = {
    "symbol": "BTC/USD",
    "side": "BUY",
    "quantity": "0.1",
    "order_type": "LMT",
    "limit_price": "100",
    "tif": "GTC",
}


@pytest.fixture(autouse=True)
def _one_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    # The pipeline is made for worker threads and lets connections go; the test's own must stay.
    monkeypatch.setattr(pipeline, "close_old_connections", lambda: None)
    monkeypatch.setattr(call_quota, "check", lambda *about, **own: None)


STRUCTURED: dict[tuple[str, str], Any] = {
    ("get_quote", "symbols"): ["AAPL", "BTC/USD"],
    ("get_change", "symbols"): ["AAPL"],
    ("get_transactions", "types"): ["deposit", "fee"],
    ("get_indicators", "indicators"): ["RSI(14)", "SMA(20)"],
    ("screen_securities", "filters"): [{"field": "price", "op": ">", "value": "1"}],
    ("place_batch_orders", "orders"): [BUY, BUY | {"limit_price": "99"}],
    ("set_paper_model", "overrides"): {"slippage_percent": "0.05", "margin": True},
    ("add_journal_note", "tags"): ["dip", "plan"],
    ("check_strategy", "symbols"): ["AAPL", "MSFT"],
    ("backtest_strategy", "symbols"): ["AAPL", "MSFT"],
}
BESIDE: dict[str, dict[str, Any]] = {
    "get_indicators": {"symbol": "AAPL"},
    "set_paper_model": {"account_id": "PAPER"},
    "add_journal_note": {"id": "tr_1", "text": "x"},
}


@pytest.mark.parametrize(("tool", "name"), STRUCTURED)
def test_a_list_or_an_object_is_read_from_its_json_text(tool: str, name: str) -> None:
    declared = catalog.find(tool)
    assert declared is not None
    (arg,) = (arg for arg in declared.args if arg.name == name)
    given, beside = STRUCTURED[tool, name], BESIDE.get(tool, {})
    plain = arguments.parse(declared.args, {name: given} | beside)
    for text in (json.dumps(given), f" {json.dumps(given, indent=2)}\n"):
        assert arguments.parse(declared.args, {name: text} | beside) == plain
    if isinstance(arg, OrderItems | Filters):
        assert arguments.parse(declared.args, {name: [json.dumps(each) for each in given]} | beside) == plain


def test_no_structured_argument_is_forgotten() -> None:
    kinds = {
        (tool.name, arg.name)
        for tool in catalog.TOOLS
        for arg in tool.args
        if arg.schema()["type"] in ("array", "object") and arg.in_schema
    }
    assert kinds == set(STRUCTURED)
    assert all(kind.is_structured for kind in (Amounts, Filters, OrderItems, Texts))


def test_a_batch_sent_as_text_is_prepared(trade_key: str) -> None:
    prepared = call(trade_key, "place_batch_orders", orders=json.dumps(STRUCTURED["place_batch_orders", "orders"]))
    assert prepared["status"] == "needs_confirmation"


@pytest.mark.parametrize("text", ["[", '["AAPL"', "{}", '{"a": NaN}', "[" * 100_000, "[" + "9" * 5000 + "]"])
def test_text_that_is_no_list_is_refused(trade_key: str, text: str) -> None:
    assert refusal(trade_key, "place_batch_orders", orders=text)["code"] == "invalid_argument"


def test_a_number_inside_text_that_lost_digits_is_refused_as_elsewhere(trade_key: str) -> None:
    text = json.dumps([BUY]).replace('"0.1"', "0.10000000000000000001")
    error = refusal(trade_key, "place_batch_orders", orders=text)
    assert (error["code"], error["field"]) == ("invalid_argument", "orders[0].quantity")


@pytest.mark.parametrize("number", [3, 3.0, "3", "3.0"])
def test_three_is_a_whole_number_however_it_is_written(read_key: str, number: Any) -> None:
    answer = call(read_key, "get_order_book", symbol="BTC/USD", depth=number)
    assert len(answer["bids"]) == 3


@pytest.mark.parametrize("number", [3.5, "3.5", "1e1", -3.0, 0.0, True, 1e300, "three"])
def test_what_is_no_whole_number_is_refused(read_key: str, number: Any) -> None:
    error = refusal(read_key, "get_order_book", symbol="BTC/USD", depth=number)
    assert (error["code"], error["field"]) == ("invalid_argument", "depth")


@pytest.mark.parametrize("added", ["wait_for_previous", "toolCallId", "sessionId"])
@pytest.mark.parametrize("tool", ["get_cash", "get_quote", "place_order"])
def test_what_hosts_add_to_every_call_is_dropped(trade_key: str, tool: str, added: str) -> None:
    given: dict[str, Any] = {"get_quote": {"symbols": ["AAPL"]}, "place_order": BUY}.get(tool, {})
    assert "error" not in call(trade_key, tool, **given, **{added: "call_1"})


def test_no_tool_has_an_argument_that_hosts_add() -> None:
    assert not {arg.name for tool in catalog.TOOLS for arg in tool.args} & lenient.HOST_ADDED


@pytest.mark.parametrize(
    ("tool", "given"),
    [
        ("get_quote", {"symbol": "AAPL"}),
        ("get_quote", {"symbol": ["AAPL"]}),
        ("get_quote", {"symbols": "AAPL"}),
        ("get_quote", {"symbols": '["AAPL"]'}),
        ("get_change", {"symbol": "AAPL"}),
        ("get_security", {"symbols": ["AAPL"]}),
        ("get_history", {"symbols": "AAPL"}),
        ("get_indicators", {"symbols": '["AAPL"]', "indicators": "RSI"}),
        ("get_positions", {"symbols": ["AAPL"]}),
        ("get_orders", {"symbol": ["AAPL"]}),
        ("preview_order", {"symbols": ["AAPL"], "side": "BUY", "quantity": "1"}),
    ],
)
def test_symbol_and_symbols_are_both_taken(trade_key: str, tool: str, given: dict[str, Any]) -> None:
    assert "error" not in call(trade_key, tool, **given)


def test_two_symbols_where_one_is_taken_are_refused(trade_key: str) -> None:
    for tool in ("get_history", "place_order"):
        error = refusal(trade_key, tool, symbols=["AAPL", "MSFT"], **({"side": "BUY"} if tool == "place_order" else {}))
        assert (error["code"], error["field"]) == ("invalid_argument", "symbol")
        assert "Call once for each" in error["message"]
    both = refusal(trade_key, "get_quote", symbol="AAPL", symbols=["MSFT"])
    assert (both["code"], both["field"]) == ("unknown_argument", "symbol")


@pytest.mark.parametrize(
    ("tool", "given", "meant"),
    [
        ("place_order", "qty", "quantity"),
        ("place_order", "orderType", "order_type"),
        ("place_order", "price", "limit_price"),
        ("place_order", "time_in_force", "tif"),
        ("place_order", "clientOrderId", "client_order_id"),
        ("get_history", "timeframe", "bar"),
        ("get_history", "ticker", "symbol"),
        ("get_quote", "tickers", "symbols"),
        ("get_orders", "sttaus", "status"),
        ("get_cash", "account", "account_id"),
    ],
)
def test_an_unknown_argument_is_refused_with_the_one_that_was_meant(
    trade_key: str, tool: str, given: str, meant: str
) -> None:
    error = refusal(trade_key, tool, **{given: "1"})
    assert (error["code"], error["field"]) == ("unknown_argument", given)
    assert f"Did you mean {meant}?" in error["message"]


def test_nothing_is_suggested_where_nothing_is_near(trade_key: str) -> None:
    assert "Did you mean" not in refusal(trade_key, "place_order", quux=10)["message"]


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("get_qoute", "get_quote"),
        ("getQuote", "get_quote"),
        ("place-order", "place_order"),
        ("list_positions", "get_positions"),
        ("cancel_orders", "cancel_order"),
        ("get_balance", "get_cash"),
        ("get_candles", "get_history"),
        ("buy_stock", "place_order"),
    ],
)
def test_an_unknown_tool_is_refused_with_those_that_were_meant(trade_key: str, asked: str, meant: str) -> None:
    with pytest.raises(pipeline.UnknownTool) as refused:
        call(trade_key, asked)
    assert meant in str(refused.value)


def test_only_tools_that_the_app_may_use_are_suggested(read_key: str) -> None:
    with pytest.raises(pipeline.UnknownTool) as refused:
        call(read_key, "place_ordr")
    assert "place_order" not in str(refused.value)


@pytest.mark.parametrize(("tool", "rows"), [("get_quote", "quotes"), ("get_change", "changes")])
def test_an_unknown_symbol_does_not_lose_the_others(read_key: str, tool: str, rows: str) -> None:
    answer = call(read_key, tool, symbols=["AAPL", "ZZZZ", "BTC/USD"])
    assert [row["symbol"] for row in answer[rows]] == ["AAPL", "BTC/USD"]
    (missing,) = answer["not_found"]
    assert (missing["symbol"], missing["code"]) == ("ZZZZ", "unknown_symbol")
    assert missing["help"].endswith("/help/errors/unknown_symbol/")
    assert refusal(read_key, tool, symbols=["ZZZZ", "YYYY"])["code"] == "unknown_symbol"


@pytest.mark.parametrize("named", ["order_id", "client_order_id"])
def test_an_order_is_changed_and_cancelled_by_either_of_its_ids(trade_key: str, named: str) -> None:
    placed = call(trade_key, "place_order", **BUY, client_order_id="mine-1")
    call(trade_key, "confirm_trade", confirmation_id=placed["confirmation_id"])
    it = {named: placed["order"][named]}
    changed = call(trade_key, "modify_order", **it, limit_price="101")
    assert changed["status"] == "needs_confirmation"
    call(trade_key, "discard_confirmation", confirmation_id=changed["confirmation_id"])
    assert call(trade_key, "cancel_order", **it)["status"] == "cancelled"


@pytest.mark.parametrize("tool", ["cancel_order", "modify_order", "get_order_status"])
@pytest.mark.parametrize("given", [{}, {"order_id": "ord_1", "client_order_id": "mine-1"}])
def test_an_order_is_named_by_one_id(trade_key: str, tool: str, given: dict[str, Any]) -> None:
    assert refusal(trade_key, tool, **given)["code"] == "missing_argument"


TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")
LIKE_A_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T")


def test_every_time_has_one_form(trade_key: str) -> None:
    bought = call(trade_key, "place_order", symbol="BTC/USD", side="BUY", quantity="0.1")
    confirmed = call(trade_key, "confirm_trade", confirmation_id=bought["confirmation_id"])
    answers = [
        bought,
        confirmed,
        call(trade_key, "get_order_status", order_id=bought["order"]["order_id"]),
        *(
            call(trade_key, tool)
            for tool in ("get_portfolio", "get_executions", "get_transactions", "get_activity_log")
        ),
        call(trade_key, "get_quote", symbols=["AAPL", "BTC/USD"]),
        call(trade_key, "get_history", symbol="AAPL"),
        call(trade_key, "get_market_hours"),
    ]
    times = [text for answer in answers for text in _texts(answer) if LIKE_A_TIME.match(text)]
    assert len(times) > 20
    assert [text for text in times if not TIME.fullmatch(text)] == []


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for each in value.values() for text in _texts(each)]
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    return [value] if isinstance(value, str) else []
