"""The largest order is told at every broker, with what binds it, and what the broker does not report is named."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from console.accounts.models import User
from console.authority import call_quota
from mcpserver import pipeline
from tests.console.connections.fakes import ALL, OKX, Linkable
from tests.mcpserver.linked_brokers import call, link


@pytest.fixture(autouse=True)
def _one_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    # The pipeline is made for worker threads and lets connections go; the test's own must stay.
    monkeypatch.setattr(pipeline, "close_old_connections", lambda: None)
    monkeypatch.setattr(call_quota, "check", lambda *about, **more: None)


@pytest.fixture(params=ALL, ids=lambda each: each.slug or each.broker)
def linked(request: pytest.FixtureRequest, owner: User) -> Iterator[tuple[Linkable, str]]:
    with request.param.running() as fake:
        yield request.param, link(owner, request.param, fake)


BOUND = {
    ("alpaca", "BUY"): "funds",
    ("okx", "BUY"): "funds",
    ("okx", "SELL"): "position",
    ("binance", "BUY"): "order_notional",
    ("binance", "SELL"): "order_notional",
    ("kraken", "BUY"): "order_notional",
    ("kraken", "SELL"): "order_notional",
    ("coinbase", "BUY"): "order_notional",
    ("coinbase", "SELL"): "order_notional",
    ("ibkr", "BUY"): "margin",
    ("ibkr", "SELL"): "position",
    ("tws", "BUY"): "funds",
    ("tws", "SELL"): "position",
}
"""What binds an order in the account of each fake; nothing is known of it at the others."""


@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_what_binds_is_named_or_that_it_is_not_known(linked: tuple[Linkable, str], side: str) -> None:
    linkable, key = linked
    told: dict[str, Any] = call(key, "get_max_order", symbol=linkable.symbol, side=side)
    expected = BOUND.get((linkable.broker, side))
    assert told.get("bound_by", {}).get("bound") == expected, told
    assert ("not_reported" in told) is (expected is None)
    assert "approximate" not in told
    if expected is None:
        assert not {"quantity", "notional"} & told.keys()
        return
    size = "notional" if linkable.broker == "coinbase" and side == "BUY" else "quantity"
    assert told[size] == told["bound_by"][size]
    assert Decimal(told[size]) % Decimal(told["step"]) == 0
    sizes = {each["bound"]: Decimal(each[size]) for each in told["bounds"]}
    assert Decimal(told[size]) == min(sizes.values())
    if expected == "margin":
        assert (told["bound_by"]["has"], told["quantity"]) == ("107295.75", "2255")  # a quarter of 190.25 each
    if expected == "funds":
        cost, there = -Decimal(told["estimate"]["cash_effect"]), Decimal(told["bound_by"]["has"])
        assert cost <= there < cost * (Decimal(told[size]) + Decimal(told["step"])) / Decimal(told[size])


def test_okx_itself_says_how_much_of_a_contract_its_margin_bears(owner: User) -> None:
    with OKX.running() as fake:
        key = link(owner, OKX, fake)
        told = call(key, "get_max_order", symbol="BTC/USDT:USDT", side="SELL", order_type="LMT", limit_price="31000")
    assert (told["bound_by"]["bound"], told["bound_by"]["refused_by"]) == ("margin", "broker")
    assert told["quantity"] == "16.12"  # five times 100,000 USDT at 31,000, in steps of 0.01
    assert "not_reported" not in told
