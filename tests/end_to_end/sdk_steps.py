"""A host built on the SDK's own client: it signs in, calls and is told."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp.client.auth import OAuthClientProvider
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from mcp_types import CallToolResult
from pydantic import AnyUrl

from mcpserver import result_tables
from tests.patience import at_most
from tests.person import Person
from tests.serving import Server

ERAS = {"2026-07-28": "auto", "2025-11-25": "legacy"}


def finish(work: Coroutine[Any, Any, None]) -> None:
    """Run it in a thread of its own: a browser test beside this one may hold this thread's event loop."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, asyncio.wait_for(work, at_most(60))).result(at_most(90))


class Memory:
    """Token storage of one client."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.info: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.info

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.info = client_info


async def told(client: Client, tool: str, **arguments: object) -> dict[str, Any]:
    result: CallToolResult = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    assert result.structured_content is not None
    assert result.structured_content["context"]["environment"] == "paper"
    content: dict[str, Any] = result_tables.spread(result.structured_content)
    return content


async def cash(client: Client) -> Decimal:
    return Decimal((await told(client, "get_cash"))["cash"][0]["total"])


async def held(client: Client, symbol: str) -> Decimal:
    positions = (await told(client, "get_positions", symbol=symbol))["positions"]
    return sum((Decimal(each["quantity"]) for each in positions), Decimal(0))


def through_oauth(
    server: Server,
    storage: Memory,
    *,
    connection: str,
    scope: str,
    use: Callable[[Client], Awaitable[None]],
    redirect: str = "http://127.0.0.1:43117/callback",
    scope_of_next: str = "",
    document: str | None = None,
) -> list[str]:
    """Register, sign in, consent and use the connection, all by the SDK's own OAuth client.

    ``scope`` is allowed first, ``scope_of_next`` whenever the client asks again. With ``document``, the address of
    its metadata document, the client does not register. Answers with the addresses it sent the person to.
    """
    asked: list[str] = []
    callback: list[str] = []
    with Person(server.url, server.quickstart["username"], server.quickstart["password"]) as person:

        async def open_browser(url: str) -> None:
            allowed = scope_of_next if asked else scope
            asked.append(url)
            callback.append(await asyncio.to_thread(person.consent, url, connection=connection, scope=allowed))

        async def wait_for_callback() -> AuthorizationCodeResult:
            query = parse_qs(urlsplit(callback[-1]).query)
            return AuthorizationCodeResult(code=query["code"][0], state=query["state"][0], iss=query["iss"][0])

        provider = OAuthClientProvider(
            server_url=server.mcp_url,
            client_metadata=OAuthClientMetadata(
                client_name="SDK client",
                redirect_uris=[AnyUrl(redirect)],
                grant_types=["authorization_code", "refresh_token"],
                token_endpoint_auth_method="none",
            ),
            storage=storage,
            redirect_handler=open_browser,
            callback_handler=wait_for_callback,
            client_metadata_url=document,
        )

        async def run() -> None:
            async with (
                httpx2.AsyncClient(auth=provider, timeout=at_most(30)) as http,
                Client(streamable_http_client(server.mcp_url, http_client=http)) as client,
            ):
                await use(client)

        finish(run())
    return asked
