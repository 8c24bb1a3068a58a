"""The short way and the SDK's give the same answer to the same request, in every era, good or bad."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from mcp_types import methods
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from console import scopes
from console.accounts.models import User
from console.audit.models import Call
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.oauth.models import AccessToken
from console.orders.models import Confirmation
from console.scopes import Source
from tests.mcpserver.ways import META, Reply, Way, call, request, sdk, short
from tests.mcpserver.wire import MODERN

__all__ = ["sdk", "short"]

ERAS = [None, *HANDSHAKE_PROTOCOL_VERSIONS, MODERN]


def same(reply: Reply) -> Any:
    """Without what differs from one request to the next."""

    def settled(value: Any, key: str = "") -> Any:
        if key in ("request_id", "as_of", "delay_seconds") or (
            key == "text" and isinstance(value, str) and value.startswith("{")
        ):
            if key == "text":
                return settled(json.loads(value))
            return type(value).__name__
        if key in ("error_description", "message") and isinstance(value, str) and "req_" in value:
            return "message"
        if isinstance(value, dict):
            return {name: settled(item, name) for name, item in value.items()}
        if isinstance(value, list):
            return [settled(item) for item in value]
        return value

    kept = {name: value for name, value in reply.headers.items() if name not in ("x-request-id", "content-length")}
    assert len(reply.headers["x-request-id"]) == 30
    return reply.status, kept, settled(reply.body)


GOOD = {
    "a quote": ("tools/call", call("get_quote", {"symbols": ["BTC/USD", "AAPL"]})),
    "no arguments": ("tools/call", call("get_accounts")),
    "an alias": ("tools/call", call("create_order", {"symbol": "AAPL"})),
    "an unknown symbol": ("tools/call", call("get_quote", {"symbols": ["NOPE"]})),
    "an unknown argument": ("tools/call", call("get_quote", {"symbols": ["AAPL"], "x": 1})),
    "rows, with a line for each": ("tools/call", call("get_history", {"symbol": "BTC/USD", "limit": 40})),
    "no symbol": ("tools/call", call("get_quote", {})),
    "letters outside ASCII": ("tools/call", call("get_quote", {"symbols": ["\u00fc\u20ac\U0001f600"]})),
    "other meta": ("tools/call", call("get_cash") | {"_meta": META | {"traceparent": "00-1-2-01", "x/y": {"z": [1]}}}),
    "a progress token": ("tools/call", call("get_cash") | {"_meta": META | {"progressToken": "p"}}),
    "the list": ("tools/list", {}),
}


@pytest.mark.parametrize("era", ERAS)
def test_a_good_request_never_reaches_the_sdk_and_the_answer_is_the_same(
    short: Way, sdk: Way, trade_key: str, era: str | None
) -> None:
    legacy = [(m, {k: v for k, v in p.items() if k != "_meta"}) for m, p in GOOD.values()]
    requests = [request(trade_key, era, m, p) for m, p in (GOOD.values() if era == MODERN else legacy)]
    short_replies, sdk_replies = short.send(*requests), sdk.send(*requests)
    for name, one, two in zip(GOOD, short_replies, sdk_replies, strict=True):
        assert same(one) == same(two), name
        assert one.status == 200, name
        method = "tools/list" if name == "the list" else "tools/call"
        methods.serialize_server_result(method, era or "2025-03-26", one.body["result"])
    # The first list; and what may ask the user back, unless the client just said that it cannot.
    assert short.asked == (1 if era == MODERN else 2)
    assert sdk.asked == len(requests)


@pytest.mark.parametrize("declared", [{}, {"sampling": {}}, {"elicitation": {}}, {"elicitation": {"url": {}}}])
def test_an_order_takes_the_short_way_only_from_a_client_that_cannot_ask_its_user(
    short: Way, trade_key: str, declared: dict[str, Any]
) -> None:
    meta = META | {"io.modelcontextprotocol/clientCapabilities": declared}
    order = call("place_order", {"symbol": "AAPL", "side": "BUY", "quantity": "1"}) | {"_meta": meta}
    (reply,) = short.send(request(trade_key, MODERN, "tools/call", order))
    can_ask = "elicitation" in declared
    assert short.asked == can_ask
    result = reply.body["result"]
    assert result["resultType"] == ("input_required" if can_ask else "complete")
    if not can_ask:
        assert result["structuredContent"]["status"] == "needs_confirmation"
        assert result["structuredContent"]["confirmation_id"]
    assert {each.redeemer for each in Confirmation.objects.all()} == (
        {"app"} if not can_ask else {"user"} if declared["elicitation"] == {} else {"owner"}
    )


@pytest.mark.parametrize("extra", [{"inputResponses": {}}, {"requestState": "s"}, {"inputResponses": None}])
def test_what_goes_on_with_a_question_never_takes_the_short_way(
    short: Way, sdk: Way, trade_key: str, extra: dict[str, Any]
) -> None:
    order = call("place_order", {"symbol": "AAPL", "side": "BUY", "quantity": "0"}) | extra
    asked = request(trade_key, MODERN, "tools/call", order)
    assert same(short.send(asked)[0]) == same(sdk.send(asked)[0])
    assert short.asked == 1


def test_discover_is_remembered_too(short: Way, sdk: Way, read_key: str) -> None:
    asked = request(read_key, MODERN, "server/discover")
    first, second = short.send(asked, asked)
    assert same(first) == same(second) == same(sdk.send(asked)[0])
    assert short.asked == 1


def test_each_sees_the_list_that_is_its_own(short: Way, sdk: Way, read_key: str, trade_key: str) -> None:
    requests = [request(key, MODERN, "tools/list") for key in (read_key, trade_key, read_key, trade_key)]
    short_replies, sdk_replies = short.send(*requests), sdk.send(*requests)
    assert [same(reply) for reply in short_replies] == [same(reply) for reply in sdk_replies]
    lengths = [len(reply.body["result"]["tools"]) for reply in short_replies]
    assert lengths[0] == lengths[2] < lengths[1] == lengths[3]
    assert short.asked == 2


QUOTE = call("get_quote", {"symbols": ["AAPL"]})
BAD: dict[str, Callable[[str, str | None], tuple[dict[str, str], bytes]]] = {
    "no such tool": lambda key, era: request(key, era, "tools/call", call("withdraw")),
    "no name": lambda key, era: request(key, era, "tools/call", {"arguments": {}}),
    "a number for a name": lambda key, era: request(key, era, "tools/call", call(3)),
    "a list of arguments": lambda key, era: request(key, era, "tools/call", call("get_quote", ["AAPL"])),
    "null arguments": lambda key, era: request(key, era, "tools/call", {"name": "get_cash", "arguments": None}),
    "no such method": lambda key, era: request(key, era, "tools/burn"),
    "a cursor": lambda key, era: request(key, era, "tools/list", {"cursor": "x"}),
    "ping": lambda key, era: request(key, era, "ping"),
    "meta that is a text": lambda key, era: request(key, era, "tools/call", QUOTE | {"_meta": "x"}),
    "meta without a version": lambda key, era: request(key, era, "tools/call", QUOTE | {"_meta": {}}),
    "capabilities that are a list": lambda key, era: request(
        key, era, "tools/list", {"_meta": META | {"io.modelcontextprotocol/clientCapabilities": []}}
    ),
    "client info without a name": lambda key, era: request(
        key, era, "tools/list", {"_meta": META | {"io.modelcontextprotocol/clientInfo": {"version": "1"}}}
    ),
    "a version of the future": lambda key, era: request(
        key, era, "tools/list", {"_meta": META | {"io.modelcontextprotocol/protocolVersion": "2027-01-01"}}
    ),
    "a log level that is none": lambda key, era: request(
        key, era, "tools/list", {"_meta": META | {"io.modelcontextprotocol/logLevel": "loud"}}
    ),
    "a progress token that is a list": lambda key, era: request(
        key, era, "tools/call", QUOTE | {"_meta": META | {"progressToken": []}}
    ),
    "another method in the header": lambda key, era: request(key, era, "tools/call", QUOTE, mcp_method="ping"),
    "another name in the header": lambda key, era: request(key, era, "tools/call", QUOTE, mcp_name="get_cash"),
    "the name in base64": lambda key, era: request(key, era, "tools/call", QUOTE, mcp_name="=?base64?Z2V0X3F1b3Rl?="),
    "the name in broken base64": lambda key, era: request(key, era, "tools/call", QUOTE, mcp_name="=?base64?Z2?="),
    "the name twice": lambda key, era: request(key, era, "tools/call", QUOTE, mcp_name="get_quote\nget_quote"),
    "the version twice": lambda key, era: request(
        key, era, "tools/call", QUOTE, mcp_protocol_version=f"{era or ''}\n{era or ''}"
    ),
    "blanks around the name": lambda key, era: request(key, era, "tools/call", QUOTE, mcp_name=" get_quote\t"),
    "a version nobody knows": lambda key, era: request(
        key, era, "tools/call", QUOTE, mcp_protocol_version="1999-01-01"
    ),
    "accepts JSON alone": lambda key, era: request(key, era, "tools/call", QUOTE, accept="application/json"),
    "accepts anything": lambda key, era: request(key, era, "tools/call", QUOTE, accept="*/*"),
    "accepts HTML": lambda key, era: request(key, era, "tools/call", QUOTE, accept="text/html"),
    "a wrong key": lambda key, era: request(key[:-1], era, "tools/call", QUOTE),
    "another content type": lambda key, era: request(key, era, "tools/call", QUOTE, content_type="text/plain"),
    "a lying length": lambda key, era: request(key, era, "tools/call", QUOTE, content_length="300000"),
}


@pytest.mark.parametrize("era", ERAS)
def test_a_request_with_something_wrong_or_unusual_gets_the_same_answer(
    short: Way, sdk: Way, trade_key: str, era: str | None
) -> None:
    requests = [make(trade_key, era) for make in BAD.values()]
    for name, one, two in zip(BAD, short.send(*requests), sdk.send(*requests), strict=True):
        assert same(one) == same(two), name


ENVELOPES = [
    {"id": 1.5},
    {"id": True},
    {"id": None},
    {"id": []},
    {"id": "a text"},
    {"id": '"quoted" \\ and \u00fc'},
    {"id": -(2**70)},
    {"jsonrpc": "1.0"},
    {"jsonrpc": 2.0},
    {"method": 3},
    {"method": None},
    {"params": []},
    {"params": None},
    {"extra": 1},
    {"result": {}},
]


@pytest.mark.parametrize("era", ERAS)
def test_a_strange_envelope_gets_the_same_answer(short: Way, sdk: Way, trade_key: str, era: str | None) -> None:
    requests = []
    for change in ENVELOPES:
        headers, body = request(trade_key, era, "tools/call", QUOTE)
        requests.append((headers, json.dumps(json.loads(body) | change).encode()))
    headers, body = request(trade_key, era, "tools/call", QUOTE)
    requests += [
        (headers, text) for text in (b"", b"[]", b"{", b"\xff", b"\xef\xbb\xbf" + body, body.decode().encode("utf-16"))
    ]
    for sent, one, two in zip(requests, short.send(*requests), sdk.send(*requests), strict=True):
        assert same(one) == same(two), sent[1]


def test_half_a_surrogate_pair_is_answered(short: Way, trade_key: str) -> None:
    for era in ERAS:
        asked = request(trade_key, era, "tools/call", call("get_quote", {"symbols": ["AAPL"], "\ud800": 1}))
        (reply,) = short.send(asked)
        assert reply.body["result"]["structuredContent"]["error"]["code"] == "unknown_argument"


# What each registered as, its user agent, its client info, and whether it is known to step up.
HOSTS = [
    ("Visual Studio Code", "node", "", True),
    ("MCP CLI Proxy", "node", "claude-ai (via mcp-remote 0.15.1)", True),
    ("Script", "python-httpx/0.28.1", "", True),
    ("Script", "python-httpx2/2.3.0", "mcp", True),
    ("Claude Code (tl)", "claude-code/2.1.329 (cli)", "claude-code", False),
    ("Qwen Code MCP Client", "node", "qwen-cli", False),
    ("Codex", "codex_exec/0.169.0", "codex-mcp-client", False),
    ("ChatGPT", "openai-mcp/1.0.0", "", False),
    ("Some host", "", "", False),
]


@pytest.mark.parametrize("era", ERAS)
def test_a_missing_scope_is_told_by_http_to_those_who_step_up_and_in_band_to_others(
    short: Way, sdk: Way, owner: User, paper: Connection, era: str | None
) -> None:
    for registered, agent, client, is_known in HOSTS:
        one, two = (
            way.send(_trading(_reader(owner, paper, registered), era, agent, client))[0] for way in (short, sdk)
        )
        assert same(one) == same(two), registered
        if is_known:
            assert one.status == 403 and 'error="insufficient_scope"' in one.headers["www-authenticate"]
            assert one.body["error_uri"].endswith("/help/errors/insufficient_scope/")
        else:
            _is_told_in_band(one)


@pytest.mark.parametrize("era", ERAS)
def test_who_comes_back_with_the_token_that_was_refused_is_told_in_band(
    short: Way, sdk: Way, owner: User, paper: Connection, era: str | None
) -> None:
    """A framework on the Python SDK that was handed a token looks like one that signs in, and cannot step up."""
    for registered, agent, client in [known[:3] for known in HOSTS if known[3]]:
        for way in (short, sdk):
            asked = _trading(_reader(owner, paper, registered), era, agent, client)
            first, second, third = way.send(asked, asked, asked)
            assert first.status == 403, registered
            _is_told_in_band(second)
            assert same(second) == same(third)
            # One who signed in again has another token, and is asked to step up like anybody else.
            (other,) = way.send(_trading(_reader(owner, paper, registered), era, agent, client))
            assert other.status == 403, registered


@pytest.mark.parametrize("era", ERAS)
def test_a_program_on_the_python_sdk_that_was_given_its_token_is_told_in_band(
    short: Way, sdk: Way, owner: User, paper: Connection, era: str | None
) -> None:
    """A given token stands among the client's own headers; the SDK's provider adds its own after the body's length."""
    for registered, agent, client in [("Script", "python-httpx/0.28.1", ""), ("Script", "python-httpx2/2.3.0", "mcp")]:
        for way in (short, sdk):
            headers, body = _trading(_reader(owner, paper, registered), era, agent, client)
            given = {"authorization": headers["authorization"], "content-length": str(len(body))}
            (reply,) = way.send((given | headers, body))
            _is_told_in_band(reply)


def test_after_ten_minutes_a_token_is_sent_to_step_up_again(short: Way, owner: User, paper: Connection) -> None:
    """Whoever closed the sign-in by mistake gets it again."""
    asked = _trading(_reader(owner, paper, "Visual Studio Code"), MODERN, "node", "")
    assert [reply.status for reply in short.send(asked, asked)] == [403, 200]
    Call.objects.update(at=timezone.now() - timedelta(minutes=11))
    assert [reply.status for reply in short.send(asked, asked)] == [403, 200]


def _reader(owner: User, paper: Connection, registered: str) -> str:
    """The token of an app that may only read."""
    app = grants.grant(owner, paper, frozenset({scopes.Scope.READ}), source=Source.OAUTH, name=registered)
    grants.activate(app)
    return _token(app)


def _trading(token: str, era: str | None, agent: str, client: str) -> tuple[dict[str, str], bytes]:
    asking = {"io.modelcontextprotocol/clientInfo": {"name": client or "unnamed", "version": "1"}}
    params = call("place_order", {}) | ({"_meta": META | asking} if era == MODERN else {})
    return request(token, era, "tools/call", params, user_agent=agent)


def _is_told_in_band(reply: Reply) -> None:
    assert reply.status == 200 and reply.body["result"]["isError"] is True, reply
    error = reply.body["result"]["structuredContent"]["error"]
    assert (error["code"], error["retry"]) == ("insufficient_scope", "after_change")
    assert "Nothing was done" in error["message"] and "connecting it again" in error["message"]
    assert error["help"].endswith("/help/errors/insufficient_scope/")


def test_what_was_taken_back_is_refused_by_the_next_request(short: Way, owner: User, paper: Connection) -> None:
    app = grants.grant(owner, paper, frozenset({scopes.Scope.READ}), source=Source.OAUTH, name="Host")
    grants.activate(app)
    asked = request(_token(app), MODERN, "tools/list")
    assert short.send(asked)[0].status == 200
    grants.revoke(app, by=owner, reason="Enough")
    assert short.send(asked)[0].status == 401


def _token(app: ConnectedApp) -> str:
    raw = f"tla_{app.pk:040d}"
    AccessToken.objects.create(
        user=app.owner, token=raw, app=app, scope=app.scopes, expires=timezone.now() + timedelta(hours=1)
    )
    return raw
