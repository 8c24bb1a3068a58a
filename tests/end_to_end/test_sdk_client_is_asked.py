"""The real ``mcp`` SDK client asks its user before an order goes, and hears by its stream what became of it."""

from typing import Any

import anyio
import httpx2
import mcp_types as types
import pytest
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.subscriptions import ResourceUpdated

from tests.end_to_end.sdk_steps import finish
from tests.patience import at_most
from tests.serving import ANSWERED_BY_A_PERSON, Server

SERVER_VARIABLES = ANSWERED_BY_A_PERSON
BUY = {"symbol": "BTC/USD", "side": "BUY", "quantity": "0.1"}


@pytest.mark.parametrize(("send", "status"), [(True, "filled"), (False, "cancelled")])
def test_the_user_decides_in_the_client_and_the_stream_tells_of_it(server: Server, send: bool, status: str) -> None:
    questions: list[str] = []

    async def user(context: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
        questions.append(params.message)
        return types.ElicitResult(action="accept", content={"send": send})

    async def run() -> None:
        headers = {"Authorization": f"Bearer {server.quickstart['paper_key_trade']}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=at_most(30)) as http,
            Client(streamable_http_client(server.mcp_url, http_client=http), elicitation_callback=user) as client,
            client.listen(resource_subscriptions=["tradelatch://orders"]) as stream,
        ):
            result = await client.call_tool("place_order", dict(BUY))
            assert isinstance(result, types.CallToolResult) and result.structured_content is not None
            assert result.structured_content["status"] == status
            with anyio.fail_after(at_most(10)):
                assert await anext(stream) == ResourceUpdated(uri="tradelatch://orders")

    finish(run())
    assert len(questions) == 1
    assert questions[0].startswith("Buy 0.1 BTC/USD")
