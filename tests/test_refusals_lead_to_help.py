"""Every refusal, at every door, carries the address of its code's page, and the page is there."""

import json

import httpx2
import pytest
from django.test import Client as Browser

from console.accounts.models import User
from console.connected_apps import grants
from console.connections.models import Connection
from console.scopes import Scope, Source
from tests.console.pages import log, text_of
from tests.mcpserver.wire import Wire
from tests.serving import Server


def leads(address: str, code: str) -> None:
    assert address.endswith(f"/help/errors/{code}/"), address
    assert Browser().get(address[address.index("/help/") :]).status_code == 200


@pytest.mark.django_db
def test_a_tools_error_does(server: Server) -> None:
    refused = Wire(server.mcp_url, server.quickstart["paper_key_trade"]).refusal("get_quote", {"symbols": ["NOPE"]})
    leads(refused["help"], "unknown_symbol")


@pytest.mark.django_db
def test_a_401_does_with_a_wrong_key_and_without_any(server: Server) -> None:
    for wire in (Wire(server.mcp_url, "tl_paper_wrong"), Wire(server.mcp_url, None)):
        answer = wire.rpc("tools/list", {})
        assert answer.status_code == 401
        leads(answer.json()["error_uri"], "unauthenticated")


@pytest.mark.django_db
def test_a_request_that_is_refused_before_any_tool_does(server: Server) -> None:
    answer = httpx2.post(server.mcp_url, headers={"Origin": "https://evil.example.com"}, json={})
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
    for page in (f"/activity/{call.request_id}/", "/errors/"):
        assert 'href="/help/errors/insufficient_scope/"' in text_of(browser.get(page)), page


def test_the_pages_of_what_is_not_there_or_not_allowed_do(db: None, owner: User) -> None:
    browser = Browser(enforce_csrf_checks=True)
    browser.force_login(owner)
    for answer, status in ((browser.get("/nowhere/"), 404), (browser.post("/sign-out/"), 403)):
        assert answer.status_code == status
        assert 'href="/help/use/troubleshooting/"' in text_of(answer)
