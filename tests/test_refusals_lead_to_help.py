"""Every refusal, at every endpoint, carries the address of its code's page, and the page is there."""

import json
from decimal import Decimal

import httpx2
import pytest
from django.test import Client as Browser

from brokers.types import Side
from console.accounts.models import User
from console.authority import bearer
from console.connected_apps import grants
from console.connections import services as connections
from console.connections.models import Connection
from console.errors import Refusal
from console.limits import Limits
from console.orders import actions as order_actions
from console.orders import prepare as preparing
from console.orders.terms import Terms
from console.scopes import Scope, Source
from tests.console.pages import log, text_of
from tests.mcpserver.wire import Wire
from tests.patience import at_most
from tests.serving import Server


@pytest.fixture(scope="module")
def server(shared_server: Server) -> Server:
    return shared_server


def leads(address: str, code: str) -> None:
    assert address.endswith(f"/help/errors/{code}/"), address
    assert Browser().get(address[address.index("/help/") :]).status_code == 200


@pytest.mark.django_db
def test_a_tools_error_does(server: Server) -> None:
    refused = Wire(server.mcp_url, server.quickstart["paper_key_trade"]).refusal("get_quote", {"symbols": ["NOPE"]})
    leads(refused["help"], "unknown_symbol")


@pytest.mark.django_db
def test_an_error_of_the_protocol_does(server: Server) -> None:
    wire = Wire(server.mcp_url, server.quickstart["paper_key_trade"])
    unknown = wire.call("buy_stock", {}).json()["error"]["data"]
    leads(unknown["help"], "unknown_tool")
    uri = "tradelatch://orders/ord_nothing"
    read = wire.rpc("resources/read", {"uri": uri}, name=uri).json()["error"]["data"]
    leads(read["help"], read["code"])


@pytest.mark.django_db
def test_a_401_does_with_a_wrong_key_and_without_any(server: Server) -> None:
    for wire in (Wire(server.mcp_url, "tl_paper_wrong"), Wire(server.mcp_url, None)):
        answer = wire.rpc("tools/list", {})
        assert answer.status_code == 401
        leads(answer.json()["error_uri"], "unauthenticated")


@pytest.mark.django_db
def test_a_request_that_is_refused_before_any_tool_does(server: Server) -> None:
    answer = httpx2.post(server.mcp_url, headers={"Origin": "https://evil.example.com"}, json={}, timeout=at_most(10))
    assert answer.status_code == 403
    leads(answer.json()["error"]["data"]["help"], "origin_refused")


def test_a_problem_of_the_rest_api_does(trade_key: str) -> None:
    answer = Browser().get("/api/v1/orders/ord_none", headers={"Authorization": f"Bearer {trade_key}"})
    leads(json.loads(answer.content)["type"], "not_found")


def test_a_problem_of_the_rest_api_does_without_a_key(db: None) -> None:
    answer = Browser().get("/api/v1/orders")
    assert answer.status_code == 401
    leads(json.loads(answer.content)["type"], "unauthenticated")


def test_a_problem_of_the_platform_api_does(db: None) -> None:
    answer = Browser().post("/auth/tokens/user", "{}", content_type="application/json")
    assert answer.status_code == 401
    leads(json.loads(answer.content)["type"], "unauthenticated")


def test_the_pages_of_a_failed_call_do(owner: User, paper: Connection) -> None:
    app = grants.grant(owner, paper, frozenset({Scope.READ}), source=Source.OAUTH, name="Claude")
    call = log(app, tool="place_order", outcome="refused", code="insufficient_scope")
    browser = Browser()
    browser.force_login(owner)
    for page in (f"/activity/{call.request_id}/", "/errors/?kind=meant"):
        assert 'href="/help/errors/insufficient_scope/"' in text_of(browser.get(page)), page


def test_the_page_of_a_refused_order_does(trade_key: str, owner: User) -> None:
    trader = bearer.authenticate(trade_key)
    terms = Terms(symbol="AAPL", side=Side.BUY, quantity=Decimal(1))
    waiting = preparing.prepare(trader, terms).confirmation
    connections.set_limits(Connection.objects.get(owner=owner), Limits(order_notional=Decimal(1)), by=owner)
    with pytest.raises(Refusal) as refused:
        order_actions.confirm(trader, waiting.public_id)
    browser = Browser()
    browser.force_login(owner)
    page = text_of(browser.get(f"/orders/{refused.value.order_id}/"))
    assert 'href="/help/errors/limit_exceeded/"' in page


def test_the_pages_of_what_is_not_there_or_not_allowed_do(db: None, owner: User) -> None:
    browser = Browser(enforce_csrf_checks=True)
    browser.force_login(owner)
    for answer, status in ((browser.get("/nowhere/"), 404), (browser.post("/sign-out/"), 403)):
        assert answer.status_code == status
        assert 'href="/help/use/troubleshooting/"' in text_of(answer)
