"""Whatever is sent, the answer is one the published description names, and never a 500."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import hypothesis
import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from django.test import Client as Browser
from hypothesis import HealthCheck
from pytest_django import Settings
from schemathesis.checks import CHECKS, load_all_checks

from console.accounts.models import User
from console.alerts import intake as alerts
from console.clients import registration
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.halts import services as halts
from console.keys.models import ApiKey
from console.scopes import Scope
from console.toolsets import Toolset
from tests.console.api.conftest import a_trade, account_of
from tests.console.api.rest import Rest
from tests.console.pages import log

application = get_wsgi_application()
load_all_checks()
PROMISES: Any = CHECKS.get_by_names(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "negative_data_rejection",
        "unsupported_method",
        "allow_header_conformance",
    ]
)


def served(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Django ends a request by looking after its connections; here they hold the test's own transaction."""
    # Schemathesis asks for gzip, as every client by requests does, and reads what comes within a process as it is.
    environ.pop("HTTP_ACCEPT_ENCODING", None)
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    try:
        response = application(environ, start_response)
        body = list(response)
        response.close()
        return body
    finally:
        for signal in (request_started, request_finished):
            signal.connect(close_old_connections)


[REJECTS_WHAT_IS_WRONG] = CHECKS.get_by_names(["negative_data_rejection"])
SCHEMA = schemathesis.openapi.from_wsgi("/api/v1/schema.json", served)
BOUNDED = hypothesis.settings(
    max_examples=3, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)


ALERT = {"kind": "equity", "condition": "above", "value": Decimal(1)}


@pytest.fixture(autouse=True)
def generous(settings: Settings) -> None:
    settings.CALLS_PER_MINUTE = settings.TRADE_CALLS_PER_MINUTE = settings.CANCELS_PER_MINUTE = 1_000_000


@pytest.fixture
def known(owner: User, paper: Connection, trader: Rest, app: ConnectedApp) -> dict[str, object]:
    """Something real for every path parameter: most of what is generated names nothing."""
    client, _ = registration.register_static(
        owner, name="Widget", redirect_uris=["https://widget.example.com/cb"], scopes=frozenset({Scope.READ})
    )
    order = trader.post("/orders", {"symbol": "BTC/USD", "side": "BUY", "quantity": "0.1"}, status=201)["order"]
    key = ApiKey.objects.get(is_default=True)
    call = log(ConnectedApp.objects.get(pk=order["app_id"]), outcome="refused", code="invalid_order")
    mine = ConnectedApp.objects.select_related("connection").get(pk=order["app_id"])
    grants.set_toolsets(mine, frozenset(Toolset), by=owner, may_widen=True)
    return {
        "connection_id": paper.pk,
        "client_pk": client.pk,
        "key_id": key.public_id,
        "app_id": app.pk,
        "order_id": order["id"],
        "request_id": call.request_id,
        "trade_id": a_trade(paper).public_id,
        "account_id": account_of(paper),
        "alert_id": alerts.create(paper, ALERT, app=mine).alert.public_id,
        "halt_id": halts.halt_app(app, by=owner).pk,
    }


def check(
    case: schemathesis.Case[Any],
    known: dict[str, object],
    headers: dict[str, str],
    cookies: dict[str, str] | None = None,
) -> None:
    case.headers.pop("Authorization", None)  # invented ones would hide the credential under test
    case.cookies = dict(cookies or {})
    answer = case.call_and_validate(headers=headers, checks=PROMISES)
    assert answer.status_code != 401 or not {"Authorization", "Cookie"} & set(answer.request.headers)
    if case.path_parameters:
        case.path_parameters = {name: known[name] for name in case.path_parameters}
        # What was wrong with the case may have been the parameter.
        case.call_and_validate(headers=headers, checks=[each for each in PROMISES if each is not REJECTS_WHAT_IS_WRONG])


@SCHEMA.parametrize()
@BOUNDED
def test_a_trade_key_gets_the_answers_described(
    case: schemathesis.Case[Any], known: dict[str, object], trade_key: str
) -> None:
    check(case, known, {"Authorization": f"Bearer {trade_key}"})


@pytest.fixture
def session_cookies(browser: Browser) -> dict[str, str]:
    browser.get("/connections/add/")  # a form, so that there is a CSRF cookie
    return {name: morsel.value for name, morsel in browser.cookies.items()}


@SCHEMA.parametrize()
@BOUNDED
def test_a_session_gets_the_answers_described(
    case: schemathesis.Case[Any], known: dict[str, object], session_cookies: dict[str, str]
) -> None:
    check(case, known, {"X-CSRFToken": session_cookies["tradelatch_csrf"]}, session_cookies)
