"""One instrument under all its names: shown with each, ordered by each, and within the limits by each."""

from itertools import count
from typing import Any

import pytest
from django.test import Client

from brokers.paper.bar_imports import import_bars
from brokers.types import AssetClass
from console import limits
from console.accounts.models import User
from console.authority import bearer, call_quota
from console.connections import services as connections
from console.connections.models import Connection
from console.errors import Code
from console.orders.models import Order
from console.principal import Principal
from mcpserver import pipeline, result_schemas

pytestmark = pytest.mark.django_db

BITCOIN = ["CRY:BTC/USD", "cry:btc/usd", " CRY:BTC/USD@kraken ", "BTC/USD", "btc/usd", "BTC-USD", "btcusd", "btc"]
APPLE = ["STK:AAPL.USD", "stk:aapl.usd@xnas", "ETF:AAPL.USD", "AAPL", "aapl", " Aapl "]
_calls = count(1)


@pytest.fixture(autouse=True)
def in_the_tests_own_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    call_quota.reset()
    monkeypatch.setattr(pipeline, "close_old_connections", lambda: None)


@pytest.fixture
def trader(trade_key: str) -> Principal:
    return bearer.authenticate(trade_key)


@pytest.fixture
def bitcoin_in_euro(db: None) -> None:
    import_bars(
        ["ts,open,high,low,close,volume", "2018-04-05T00:00:00Z,6000,6010,5990,6005,12"],
        symbol="BTC/EUR",
        name="Bitcoin in euro",
        asset_class=AssetClass.CRYPTO,
        currency="EUR",
    )


def call(who: Principal, tool: str, **given: Any) -> dict[str, Any]:
    return pipeline.call(who, tool, given, request_id=f"req_names_{next(_calls)}").content


def order(symbol: str, quantity: str = "1") -> dict[str, Any]:
    return {"symbol": symbol, "side": "BUY", "quantity": quantity, "order_type": "LMT", "limit_price": "100"}


def limited(paper: Connection, owner: User, **given: Any) -> None:
    connections.set_limits(paper, limits.parse(given), by=owner, may_widen=True)


@pytest.mark.parametrize("name", [*BITCOIN, *APPLE])
def test_every_name_leads_to_one_instrument_everywhere_a_symbol_is_taken(trader: Principal, name: str) -> None:
    symbol, instrument_id = ("BTC/USD", "CRY:BTC/USD") if "btc" in name.lower() else ("AAPL", "STK:AAPL.USD")
    told = call(trader, "get_security", symbol=name)["instrument"]
    assert (told["symbol"], told["instrument_id"]) == (symbol, instrument_id)
    (quote,) = call(trader, "get_quote", symbols=[name])["quotes"]
    assert (quote["symbol"], quote["instrument_id"]) == (symbol, instrument_id)
    assert symbol in [each["symbol"] for each in call(trader, "search_security", query=name)["instruments"]]
    for tool in ("get_history", "get_order_book", "get_trades"):
        assert call(trader, tool, symbol=name)["symbol"] == symbol
    assert f"Buy 1 {symbol}, limit 100.00 USD" in call(trader, "place_order", **order(name))["summary"]
    assert Order.objects.get().symbol == symbol
    assert [each["symbol"] for each in call(trader, "get_orders", symbol=name, status="all")["orders"]] == [symbol]


@pytest.mark.parametrize("listed", ["BTC/USD", "btc-usd", "CRY:BTC/USD", "cry:btc/usd@kraken", "BTC"])
@pytest.mark.parametrize("name", BITCOIN)
def test_what_is_never_to_be_traded_is_not_by_any_of_its_names(
    trader: Principal, paper: Connection, owner: User, listed: str, name: str
) -> None:
    limited(paper, owner, denied_symbols=[listed])
    assert call(trader, "place_order", **order(name))["error"]["code"] == Code.OUTSIDE_LIMITS
    checks = call(trader, "preview_order", **order(name))["checks"]
    assert Code.OUTSIDE_LIMITS in [each.get("code") for each in checks]
    assert Order.objects.count() == 0
    assert "error" not in call(trader, "place_order", **order("AAPL"))


@pytest.mark.parametrize("listed", ["AAPL", "aapl", "STK:AAPL.USD", "ETF:AAPL.USD"])
@pytest.mark.parametrize("name", APPLE)
def test_what_alone_may_be_traded_may_be_by_each_of_its_names(
    trader: Principal, paper: Connection, owner: User, listed: str, name: str
) -> None:
    limited(paper, owner, symbols=[listed])
    assert "confirmation_id" in call(trader, "place_order", **order(name))
    assert call(trader, "place_order", **order("MSFT"))["error"]["code"] == Code.OUTSIDE_LIMITS


def test_a_name_that_means_several_instruments_is_answered_with_them_at_both_endpoints(
    trader: Principal, trade_key: str, bitcoin_in_euro: None
) -> None:
    said = call(trader, "place_order", **order("btc"))["error"]
    assert said["code"] == Code.AMBIGUOUS_SYMBOL
    assert [(each["symbol"], each["instrument_id"]) for each in said["candidates"]] == [
        ("BTC/USD", "CRY:BTC/USD"),
        ("BTC/EUR", "CRY:BTC/EUR"),
    ]
    assert all(each["name"] and each["exchange"] for each in said["candidates"])
    check_shape(said)
    problem = Client().post(
        "/api/v1/orders",
        order("btc"),
        content_type="application/json",
        headers={"Authorization": f"Bearer {trade_key}"},
    )
    assert (problem.status_code, problem.json()["code"]) == (422, Code.AMBIGUOUS_SYMBOL)
    assert problem.json()["candidates"] == said["candidates"]
    assert Order.objects.count() == 0
    for each in said["candidates"]:
        assert call(trader, "get_security", symbol=each["instrument_id"])["instrument"]["symbol"] == each["symbol"]


def check_shape(error: dict[str, Any]) -> None:
    assert set(error) <= set(result_schemas.Error.__annotations__)
    assert all(set(each) <= set(result_schemas.CandidateOut.__annotations__) for each in error["candidates"])


def test_an_instrument_id_that_is_none_says_what_one_looks_like(trader: Principal) -> None:
    said = call(trader, "place_order", **order("STK:AAPL"))["error"]
    assert said["code"] == Code.UNKNOWN_SYMBOL
    assert "STK:AAPL.USD@XNAS" in said["message"]
