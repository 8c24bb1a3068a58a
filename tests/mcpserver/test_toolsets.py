"""Toolsets at the endpoint: what the owner switched off is neither listed nor called, from the next request on."""

import dataclasses
import json
from collections.abc import Iterator

import pytest

from brokers.types import Environment
from console.connections import broker_access
from console.errors import Code, Refusal
from console.principal import Principal
from console.scopes import Scope, Source
from console.toolsets import ON_BY_DEFAULT, Toolset
from mcpserver import catalog
from tests.mcpserver.wire import Wire
from tests.serving import Server, until

RESTS = {"symbol": "BTC/USD", "side": "BUY", "quantity": "0.1", "order_type": "LMT", "limit_price": "100", "tif": "GTC"}


@pytest.fixture
def trade(server: Server) -> Wire:
    return Wire(server.mcp_url, server.quickstart["paper_key_trade"])


@pytest.fixture
def switched(server: Server) -> Iterator["Switch"]:
    switch = Switch(server)
    yield switch
    switch(*ON_BY_DEFAULT)


class Switch:
    """The owner leaves these sets on for the trading app."""

    def __init__(self, server: Server) -> None:
        self._server = server
        public_id = server.quickstart["paper_key_trade"].split("_")[2]
        self._app_id = server.query("SELECT app_id FROM keys_apikey WHERE public_id = ?", public_id)[0][0]

    def __call__(self, *on: str) -> None:
        stored = None if set(on) == ON_BY_DEFAULT else json.dumps(["core", *on])
        self._server.query("UPDATE connected_apps_connectedapp SET toolsets = ? WHERE id = ?", stored, self._app_id)


def names(wire: Wire) -> set[str]:
    return {tool["name"] for tool in wire.rpc("tools/list", {}).json()["result"]["tools"]}


def test_what_is_switched_off_is_not_listed_and_is_refused(trade: Wire, switched: Switch) -> None:
    switched("market")
    assert names(trade) == {tool.name for tool in catalog.TOOLS if tool.toolset in ("core", "market")}
    for tool in ("get_portfolio", "get_orders", "place_order", "cancel_order"):
        assert trade.refusal(tool, {})["code"] == "toolset_off", tool
    trade.result("get_quote", {"symbols": ["BTC/USD"]})


def test_what_is_switched_off_is_off_by_address_and_by_completion_too(trade: Wire, switched: Switch) -> None:
    trade.result("confirm_trade", {"confirmation_id": trade.result("place_order", RESTS)["confirmation_id"]})
    order_id = trade.result("get_orders", {})["orders"][0]["order_id"]
    switched("market")
    for uri in ("tradelatch://account", "tradelatch://orders", f"tradelatch://orders/{order_id}"):
        answer = trade.rpc("resources/read", {"uri": uri}, name=uri).json()
        assert answer["error"]["data"]["code"] == "toolset_off", answer
    uri = "tradelatch://quotes/BTC/USD"
    assert "result" in trade.rpc("resources/read", {"uri": uri}, name=uri).json()
    reference = {"type": "ref/resource", "uri": "tradelatch://orders/{order_id}"}
    asked = {"ref": reference, "argument": {"name": "order_id", "value": "ord_"}}
    assert trade.rpc("completion/complete", asked).json()["result"]["completion"]["values"] == []
    switched(*ON_BY_DEFAULT)
    assert order_id in trade.rpc("completion/complete", asked).json()["result"]["completion"]["values"]
    trade.result("cancel_order", {"order_id": order_id})


def test_a_stream_ends_when_what_it_listens_to_is_switched_off(trade: Wire, switched: Switch) -> None:
    with trade.listen("tradelatch://orders") as heard:
        assert heard.acknowledged()["resourceSubscriptions"] == ["tradelatch://orders"]
        switched("market")
        until(lambda: heard.ended, seconds=20, what="the stream ends")
        assert heard.messages[-1]["error"]["data"]["code"] == "toolset_off"


def test_it_works_again_when_it_is_switched_on(trade: Wire, switched: Switch) -> None:
    every = names(trade)
    switched()
    assert trade.refusal("get_cash", {})["code"] == "toolset_off"
    switched(*ON_BY_DEFAULT)
    trade.result("get_cash", {})
    assert names(trade) == every


def test_the_client_is_told_which_sets_are_off_and_why(trade: Wire, server: Server, switched: Switch) -> None:
    switched("account")
    told = trade.result("get_capabilities", {})["toolsets"]
    assert told["on"] == ["core", "account"]
    why = {each["toolset"]: each["why"] for each in told["off"]}
    assert why["market"] == "It is switched off. The app's owner can switch it on."
    reader = Wire(server.mcp_url, server.quickstart["paper_key_read"]).result("get_capabilities", {})["toolsets"]
    assert {each["toolset"]: each["why"] for each in reader["off"]}["trade"] == "It needs the scope mcp:trade."


def test_the_refusal_is_on_record(trade: Wire, server: Server, switched: Switch) -> None:
    switched("core")
    trade.refusal("get_positions", {})
    row = server.query("SELECT outcome, code FROM audit_call WHERE tool = 'get_positions' ORDER BY id DESC")[0]
    assert row == ("refused", "toolset_off")


WHO = Principal(
    user_id=1,
    user_label="olivia@example.com",
    source=Source.API_KEY,
    credential_id="abc",
    app_id=1,
    app_label="Claude",
    paused=False,
    scopes=frozenset({Scope.READ, Scope.TRADE}),
    connection_id=1,
    connection_label="Old bank",
    connection_paused=False,
    broker="paper",
    broker_settings={},
    environment=Environment.PAPER,
    account_id="",
)


def test_a_tool_that_the_broker_cannot_do_is_not_offered() -> None:
    elsewhere = dataclasses.replace(WHO, broker="a broker without an adapter")
    assert broker_access.abilities(elsewhere.broker) == frozenset()
    offered = {tool.name for tool in catalog.visible(elsewhere)}
    assert offered == {
        tool.name
        for tool in catalog.TOOLS
        if tool.ability is None and tool.toolset in ON_BY_DEFAULT and tool.toolset is not Toolset.PAPER
    }
    assert {tool.name for tool in catalog.visible(WHO)} - offered >= {"get_history", "place_order", "cancel_order"}
    tool = catalog.find("place_order")
    assert tool is not None
    catalog.check_offered(WHO, tool)
    with pytest.raises(Refusal) as refused:
        catalog.check_offered(elsewhere, tool)
    assert refused.value.code is Code.NOT_OFFERED_BY_BROKER
