"""Toolsets at the door: what the owner switched off is neither listed nor called, from the next request on."""

import dataclasses
import re
from collections.abc import Iterator

import httpx2
import pytest

from brokers.types import Environment
from console.connections import reads
from console.errors import Code, Refusal
from console.principal import Principal
from console.scopes import Scope, Source
from console.toolsets import Toolset
from mcpserver import catalog
from tests.mcpserver.wire import Wire
from tests.person import Person
from tests.serving import Server


@pytest.fixture
def trade(server: Server) -> Wire:
    return Wire(server.mcp_url, server.quickstart["paper_key_trade"])


@pytest.fixture(scope="module")
def manage(server: Server) -> str:
    with Person(server.url, server.quickstart["username"], server.quickstart["password"]) as person:
        page = person.get("/keys/manage/new/")
        made = person.post("/keys/manage/new/", page, name="terraform", expiry="90")
    found = re.search(r"tl_manage_[0-9A-Za-z]{8}_[0-9A-Za-z]{36}", made.text)
    assert found is not None, made.text[:2000]
    return found[0]


@pytest.fixture
def switched(server: Server, manage: str) -> Iterator["Switch"]:
    switch = Switch(server, manage)
    yield switch
    switch(*Toolset)


class Switch:
    """The owner's program leaves these sets on for the trading app."""

    def __init__(self, server: Server, key: str) -> None:
        self.url, self.headers = f"{server.url}/api/v1/connected-apps", {"Authorization": f"Bearer {key}"}
        apps = httpx2.get(self.url, headers=self.headers).json()["items"]
        self.app_id = next(app["id"] for app in apps if "mcp:trade" in app["scopes"])

    def __call__(self, *on: str) -> list[str]:
        answer = httpx2.patch(f"{self.url}/{self.app_id}", json={"toolsets": list(on)}, headers=self.headers)
        assert answer.status_code == 200, answer.text
        names: list[str] = answer.json()["toolsets"]
        return names


def names(wire: Wire) -> set[str]:
    return {tool["name"] for tool in wire.rpc("tools/list", {}).json()["result"]["tools"]}


def test_what_is_switched_off_is_not_listed_and_is_refused(trade: Wire, switched: Switch) -> None:
    assert switched("market") == ["core", "market"]
    assert names(trade) == {tool.name for tool in catalog.TOOLS if tool.toolset in ("core", "market")}
    for tool in ("get_portfolio", "get_orders", "place_order", "cancel_order"):
        assert trade.refusal(tool, {})["code"] == "toolset_off", tool
    trade.result("get_quote", {"symbols": ["BTC/USD"]})


def test_it_works_again_when_it_is_switched_on(trade: Wire, switched: Switch) -> None:
    every = names(trade)
    switched()
    assert trade.refusal("get_cash", {})["code"] == "toolset_off"
    switched(*Toolset)
    trade.result("get_cash", {})
    assert names(trade) == every


def test_the_client_is_told_which_sets_are_off_and_why(trade: Wire, server: Server, switched: Switch) -> None:
    switched("account")
    told = trade.result("get_capabilities", {})["toolsets"]
    assert told["on"] == ["core", "account"]
    assert {each["toolset"]: each["why"] for each in told["off"]}["market"] == "The app's owner switched it off."
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
    assert reads.abilities(elsewhere.broker) == frozenset()
    offered = {tool.name for tool in catalog.visible(elsewhere)}
    assert offered == {
        tool.name for tool in catalog.TOOLS if tool.ability is None and tool.toolset is not Toolset.PAPER
    }
    assert {tool.name for tool in catalog.visible(WHO)} - offered >= {"get_history", "place_order", "cancel_order"}
    tool = catalog.find("place_order")
    assert tool is not None
    catalog.check_offered(WHO, tool)
    with pytest.raises(Refusal) as refused:
        catalog.check_offered(elsewhere, tool)
    assert refused.value.code is Code.NOT_OFFERED_BY_BROKER
