"""One program at ``/mcp`` that is asked and answers, sooner or later than a person could."""

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import LazySettings

from console.orders.models import Confirmation
from mcpserver import result_tables
from tests.mcpserver.ways import META, Way, request, short  # noqa: F401  fixtures
from tests.mcpserver.wire import MODERN

BUY: dict[str, Any] = {"symbol": "BTC/USD", "side": "BUY", "quantity": "0.01"}
RESTS = BUY | {"order_type": "LMT", "limit_price": "100", "tif": "GTC"}
FORM: dict[str, Any] = {"elicitation": {"form": {}}}
URL: dict[str, Any] = {"elicitation": {"url": {}}}
BOTH: dict[str, Any] = {"elicitation": {"form": {}, "url": {}}}
YES: dict[str, Any] = {"action": "accept", "content": {"send": True}}
NO: dict[str, Any] = {"action": "accept", "content": {"send": False}}
CANCEL: dict[str, Any] = {"action": "cancel"}
DECLINE: dict[str, Any] = {"action": "decline"}
SAID = [YES, NO, {"action": "accept"}, DECLINE, CANCEL]
IDS = ["yes", "no", "opened", "declined", "cancelled"]
NOBODY = "Your program answered the question by itself; nobody was asked. Nothing was sent."


class Host:
    """One program with one key at ``/mcp``."""

    def __init__(self, way: Way, key: str) -> None:
        self.way, self.key = way, key

    def send(self, tool: str, arguments: dict[str, Any], capabilities: dict[str, Any], **more: Any) -> Any:
        params = {"name": tool, "arguments": arguments, **more}
        params["_meta"] = META | {"io.modelcontextprotocol/clientCapabilities": capabilities}
        [reply] = self.way.send(request(self.key, MODERN, "tools/call", params))
        return reply.body["result"]

    def call(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        content: dict[str, Any] = result_tables.spread(self.send(tool, arguments, {})["structuredContent"])
        return content

    def asked(self, tool: str, arguments: dict[str, Any], capabilities: dict[str, Any] = FORM) -> str:
        result = self.send(tool, arguments, capabilities)
        assert result["resultType"] == "input_required", result
        state: str = result["requestState"]
        return state

    def answer(
        self, tool: str, arguments: dict[str, Any], state: str, said: Any, capabilities: dict[str, Any] = FORM
    ) -> dict[str, Any]:
        result = self.send(tool, arguments, capabilities, requestState=state, inputResponses={"order": said})
        content: dict[str, Any] = result_tables.spread(result["structuredContent"])
        return content


@pytest.fixture
def program(settings: LazySettings) -> Callable[[], None]:
    """From now on every answer comes too soon for a person."""

    def at_once() -> None:
        settings.FASTEST_ANSWER_MS = 3_600_000

    return at_once


@pytest.fixture
def person(settings: LazySettings) -> Callable[[], None]:
    """From now on every answer comes late enough for one."""

    def later() -> None:
        settings.FASTEST_ANSWER_MS = 0

    return later


@pytest.fixture
def host(short: Way, trade_key: str, program: Callable[[], None]) -> Host:  # noqa: F811  the fixture
    program()
    return Host(short, trade_key)


def newest() -> Confirmation:
    return Confirmation.objects.latest("pk")
