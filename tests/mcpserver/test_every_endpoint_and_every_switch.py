"""Every endpoint of an app with every switch of its owner off. The endpoints are read from the catalog and the REST
addresses.

So a new tool, resource, prompt or address is walked through without anybody naming it here.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.conf import LazySettings
from django.test import Client as Browser
from django.urls import URLPattern
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from console.api import urls
from console.api.base import ApiView as RestDoor
from console.authority import call_quota, drf
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.keys.models import ApiKey
from console.scopes import Scope
from console.toolsets import Toolset, switched_on
from mcpserver import catalog, completion
from mcpserver.prompts import PROMPTS
from mcpserver.resources import RESOURCES
from tests.console.api.rest import V1, Rest
from tests.mcpserver.ways import Reply, Way, request
from tests.mcpserver.wire import MODERN

LEGACY = HANDSHAKE_PROTOCOL_VERSIONS[-1]


@dataclass(frozen=True, eq=False)
class At:
    """One way to one endpoint."""

    name: str
    toolset: Toolset
    scope: Scope
    bucket: call_quota.CallKind
    method: str
    params: Any = None
    """Of a request to ``/mcp``; None: ``method`` and ``name`` are those of a REST request."""
    era: str = MODERN
    is_lean: bool = True

    @property
    def trades(self) -> bool:
        return self.bucket is call_quota.CallKind.TRADE and self.toolset in (Toolset.TRADE, Toolset.PAPER)


def tools() -> Iterator[At]:
    for tool in catalog.TOOLS:
        if not catalog.can("paper", tool):
            continue
        for era, is_lean in ((MODERN, True), (LEGACY, True), (MODERN, False)):
            params = {"name": tool.name, "arguments": {}}
            yield At(tool.name, tool.toolset, tool.scope, tool.throttle, "tools/call", params, era, is_lean)


def reads() -> Iterator[At]:
    """What is no tool."""
    for resource in RESOURCES:
        uri = resource.uri.replace("{order_id}", "ord_x").replace("{+symbol}", "BTC/USD")
        yield At(uri, resource.toolset, Scope.READ, call_quota.CallKind.READ, "resources/read", {"uri": uri})
        stream = {"notifications": {"resourceSubscriptions": [uri]}}
        # A stream leaves out what is switched off, and ends when that happens later: see test_toolsets.
        yield At(
            f"a stream of {uri}", Toolset.CORE, Scope.READ, call_quota.CallKind.READ, "subscriptions/listen", stream
        )
    for prompt in PROMPTS:
        given = {arg.name: "x" for arg in prompt.args if arg.required}
        params = {"name": prompt.name, "arguments": given}
        yield At(prompt.name, prompt.toolset, Scope.READ, call_quota.CallKind.READ, "prompts/get", params)
    for name in completion.TOOLSETS:
        params = {"ref": {"type": "ref/prompt", "name": PROMPTS[0].name}, "argument": {"name": name, "value": ""}}
        # What is offered for a set that is off is nothing: see below.
        yield At(
            f"completion of {name}", Toolset.CORE, Scope.READ, call_quota.CallKind.READ, "completion/complete", params
        )


def rest() -> Iterator[At]:
    for pattern in urls._V1:
        assert isinstance(pattern, URLPattern)
        view: type[RestDoor] = pattern.callback.view_class  # type: ignore[attr-defined]  # DRF's as_view sets it
        path = str(pattern.pattern)
        for kind in ("int", "str"):
            for part in [each for each in path.split("/") if each.startswith(f"<{kind}:")]:
                path = path.replace(part, "1" if kind == "int" else "x")
        for method, act in view.acts.items():
            if drf.is_for_apps(act.needs):
                assert act.toolset is not None
                bucket = drf._THROTTLE.get(act.needs, call_quota.CallKind.READ)
                yield At(f"{V1}/{path}", act.toolset, drf._SCOPE.get(act.needs, Scope.READ), bucket, method)


ENDPOINTS = [*tools(), *reads(), *rest()]


def code_of(reply: Reply) -> str:
    """Of a refusal in any of the forms ``/mcp`` has; "" for an answer."""
    body = reply.body
    if reply.status == 200 and "result" in body:
        result = body["result"]
        return str(result["structuredContent"]["error"]["code"]) if result.get("isError") else ""
    error = body["error"]
    return str(error["data"]["code"] if isinstance(error, dict) else body["code"])


def codes(key: str, endpoints: list[At]) -> dict[At, str]:
    """What each endpoint says to an empty request with this key."""
    found: dict[At, str] = {}
    for is_lean in (True, False):
        there = [endpoint for endpoint in endpoints if endpoint.params is not None and endpoint.is_lean is is_lean]
        sent = []
        for endpoint in there:
            more = {"mcp_name": endpoint.params["uri"]} if "uri" in endpoint.params else {}
            sent.append(request(key, endpoint.era, endpoint.method, endpoint.params, **more))
        found |= {
            endpoint: code_of(reply) for endpoint, reply in zip(there, Way(is_lean=is_lean).send(*sent), strict=True)
        }
    caller = Rest(Browser(), key)
    for endpoint in [endpoint for endpoint in endpoints if endpoint.params is None]:
        answer = caller.send(endpoint.method, endpoint.name)
        found[endpoint] = "" if answer.status_code < 400 else json.loads(answer.content)["code"]
    return found


@pytest.fixture(autouse=True)
def generous(transactional_db: None, settings: LazySettings) -> None:
    settings.CALLS_PER_MINUTE = settings.TRADE_CALLS_PER_MINUTE = settings.CANCELS_PER_MINUTE = 100_000
    call_quota.reset()


@pytest.fixture
def trade_key(trade_key: str) -> str:
    """Of an app whose owner switched every set on."""
    app = ConnectedApp.objects.get(api_keys__public_id=trade_key.split("_")[2])
    grants.set_toolsets(app, set(Toolset), by=app.owner, may_widen=True)
    return trade_key


@pytest.fixture
def app(trade_key: str) -> ConnectedApp:
    return ConnectedApp.objects.get(api_keys__public_id=trade_key.split("_")[2])


def test_every_way_in_is_walked() -> None:
    assert {tool.name for tool in catalog.TOOLS if catalog.can("paper", tool)} <= {
        endpoint.name for endpoint in ENDPOINTS
    }
    assert len([endpoint for endpoint in ENDPOINTS if endpoint.name.startswith(V1)]) >= 20
    assert {endpoint.method for endpoint in ENDPOINTS if endpoint.params is not None} == {
        "tools/call", "resources/read", "prompts/get", "completion/complete", "subscriptions/listen"
    }  # fmt: skip
    assert {endpoint.toolset for endpoint in ENDPOINTS} >= set(Toolset) - {
        Toolset.FUNDING,
        Toolset.EARN,
        Toolset.DERIVATIVES,
        Toolset.ALERTS,  # the tools come with the next commit
    }


@pytest.mark.parametrize("off", [each for each in Toolset if each is not Toolset.CORE])
def test_a_set_that_is_off_is_off_at_every_endpoint(off: Toolset, app: ConnectedApp, trade_key: str) -> None:
    grants.set_toolsets(app, set(Toolset) - {off}, by=app.owner, may_widen=True)
    told = codes(trade_key, [endpoint for endpoint in ENDPOINTS if endpoint.toolset is off])
    assert {endpoint: code for endpoint, code in told.items() if code != "toolset_off"} == {}


def test_the_basics_alone_leave_no_endpoint_open_but_the_basics(app: ConnectedApp, trade_key: str) -> None:
    grants.set_toolsets(app, (), by=app.owner)
    elsewhere = [endpoint for endpoint in ENDPOINTS if not switched_on([Toolset.CORE], endpoint.toolset)]
    assert set(codes(trade_key, elsewhere).values()) == {"toolset_off"}


def test_nothing_is_offered_of_a_set_that_is_off(app: ConnectedApp, trade_key: str) -> None:
    grants.set_toolsets(app, (), by=app.owner)
    asked = [endpoint for endpoint in ENDPOINTS if endpoint.method == "completion/complete"]
    replies = Way(is_lean=True).send(
        *[request(trade_key, MODERN, endpoint.method, endpoint.params) for endpoint in asked]
    )
    assert [reply.body["result"]["completion"]["values"] for reply in replies] == [[]] * len(asked)


def test_a_paused_app_comes_through_no_endpoint(app: ConnectedApp, trade_key: str) -> None:
    grants.pause(app, by=app.owner)
    assert set(codes(trade_key, ENDPOINTS).values()) == {"app_paused"}


def test_a_reader_comes_through_no_endpoint_that_takes_the_scope_to_trade(read_key: str) -> None:
    told = codes(read_key, [endpoint for endpoint in ENDPOINTS if endpoint.scope is Scope.TRADE])
    assert set(told.values()) == {"insufficient_scope"}


def test_a_key_bound_to_another_address_comes_through_no_endpoint(trade_key: str) -> None:
    ApiKey.objects.filter(public_id=trade_key.split("_")[2]).update(networks=["203.0.113.0/24"])
    assert set(codes(trade_key, ENDPOINTS).values()) == {"ip_not_allowed"}


def test_on_a_paused_connection_only_what_cancels_passes(paper: Connection, trade_key: str) -> None:
    Connection.objects.filter(pk=paper.pk).update(paused_at=paper.created_at)
    told = codes(trade_key, ENDPOINTS)
    shut = {endpoint for endpoint, code in told.items() if code == "connection_paused"}
    assert {endpoint.name for endpoint in ENDPOINTS if endpoint not in shut} == {
        endpoint.name for endpoint in ENDPOINTS if endpoint.bucket is call_quota.CallKind.CANCEL
    }


def test_with_trading_off_no_endpoint_that_trades_opens(paper: Connection, trade_key: str) -> None:
    Connection.objects.filter(pk=paper.pk).update(trading_enabled=False)
    told = codes(trade_key, [endpoint for endpoint in ENDPOINTS if endpoint.trades])
    assert {endpoint: code for endpoint, code in told.items() if code != "trading_disabled"} == {}
    assert len(told) > 20


def test_an_unlinked_connection_has_no_endpoint(paper: Connection, trade_key: str) -> None:
    Connection.objects.filter(pk=paper.pk).update(closed_at=paper.created_at)
    assert set(codes(trade_key, ENDPOINTS).values()) == {"unauthenticated"}


def test_a_minute_that_is_used_up_shuts_all_but_what_cancels(
    app: ConnectedApp, trade_key: str, settings: LazySettings
) -> None:
    settings.CALLS_PER_MINUTE = 1
    call_quota.check(app.owner_id, app.pk, call_quota.CallKind.READ)
    told = codes(trade_key, ENDPOINTS)
    shut = {endpoint for endpoint, code in told.items() if code == "rate_limited"}
    assert shut == {endpoint for endpoint in ENDPOINTS if endpoint.bucket is not call_quota.CallKind.CANCEL}
