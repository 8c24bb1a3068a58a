"""Before an order: dividend, earnings and halt of a stock, and what it does to the margin, where that is reported."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from brokers.paper.models import PaperAccount
from console.accounts.models import User
from console.authority import call_quota
from mcpserver import pipeline
from tests.brokers.alpaca.fake import FakeAlpaca
from tests.brokers.ibkr.fake import FakeIbkr
from tests.console.connections.fakes import ALPACA, CROSSTRADE, IBKR, TWS
from tests.mcpserver.linked_brokers import call, link

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _one_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    # The pipeline is made for worker threads and lets connections go; the test's own must stay.
    monkeypatch.setattr(pipeline, "close_old_connections", lambda: None)
    monkeypatch.setattr(call_quota, "check", lambda *about, **more: None)


@pytest.fixture
def alpaca(owner: User) -> Iterator[tuple[FakeAlpaca, str]]:
    with ALPACA.running() as fake:
        yield fake, link(owner, ALPACA, fake)


@pytest.fixture
def ibkr(owner: User) -> Iterator[tuple[FakeIbkr, str]]:
    with IBKR.running() as fake:
        yield fake, link(owner, IBKR, fake)


def events(key: str, symbol: str) -> Any:
    return call(key, "get_security", symbol=symbol).get("events")


# -- dividend, earnings, halt --------------------------------------------------------------------------------


def test_on_paper_the_next_dividend_is_the_markets_own(read_key: str) -> None:
    told = events(read_key, "AAPL")
    assert date.fromisoformat(told["next_dividend"]["ex_date"]) > datetime.now(UTC).date()
    assert Decimal(told["next_dividend"]["amount"]) > 0
    assert told["not_reported"] == ["earnings_date", "trading_halted"]


def test_a_coin_has_no_such_events(read_key: str) -> None:
    assert events(read_key, "BTC/USD") is None


def _dividend(ex_date: date, rate: float = 0.26) -> dict[str, Any]:
    paid = (ex_date + timedelta(days=4)).isoformat()
    return {"id": "a", "symbol": "AAPL", "rate": rate, "ex_date": ex_date.isoformat(), "payable_date": paid}


def test_alpaca_reports_the_nearest_dividend_that_is_ahead(alpaca: tuple[FakeAlpaca, str]) -> None:
    fake, key = alpaca
    assert events(key, "AAPL") == {"not_reported": ["earnings_date", "trading_halted"]}
    today = datetime.now(UTC).date()
    far, near, past = (today + timedelta(days=days) for days in (100, 9, -5))
    fake.dividends = [_dividend(far, 0.3), _dividend(near), _dividend(past, 0.2)]
    assert events(key, "AAPL")["next_dividend"] == {
        "ex_date": near.isoformat(),
        "amount": "0.26",
        "currency": "USD",
        "paid_on": (near + timedelta(days=4)).isoformat(),
    }


def test_a_dividend_that_cannot_be_read_loses_no_other(alpaca: tuple[FakeAlpaca, str]) -> None:
    fake, key = alpaca
    ahead = datetime.now(UTC).date() + timedelta(days=9)
    fake.dividends = [{"symbol": "AAPL", "rate": 1, "ex_date": "soon"}, _dividend(ahead)]
    assert events(key, "AAPL")["next_dividend"]["ex_date"] == ahead.isoformat()


def test_interactive_brokers_reports_dividend_and_halt_and_earnings_to_who_subscribes(
    ibkr: tuple[FakeIbkr, str],
) -> None:
    fake, key = ibkr
    assert events(key, IBKR.symbol) == {
        "next_dividend": {"ex_date": "2030-11-08", "amount": "0.26", "currency": "USD"},
        "trading_halted": False,
        "not_reported": ["earnings_date"],
    }
    fake.earnings, fake.halted = "20301029", True
    told = events(key, IBKR.symbol)
    assert (told["earnings_date"], told["trading_halted"]) == ("2030-10-29", True)
    assert "not_reported" not in told


def test_an_earnings_day_in_other_words_is_not_guessed(ibkr: tuple[FakeIbkr, str]) -> None:
    fake, key = ibkr
    fake.earnings = "after the close"
    assert "earnings_date" not in events(key, IBKR.symbol)


def test_a_broker_that_reports_none_says_so(owner: User) -> None:
    with TWS.running() as fake:
        key = link(owner, TWS, fake)
        assert events(key, TWS.symbol) == {"not_reported": ["next_dividend", "earnings_date", "trading_halted"]}
        told = call(key, "get_capabilities")["trading"]["not_reported"]
    assert told == ["margin_in_preview", "next_dividend", "earnings_date", "trading_halt", "tax_lots"]


# -- margin --------------------------------------------------------------------------------------------------


def test_on_paper_a_preview_tells_what_an_order_does_to_the_margin(read_key: str) -> None:
    order = {"symbol": "AAPL", "side": "BUY", "quantity": "10", "order_type": "LMT", "limit_price": "100"}
    assert not {"margin", "not_reported"} & call(read_key, "preview_order", **order).keys()
    PaperAccount.objects.update(kind="margin")
    told = call(read_key, "preview_order", **order)["margin"]
    last = Decimal(call(read_key, "get_quote", symbols=["AAPL"])["quotes"][0]["last"])
    assert (told["currency"], told["available"]) == ("USD", "100000")
    assert (told["initial_change"], told["initial_after"]) == ("500", "500")  # half of what it is bought for
    assert told["maintenance_change"] == told["maintenance_after"]
    assert Decimal(told["maintenance_after"]) == round(last * 10 / 4, 2)  # a quarter of what it is worth


def test_interactive_brokers_tells_it_from_its_own_what_if(ibkr: tuple[FakeIbkr, str]) -> None:
    _, key = ibkr
    told = call(key, "preview_order", symbol=IBKR.symbol, side="BUY", quantity="10")
    assert told["margin"] == {
        "currency": "USD",
        "available": "107295.75",
        "initial_change": "475.625",
        "initial_after": "12475.625",
        "maintenance_change": "380.5",
        "maintenance_after": "10380.5",
    }
    assert "not_reported" not in told


def test_a_broker_that_does_not_report_the_margin_says_so(owner: User) -> None:
    with CROSSTRADE.running() as fake:
        key = link(owner, CROSSTRADE, fake)
        told = call(key, "preview_order", symbol=CROSSTRADE.symbol, side="BUY", quantity="1")
    assert told["not_reported"] == ["margin"]
    assert "margin" not in told
