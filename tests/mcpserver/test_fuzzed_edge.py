"""Whatever is sent to ``/mcp``, it answers within the protocol: no 500, no hang, no answer outside its schema."""

import contextlib
import http.client
import json
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcp_types import methods
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from tests.mcpserver.wire import MODERN
from tests.serving import Server

SECONDS = 20.0
EXAMPLES = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}
REFUSALS = {400, 401, 403, 404, 405, 406, 413, 415, 421, 431}
JSON = [("Content-Type", "application/json"), ("Accept", "application/json, text/event-stream")]
METHODS = [
    *("tools/call", "tools/call", "tools/call", "tools/call"),
    *("initialize", "server/discover", "tools/list", "tools/call", "prompts/list", "prompts/get", "resources/list"),
    *("resources/read", "resources/templates/list", "completion/complete", "ping", "logging/setLevel"),
    *("notifications/initialized", "notifications/cancelled", "no/such", "", "tools/call\n", "rpc.discover"),
]

texts = st.one_of(
    st.text(max_size=40),
    st.sampled_from(["get_quote", "AAPL", "BTC/USD", "\x00", "\ud800", "=?base64?!!?=", "=?base64?Z2V0X3F1b3Rl?="]),
)
numbers = st.one_of(st.integers(), st.floats(), st.sampled_from([2**63, 10**40, -0.0, 1e308]))
values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=12,
)
arguments = st.dictionaries(
    st.sampled_from(["symbols", "symbol", "limit", "bar", "period", "start", "account_id", "query", "zzz"]), values
)
parameters = st.fixed_dictionaries(
    {},
    optional={
        "name": st.one_of(st.sampled_from(["get_quote", "get_history", "get_orders", "nothing"]), values),
        "arguments": st.one_of(arguments, values),
        "uri": values,
        "cursor": values,
        "ref": values,
        "argument": values,
        "requestState": values,
        "inputResponses": values,
        "protocolVersion": st.one_of(st.sampled_from([*HANDSHAKE_PROTOCOL_VERSIONS, MODERN]), values),
        "_meta": st.one_of(st.just(META), values),
        "zzz": values,
    },
)
messages = st.one_of(
    values,
    st.fixed_dictionaries(
        {"jsonrpc": st.sampled_from(["2.0", "2.0", "2.0", "1.0", 2]), "method": st.sampled_from(METHODS)},
        optional={
            "id": st.one_of(st.integers(), texts, values),
            "params": st.one_of(parameters, parameters, parameters, values),
            "result": values,
            "zzz": values,
        },
    ),
    st.lists(st.just({"jsonrpc": "2.0", "id": 1, "method": "ping"}), max_size=3),
)
header_values = st.one_of(
    st.sampled_from(
        [
            *METHODS,
            *HANDSHAKE_PROTOCOL_VERSIONS,
            MODERN,
            "2099-01-01",
            "get_quote",
            "=?base64?Z2V0X3F1b3Rl?=",
            "\t x \t",
        ]
    ),
    st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=60),
)
header_names = st.sampled_from(
    [
        *("MCP-Protocol-Version", "mcp-protocol-version", "Mcp-Method", "MCP-METHOD", "Mcp-Name", "mcp-name"),
        *("Mcp-Param-Symbol", "Mcp-Session-Id", "Last-Event-ID", "Accept", "Content-Type", "X-Other"),
    ]
)
headers = st.lists(st.tuples(header_names, header_values), max_size=5)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    kind: str
    body: bytes


Send = Callable[..., Answer]


@pytest.fixture
def send(server: Server) -> Send:
    """One request exactly as given, on a connection of its own; fails when no whole answer comes in time."""
    fixed = [("Host", f"localhost:{server.port}"), ("Authorization", f"Bearer {server.quickstart['paper_key_read']}")]

    def once(body: bytes, more: list[tuple[str, str]], *, length: int | None = None) -> Answer:
        lines = [
            "POST /mcp HTTP/1.1",
            "Connection: close",
            f"Content-Length: {len(body) if length is None else length}",
        ]
        lines += [f"{name}: {value}" for name, value in [*fixed, *more]]
        with socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS) as connection:
            connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
            if length is not None:
                connection.shutdown(socket.SHUT_WR)
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            return Answer(answer.status, answer.headers.get("Content-Type", ""), answer.read())

    return once


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


def check(answer: Answer, message: Any = None, version: str | None = None) -> None:
    """The answer is one of the protocol: its status, its envelope, and for a result the schema of its method."""
    assert answer.status in REFUSALS | {200, 202}, answer
    if answer.status == 202:
        assert answer.body == b"", answer
        return
    if answer.kind.startswith("text/event-stream"):
        events = [json.loads(line[6:]) for line in answer.body.splitlines() if line.startswith(b"data: {")]
        assert events and all("method" in event for event in events[:-1]), answer
        said = events[-1]
    elif answer.kind.startswith("application/json"):
        said = json.loads(answer.body)
    else:
        # The web server's own refusal of what is no HTTP.
        assert answer.status != 200, answer
        return
    if "jsonrpc" not in said:
        assert answer.status in (401, 403) and {"error", "code"} <= said.keys(), said
        return
    assert said["jsonrpc"] == "2.0" and ("result" in said) != ("error" in said) and "id" in said, said
    if "error" in said:
        assert type(said["error"]["code"]) is int and isinstance(said["error"]["message"], str), said
        assert b"Traceback" not in answer.body, said
    elif isinstance(message, dict) and version is not None:
        methods.validate_server_result(message["method"], version, said["result"])


@EXAMPLES
@given(body=st.one_of(st.binary(max_size=300), messages.map(encoded)), more=headers)
def test_any_body_under_any_headers_gets_an_answer_of_the_protocol(
    send: Send, body: bytes, more: list[tuple[str, str]]
) -> None:
    check(send(body, [*JSON, *(pair for pair in more if pair[0] not in ("Accept", "Content-Type"))]))
    check(send(body, more))


@EXAMPLES
@given(params=parameters, method=st.sampled_from(METHODS), identity=st.one_of(st.integers(-9, 2**53 - 1), texts))
def test_a_modern_request_with_any_parameters_is_answered_by_the_schema_of_its_method(
    send: Send, params: dict[str, Any], method: str, identity: Any
) -> None:
    message = {"jsonrpc": "2.0", "id": identity, "method": method, "params": params | {"_meta": META}}
    more = [*JSON, ("MCP-Protocol-Version", MODERN), ("Mcp-Method", method.strip())]
    name = params.get("name", params.get("uri"))
    if isinstance(name, str) and name.isprintable() and name.isascii():
        more.append(("Mcp-Name", name))
    check(send(encoded(message), more), message, MODERN)


@EXAMPLES
@given(
    params=parameters,
    method=st.sampled_from(METHODS),
    version=st.sampled_from(HANDSHAKE_PROTOCOL_VERSIONS),
    told=st.booleans(),
)
def test_a_legacy_request_with_any_parameters_is_answered_by_the_schema_of_its_method(
    send: Send, params: dict[str, Any], method: str, version: str, told: bool
) -> None:
    message = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
    check(
        send(encoded(message), [*JSON, *([("MCP-Protocol-Version", version)] if told else [])]),
        message,
        version if told and method != "initialize" else None,
    )


@EXAMPLES
@given(first=header_values, second=header_values, name=header_names, padding=st.sampled_from(["", " ", "\t", "  \t "]))
def test_a_call_whose_headers_are_doubled_padded_or_untrue_is_taken_only_when_they_say_what_the_body_says(
    send: Send, first: str, second: str, name: str, padding: str
) -> None:
    message = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "get_quote", "arguments": {"symbols": ["AAPL"]}, "_meta": META},
    }
    told = {"mcp-protocol-version": MODERN, "mcp-method": "tools/call", "mcp-name": "get_quote"}
    told |= {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    if name.lower() in told:
        del told[name.lower()]
    doubled = [(name, f"{padding}{first}{padding}"), (name.swapcase(), second)]
    answer = send(encoded(message), [*told.items(), *doubled])
    check(answer, message, None if name.lower() == "mcp-protocol-version" else MODERN)
    if name.lower() in ("mcp-method", "mcp-name") and answer.status == 200:
        right = {"mcp-method": {"tools/call"}, "mcp-name": {"get_quote", "=?base64?Z2V0X3F1b3Rl?="}}[name.lower()]
        assert {first.strip(" \t"), second.strip(" \t")} <= right, doubled


DEEP = 10_000


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[" * DEEP + b"]" * DEEP, 400),
        (b'{"a":' * DEEP + b"1" + b"}" * DEEP, 400),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":' + b"[" * DEEP + b"]" * DEEP + b"}", 400),
        (encoded({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"x": "y" * 300_000}}), 413),
        (encoded({"jsonrpc": "2.0", "id": "y" * 300_000, "method": "ping"}), 413),
        (b'{"jsonrpc":"2.0","id":1,"method":"pi\xff\xfeng"}', 400),
        (b"\xff\xfe" + '{"jsonrpc":"2.0","id":1,"method":"ping"}'.encode("utf-16-le"), 400),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping"', 400),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping"}{}', 400),
        (b'{"jsonrpc":"2.0","id":NaN,"method":"ping"}', 400),
        (b'{"jsonrpc":"2.0","id":' + b"9" * 10_000 + b',"method":"ping"}', 400),
        (b"", 400),
        (b"null", 400),
    ],
    ids=lambda value: repr(value[:30]) if isinstance(value, bytes) else None,
)
def test_what_is_no_message_is_a_bad_request(send: Send, body: bytes, status: int) -> None:
    answer = send(body, JSON)
    check(answer)
    assert answer.status == status, answer


@pytest.mark.parametrize("sent", [0, 1, 20, 60])
def test_a_body_that_breaks_off_is_no_call(server: Server, send: Send, sent: int) -> None:
    body = encoded({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "get_orders"}})
    before = server.query("SELECT count(*) FROM audit_call WHERE tool = 'get_orders'")
    # Hanging up on a caller that hung up is an answer too.
    with contextlib.suppress(ConnectionError, http.client.HTTPException):
        check(send(body[:sent], JSON, length=len(body)))
    assert server.query("SELECT count(*) FROM audit_call WHERE tool = 'get_orders'") == before


def test_nothing_of_all_this_was_an_error_of_ours(server: Server) -> None:
    """Runs last: the log of the server that took everything above."""
    assert "Traceback" not in server.log, server.log[-4000:]
    assert server.query("SELECT count(*) FROM audit_call WHERE code = 'internal_error'") == [(0,)]
