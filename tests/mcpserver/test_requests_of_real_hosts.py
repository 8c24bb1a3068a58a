"""What real hosts sent while they traded is answered as it was then; no host runs here.

The requests in ``recorded`` are those of ``make hosts RECORD=1``: both eras, with and without a version header, a host
that cancels what was answered, one that connects anew for every call, two that answer our question by themselves.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.catalogued import ALL
from tests.patience import at_most
from tests.serving import Server

RECORDED = sorted((Path(__file__).parent / "recorded").glob("*.json"))
_IDS = {"confirmation_id": r"\bcnf_\w+", "order_id": r"\bord_\w+"}

each_host = pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)


class Replay:
    """One host's requests in their order, with the ids that this instance gives out."""

    def __init__(self, server: Server, key: str, file: Path) -> None:
        self.server, self.key = server, key
        self.session: dict[str, Any] = json.loads(file.read_text())
        # What a host is to send where nothing was given out; no instance gives out such an id.
        self.known = {name: f"none_{name}" for name in (*_IDS, "request_state")}

    def answers(self) -> Iterator[tuple[Mapping[str, Any], int, dict[str, Any]]]:
        """Each request's body with the status and the message that it was answered with."""
        for request in self.session["requests"]:
            text = json.dumps(request["body"])
            for name, value in self.known.items():
                text = text.replace(f"{{{name}}}", value)
            body = json.loads(text)
            status, message = self._send(request["headers"], text, body["method"])
            self._learn(message)
            yield body, status, message

    def _send(self, headers: dict[str, str], text: str, method: str) -> tuple[int, dict[str, Any]]:
        headers = headers | {"Authorization": f"Bearer {self.key}"}
        with httpx2.stream("POST", self.server.mcp_url, content=text, headers=headers, timeout=at_most(30)) as answer:
            if answer.headers.get("content-type", "").startswith("text/event-stream"):
                for line in answer.iter_lines():
                    # A stream that listens goes on: its first message says that it does.
                    if line.startswith("data: ") and (method == "subscriptions/listen" or '"id"' in line):
                        return answer.status_code, json.loads(line.removeprefix("data: "))
            content = answer.read()
            return answer.status_code, json.loads(content) if content else {}

    def _learn(self, message: dict[str, Any]) -> None:
        text = json.dumps(message)
        for name, pattern in _IDS.items():
            if found := re.search(pattern, text):
                self.known[name] = found[0]
        if state := message.get("result", {}).get("requestState"):
            self.known["request_state"] = state


def called(body: Mapping[str, Any]) -> str:
    tool: str = body["params"]["name"] if body["method"] == "tools/call" else ""
    return tool


def filled(message: Mapping[str, Any]) -> bool:
    status: str | None = message.get("result", {}).get("structuredContent", {}).get("status")
    return status == "filled"


def test_every_host_is_among_them() -> None:
    assert len(RECORDED) == 12


@each_host
def test_it_lists_reads_and_trades_as_it_did(server: Server, file: Path) -> None:
    replay = Replay(server, server.quickstart["paper_key_trade"], file)
    bought = False
    tools = []
    for body, status, message in replay.answers():
        assert status == (202 if body["method"].startswith("notifications/") else 200), (body, message)
        assert "error" not in message, (body, message)
        if body["method"] == "tools/list":
            tools = [tool["name"] for tool in message["result"]["tools"]]
        if called(body) == "get_quote":
            assert message["result"]["structuredContent"]["quotes"][0]["symbol"] == "BTC/USD"
        if called(body) == "confirm_trade":
            bought = filled(message)
        else:
            # Nothing but a confirmation sends an order: no answer that a host gave to our question by itself.
            assert bought or not filled(message), (body, message)
    assert tools == ALL
    assert bought == replay.session["bought"]


@each_host
def test_with_a_key_that_reads_it_buys_nothing(server: Server, file: Path) -> None:
    replay = Replay(server, server.quickstart["paper_key_read"], file)
    orders = [message for body, _, message in replay.answers() if called(body) in ("place_order", "confirm_trade")]
    refusals = ["insufficient_scope" in json.dumps(message) for message in orders]
    # A host that was to answer a question sends a state that this key was never given: that is an error of its own.
    assert refusals[0] and refusals[-1], orders
    assert not any(filled(message) for message in orders), orders


@each_host
def test_a_recording_tells_nothing_of_who_made_it(file: Path) -> None:
    text = file.read_text()
    assert not re.search(r"tl_(?:paper|live)_|/work|/root|/tmp|localhost|127\.0\.0\.1|Bearer", text)
