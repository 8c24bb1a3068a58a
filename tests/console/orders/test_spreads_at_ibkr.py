"""Several options in one order at Interactive Brokers, whose own names of options have a number behind an @."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from brokers.types import OrderChanges, OrderType, Side
from console.accounts.models import User
from console.authority import bearer
from console.connections.models import Connection
from console.errors import Refusal
from console.limits import Limits
from console.orders import actions as order_actions
from console.orders import max_order as sizing
from console.orders import prepare as preparing
from console.orders.owner import broker_questions
from console.orders.states import Status
from console.orders.terms import LegAsked, Terms, spread_symbol
from console.principal import Principal
from tests.brokers.faults import Fault
from tests.brokers.ibkr.fake import OPTION, QUESTION, FakeIbkr
from tests.console.connections.fakes import IBKR
from tests.console.orders.spread_steps import (
    check_another_user_reaches_none_of,
    check_close_is_short_by_the_spread,
    check_filled,
    check_stands_and_is_not_made_elsewhere,
    check_two_sold_change_positions,
    confirmed,
    refused,
    set_limits,
    spread_terms,
    swept,
)
from tests.mcpserver.linked_brokers import link

pytestmark = pytest.mark.django_db(transaction=True)

LOW, HIGH = OPTION + 21_180, OPTION + 21_185
OCC_LOW, OCC_HIGH = "AAPL291221C00180000", "AAPL291221C00185000"
CALLS = "AAPL+291221C180-C185"
"""Worth 1.30 a share."""


@pytest.fixture
def fake() -> Iterator[FakeIbkr]:
    with IBKR.running() as started:
        assert isinstance(started, FakeIbkr)
        started.option_prices |= {LOW: ("4.20", "4.15", "4.25"), HIGH: ("2.90", "2.85", "2.95")}
        yield started
        assert started.violations == []


@pytest.fixture
def trader(owner: User, fake: FakeIbkr) -> Principal:
    key = link(owner, IBKR, fake, limits=Limits(order_notional=Decimal(100_000), daily_notional=Decimal(100_000)))
    return bearer.authenticate(key)


def spread(side: Side = Side.BUY, limit: str = "1.2", symbol: str = CALLS, quantity: int = 2) -> Terms:
    return spread_terms(symbol, side, limit, quantity)


def limit(**values: object) -> None:
    set_limits(Connection.objects.get(), **values)


def test_it_is_one_order_that_is_sent_once_and_not_made_elsewhere(trader: Principal, fake: FakeIbkr) -> None:
    shown = preparing.prepare(trader, spread(Side.SELL, "1.4"))
    assert "net credit at least 1.40 USD each" in shown.confirmation.terms["summary"]
    assert "It can lose at most 720.00 USD, fees not counted." in shown.confirmation.terms["summary"]
    order = order_actions.confirm(trader, shown.confirmation.public_id)
    assert (order.state, order.symbol, len(fake.sent)) == (Status.WORKING, CALLS, 1)
    assert fake.sent[0]["price"] == Decimal("-1.4")
    check_stands_and_is_not_made_elsewhere(order)


def test_each_fill_says_which_leg_it_was(trader: Principal, fake: FakeIbkr) -> None:
    order = confirmed(trader, spread(limit="1.3"))
    fake.fill(order.client_order_id, Decimal(2), Decimal("1.3"))
    check_filled(order, "AAPL 2029-12-21 180 call: bought 2 at 4.2; AAPL 2029-12-21 185 call: sold 2 at 2.9")


def test_a_lost_answer_is_looked_up_and_nothing_is_sent_again(trader: Principal, fake: FakeIbkr) -> None:
    prepared = preparing.prepare(trader, spread())
    fake.faults.set(Fault(kind="garbage", effect=True))
    order = order_actions.confirm(trader, prepared.confirmation.public_id)
    assert (order.state, len(fake.sent)) == (Status.UNKNOWN, 1)
    swept(order)
    assert (order.state, len(fake.sent)) == (Status.WORKING, 1)
    change = preparing.prepare_change(trader, order.public_id, OrderChanges(limit_price=Decimal("1.25")))
    assert "net debit at most 1.25 USD each" in change.confirmation.terms["summary"]
    order_actions.confirm(trader, change.confirmation.public_id)
    swept(order)
    assert (order.state, order.limit_price, len(fake.sent)) == (Status.WORKING, Decimal("1.25"), 1)
    fake.faults.set(Fault(kind="garbage", effect=True, method="DELETE"))
    with pytest.raises(Refusal):
        order_actions.cancel(trader, order.public_id)
    assert swept(order).state is Status.CANCELLED


def test_only_its_price_can_be_changed(trader: Principal) -> None:
    order = confirmed(trader, spread())
    with pytest.raises(Refusal, match="only the price can be changed"):
        preparing.prepare_change(trader, order.public_id, OrderChanges(quantity=Decimal(3)))


def test_a_question_waits_for_its_owner(trader: Principal, fake: FakeIbkr) -> None:
    fake.questions = [QUESTION]
    order = confirmed(trader, spread())
    assert (fake.live, order.state in (Status.WORKING, Status.FILLED)) == ({}, False)
    assert broker_questions.open_questions(order.connection.owner).get().order == order


def test_its_owner_sees_what_becomes_of_each_position(trader: Principal, fake: FakeIbkr) -> None:
    fake.held_options[LOW] = 3
    terms = spread(Side.SELL, "1.4")
    check_two_sold_change_positions(trader, terms, "AAPL 2029-12-21 180 call", "AAPL 2029-12-21 185 call")


def test_a_spread_on_its_way_counts_against_the_position_in_its_legs(trader: Principal, fake: FakeIbkr) -> None:
    fake.held_options[LOW] = 3
    check_close_is_short_by_the_spread(trader, spread(Side.SELL, "1.4"), f"{OCC_LOW}@{LOW}")


@pytest.mark.parametrize("listed", [OCC_LOW, f"{OCC_LOW}@{LOW}", "OPT:AAPL.USD:2029-12-21:C:180", "AAPL"])
def test_a_leg_is_denied_by_whatever_name_it_has(trader: Principal, listed: str) -> None:
    limit(denied_symbols=frozenset({listed}))
    assert f"do not allow {OCC_LOW}" in str(refused(trader, spread()))


def test_every_leg_must_be_allowed_by_one_of_its_names(trader: Principal) -> None:
    limit(symbols=frozenset({f"{OCC_LOW}@{LOW}"}))
    assert f"not {OCC_HIGH}" in str(refused(trader, spread()))
    limit(symbols=frozenset({f"{OCC_LOW}@{LOW}", OCC_HIGH}))
    assert preparing.prepare(trader, spread()).order.symbol == CALLS


def test_limits_count_what_a_seller_can_owe(trader: Principal) -> None:
    limit(order_notional=Decimal(999))
    assert "needs 1000 USD" in str(refused(trader, spread(Side.SELL, "1.4")))
    limit(order_notional=Decimal(1000))
    assert preparing.prepare(trader, spread(Side.SELL, "1.4")).order.symbol == CALLS


def test_the_largest_that_passes_is_bound_by_its_margin(trader: Principal) -> None:
    """A quarter of its price at the fake; by what it can lose the account has room for 3336."""
    limit()
    found = sizing.max_order(trader, CALLS, Side.SELL, order_type=OrderType.LIMIT, limit_price=Decimal("1.3"))
    assert found.size == 3301


def test_what_is_refused_is_refused_before_anything_is_sent(trader: Principal, fake: FakeIbkr) -> None:
    assert "Nothing bounds" in str(refused(trader, spread(symbol="AAPL+291221C180-2*C185", limit="0.1")))
    assert refused(trader, spread(symbol="AAPL-291221C180+C185")).field == "side"
    stop = replace(spread(), order_type=OrderType.STOP, limit_price=None, stop_price=Decimal(2))
    assert refused(trader, stop).field == "order_type"
    assert fake.sent == []


def test_another_user_reaches_none_of_it(trader: Principal, other: User) -> None:
    check_another_user_reaches_none_of(confirmed(trader, spread()), other)


def test_legs_are_named_as_the_option_chain_names_them() -> None:
    legs = [LegAsked(f"{OCC_LOW}@{LOW}", Side.BUY, 1), LegAsked(OCC_HIGH, Side.SELL, 1)]
    assert spread_symbol("AAPL", Side.BUY, legs) == CALLS
