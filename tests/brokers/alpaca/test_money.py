"""Money of an account and of what moved in it: margins, reversals, and prices that are none."""

from decimal import Decimal
from typing import Any

import pytest

from brokers.alpaca.adapter import AlpacaBroker
from tests.brokers.alpaca.fake import ACCOUNT, FakeAlpaca
from tests.brokers.paper.support import order
from tests.brokers.recorded import answer_with


def state_with(patch: pytest.MonkeyPatch, broker: AlpacaBroker, fake: FakeAlpaca, **more: Any) -> Any:
    broker.accounts()
    told = {name: value for name, value in (fake._account() | more).items() if value != "gone"}
    answer_with(patch, fake, "GET", "/v2/account", told)
    return broker.account_state(ACCOUNT)


def test_a_margin_account_has_its_margins_and_a_cash_account_has_none(
    alpaca: AlpacaBroker, fake: FakeAlpaca, monkeypatch: pytest.MonkeyPatch
) -> None:
    margins = {"initial_margin": "52324.65", "maintenance_margin": "13895.76"}
    found = state_with(monkeypatch, alpaca, fake, multiplier="4", **margins)
    assert (found.initial_margin, found.maintenance_margin) == (Decimal("52324.65"), Decimal("13895.76"))
    found = state_with(monkeypatch, alpaca, fake, multiplier="1", **margins)
    assert (found.initial_margin, found.maintenance_margin) == (None, None)


def test_an_account_without_the_worth_of_its_positions_is_read_by_its_equity(
    alpaca: AlpacaBroker, fake: FakeAlpaca, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {"equity": "10000123.5", "cash": "10000000"}
    for missing in ({"long_market_value": "gone", "short_market_value": "gone"}, {"short_market_value": None}):
        found = state_with(monkeypatch, alpaca, fake, **told, **missing)
        assert (found.equity, found.positions_value) == (Decimal("10000123.5"), Decimal("123.5"))


@pytest.mark.parametrize("word", ["canceled", "CANCELED"])
def test_an_activity_that_was_taken_back_moved_nothing(alpaca: AlpacaBroker, fake: FakeAlpaca, word: str) -> None:
    asked = order("BUY", "2", "BTC/USD")
    alpaca.submit(ACCOUNT, asked)
    row = {"activity_type": "FEE", "net_amount": "-3", "created_at": fake._now(), "date": "2026-11-20"}
    fake.activities += [row | {"id": "fee-1", "status": word}, row | {"id": "fee-2", "status": "executed"}]
    fake.activities.append(fake.fills[0] | {"id": "busted", "status": word})
    found = alpaca.transactions(ACCOUNT, start=None, end=None, limit=9)
    assert [each.transaction_id for each in found] == ["fee-2", fake.fills[0]["id"]]
    assert [each.fill_id for each in alpaca.fills(ACCOUNT, limit=9)] == [fake.fills[0]["id"]]
    found_order = alpaca.order(ACCOUNT, asked.client_order_id)
    assert found_order is not None
    assert [each.quantity for each in found_order.fills] == [Decimal(2)]


@pytest.mark.parametrize(("theirs", "ours"), [("DIVWH", "tax"), ("WH", "tax"), ("SPLIT", "split"), ("INT", "interest")])
def test_each_activity_has_its_kind(alpaca: AlpacaBroker, fake: FakeAlpaca, theirs: str, ours: str) -> None:
    fake.activities.append({"id": "1", "activity_type": theirs, "net_amount": "-1.5", "created_at": fake._now()})
    (found,) = alpaca.transactions(ACCOUNT, start=None, end=None, limit=9)
    assert (found.kind, found.amount) == (ours, Decimal("-1.5"))


@pytest.mark.parametrize("nothing", ["0", 0, "0.00", None])
def test_an_order_that_filled_nothing_has_no_average_price(
    alpaca: AlpacaBroker, fake: FakeAlpaca, nothing: object
) -> None:
    asked = order("BUY", "1", "BTC/USD", limit="100")
    placed = alpaca.submit(ACCOUNT, asked)
    fake.orders[placed.broker_order_id] |= {"filled_qty": "0", "filled_avg_price": nothing}
    found = alpaca.order(ACCOUNT, asked.client_order_id)
    assert found is not None
    assert (found.filled_quantity, found.average_price) == (Decimal(0), None)


@pytest.mark.parametrize("nothing", [0, -1, None])
def test_a_side_that_nobody_quotes_is_no_price(
    alpaca: AlpacaBroker, fake: FakeAlpaca, monkeypatch: pytest.MonkeyPatch, nothing: object
) -> None:
    row = {"latestTrade": {"p": 181.5, "t": fake._now()}, "latestQuote": {"bp": nothing, "ap": nothing, "t": None}}
    alpaca.instrument("AAPL")
    answer_with(monkeypatch, fake, "GET", "/v2/stocks/snapshots", {"AAPL": row})
    (quote,) = alpaca.quotes(["AAPL"])
    assert (quote.bid, quote.last, quote.ask) == (Decimal("181.5"),) * 3
    assert "no quote" in quote.source
