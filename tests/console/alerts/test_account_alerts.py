"""Alerts on what an account holds and is worth, on open orders and on the connection: from what is kept already."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from console.alerts import services
from console.alerts.models import Alert
from console.connections import equity
from console.connections.models import Connection
from console.desk import reading
from console.errors import Code, Refusal
from console.orders.models import Order
from tests.clock import Clock
from tests.console.alerts.conftest import Look, SetPrices, ask, watched
from tests.console.steps import order

__all__ = ["order"]
pytestmark = pytest.mark.django_db

ACCOUNT: dict[str, Any] = {"symbol": None}


def worth(paper: Connection, clock: Clock, amount: str) -> None:
    account = paper.default_account
    equity.record(paper, account, currency="USD", equity=Decimal(amount), cash=Decimal(0), now=clock.now)


def test_equity_is_what_the_health_check_last_read(
    look: Look, paper: Connection, clock: Clock, market: SetPrices
) -> None:
    worth(paper, clock, "100000")
    taken = ask(paper, kind="equity", condition="below", value=Decimal(99_000), **ACCOUNT)
    assert taken.now == "100000 USD"
    assert watched().account_id == paper.default_account
    assert look() == 0
    worth(paper, clock, "98000")
    assert look() == 1
    assert market.asked == []


def test_an_equity_that_was_not_read_for_long_never_fires(look: Look, paper: Connection, clock: Clock) -> None:
    worth(paper, clock, "98000")
    clock.advance(minutes=11)
    taken = ask(paper, kind="equity", condition="below", value=Decimal(99_000), **ACCOUNT)
    assert "The broker has not reported the equity lately." in taken.remark
    assert look() == 0


def test_a_drawdown_is_measured_from_the_highest_equity_there_was(look: Look, paper: Connection, clock: Clock) -> None:
    for amount in ("100000", "120000", "115000"):
        worth(paper, clock, amount)
        clock.advance(minutes=1)
    taken = ask(paper, kind="drawdown", value=Decimal(10), **ACCOUNT)
    assert taken.now == "4.17%"
    assert look() == 0
    worth(paper, clock, "107000")
    assert look() == 1


class HeldStock:
    """One position that cost 1,000, as the broker tells it; and how often it was asked."""

    def __init__(self, account_id: str) -> None:
        self._account_id = account_id
        self.symbol, self.asset_class, self.worth, self.asked = "AAPL", "stock", 1000, 0

    def __call__(self, connection: Connection) -> reading.PortfolioAnswer:
        self.asked += 1
        position = {
            "symbol": self.symbol,
            "asset_class": self.asset_class,
            "market_value": str(self.worth),
            "unrealized": str(self.worth - 1000),
        }
        return reading.PortfolioAnswer(accounts=[{"account_id": self._account_id, "positions": [position]}])


@pytest.fixture
def held(paper: Connection, monkeypatch: pytest.MonkeyPatch) -> HeldStock:
    made = HeldStock(paper.default_account)
    monkeypatch.setattr(reading, "_ask_in_time", made)
    return made


@pytest.mark.parametrize(("percent", "value", "seen"), [(False, "150", "0 USD"), (True, "15", "0%")])
def test_the_profit_of_a_position_is_compared_in_money_or_in_percent(
    percent: bool, value: str, seen: str, look: Look, paper: Connection, market: SetPrices, held: HeldStock
) -> None:
    taken = ask(paper, kind="profit", value=Decimal(value), percent=percent)
    assert taken.now == seen
    held.worth = 1150
    assert look(minutes=3) == 0, "equal is not above"
    held.worth = 1160
    assert look(minutes=3) == 1


def test_what_the_desk_read_a_moment_ago_is_not_asked_again(
    look: Look, paper: Connection, market: SetPrices, held: HeldStock
) -> None:
    for value in (10, 20, 30):
        ask(paper, kind="profit", value=Decimal(value))
    assert held.asked == 1
    look()
    assert held.asked == 1
    look(minutes=2)
    assert held.asked == 2


def test_without_a_position_a_profit_alert_waits(
    look: Look, paper: Connection, market: SetPrices, held: HeldStock
) -> None:
    taken = ask(paper, kind="profit", symbol="MSFT", value=Decimal(1))
    assert taken.remark == "It cannot be compared now: There is no position in it. The alert keeps trying."


def test_a_coin_is_found_by_whichever_pair_its_position_is_told(
    look: Look, paper: Connection, market: SetPrices, held: HeldStock
) -> None:
    held.symbol, held.asset_class, held.worth = "BTC/EUR", "crypto", 1100
    assert ask(paper, kind="profit", symbol="BTC/USD", value=Decimal(10_000)).now == "100 USD"


def test_the_age_of_the_oldest_open_order_is_in_minutes(
    look: Look, paper: Connection, clock: Clock, order: Order
) -> None:
    ask(paper, kind="order_age", value=Decimal(30), **ACCOUNT)
    assert look() == 0, "an order that waits for a yes is not open"
    Order.objects.update(status="working", created_at=clock.now)
    assert look(minutes=30) == 0
    assert look(minutes=1) == 1


def test_a_connection_that_stops_working_is_told_and_again_when_it_does_so_again(
    look: Look, paper: Connection, clock: Clock
) -> None:
    ask(paper, kind="connection", condition=None, value=None, symbol=None, repeats=True, cooldown_minutes=5)
    for error, fires in (("", 0), ("It is away.", 1), ("It is away.", 0), ("", 0), ("It is away.", 1)):
        Connection.objects.update(checked_at=clock.now, last_error=error)
        assert look(minutes=6) == fires
    assert services.in_words(Alert.objects.get()) == "The broker cannot be used"


def test_an_account_of_another_connection_is_refused(paper: Connection, clock: Clock) -> None:
    with pytest.raises(Refusal) as refused:
        ask(paper, kind="equity", account_id="PAPER-OTHER", **ACCOUNT)
    assert refused.value.code is Code.UNKNOWN_ACCOUNT
    assert not Alert.objects.exists()


def test_an_alert_of_an_account_is_told_what_it_is_measured_in(paper: Connection, clock: Clock) -> None:
    ask(paper, kind="equity", **ACCOUNT)
    assert services.in_words(Alert.objects.get()) == "Equity is above 200 USD"
    assert Alert.objects.get().expires_at - clock.now == timedelta(days=30)
