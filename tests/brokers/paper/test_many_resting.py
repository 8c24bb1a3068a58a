"""What is read without a look at the orders that rest is what a look at all of them gives."""

import copy
from decimal import Decimal

import pytest

from brokers.paper import account_rows, accounts, tapes_in_use
from brokers.paper.adapter import PaperBroker
from brokers.paper.models import OPEN_STATUSES, PaperAccount, PaperOrder

from .support import Clock, new_id, open_broker, order

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def crowded(clock: Clock) -> tuple[PaperBroker, PaperAccount]:
    """With a position, orders in three instruments, and more that rest than are read in passing."""
    broker, account = open_broker(clock)
    for request in (
        order("BUY", "10"),
        order("SELL", "1", limit="100000"),
        order("BUY", "0.1", "BTC/USD", limit="1000"),
        order("BUY", "1", "MSFT", limit="1"),
    ):
        broker.submit(account.key, request)
    one = PaperOrder.objects.get(symbol="MSFT")
    more = [copy.copy(one) for _ in range(account_rows.FEW)]
    for row in more:
        row.pk, row.client_order_id, row.broker_order_id = None, new_id(), f"P-{new_id()[-20:]}"
    PaperOrder.objects.bulk_create(more)
    return broker, account


def test_the_equity_is_that_of_the_whole_state(crowded: tuple[PaperBroker, PaperAccount], clock: Clock) -> None:
    broker, account = crowded
    assert account_rows.glance(account.key).many_rest
    for _ in range(2):
        state, found = broker.account_state(account.key), broker.equity(account.key)
        assert (found.account_id, found.currency) == (account.key, "USD")
        assert (found.equity, found.cash) == (state.equity, state.cash[0].total)
        assert state.positions_value > 0 < state.cash[0].reserved
        clock.advance(minutes=7)


def test_where_few_rest_the_equity_is_the_same_too(clock: Clock) -> None:
    broker, account = open_broker(clock)
    broker.submit(account.key, order("BUY", "10"))
    state, found = broker.account_state(account.key), broker.equity(account.key)
    assert (found.equity, found.cash) == (state.equity, state.cash[0].total)
    assert found.cash < Decimal(100_000)


def test_the_equity_counts_what_a_bar_has_filled_meanwhile(
    crowded: tuple[PaperBroker, PaperAccount], clock: Clock
) -> None:
    broker, account = crowded
    near = broker.quotes(["AAPL"])[0].bid - Decimal("0.01")
    broker.submit(account.key, order("BUY", "5", limit=str(near)))
    clock.advance(hours=6)
    found = broker.equity(account.key)
    assert broker.positions(account.key)[0].quantity == 15
    assert found.cash == broker.account_state(account.key).cash[0].total


def test_each_tape_with_open_orders_is_found_once_and_no_other(
    crowded: tuple[PaperBroker, PaperAccount], clock: Clock
) -> None:
    broker, account = crowded
    other, theirs = open_broker(clock, seed=7)
    other.submit(theirs.key, order("BUY", "1", "NVDA", limit="1"))
    live = accounts.open_account("Live", Decimal(1000), venue="kraken", now=clock.now)
    PaperOrder.objects.filter(account=theirs).update(status="partially_filled")

    def open_there(pk: int) -> set[str]:
        rows = PaperOrder.objects.filter(account=pk, status__in=OPEN_STATUSES)
        return set(rows.values_list("tape", flat=True))

    assert len(open_there(account.pk)) == 3
    assert tapes_in_use.of_account(account.pk) == open_there(account.pk)
    assert tapes_in_use.of_account(theirs.pk) == open_there(theirs.pk)
    broker.cancel(account.key, PaperOrder.objects.get(symbol="BTC/USD").client_order_id)
    assert tapes_in_use.of_account(account.pk) == open_there(account.pk)
    assert len(open_there(account.pk)) == 2
    assert tapes_in_use.of_account(live.pk) == tapes_in_use.at_live_prices() == set()
    PaperOrder.objects.filter(account=theirs).update(account=live)
    assert tapes_in_use.at_live_prices() == tapes_in_use.of_account(live.pk) == open_there(live.pk) != set()


def test_the_version_of_the_open_orders_changes_with_each_that_comes_or_goes(
    crowded: tuple[PaperBroker, PaperAccount], clock: Clock
) -> None:
    broker, account = crowded
    seen = [broker.version_of_open(account.key)]
    newest = order("BUY", "1", "MSFT", limit="1")
    broker.submit(account.key, newest)
    seen.append(broker.version_of_open(account.key))
    broker.cancel(account.key, broker.open_names(account.key)[-1])  # as many as before
    seen.append(broker.version_of_open(account.key))
    broker.submit(account.key, order("BUY", "1", "MSFT", limit="1"))
    broker.cancel(account.key, newest.client_order_id)
    seen.append(broker.version_of_open(account.key))
    assert len(set(seen)) == len(seen)
    clock.advance(minutes=1)
    assert broker.version_of_open(account.key) == seen[-1]
