"""``tradelatch mcp`` message by message: what it puts on HTTP, what it hands back, and how it ends."""

import json
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from tests import serving
from tests.cli.command import COMMAND, REPOSITORY, environment
from tests.cli.host import KEY, MODERN, host
from tests.cli.upstream import Asked, upstream
from tests.patience import at_most

INITIALIZE = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}


def _echo(asked: Asked) -> None:
    if asked.message["method"] == "initialize":
        asked.result(protocolVersion="2025-06-18", capabilities={}, serverInfo={"name": "up", "version": "1"})
    elif "id" in asked.message:
        asked.result(echo=asked.message.get("params"))
    else:
        asked.answer(202, b"")


def test_a_modern_message_goes_out_untouched_with_the_headers_that_mirror_it() -> None:
    raw = (
        '{"id": "a", "jsonrpc":"2.0", "method":"tools/call","params":{"name":"zählen ","arguments":{"x":1.10},"_meta":'
    )
    with upstream(_echo) as up, host(up.url) as it:
        it.write(f"{raw}{json.dumps(MODERN)}}}}}\r\n".encode())
        assert it.heard()["id"] == "a"
        asked = up.next()
        assert asked.message["params"]["arguments"] == {"x": 1.1}
        assert asked.headers["authorization"] == f"Bearer {KEY}"
        assert asked.headers["mcp-protocol-version"] == "2026-07-28"
        assert asked.headers["mcp-method"] == "tools/call"
        assert asked.headers["mcp-name"] == "=?base64?esOkaGxlbiA=?="
        it.modern("resources/read", 2, uri="tradelatch://guide")
        assert it.heard()["id"] == 2
        assert up.next().headers["mcp-name"] == "tradelatch://guide"
        assert it.close() == 0


def test_a_legacy_host_speaks_the_version_it_agreed_on_from_then_on() -> None:
    with upstream(_echo) as up, host(up.url) as it:
        it.say("initialize", INITIALIZE, id=0)
        assert it.heard()["result"]["protocolVersion"] == "2025-06-18"
        assert "mcp-protocol-version" not in up.next().headers
        it.say("notifications/initialized")
        told = up.next()
        assert told.message["method"] == "notifications/initialized"
        it.say("tools/list", id=1)
        assert it.heard()["id"] == 1
        for asked in (told, up.next()):
            assert asked.headers["mcp-protocol-version"] == "2025-06-18"
            assert "mcp-method" not in asked.headers
        it.say("initialize", INITIALIZE, id=2)
        assert it.heard()["id"] == 2
        assert "mcp-protocol-version" not in up.next().headers, "it negotiates anew"


def test_progress_reaches_the_host_before_the_answer() -> None:
    def act(asked: Asked) -> None:
        progress = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 7, "progress": 1}}
        asked.stream(progress, progress, {"jsonrpc": "2.0", "id": asked.message["id"], "result": {"done": True}})

    with upstream(act) as up, host(up.url) as it:
        it.modern("tools/call", 1, name="slow", arguments={})
        assert [it.heard().get("method") for _ in range(2)] == ["notifications/progress"] * 2
        assert it.heard()["result"] == {"done": True}


def test_a_cancelled_request_closes_its_stream_and_answers_nothing_more() -> None:
    streams: list[Asked] = []

    def act(asked: Asked) -> None:
        if asked.message["method"] == "subscriptions/listen":
            streams.append(asked)
            asked.stream({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged"})
            asked.stream_until_hung_up()
        else:
            _echo(asked)

    with upstream(act) as up, host(up.url) as it:
        it.modern("subscriptions/listen", "s1", notifications={})
        assert it.heard()["method"] == "notifications/subscriptions/acknowledged"
        it.modern("tools/list", 2)
        assert it.heard()["id"] == 2, "a stream holds nobody up"
        it.say("notifications/cancelled", {"requestId": "s1", "_meta": MODERN})
        assert streams[0].hung_up.wait(at_most(20))
        it.modern("tools/list", 3)
        assert it.heard()["id"] == 3
        sent = [up.next().message["method"] for _ in range(3)]
        assert sent == ["subscriptions/listen", "tools/list", "tools/list"], "over HTTP, hanging up is the cancellation"


def test_when_the_host_is_done_answers_in_flight_still_leave_and_streams_end() -> None:
    go = threading.Event()
    streams: list[Asked] = []

    def act(asked: Asked) -> None:
        if asked.message["method"] == "subscriptions/listen":
            streams.append(asked)
            asked.stream()
            asked.stream_until_hung_up()
        else:
            assert go.wait(at_most(20))
            _echo(asked)

    with upstream(act) as up, host(up.url) as it:
        it.modern("subscriptions/listen", 1, notifications={})
        it.modern("tools/call", 2, name="place_order", arguments={})
        for _ in range(2):
            up.next()
        assert it.process.stdin is not None
        it.process.stdin.close()
        assert streams[0].hung_up.wait(at_most(20))
        go.set()
        assert it.heard()["id"] == 2
        assert it.process.wait(at_most(20)) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_at_once_and_cleanly(number: signal.Signals) -> None:
    def act(asked: Asked) -> None:
        asked.stream()
        asked.stream_until_hung_up()

    with upstream(act) as up, host(up.url) as it:
        it.modern("tools/call", 1, name="slow", arguments={})
        asked = up.next()
        assert it.stop(number) == 0
        assert asked.hung_up.wait(at_most(20))


def test_a_host_that_stops_reading_ends_it() -> None:
    with upstream(_echo) as up, host(up.url) as it:
        it.modern("tools/list", 1)
        assert it.heard()["id"] == 1
    with upstream(_echo) as up:
        process = subprocess.Popen(
            [*COMMAND, "mcp", "--url", up.url],
            cwd=REPOSITORY,
            env=environment(TRADELATCH_API_KEY=KEY),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert process.stdin is not None and process.stdout is not None
        process.stdout.close()
        process.stdin.write(b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n')
        process.stdin.flush()
        try:
            assert process.wait(at_most(20)) == 0
        finally:
            process.kill()
            process.stdin.close()


@pytest.mark.parametrize(
    ("status", "body", "headers", "code", "words"),
    [
        (401, {"error": "invalid_token", "code": "app_revoked"}, {}, "app_revoked", "create one in the console"),
        (401, b"nothing", {"Content_Type": "text/plain"}, "unauthenticated", "create one in the console"),
        (403, {"error": {"code": -32600, "message": "No.", "data": {"code": "ip"}}}, {}, "ip", "No."),
        (429, b"{}", {"Retry_After": "17"}, "rate_limited", "wait"),
        (307, b"", {"Location": "http://example.com/mcp"}, "unexpected_answer", "give the final address"),
        (404, b"<h1>", {"Content_Type": "text/html"}, "unexpected_answer", "check the address"),
        (200, b"<h1>", {"Content_Type": "text/html"}, "unexpected_answer", "check the address"),
        (200, b"{", {}, "answer_lost", "before repeating an order"),
        (202, b"", {}, "unexpected_answer", "check the address"),
        (503, b"", {}, "answer_lost", "before repeating an order"),
    ],
)  # fmt: skip
def test_what_is_no_answer_of_the_protocol_becomes_an_error_that_says_what_to_do(
    status: int, body: object, headers: dict[str, str], code: str, words: str
) -> None:
    with upstream(lambda asked: asked.answer(status, body, **headers)) as up, host(up.url) as it:
        it.modern("tools/call", 5, name="get_cash", arguments={})
        answer = it.heard()
        assert answer["id"] == 5
        assert answer["error"]["data"]["code"] == code
        assert words in answer["error"]["message"]
        if status == 429:
            assert answer["error"]["data"]["retry_after_seconds"] == 17
        assert it.close() == 0


def test_an_error_of_the_server_is_passed_on_under_the_id_of_the_request() -> None:
    error = {"code": -32700, "message": "The body is not well-formed JSON.", "data": {"code": "invalid_request"}}
    refused = {"jsonrpc": "2.0", "id": None, "error": error}
    with upstream(lambda asked: asked.answer(400, refused)) as up, host(up.url) as it:
        it.modern("tools/call", "five", name="get_cash", arguments={})
        assert it.heard() == {"jsonrpc": "2.0", "id": "five", "error": error}


@pytest.mark.parametrize("streamed", [True, False])
def test_an_answer_that_is_cut_off_warns_that_the_call_may_have_been_carried_out(streamed: bool) -> None:
    def act(asked: Asked) -> None:
        if streamed:
            asked.stream()
        asked.drop()

    with upstream(act) as up, host(up.url) as it:
        it.modern("tools/call", 1, name="confirm_trade", arguments={})
        error = it.heard()["error"]
        assert error["data"]["code"] == "answer_lost"
        assert "get_order_status" in error["message"]
        up.next()
        assert up.asked.empty(), "nothing is sent twice"


def test_a_server_that_does_not_run_is_an_error_of_the_call_and_no_end_of_the_bridge() -> None:
    port = serving.free_port()
    with host(f"http://127.0.0.1:{port}") as it:
        for each in (1, 2):
            it.modern("tools/call", each, name="get_cash", arguments={})
            error = it.heard()["error"]
            assert error["data"]["code"] == "server_unreachable"
            assert "tradelatch run" in error["message"]
        assert it.close() == 0


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"{nonsense\n", -32700),
        (b"[" * 100_000 + b"\n", -32700),
        (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]\n', -32600),
        (b'{"jsonrpc":"2.0","id":1}\n', -32600),
        (b'{"jsonrpc":"2.0","id":true,"method":"ping"}\n', -32600),
        (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}\n', -32600),
        (b'{"x":"' + b"a" * 1_100_000 + b'"}\n', -32600),
        (b"\xff\xfe\n", -32700),
    ],
)
def test_a_line_that_is_no_message_is_answered_and_the_next_one_served(line: bytes, code: int) -> None:
    with upstream(_echo) as up, host(up.url) as it:
        it.write(b"\n")
        it.write(line)
        refused = it.heard()
        assert (refused["id"], refused["error"]["code"]) == (None, code)
        it.write(b'{"jsonrpc":"2.0","result":{},"id":9}\n')
        it.modern("tools/list", 1)
        assert it.heard()["id"] == 1
        assert up.next().message["method"] == "tools/list" and up.asked.empty()


def test_more_requests_than_it_holds_are_refused_and_the_others_answered() -> None:
    go = threading.Event()
    most, lock, now = [0], threading.Lock(), [0]

    def act(asked: Asked) -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        assert go.wait(at_most(20))
        with lock:
            now[0] -= 1
        _echo(asked)

    with upstream(act) as up, host(up.url) as it:
        for each in range(300):
            it.modern("tools/list", each)
        refused = [it.heard() for _ in range(44)]
        assert {answer["error"]["data"]["code"] for answer in refused} == {"too_many_in_flight"}
        assert [answer["id"] for answer in refused] == list(range(256, 300))
        go.set()
        assert {it.heard()["id"] for _ in range(256)} == set(range(256))
        assert most[0] <= 16


def test_requests_and_answers_may_be_files(tmp_path: Path) -> None:
    (tmp_path / "in").write_text('{"jsonrpc":"2.0","id":1,"method":"ping"}\n{"jsonrpc":"2.0","id":2,"method":"ping"}')
    with upstream(_echo) as up, (tmp_path / "in").open("rb") as given, (tmp_path / "out").open("wb") as out:
        ran = subprocess.run(
            [*COMMAND, "mcp", "--url", up.url],
            cwd=REPOSITORY,
            env=environment(TRADELATCH_API_KEY=KEY),
            stdin=given,
            stdout=out,
            stderr=subprocess.DEVNULL,
            timeout=at_most(20),
            check=False,
        )
    assert ran.returncode == 0
    assert {json.loads(line)["id"] for line in (tmp_path / "out").read_text().splitlines()} == {1, 2}


def test_a_proxy_of_the_environment_never_sees_the_key_of_an_instance_on_this_computer() -> None:
    with upstream(_echo) as up, upstream(_echo) as proxy, host(up.url, HTTP_PROXY=proxy.url, ALL_PROXY=proxy.url) as it:
        it.modern("tools/list", 1)
        assert it.heard()["id"] == 1
        assert proxy.asked.empty()
