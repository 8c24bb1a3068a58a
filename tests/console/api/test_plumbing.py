"""What holds at every endpoint: problem details, exact types, paging, CSRF, throttles, the audit log."""

import json
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import DatabaseError
from django.test import Client as Browser

from console.accounts.models import User
from console.api import openapi
from console.audit import log as audit_log
from console.audit.models import Call
from console.authority import call_quota
from console.connections.models import Connection
from console.keys import minting
from console.keys.models import ApiKey
from console.scopes import Scope
from tests.console.api.rest import Rest, problem
from tests.console.pages import text_of

ORDER = {"symbol": "BTC/USD", "side": "BUY", "quantity": "0.1"}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ("{", 400, "invalid_request"),
        ("[]", 400, "invalid_request"),
        ('{"quantity": NaN}', 400, "invalid_request"),
        (b"\xff\xfe", 400, "invalid_request"),
        ("[" * 100_000, 400, "invalid_request"),
        (json.dumps({"symbol": "x" * 300_000}), 413, "body_too_large"),
    ],
    ids=["cut off", "a list", "not a number", "not text", "too deep", "too long"],
)
def test_a_body_that_is_no_json_object_is_refused(trader: Rest, body: Any, status: int, code: str) -> None:
    response = trader.send("POST", "/orders", body)
    assert (response.status_code, problem(response)["code"]) == (status, code)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "json"])
def test_another_media_type_is_refused(trader: Rest, session: Rest, kind: str) -> None:
    for rest, path in ((trader, "/orders"), (session, "/connections")):
        response = rest.browser.post(f"/api/v1{path}", "{}", content_type=kind, headers=rest.headers)
        assert response.status_code == 415
        assert problem(response)["code"] == "unsupported_media_type"


def test_everything_that_is_wrong_is_named_field_by_field(trader: Rest) -> None:
    told = trader.refused("POST", "/orders", {"side": "HOLD", "quantity": 0.1, "qty": "1"})
    assert told["status"] == 400
    assert {(error["field"], error["code"]) for error in told["errors"]} == {
        ("qty", "unknown_argument"),
        ("symbol", "missing_argument"),
        ("side", "invalid_argument"),
        ("quantity", "invalid_argument"),
    }


@pytest.mark.parametrize("quantity", [1, 0.1, True, None, "", "1e3", "0x1", " 1", "1\n", "NaN", "٣", [], {}])
def test_an_amount_is_decimal_text_and_nothing_else(trader: Rest, quantity: Any) -> None:
    told = trader.refused("POST", "/orders", {**ORDER, "quantity": quantity})
    assert [error["field"] for error in told["errors"]] == ["quantity"]


def test_an_endpoint_that_takes_nothing_refuses_a_field(session: Rest, paper: Connection) -> None:
    told = session.refused("POST", f"/connections/{paper.pk}/pause", {"force": True})
    assert told["code"] == "unknown_argument"
    paper.refresh_from_db()
    assert paper.paused_at is None


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("colour=red", "unknown_argument"),
        ("limit=0", "invalid_argument"),
        ("limit=201", "invalid_argument"),
        ("limit=x", "invalid_argument"),
        ("limit=1&limit=2", "invalid_argument"),
        ("cursor=nonsense", "invalid_argument"),
        ("cursor=%00", "invalid_argument"),
        ("status=lost", "invalid_argument"),
        ("connection_id=99999999999999999999", "invalid_argument"),
    ],
)
def test_a_query_that_says_nothing_known_is_refused(reader: Rest, query: str, code: str) -> None:
    told = reader.refused("GET", f"/orders?{query}")
    assert (told["status"], told["code"]) == (400, code)


@pytest.mark.parametrize("path", ["/nowhere", "/orders/", "/connections/x", "/connections/0", "", "/orders/ord_x/y"])
def test_an_address_that_is_not_there_is_a_problem_too(session: Rest, path: str) -> None:
    assert session.refused("GET", path)["code"] == "not_found"


def test_another_method_is_told_which_would_fit(session: Rest) -> None:
    response = session.send("PUT", "/clients", {})
    assert problem(response)["code"] == "method_not_allowed"
    assert response["Allow"] == "GET, POST, HEAD, OPTIONS"


def test_head_is_get_without_a_body_and_options_needs_no_credential(reader: Rest, paper: Connection) -> None:
    head = reader.send("HEAD", "/orders")
    assert (head.status_code, head.content) == (200, b"")
    assert head["X-Request-ID"]
    options = Rest(Browser()).send("OPTIONS", "/orders")
    assert (options.status_code, options["Allow"]) == (204, "GET, POST, HEAD, OPTIONS")
    assert options["X-Request-ID"]


def test_pages_follow_each_other_while_new_rows_arrive(session: Rest, owner: User, paper: Connection) -> None:
    for number in range(5):
        minting.mint(owner, paper, frozenset({Scope.READ}), name=f"key-{number}")
    first = session.get("/keys?limit=2")
    minting.mint(owner, paper, frozenset({Scope.READ}), name="newcomer")
    second = session.get(first["next"])
    third = session.get(second["next"])
    names = [key["name"] for page in (first, second, third) for key in page["items"]]
    assert names == ["key-4", "key-3", "key-2", "key-1", "key-0", "Default key of Practice"]
    assert third["next"] is None
    assert "limit=2" in second["next"]


def test_a_session_needs_its_csrf_token_for_what_changes_something(owner: User, paper: Connection) -> None:
    browser = Browser(enforce_csrf_checks=True)
    browser.force_login(owner)
    rest = Rest(browser)
    assert rest.get("/connections")["items"]
    assert rest.refused("POST", f"/connections/{paper.pk}/pause")["code"] == "csrf_failed"
    browser.get("/connections/add/")
    token = browser.cookies["tradelatch_csrf"].value
    assert rest.send("POST", f"/connections/{paper.pk}/pause", **{"X-CSRFToken": token}).status_code == 200
    wrong = rest.send("POST", f"/connections/{paper.pk}/pause", **{"X-CSRFToken": token[::-1]})
    assert problem(wrong)["code"] == "csrf_failed"


def test_a_key_needs_no_csrf_token(trade_key: str) -> None:
    rest = Rest(Browser(enforce_csrf_checks=True), trade_key)
    assert rest.post("/orders", ORDER, status=201)["order"]["status"] == "awaiting_confirmation"


def test_a_users_calls_are_counted_together_and_a_cancel_still_passes(
    trader: Rest, reader: Rest, session: Rest, settings: LazySettings
) -> None:
    settings.CALLS_PER_MINUTE = 3
    order = trader.post("/orders", ORDER, status=201)["order"]
    reader.get("/orders")
    reader.get("/orders")
    for rest in (trader, reader):
        response = rest.send("GET", "/orders")
        assert problem(response)["code"] == "rate_limited"
        assert response.status_code == 429
        assert 1 <= int(response["Retry-After"]) <= 60
    session.get("/orders")
    trader.post(f"/orders/{order['id']}/cancel")


def test_trading_calls_have_a_limit_of_their_own(trader: Rest, settings: LazySettings) -> None:
    settings.TRADE_CALLS_PER_MINUTE = 1
    trader.post("/orders", ORDER, status=201)
    assert trader.refused("POST", "/orders", ORDER)["code"] == "rate_limited"
    trader.get("/orders")


def test_a_call_is_on_record_with_what_was_sent(trader: Rest, trade_key: str) -> None:
    response = trader.send("POST", "/orders", {**ORDER, "symbol": "NOPE", "client_order_id": trade_key})
    told = problem(response)
    call = Call.objects.get(request_id=told["request_id"])
    assert (call.tool, call.outcome, call.code) == ("rest:place_order", "refused", told["code"])
    assert call.arguments["symbol"] == "NOPE"
    assert trade_key not in json.dumps(call.arguments)
    assert (call.source, call.scopes, call.app_label) == ("apikey", "mcp:read mcp:trade", "Test key mcp:trade")


def test_what_does_not_fit_is_on_record_too(trader: Rest) -> None:
    told = trader.refused("POST", "/orders", {"colour": "red"})
    call = Call.objects.get(request_id=told["request_id"])
    assert (call.code, call.arguments) == ("unknown_argument", {"colour": "red"})


def test_an_answer_without_its_row_does_not_leave_but_a_cancel_does(
    trader: Rest, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = trader.post("/orders", ORDER, status=201)["order"]

    def full(entry: audit_log.Entry) -> None:
        raise DatabaseError("disk full")

    monkeypatch.setattr(audit_log, "record_call", full)
    response = trader.send("GET", "/orders")
    assert (response.status_code, problem(response)["code"]) == (503, "audit_unavailable")
    assert order["id"] not in response.content.decode()
    assert trader.post(f"/orders/{order['id']}/cancel")["status"] == "cancelled"


def test_a_fault_of_ours_says_nothing_of_itself(
    reader: Rest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("the secret recipe")

    monkeypatch.setattr("console.api.base.ApiView.page", broken)
    response = reader.send("GET", "/orders")
    told = problem(response)
    assert (response.status_code, told["code"]) == (500, "internal_error")
    assert "recipe" not in response.content.decode()
    assert told["request_id"] in caplog.text
    assert Call.objects.get(request_id=told["request_id"]).outcome == "failed"


def test_answers_may_not_be_kept_by_a_shared_cache(reader: Rest) -> None:
    assert reader.send("GET", "/orders")["Cache-Control"] == "private, no-cache"


def test_the_description_is_openapi_3_1_and_open_to_all() -> None:
    response = Browser().get("/api/v1/schema.json")
    document = json.loads(text_of(response))
    assert document["openapi"].startswith("3.1")
    assert document["components"]["securitySchemes"].keys() == {"key", "session", "platform", "management"}
    assert document["paths"]["/api/v1/orders"]["post"]["security"] == [{"key": []}, {"platform": []}]
    assert response["X-Request-ID"]
    assert problem(Browser().post("/api/v1/schema.json"))["code"] == "method_not_allowed"


def test_no_number_in_the_description_may_be_a_float() -> None:
    assert '"number"' not in json.dumps(openapi.document())


def test_the_developers_page_lists_every_operation_and_every_code(browser: Browser) -> None:
    page = text_of(browser.get("/developers/"))
    for methods in openapi.document()["paths"].values():
        for operation in methods.values():
            assert f'id="{operation["operationId"]}"' in page
    assert 'id="insufficient_funds"' in page
    assert "REST API" in page


def test_calls_that_cost_nothing_cannot_fill_the_journal(trade_key: str, owner: User) -> None:
    key = ApiKey.objects.get(public_id=minting.public_id_of(trade_key))
    minting.revoke(key, by=owner)
    call_quota.reset()
    rest = Rest(Browser(), trade_key)
    for _ in range(150):
        assert rest.send("GET", "/orders").status_code == 401
    assert Call.objects.filter(code="unauthenticated").count() == 120
    key.app.refresh_from_db()
    assert key.app.last_used_at is None, "to be turned away is no use"


@pytest.mark.parametrize("path", ["/api/v1/orders/%00", "/api/v1/keys/%00", "/oauth/register/%00"])
def test_a_nul_in_an_address_is_a_bad_request(path: str) -> None:
    assert Browser().get(path).status_code == 400
