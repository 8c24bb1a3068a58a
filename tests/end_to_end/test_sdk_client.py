"""The real ``mcp`` SDK client against the whole server: both eras by key, and OAuth from registration to revocation."""

import os
from collections.abc import Awaitable, Callable
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

from tests.catalogued import ALL, READERS
from tests.end_to_end.sdk_steps import ERAS, Memory, cash, finish, held, through_oauth, told
from tests.patience import at_most
from tests.person import Person
from tests.serving import Server, serve


def with_key(server: Server, key: str, era: str, use: Callable[[Client], Awaitable[None]]) -> None:
    async def run() -> None:
        async with (
            httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}, timeout=at_most(30)) as http,
            Client(streamable_http_client(server.mcp_url, http_client=http), mode=era) as client,
        ):
            await use(client)

    finish(run())


@pytest.mark.parametrize("era", ERAS.values(), ids=ERAS.keys())
@pytest.mark.parametrize(("symbol", "quantity"), [("BTC/USD", "0.1"), ("AAPL", "10")])
def test_a_trade_key_buys_and_the_cash_falls_by_price_and_fee_to_the_cent(
    server: Server, era: str, symbol: str, quantity: str
) -> None:
    async def buy(client: Client) -> None:
        cash_before, held_before = await cash(client), await held(client, symbol)
        prepared = await told(client, "place_order", symbol=symbol, side="BUY", quantity=quantity)
        assert prepared["status"] == "needs_confirmation"
        assert await cash(client) == cash_before, "nothing happens before the confirmation"
        done = await told(client, "confirm_trade", confirmation_id=prepared["confirmation_id"])
        assert done["status"] == "filled"
        order = done["order"]
        cost = (Decimal(order["average_price"]) * Decimal(quantity)).quantize(Decimal("0.01"), ROUND_HALF_UP)
        assert cash_before - await cash(client) == cost + Decimal(order["fees"])
        assert await held(client, symbol) == held_before + Decimal(quantity)
        # The price is one the bars say: that of the last complete minute when it was filled.
        status = await told(client, "get_order_status", order_id=order["order_id"])
        filled_at = status["fills"][0]["filled_at"]
        bars = (await told(client, "get_history", symbol=symbol, bar="1m", end=filled_at, limit=1))["bars"]
        slack = Decimal(0) if symbol == "BTC/USD" else Decimal("0.02")  # half the simulated spread
        assert abs(Decimal(order["average_price"]) - Decimal(bars[-1]["close"])) <= slack

    with_key(server, server.quickstart["paper_key_trade"], era, buy)


@pytest.mark.parametrize("era", ERAS.values(), ids=ERAS.keys())
def test_keys_list_the_tools_of_their_scope(server: Server, era: str) -> None:
    async def names(client: Client) -> None:
        listed.append([tool.name for tool in (await client.list_tools()).tools])

    listed: list[list[str]] = []
    with_key(server, server.quickstart["paper_key_trade"], era, names)
    with_key(server, server.quickstart["paper_key_read"], era, names)
    trade, read = listed
    assert (trade, read) == (ALL, READERS)
    assert {"set_current_account", "place_order", "confirm_trade", "cancel_order"} <= set(trade) - set(read)


def test_the_connection_picked_at_consent_is_the_one_the_tools_see_until_it_is_revoked(server: Server) -> None:
    with Person(server.url, server.quickstart["username"], server.quickstart["password"]) as person:
        page = person.get("/connections/add/")
        made = person.post(
            "/connections/add/", page, name="Second", starting_cash="777", currency="USD", hours="always"
        )
        assert made.status_code == 200, made.text[:2000]
    storage = Memory()

    async def look(client: Client) -> None:
        assert [tool.name for tool in (await client.list_tools()).tools] == READERS
        portfolio = await told(client, "get_portfolio")
        assert portfolio["context"]["connection"] == "Second"
        assert portfolio["totals"]["equity"] == "777"

    through_oauth(server, storage, connection="Second", scope="mcp:read", use=look)
    assert storage.tokens is not None
    bearer = {"Authorization": f"Bearer {storage.tokens.access_token}"}
    body = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    headers = bearer | {"Accept": "application/json"}
    assert httpx2.post(server.mcp_url, json=body, headers=headers, timeout=at_most(10)).status_code == 200
    with Person(server.url, server.quickstart["username"], server.quickstart["password"]) as person:
        person.revoke_app("SDK client")
    refused = httpx2.post(server.mcp_url, json=body, headers=headers, timeout=at_most(10))
    assert refused.status_code == 401
    assert 'error="invalid_token"' in refused.headers["www-authenticate"]


def test_an_app_allowed_to_trade_trades_and_its_refresh_token_keeps_it_going(server: Server) -> None:
    storage = Memory()

    async def buy(client: Client) -> None:
        prepared = await told(client, "create_order", symbol="SPY", side="BUY", quantity="1")
        done = await told(client, "confirm_trade", confirmation_id=prepared["confirmation_id"])
        assert done["status"] == "filled"

    through_oauth(server, storage, connection="Practice", scope="mcp:read mcp:trade", use=buy)
    assert storage.tokens is not None and storage.info is not None
    first = storage.tokens.access_token
    answer = httpx2.post(
        f"{server.url}/oauth/token",
        data={
            "grant_type": "refresh_token",
            "refresh_token": storage.tokens.refresh_token or "",
            "client_id": storage.info.client_id or "",
        },
        timeout=at_most(10),
    )
    assert answer.status_code == 200, answer.text
    fresh = answer.json()
    assert fresh["access_token"] != first and fresh["refresh_token"] != storage.tokens.refresh_token
    body = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    headers = {"Authorization": f"Bearer {fresh['access_token']}", "Accept": "application/json"}
    assert httpx2.post(server.mcp_url, json=body, headers=headers, timeout=at_most(10)).status_code == 200


def test_a_reader_that_calls_a_trading_tool_gets_a_403_it_can_step_up_from(server: Server) -> None:
    storage = Memory()

    async def look(client: Client) -> None:
        await told(client, "get_cash")

    through_oauth(server, storage, connection="Practice", scope="mcp:read", use=look)
    assert storage.tokens is not None
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "place_order", "arguments": {}}}
    headers = {"Authorization": f"Bearer {storage.tokens.access_token}", "Accept": "application/json"}

    def add_token(request: httpx2.Request) -> httpx2.Request:
        """As the SDK's provider does."""
        request.headers.update(headers)
        return request

    refused = httpx2.post(server.mcp_url, json=body, auth=add_token, timeout=at_most(10))
    assert refused.status_code == 403
    challenge = refused.headers["www-authenticate"]
    assert 'error="insufficient_scope"' in challenge and 'scope="mcp:read mcp:trade"' in challenge
    assert server.query("SELECT code, source FROM audit_call ORDER BY id DESC LIMIT 1") == [
        ("insufficient_scope", "oauth")
    ]
    # It did not step up, so the model behind it is to read why.
    again = httpx2.post(server.mcp_url, json=body, auth=add_token, timeout=at_most(10))
    assert again.status_code == 200
    assert again.json()["result"]["structuredContent"]["error"]["code"] == "insufficient_scope"


def test_the_sdk_steps_up_from_read_to_trade_in_the_middle_of_a_session(server: Server) -> None:
    storage = Memory()
    granted: list[str | None] = []

    def remember() -> None:
        assert storage.tokens is not None
        granted.append(storage.tokens.scope)

    async def look_then_buy(client: Client) -> None:
        await told(client, "get_cash")
        remember()
        prepared = await told(client, "place_order", symbol="SPY", side="BUY", quantity="1")
        remember()
        done = await told(client, "confirm_trade", confirmation_id=prepared["confirmation_id"])
        assert done["status"] == "filled"

    asked = through_oauth(
        server,
        storage,
        connection="Practice",
        scope="mcp:read",
        scope_of_next="mcp:read mcp:trade",
        use=look_then_buy,
    )
    assert granted == ["mcp:read", "mcp:read mcp:trade"]
    assert len(asked) == 2, "once at the start and once for the trade"
    assert {"mcp:read", "mcp:trade"} <= set(parse_qs(urlsplit(asked[1]).query)["scope"][0].split())
    assert storage.info is not None
    grants = server.query(
        "SELECT app.scopes, app.revoked_at IS NULL FROM connected_apps_connectedapp app"
        " JOIN clients_client client ON client.id = app.client_id WHERE client.client_id = ? ORDER BY app.id",
        storage.info.client_id,
    )
    assert grants == [("mcp:read", False), ("mcp:read mcp:trade", True)], "the new grant takes the place of the old"


def test_the_sdk_introduces_itself_by_a_metadata_document_instead_of_registering(tmp_path: Path) -> None:
    document = "https://claude.ai/oauth/claude-code-client-metadata"
    storage = Memory()

    async def look(client: Client) -> None:
        await told(client, "get_cash")

    # A server that trusts no certificate cannot read the document, on a computer with internet neither.
    with serve(tmp_path / "home", SSL_CERT_FILE=os.devnull) as server:
        asked = through_oauth(server, storage, connection="Practice", scope="mcp:read", use=look, document=document)
        clients = server.query("SELECT client_id, kind, document_fetched_at FROM clients_client")
    assert parse_qs(urlsplit(asked[0]).query)["client_id"] == [document]
    assert clients == [(document, "document", None)], "the copy we know, and nobody registered"
