"""Dividends and splits of the simulated stocks: the same for a seed, known ahead, and booked whoever looks when."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from brokers import market_hours
from brokers.paper import accounts, ledger, simulated_corporate_actions
from brokers.paper.adapter import PaperBroker
from brokers.paper.models import PaperAccount
from brokers.types import BrokerStatus, Transaction

from .support import Clock, order

SPLIT = next(each for each in simulated_corporate_actions.schedule(1) if each.kind == "split")
PAID = next(each for each in simulated_corporate_actions.schedule(1) if each.kind == "dividend")


def bought(
    at: datetime, symbol: str, quantity: str = "10", *, kind: str = "cash", side: str = "BUY"
) -> tuple[Clock, PaperBroker, PaperAccount]:
    clock = Clock(at)
    account = accounts.open_account("A", Decimal(1_000_000), preset="frictionless", kind=kind, now=clock.now)
    broker = PaperBroker.open({"account": account.key}, clock=clock)
    assert broker.submit(account.key, order(side, quantity, symbol)).status is BrokerStatus.FILLED
    return clock, broker, account


def told(broker: PaperBroker, account: PaperAccount) -> list[Transaction]:
    return broker.transactions(account.key, start=None, end=None, limit=50, kinds=("dividend", "split"))


def test_a_market_has_its_own_actions_and_always_the_same() -> None:
    again = simulated_corporate_actions.schedule.__wrapped__(1)
    assert again == simulated_corporate_actions.schedule(1) != simulated_corporate_actions.schedule(2)
    assert again[0].at >= simulated_corporate_actions.BEGIN == datetime(2026, 12, 1, tzinfo=UTC)
    assert list(again) == sorted(again, key=lambda each: each.at)
    for each in again:
        assert market_hours.trading_day(market_hours.VENUE, market_hours.minute_of(each.at) // market_hours.DAY_MINUTES)
        assert each.value > 0
    splits = [each for each in again if each.kind == "split"]
    assert [each.at.year for each in splits] == list(range(2027, 2041))
    assert len({each.symbol for each in splits}) == len(splits)
    year = [each for each in again if each.at.year == 2027 and each.kind == "dividend"]
    assert {sum(other.symbol == each.symbol for other in year) for each in year} == {4}


def test_a_dividend_is_smaller_by_as_much_as_the_stock_was_split() -> None:
    split = next(
        each for each in simulated_corporate_actions.schedule(1) if each.kind == "split" and each.symbol == "NVDA"
    )
    paid = [
        each for each in simulated_corporate_actions.schedule(1) if each.symbol == "NVDA" and each.kind == "dividend"
    ]
    assert {each.value for each in paid if each.at < split.at} == {Decimal("0.0100")}
    smaller = (Decimal("0.01") / split.value).quantize(Decimal("0.0001"))
    assert {each.value for each in paid if each.at >= split.at} == {smaller}


@pytest.mark.django_db
@pytest.mark.parametrize(("kind", "side", "sign"), [("cash", "BUY", 1), ("margin", "SELL", -1)])
def test_who_holds_a_stock_is_paid_its_dividend_and_who_is_short_pays_it(kind: str, side: str, sign: int) -> None:
    clock, broker, account = bought(PAID.at - timedelta(days=1), PAID.symbol, kind=kind, side=side)
    clock.now = PAID.at - timedelta(seconds=1)
    assert told(broker, account) == []
    clock.now = PAID.at
    (entry,) = told(broker, account)
    assert (entry.kind, entry.symbol, entry.at) == ("dividend", PAID.symbol, PAID.at)
    assert entry.amount == sign * 10 * PAID.value
    assert ledger.rebuild(account) == ledger.account_balances(account)


@pytest.mark.django_db
def test_who_comes_on_the_day_itself_gets_no_dividend() -> None:
    clock, broker, account = bought(PAID.at, PAID.symbol)
    clock.now = PAID.at + timedelta(days=1)
    assert told(broker, account) == []


@pytest.mark.django_db
def test_a_split_multiplies_what_is_held_divides_the_price_and_cancels_what_rests() -> None:
    clock, broker, account = bought(SPLIT.at - timedelta(minutes=2), SPLIT.symbol)
    before = broker.account_state(account.key).equity
    price = broker.quotes([SPLIT.symbol])[0].last
    resting = [
        broker.submit(account.key, order(side, "1", SPLIT.symbol, limit=limit, tif="GTC"))
        for side, limit in (("BUY", "1"), ("SELL", "5000"))
    ]
    clock.now = SPLIT.at + timedelta(minutes=1)
    (position,) = broker.positions(account.key)
    assert position.quantity == 10 * SPLIT.value
    assert abs(broker.quotes([SPLIT.symbol])[0].last * SPLIT.value / price - 1) < Decimal("0.02")
    assert abs(broker.account_state(account.key).equity / before - 1) < Decimal("0.001")
    for sent in resting:
        ended = broker.order(account.key, sent.client_order_id)
        assert ended is not None
        assert (ended.status, ended.reason, ended.updated_at) == (
            BrokerStatus.CANCELLED,
            "The stock was split.",
            SPLIT.at,
        )
    (entry,) = told(broker, account)
    assert (entry.kind, entry.quantity, entry.amount) == ("split", 10 * (SPLIT.value - 1), Decimal(0))
    assert ledger.rebuild(account) == ledger.account_balances(account)


@pytest.mark.django_db
def test_what_is_booked_does_not_depend_on_when_anybody_looked() -> None:
    found = []
    for looks in (range(1), range(0, 60, 7)):
        clock, broker, account = bought(SPLIT.at - timedelta(days=3), SPLIT.symbol)
        broker.submit(account.key, order("BUY", "5", PAID.symbol))
        for days in looks:
            clock.now = SPLIT.at + timedelta(days=days)
            broker.account_state(account.key)
        clock.now = SPLIT.at + timedelta(days=90)
        found.append([(each.at, each.kind, each.amount, each.quantity) for each in told(broker, account)])
    assert found[0] == found[1]
    assert {kind for _, kind, _, _ in found[0]} == {"split", "dividend"}
