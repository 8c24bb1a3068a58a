"""Tools that only some brokers have: listed where the connection's broker can, refused elsewhere, and read only."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from brokers import registry
from brokers.types import USUAL
from console.accounts.models import User
from console.authority import bearer, call_quota
from console.scopes import Scope
from console.toolsets import Toolset
from mcpserver import catalog, pipeline
from tests.brokers.alpaca import fake as alpaca
from tests.brokers.okx import fake as okx
from tests.console.connections.fakes import ALPACA, OKX
from tests.mcpserver.linked_brokers import call, link

SETS = (Toolset.DERIVATIVES, Toolset.FUNDING, Toolset.EARN)
TOOLS = [tool for tool in catalog.TOOLS if tool.toolset in SETS]


@pytest.fixture(autouse=True)
def _one_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    # The pipeline is made for worker threads and lets connections go; the test's own must stay.
    monkeypatch.setattr(pipeline, "close_old_connections", lambda: None)
    monkeypatch.setattr(call_quota, "check", lambda *about, **more: None)


@dataclass(frozen=True, slots=True)
class Linked:
    key: str
    fake: Any

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        return call(self.key, tool, **arguments)


@pytest.fixture
def linked(owner: User) -> Iterator[Linked]:
    with OKX.running() as fake:
        yield Linked(link(owner, OKX, fake), fake)


def test_each_is_one_of_the_sets_an_owner_switches_and_only_reads() -> None:
    assert {tool.toolset for tool in TOOLS} == set(SETS)
    assert {(tool.access, tool.scope) for tool in TOOLS} == {(catalog.ToolAccess.READ, Scope.READ)}


@pytest.mark.parametrize("broker", sorted(registry.NAMES))
def test_each_is_offered_by_the_brokers_whose_adapter_can(broker: str) -> None:
    known = registry.capabilities(broker)
    assert known is not None
    offered = {tool.ability for tool in TOOLS if catalog.can(broker, tool)}
    assert offered == known.abilities - USUAL


def test_on_paper_none_is_listed_and_each_is_refused(read_key: str) -> None:
    listed = {tool.name for tool in catalog.visible(bearer.authenticate(read_key))}
    for tool in TOOLS:
        assert tool.name not in listed
        assert call(read_key, tool.name)["error"]["code"] == "not_offered_by_broker"


def test_a_broker_with_perpetuals_and_options_to_read_lists_both(linked: Linked) -> None:
    listed = {tool.name for tool in catalog.visible(bearer.authenticate(linked.key))}
    assert {"get_futures_contracts", "get_funding_rate", "get_transfers", "get_deposit_address"} <= listed
    assert "get_earn_offers" in listed
    assert {"get_option_chain", "get_option_expirations"} <= listed
    told = linked.call("get_option_chain", symbol="BTC/USDT", expiration="2029-12-28", strikes=1)
    assert [each["strike"] for each in told["contracts"]] == ["30000", "30000"]
    assert "cannot be traded from here" in told["note"]


def test_a_position_in_a_contract_says_its_leverage_and_coins_say_none(linked: Linked) -> None:
    told = {each["symbol"]: each for each in linked.call("get_positions")["positions"]}
    assert (told["BTC/USDT:USDT"]["leverage"], told["BTC/USDT:USDT"]["margin_mode"]) == ("5", "cross")
    assert not {"leverage", "margin_mode"} & set(told["BTC/USDT"])


def test_a_funding_rate_is_told_in_percent_with_who_pays_whom(linked: Linked) -> None:
    told = linked.call("get_funding_rate", symbol="BTC/USDT:USDT", limit=2)
    assert (told["funding_percent"], told["longs_pay"], told["interval_hours"]) == ("-0.00182221", False, "8")
    assert (told["mark"], told["index"], told["open_interest"]) == ("30000.2", "29998.1", "21254.19")
    assert [each["funding_percent"] for each in told["history"]] == ["0.00746572360545"] * 2
    assert linked.call("get_funding_rate", symbol="BTC/USDT")["error"] == {
        "code": "invalid_argument",
        "message": "BTC/USDT is not a perpetual, so it has no funding rate.",
        "retry": "after_change",
        "help": "http://localhost:8000/help/errors/invalid_argument/",
        "field": "symbol",
    }


def test_the_front_month_alone_is_marked(linked: Linked) -> None:
    told = linked.call("get_futures_contracts", root="btc")
    assert told["root"] == "BTC"
    assert [(each["expiration"], each.get("front_month")) for each in told["contracts"]] == [
        ("2029-12-28", True),
        ("2030-03-29", None),
    ]
    assert linked.call("get_futures_contracts", root="NOPE")["error"]["code"] == "unknown_symbol"


def test_a_chain_is_told_by_strike_with_its_greeks_and_volatility_in_percent(owner: User) -> None:
    with ALPACA.running() as fake:
        key = link(owner, ALPACA, fake)
        day = alpaca.EXPIRATIONS[0].isoformat()
        told = call(key, "get_option_expirations", symbol="aapl")
        assert told["symbol"] == "AAPL"
        assert told["expirations"][0] == {
            "expiration": day,
            "strikes": 5,
            "lowest_strike": "170",
            "highest_strike": "190",
        }
        chain = call(key, "get_option_chain", symbol="AAPL", expiration=day, strikes=2, right="put")
        assert (chain["underlying_price"], chain["multiplier"], chain["expiration"]) == ("181.5", "100", day)
        assert [(each["strike"], each["right"]) for each in chain["contracts"]] == [("180", "put"), ("185", "put")]
        quoted, never_quoted = chain["contracts"]
        assert (quoted["bid"], quoted["ask"], quoted["open_interest"]) == ("4.15", "4.3", "237")
        assert (quoted["delta"], quoted["implied_volatility_percent"]) == ("0.7521304109871954", "33.72405712050441")
        assert set(never_quoted) == {"symbol", "right", "strike", "open_interest"}
        for wrong, field in (
            ({"expiration": "soon"}, "expiration"),
            ({"strikes": 51}, "strikes"),
            ({"right": "x"}, "right"),
        ):
            refused = call(key, "get_option_chain", **{"symbol": "AAPL", "expiration": day, **wrong})["error"]
            assert (refused["code"], refused["field"]) == ("invalid_argument", field)
        refused = call(key, "get_option_chain", symbol="AAPL", expiration="2031-01-01")["error"]
        assert (refused["code"], refused["field"]) == ("invalid_argument", "expiration")


def test_transfers_say_what_went_which_way_and_whether_it_is_done(linked: Linked) -> None:
    told = linked.call("get_transfers", start="2022-01-01", limit=10)
    assert told["context"]["account_id"] == okx.UID
    assert [(each["type"], each["status"]) for each in told["transfers"]] == [
        ("deposit", "pending"),
        ("deposit", "done"),
        ("deposit", "done"),
        ("withdrawal", "done"),
    ]
    assert told["transfers"][-1]["fee"] == "0.007"
    assert linked.call("get_transfers", start="2023-01-01", end="2022-01-01")["error"]["field"] == "start"


def test_a_deposit_address_comes_with_a_warning_and_none_with_what_to_do(linked: Linked) -> None:
    told = linked.call("get_deposit_address", asset="XRP")
    assert told["addresses"] == [
        {"asset": "XRP", "address": "rfakefakefakefakefakefakefake", "network": "Ripple", "tag": "1248"}
    ]
    assert told["note"].startswith("Check the address at the broker")
    speak = linked.fake.speak
    nothing = {"code": "0", "msg": "", "data": []}
    linked.fake.speak = lambda asked: (200, nothing) if asked.path.endswith("deposit-address") else speak(asked)
    told = linked.call("get_deposit_address", asset="BTC")
    assert told["addresses"] == []
    assert told["note"] == "The account has no address for this asset yet. The owner can create one at the broker."


def test_offers_and_holdings_are_told_in_percent_a_year(linked: Linked) -> None:
    told = linked.call("get_earn_offers", asset="DOT")
    assert {"offer_id": "101", "asset": "DOT", "kind": "staking", "yearly_percent": "17.67", "term_days": 28,
            "minimum": "2"} in told["offers"]  # fmt: skip
    held = next(each for each in told["holdings"] if each["asset"] == "DOT")
    assert (held["amount"], held["earned"], held["yearly_percent"]) == ("2.5", "0.10615025", "10.14")


@pytest.mark.parametrize(
    ("tool", "given"), [("get_transfers", {}), ("get_deposit_address", {"asset": "BTC"}), ("get_earn_offers", {})]
)
def test_an_account_of_somebody_else_is_one_that_does_not_exist(
    linked: Linked, tool: str, given: dict[str, str]
) -> None:
    assert linked.call(tool, **given, account_id="4470589234361")["error"]["code"] == "unknown_account"


def test_nothing_was_asked_of_the_broker_that_moves_anything(linked: Linked) -> None:
    for tool, given in (
        ("get_transfers", {}),
        ("get_deposit_address", {"asset": "BTC"}),
        ("get_earn_offers", {}),
        ("get_funding_rate", {"symbol": "BTC/USDT:USDT"}),
        ("get_futures_contracts", {"root": "BTC"}),
    ):
        assert "error" not in linked.call(tool, **given)
    assert {method for method, _ in linked.fake.received} == {"GET"}
