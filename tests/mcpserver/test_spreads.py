"""Several options in one order, as an assistant asks for them and as REST does."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from console.accounts.models import User
from console.audit.models import Call
from console.authority import bearer, call_quota
from console.connections.models import Connection, Policy
from console.limits import Limits
from console.orders.execution import reconcile
from console.orders.models import Order
from mcpserver import catalog, pipeline, server
from mcpserver.arguments import base
from tests.brokers.alpaca.fake import FakeAlpaca
from tests.brokers.ibkr.fake import OPTION, FakeIbkr
from tests.console.connections.fakes import ALPACA, IBKR
from tests.mcpserver.linked_brokers import call, link
from tests.mcpserver.steps import TRADE_LIST

pytestmark = pytest.mark.django_db(transaction=True)

LOW, HIGH = "AAPL260618C00250000", "AAPL260618C00260000"
LEGS = [{"symbol": LOW, "side": "BUY"}, {"symbol": HIGH, "side": "SELL", "ratio": "1"}]
DEBIT: dict[str, Any] = {
    "symbol": "AAPL",
    "side": "BUY",
    "quantity": "2",
    "order_type": "LMT",
    "limit_price": "1.30",
    "legs": LEGS,
}


@pytest.fixture(autouse=True)
def _no_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "close_old_connections", lambda: None)
    monkeypatch.setattr(call_quota, "check", lambda *about, **more: None)


@pytest.fixture
def fake() -> Iterator[FakeAlpaca]:
    with ALPACA.running() as started:
        yield started


@pytest.fixture
def key(owner: User, fake: FakeAlpaca) -> str:
    made = link(owner, ALPACA, fake, limits=Limits(order_notional=Decimal(100_000), daily_notional=Decimal(100_000)))
    Connection.objects.update(policy=Policy.TWO_STEP, confirmation_delay=0)
    return made


def test_a_spread_is_shown_confirmed_filled_and_told_by_its_legs(key: str, fake: FakeAlpaca) -> None:
    shown = call(key, "place_order", **DEBIT)
    assert shown["summary"].startswith("2 spreads: buy 1 AAPL 2026-06-18 250 call, sell 1")
    assert shown["order"]["spread"] == [
        {"symbol": LOW, "side": "BUY", "ratio": 1},
        {"symbol": HIGH, "side": "SELL", "ratio": 1},
    ]
    assert fake.sent == []
    done = call(key, "confirm_trade", confirmation_id=shown["confirmation_id"])
    reconcile.sweep()
    told = call(key, "get_order_status", order_id=done["order"]["order_id"])
    assert told["order"]["status"] == "filled"
    assert {(each["symbol"], each["side"], each["price"]) for each in told["fills"]} == {
        (LOW, "BUY", "4.2"),
        (HIGH, "SELL", "2.9"),
    }
    assert [each["limit_price"] for each in fake.sent] == ["1.3"]


def test_a_credit_has_side_sell_and_a_price_above_zero(key: str, fake: FakeAlpaca) -> None:
    turned = [{"symbol": LOW, "side": "SELL"}, {"symbol": HIGH, "side": "BUY"}]
    shown = call(key, "place_order", **(DEBIT | {"side": "SELL", "limit_price": "1.4", "legs": json.dumps(turned)}))
    assert "net credit at least 1.40 USD each" in shown["summary"]
    call(key, "confirm_trade", confirmation_id=shown["confirmation_id"])
    assert [(each["limit_price"], each["legs"][0]) for each in fake.sent] == [
        ("-1.4", {"symbol": LOW, "side": "sell", "ratio_qty": "1"})
    ]
    refused = call(key, "place_order", **(DEBIT | {"limit_price": "-1.4"}))["error"]
    assert (refused["code"], refused["field"]) == ("invalid_argument", "limit_price")


def test_a_preview_and_a_batch_take_legs_too(key: str) -> None:
    assert call(key, "preview_order", **DEBIT)["would_pass"] is True
    batch = call(key, "place_batch_orders", orders=[DEBIT | {"legs": json.dumps(LEGS)}, DEBIT])
    assert [order["symbol"] for order in batch["orders"]] == ["AAPL+260618C250-C260"] * 2


def test_the_audit_log_says_which_options_a_batch_asked_for(key: str) -> None:
    call(key, "place_batch_orders", orders=[DEBIT, DEBIT])
    (row,) = Call.objects.filter(tool="place_batch_orders")
    assert [each["legs"] for each in row.arguments["orders"]] == [LEGS, LEGS]


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"legs": [LEGS[0]]}, "legs"),
        ({"legs": [*LEGS, *LEGS, LEGS[0]]}, "legs"),
        ({"legs": [LEGS[0], {"symbol": HIGH}]}, "legs[1].side"),
        ({"legs": [LEGS[0], {**LEGS[1], "quantity": "3"}]}, "legs[1].quantity"),
        ({"legs": [LEGS[0], {**LEGS[1], "ratio": "0"}]}, "legs[1].ratio"),
        ({"legs": "both"}, "legs"),
        ({"symbol": "MSFT"}, "symbol"),
        ({"order_class": "bracket", "take_profit": "2", "stop_loss": "1"}, "order_class"),
    ],
)
def test_what_is_wrong_with_the_legs_is_named(key: str, fake: FakeAlpaca, changed: dict[str, Any], field: str) -> None:
    refused = call(key, "place_order", **(DEBIT | changed))["error"]
    assert (refused["field"], refused["retry"]) == (field, "after_change")
    assert (Order.objects.count(), fake.sent) == (0, [])


def test_legs_are_listed_where_the_broker_takes_them_alone(key: str) -> None:
    principal = bearer.authenticate(key)
    listed = {tool.name: base.schema(tool.args)["properties"] for tool in catalog.visible(principal)}
    assert {name for name, takes in listed.items() if "legs" in takes} == {"place_order", "preview_order"}
    size = sum(len(server.listed(tool).model_dump_json(exclude_none=True)) for tool in catalog.visible(principal))
    assert size <= TRADE_LIST
    assert listed["place_order"]["legs"]["items"]["required"] == ["symbol", "side"]
    assert "spreads" in call(key, "get_capabilities")["trading"]["also"]


def test_rest_takes_the_same_legs(client: Client, key: str) -> None:
    def post(*legs: dict[str, Any]) -> Any:
        body = json.dumps(DEBIT | {"legs": legs})
        return client.post(
            "/api/v1/orders", body, content_type="application/json", headers={"Authorization": f"Bearer {key}"}
        )

    low, high = {"symbol": LOW, "side": "BUY"}, {"symbol": HIGH, "side": "SELL", "ratio": 1}
    answer = post(low, high)
    assert answer.status_code == 201, answer.content
    assert answer.json()["order"]["spread"] == [
        {"symbol": LOW, "side": "BUY", "ratio": 1},
        {"symbol": HIGH, "side": "SELL", "ratio": 1},
    ]
    wrong = post(low, {**high, "qty": 2})
    assert wrong.status_code == 400
    assert "legs.1.qty" in wrong.content.decode()


@pytest.mark.parametrize("terms", [{"legs": [LEGS[0], LEGS[0] | {"symbol": HIGH}]}, {"symbol": "AAPL+260618C250-C260"}])
def test_a_broker_that_takes_none_says_so_at_every_door(client: Client, trade_key: str, terms: dict[str, Any]) -> None:
    order = {name: value for name, value in DEBIT.items() if name != "legs"} | terms
    for tool in ("place_order", "preview_order"):
        refused = call(trade_key, tool, **order)["error"]
        assert (refused["code"], refused["field"]) == ("not_offered_by_broker", "legs")
    refused = call(trade_key, "place_batch_orders", orders=[order])["error"]
    assert refused["code"] == "not_offered_by_broker"
    answer = client.post(
        "/api/v1/orders",
        json.dumps(order),
        content_type="application/json",
        headers={"Authorization": f"Bearer {trade_key}"},
    )
    assert "not_offered_by_broker" in answer.content.decode()
    assert Order.objects.count() == 0


def test_the_name_of_a_spread_can_be_asked_about_like_any_symbol(key: str) -> None:
    """It is what orders show as their symbol."""
    (quote,) = call(key, "get_quote", symbol="AAPL+260618C250-C260")["quotes"]
    assert (quote["bid"], quote["ask"]) == ("1.3", "1.3")
    largest = call(
        key, "get_max_order", symbol="AAPL+260618C250-C260", side="SELL", order_type="LMT", limit_price="1.3"
    )
    assert (largest["quantity"], largest["bound_by"]["bound"]) == ("100", "order_notional")
    shown = call(
        key,
        "place_order",
        **{name: value for name, value in DEBIT.items() if name not in ("legs", "symbol")},
        symbol="AAPL-260618C260+C250",
    )
    assert shown["order"]["symbol"] == "AAPL+260618C250-C260"


def test_at_interactive_brokers_the_legs_are_those_of_its_option_chain(owner: User) -> None:
    low, high = OPTION + 21_180, OPTION + 21_185
    with IBKR.running() as fake:
        assert isinstance(fake, FakeIbkr)
        fake.option_prices |= {low: ("4.20", "4.15", "4.25"), high: ("2.90", "2.85", "2.95")}
        key = link(owner, IBKR, fake, limits=Limits(order_notional=Decimal(100_000), daily_notional=Decimal(100_000)))
        Connection.objects.update(policy=Policy.TWO_STEP, confirmation_delay=0)
        chain = call(key, "get_option_chain", symbol="AAPL", expiration="2029-12-21", right="call", strikes=9)
        listed = {each["symbol"].partition("@")[2]: each["symbol"] for each in chain["contracts"]}
        legs = [{"symbol": listed[str(low)], "side": "SELL"}, {"symbol": listed[str(high)], "side": "BUY"}]
        shown = call(key, "place_order", **(DEBIT | {"side": "SELL", "limit_price": "1.4", "legs": legs}))
        assert "net credit at least 1.40 USD each" in shown["summary"]
        done = call(key, "confirm_trade", confirmation_id=shown["confirmation_id"])
        assert [(each["conidex"], each["price"]) for each in fake.sent] == [
            (f"28812380;;;{low}/-1,{high}/1", Decimal("-1.4"))
        ]
        told = call(key, "get_order_status", order_id=done["order"]["order_id"])
        assert (told["order"]["status"], told["order"]["symbol"]) == ("working", "AAPL+291221C180-C185")
        assert "spreads" in call(key, "get_capabilities")["trading"]["also"]
