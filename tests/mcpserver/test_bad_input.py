"""Bad input through the MCP endpoint: each kind has its own stable code and a sentence, and nothing is done."""

import json
from typing import Any

import pytest

from tests.mcpserver.wire import MODERN, Wire
from tests.serving import Server

BUY: dict[str, Any] = {"symbol": "BTC/USD", "side": "BUY", "quantity": "0.1"}


@pytest.fixture
def trade(server: Server) -> Wire:
    return Wire(server.mcp_url, server.quickstart["paper_key_trade"])


@pytest.fixture
def read(server: Server) -> Wire:
    return Wire(server.mcp_url, server.quickstart["paper_key_read"])


@pytest.mark.parametrize(
    ("arguments", "code", "field"),
    [
        (BUY | {"colour": "red"}, "unknown_argument", "colour"),
        (BUY | {"leverage": 10}, "not_offered_by_broker", "leverage"),
        ({"symbol": "BTC/USD", "side": "BUY"}, "missing_argument", "quantity"),
        (BUY | {"quantity": "a lot"}, "invalid_argument", "quantity"),
        (BUY | {"quantity": "0"}, "invalid_argument", "quantity"),
        (BUY | {"quantity": "-1"}, "invalid_argument", "quantity"),
        (BUY | {"quantity": "NaN"}, "invalid_argument", "quantity"),
        (BUY | {"quantity": "1e400"}, "invalid_argument", "quantity"),
        (BUY | {"quantity": "1e99"}, "invalid_argument", "quantity"),
        (BUY | {"quantity": "1_0"}, "invalid_argument", "quantity"),
        (BUY | {"quantity": "\uff11"}, "invalid_argument", "quantity"),
        (BUY | {"quantity": True}, "invalid_argument", "quantity"),
        (BUY | {"quantity": ["1"]}, "invalid_argument", "quantity"),
        (BUY | {"quantity": 0.1234567890123456}, "invalid_argument", "quantity"),
        (BUY | {"quantity": "0.123456789"}, "invalid_order", "quantity"),
        (BUY | {"symbol": "AAPL", "quantity": "1.5"}, "invalid_order", "quantity"),
        (BUY | {"quantity": "0." + "1" * 19}, "invalid_argument", "quantity"),
        (BUY | {"order_type": "LMT", "limit_price": "100.001"}, "invalid_order", "limit_price"),
        (BUY | {"order_type": "LMT"}, "missing_argument", "limit_price"),
        (BUY | {"limit_price": "100"}, "invalid_argument", "limit_price"),
        (BUY | {"order_type": "ICEBERG"}, "invalid_argument", "order_type"),
        (BUY | {"side": "HODL"}, "invalid_argument", "side"),
        (BUY | {"symbol": "DOGECOIN"}, "unknown_symbol", None),
        (BUY | {"symbol": ""}, "invalid_argument", "symbol"),
        (BUY | {"symbol": "BTC/USD\u0000"}, "invalid_argument", "symbol"),
        (BUY | {"symbol": "X" * 5000}, "invalid_argument", "symbol"),
        (BUY | {"account_id": "SOMEBODY"}, "unknown_account", "account_id"),
        (BUY | {"quantity": "1000000"}, "insufficient_funds", None),
        (BUY | {"side": "SELL"}, "insufficient_position", None),
        (BUY | {"client_order_id": "spaces are not taken"}, "invalid_argument", "client_order_id"),
    ],
    ids=lambda value: json.dumps(value)[:60] if isinstance(value, dict) else None,
)
def test_an_order_that_makes_no_sense_is_refused(
    trade: Wire, arguments: dict[str, Any], code: str, field: str | None
) -> None:
    error = trade.refusal("place_order", arguments)
    assert error["code"] == code, error
    assert error["message"].endswith((".", "?")) and len(error["message"]) > 15
    if field is not None:
        assert error["field"] == field
    assert trade.result("get_orders", {"status": "all"})["orders"] == []


def test_a_json_number_too_large_for_a_float_is_refused(trade: Wire) -> None:
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "place_order", "arguments": BUY | {"quantity": "HERE"}},
    }
    answer = trade.post(json.dumps(body).replace('"HERE"', "1e400"))
    assert answer.status_code == 200, answer.text
    assert answer.json()["result"]["structuredContent"]["error"]["code"] == "invalid_argument"


def test_a_whole_json_number_and_a_short_decimal_are_taken_as_amounts(trade: Wire) -> None:
    for number in (1, 0.25, "0.25", "1.50"):
        estimate = trade.result("place_order", BUY | {"quantity": number})
        assert estimate["status"] == "needs_confirmation"
        trade.result("cancel_order", {"order_id": estimate["order"]["order_id"]})


def test_an_unknown_tool_is_a_protocol_error_with_our_code(trade: Wire) -> None:
    answer = trade.call("withdraw_everything", {})
    error = answer.json()["error"]
    assert (error["code"], error["data"]["code"]) == (-32602, "unknown_tool")
    assert "withdraw_everything" in error["message"]


def test_every_tool_refuses_an_argument_it_does_not_take(trade: Wire) -> None:
    tools = trade.rpc("tools/list", {}).json()["result"]["tools"]
    for tool in tools:
        assert tool["inputSchema"]["additionalProperties"] is False
        assert trade.refusal(tool["name"], {"not_an_argument": 1})["code"] == "unknown_argument"


def test_the_read_key_sees_no_write_tool_and_is_refused_when_it_calls_one(read: Wire, server: Server) -> None:
    tools = read.rpc("tools/list", {}).json()["result"]["tools"]
    assert {"get_quote", "get_orders"} <= {tool["name"] for tool in tools}
    assert all(tool["annotations"]["readOnlyHint"] for tool in tools)
    for name in ("place_order", "create_order", "confirm_trade", "cancel_order", "set_current_account"):
        assert read.refusal(name, {})["code"] == "insufficient_scope"
    row = server.query("SELECT outcome, code, source FROM audit_call WHERE tool = 'confirm_trade' ORDER BY id DESC")[0]
    assert row == ("refused", "insufficient_scope", "apikey")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe\x00",
        b'{"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"x": NaN}}',
        b"[" * 100_000,
        b'{"jsonrpc": "2.0", "id": ' + b"9" * 5000 + b"}",
    ],
    ids=["empty", "cut off", "not UTF-8", "NaN", "100,000 deep", "5,000-digit number"],
)
def test_malformed_json_is_refused(trade: Wire, body: bytes) -> None:
    answer = trade.post(body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["data"]["code"]) == (-32700, "invalid_request")


@pytest.mark.parametrize(
    "body", [b"null", b"[]", b"3", b'"text"', b"{}", b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]']
)
@pytest.mark.parametrize("version", [None, "2025-11-25", MODERN])
def test_json_that_is_not_one_request_is_refused(trade: Wire, body: bytes, version: str | None) -> None:
    answer = trade.post(body, **({"MCP-Protocol-Version": version} if version else {}))
    assert answer.status_code == 400, answer.text


def test_a_body_over_the_limit_is_refused(trade: Wire) -> None:
    answer = trade.post(b'{"padding": "' + b"x" * 300_000 + b'"}')
    assert answer.status_code == 413
    assert answer.json()["error"]["data"]["code"] == "body_too_large"


def test_another_content_type_is_refused(trade: Wire) -> None:
    answer = trade.post(b"{}", **{"Content-Type": "text/plain"})
    assert answer.status_code == 415
    assert answer.json()["error"]["data"]["code"] == "unsupported_media_type"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost.evil.example", "file://"])
def test_a_web_page_of_a_foreign_origin_is_refused(trade: Wire, origin: str) -> None:
    answer = trade.post(b"{}", Origin=origin)
    assert answer.status_code == 403
    assert answer.json()["error"]["data"]["code"] == "origin_refused"
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("host", ["rebound.example", "localhost.evil.example", "[", "[::1", "127.0.0.1@evil.example"])
def test_a_foreign_or_broken_host_name_is_refused(trade: Wire, host: str) -> None:
    assert trade.post(b"{}", Host=host).status_code == 421


def test_calls_that_cost_nothing_cannot_fill_the_journal(trade: Wire, server: Server) -> None:
    before = server.query("SELECT count(*) FROM audit_call")[0][0]
    for _ in range(150):
        assert trade.post(b"{}", **{"Content-Type": "text/plain"}).status_code == 415
    after = server.query("SELECT count(*) FROM audit_call")[0][0]
    assert isinstance(before, int) and isinstance(after, int)
    assert 0 < after - before <= 120


def test_a_token_in_the_query_string_opens_nothing(server: Server) -> None:
    wire = Wire(f"{server.mcp_url}?access_token={server.quickstart['paper_key_read']}", None)
    assert wire.call("get_accounts", {}).status_code == 401


def test_every_answer_names_the_request_and_the_activity_row_has_the_same_name(trade: Wire, server: Server) -> None:
    answer = trade.call("get_quote", {"symbols": ["NOPE"]})
    request_id = answer.headers["x-request-id"]
    assert answer.json()["result"]["structuredContent"]["context"]["request_id"] == request_id
    rows = server.query("SELECT tool, code FROM audit_call WHERE request_id = ?", request_id)
    assert rows == [("get_quote", "unknown_symbol")]
