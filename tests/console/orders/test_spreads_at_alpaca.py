"""Several options in one order, from its terms to the broker and back: one row, confirmed and sent once."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest
from django.test import Client

from brokers import registry, spread_prices
from brokers.types import OrderChanges, OrderClass, OrderType, Side
from console.accounts.models import User
from console.authority import bearer
from console.connections.models import Connection, Policy
from console.errors import Code, Refusal
from console.keys import minting
from console.orders import actions as order_actions
from console.orders import max_order as sizing
from console.orders import prepare as preparing
from console.orders import preview as previewing
from console.orders import queries as order_queries
from console.orders.checks import order_access
from console.orders.execution import cancel as cancelling
from console.orders.models import Order
from console.orders.owner import review
from console.orders.prepare import PlanItem
from console.orders.states import Status
from console.orders.terms import LegAsked, Terms, spread_symbol
from console.principal import Principal
from console.scopes import Scope
from tests.brokers.faults import Fault
from tests.chaos.exchange import Exchange
from tests.chaos.venues import Alpaca
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

pytestmark = pytest.mark.django_db(transaction=True)

LOW, HIGH = "AAPL260618C00250000", "AAPL260618C00260000"
CALLS = "AAPL+260618C250-C260"
"""Worth 1.30 a share."""


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    with Exchange() as running:
        yield running


@pytest.fixture
def account(owner: User, exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> Connection:
    monkeypatch.setattr(registry, "CALLS_PER_MINUTE", {})
    account = Alpaca(owner, exchange.url).connection
    account.settings.pop("timeouts")
    account.save()
    return account


@pytest.fixture
def trader(owner: User, account: Connection) -> Principal:
    _, key = minting.mint(owner, account, frozenset({Scope.TRADE}), name="trades")
    return bearer.authenticate(key)


def spread(side: Side = Side.BUY, limit: str = "1.2", symbol: str = CALLS, quantity: int = 2) -> Terms:
    return spread_terms(symbol, side, limit, quantity)


# -- shown, confirmed, sent once ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "price", "words"),
    [
        (
            Side.BUY,
            "1.2",
            "2 spreads: buy 1 AAPL 2026-06-18 250 call, sell 1 AAPL 2026-06-18 260 call; net debit at most 1.20 USD "
            "each, day",
        ),
        (
            Side.SELL,
            "1.4",
            "2 spreads: sell 1 AAPL 2026-06-18 250 call, buy 1 AAPL 2026-06-18 260 call; net credit at least 1.40 USD "
            "each, day",
        ),
    ],
)
def test_the_summary_says_each_leg_and_who_pays(trader: Principal, side: Side, price: str, words: str) -> None:
    shown = preparing.prepare(trader, spread(side, price)).confirmation.terms
    assert shown["summary"].startswith(words)
    lost = "240.00" if side is Side.BUY else "1,720.00"
    assert f"It can lose at most {lost} USD, fees not counted." in shown["summary"]


def test_it_is_one_order_that_is_sent_once_and_not_made_elsewhere(trader: Principal, exchange: Exchange) -> None:
    order = confirmed(trader, spread())
    assert (order.state, order.symbol, order.legs.count()) == (Status.WORKING, CALLS, 0)
    assert len([each for each in exchange.sent if each.get("order_class") == "mleg"]) == 1
    check_stands_and_is_not_made_elsewhere(order)


def test_each_fill_says_which_leg_it_was(trader: Principal) -> None:
    order = confirmed(trader, spread(limit="1.3"))
    check_filled(order, "AAPL 2026-06-18 250 call: bought 2 at 4.2; AAPL 2026-06-18 260 call: sold 2 at 2.9")
    told = {(each["symbol"], each["side"], each["quantity"], each["price"]) for each in order_queries.fills(order)}
    assert told == {(LOW, "BUY", "2", "4.2"), (HIGH, "SELL", "2", "2.9")}


def test_a_market_order_is_held_to_the_price_it_was_shown_with(trader: Principal, exchange: Exchange) -> None:
    at_market = replace(spread(), order_type=OrderType.MARKET, limit_price=None)
    prepared = preparing.prepare(trader, at_market)
    summary = prepared.confirmation.terms["summary"]
    assert "sell 1 AAPL 2026-06-18 260 call; at the market, day" in summary
    assert "At that price it can lose at most 260.00 USD, fees not counted; it may fill at a worse one." in summary
    exchange.prices[HIGH] = Decimal("2.8")
    with pytest.raises(Refusal) as found:
        order_actions.confirm(trader, prepared.confirmation.public_id)
    assert (found.value.code, exchange.orders) == (Code.PRICE_MOVED, {})
    order = confirmed(trader, at_market)
    swept(order)
    assert (order.state, order.average_price) == (Status.FILLED, Decimal("1.4"))


def test_the_largest_that_passes_is_bound_by_what_it_can_lose(trader: Principal, exchange: Exchange) -> None:
    exchange.cash = Decimal(2000)
    found = sizing.max_order(trader, CALLS, Side.SELL, order_type=OrderType.LIMIT, limit_price=Decimal("1.3"))
    assert found.size == 2  # 870 each
    bought = sizing.max_order(trader, CALLS, Side.BUY, order_type=OrderType.LIMIT, limit_price=Decimal("1.3"))
    assert bought.size == 15


def test_legs_that_are_quoted_far_apart_take_a_limit_and_no_market_order(
    trader: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    net_quote = spread_prices.net_quote
    monkeypatch.setattr(
        spread_prices,
        "net_quote",
        lambda *about: replace(net_quote(*about), bid=Decimal("-0.1"), ask=Decimal("2.7")),
    )
    with pytest.raises(Refusal, match="Give a LMT order"):
        sizing.max_order(trader, CALLS, Side.SELL)
    at_market = replace(spread(Side.SELL), order_type=OrderType.MARKET, limit_price=None)
    assert "Give a LMT order" in str(refused(trader, at_market))
    sold = confirmed(trader, spread(Side.SELL, "1.25"))
    assert (sold.state, sold.worst_notional) == (Status.WORKING, Decimal(2000))
    assert "Limit 1.25: 3.8% below, waits." in sold.confirmation.terms["summary"]
    (item,) = review.load(preparing.prepare(trader, spread(Side.SELL, "1.3")).confirmation).items
    assert (item.worst, item.refusals) == (Decimal(2000), [])


def test_a_lost_answer_is_looked_up_and_nothing_is_sent_again(trader: Principal, exchange: Exchange) -> None:
    prepared = preparing.prepare(trader, spread())
    exchange.faults.set(Fault(kind="garbage", effect=True))
    order = order_actions.confirm(trader, prepared.confirmation.public_id)
    assert (order.state, len(exchange.sent)) == (Status.UNKNOWN, 1)
    swept(order)
    assert (order.state, len(exchange.sent)) == (Status.WORKING, 1)
    change = preparing.prepare_change(trader, order.public_id, OrderChanges(limit_price=Decimal("1.25")))
    exchange.faults.set(Fault(kind="garbage", effect=True, method="PATCH"))
    order_actions.confirm(trader, change.confirmation.public_id)
    swept(order)
    assert (order.state, order.limit_price) == (Status.WORKING, Decimal("1.25"))
    assert (len(exchange.sent), len(exchange.changed)) == (1, 1)
    exchange.faults.set(Fault(kind="garbage", effect=True, method="DELETE"))
    with pytest.raises(Refusal):
        order_actions.cancel(trader, order.public_id)
    assert swept(order).state is Status.CANCELLED


def test_it_is_cancelled_as_one(trader: Principal, exchange: Exchange) -> None:
    order = confirmed(trader, spread())
    assert order_actions.cancel(trader, order.public_id).state is Status.CANCELLED
    assert {each["status"] for each in exchange.orders.values()} == {"canceled"}


def test_its_price_can_be_changed_and_nothing_else(trader: Principal, exchange: Exchange) -> None:
    order = confirmed(trader, spread())
    with pytest.raises(Refusal, match="only the price can be changed") as found:
        preparing.prepare_change(trader, order.public_id, OrderChanges(quantity=Decimal(3)))
    assert found.value.code is Code.NOT_OFFERED_BY_BROKER
    change = preparing.prepare_change(trader, order.public_id, OrderChanges(limit_price=Decimal("1.25")))
    assert "net debit at most 1.25 USD each" in change.confirmation.terms["summary"]
    order_actions.confirm(trader, change.confirmation.public_id)
    order.refresh_from_db()
    assert (order.state, order.limit_price) == (Status.WORKING, Decimal("1.25"))


def test_what_two_can_lose_must_be_there_at_once(trader: Principal, exchange: Exchange) -> None:
    exchange.cash = Decimal(1_000)  # 870 each
    items = [PlanItem(terms=spread(Side.SELL, "1.3", quantity=1)) for _ in range(2)]
    with pytest.raises(Refusal, match="Together the orders need 1,740") as found:
        preparing.prepare_plan(trader, items)
    assert (found.value.code, Order.objects.count()) == (Code.INSUFFICIENT_FUNDS, 0)


def test_what_its_owner_looks_at_names_the_legs_and_the_most_it_can_come_to(trader: Principal) -> None:
    prepared = preparing.prepare(trader, spread(Side.SELL, "1.4"))
    (item,) = review.load(prepared.confirmation).items
    assert item.spread == ["sell 1 AAPL 2026-06-18 250 call", "buy 1 AAPL 2026-06-18 260 call"]
    assert (item.worst, item.refusals) == (Decimal(2000), [])


def test_its_owner_sees_what_becomes_of_each_position_and_who_pays(
    client: Client, owner: User, account: Connection, trader: Principal, exchange: Exchange
) -> None:
    Connection.objects.update(policy=Policy.OWNER_APPROVAL)
    exchange.held[LOW] = 3
    terms = spread(Side.SELL, "1.4")
    others = check_two_sold_change_positions(trader, terms, "AAPL 2026-06-18 250 call", "AAPL 2026-06-18 260 call")
    assert f"Position in {CALLS}" not in others
    prepared = preparing.prepare(trader, terms)
    client.force_login(owner)
    page = client.get(f"/orders/{prepared.order.public_id}/", follow=True).content.decode()
    for words in ("Net credit, received", "Net credit, at least", "Sell 1 AAPL 2026-06-18 250 call", "2</", "spreads"):
        assert words in page, words


def test_another_user_reaches_none_of_it(trader: Principal, other: User) -> None:
    check_another_user_reaches_none_of(confirmed(trader, spread()), other)


# -- refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("symbol", ["AAPL+260618C250-2*C260", "AAPL-260618C250+260417C260"])
def test_a_loss_that_nothing_bounds_is_refused(trader: Principal, exchange: Exchange, symbol: str) -> None:
    exchange.prices["AAPL260417C00260000"] = Decimal(9)
    assert "Nothing bounds" in str(refused(trader, spread(symbol=symbol, limit="0.1")))
    assert exchange.orders == {}


def test_exits_and_stops_are_refused_by_name(trader: Principal) -> None:
    bracket = replace(
        spread(), order_class=OrderClass.BRACKET, take_profit=Decimal(2), stop_loss=Decimal("0.5"), tif=None
    )
    assert refused(trader, bracket).field == "order_class"
    stop = replace(spread(), order_type=OrderType.STOP, limit_price=None, stop_price=Decimal(2))
    assert refused(trader, stop).field == "order_type"


def test_the_side_must_say_who_pays(trader: Principal) -> None:
    wrong = refused(trader, spread(symbol="AAPL-260618C250+C260"))
    assert (wrong.field, "give side SELL" in str(wrong)) == ("side", True)


# -- limits ---------------------------------------------------------------------------------------------------


def test_limits_count_what_a_seller_can_owe_and_not_what_is_received(trader: Principal, account: Connection) -> None:
    set_limits(account, order_notional=Decimal(1999))
    assert "needs 2000 USD" in str(refused(trader, spread(Side.SELL, "1.4")))
    set_limits(account, order_notional=Decimal(2000), daily_notional=Decimal(3000))
    order = confirmed(trader, spread(Side.SELL, "1.4"))
    assert order.worst_notional == 2000
    assert "Used: 2000 USD, left: 1000 USD" in str(refused(trader, spread(Side.SELL, "1.45")))


def test_a_buyer_s_most_is_the_debit_and_what_may_be_owed_beside_it(trader: Principal, account: Connection) -> None:
    set_limits(account, order_notional=Decimal(239))
    assert "needs 240 USD" in str(refused(trader, spread()))


def test_every_leg_must_be_allowed(trader: Principal, account: Connection) -> None:
    set_limits(account, symbols=frozenset({LOW}))
    assert f"not {HIGH}" in str(refused(trader, spread()))
    set_limits(account, denied_symbols=frozenset({"AAPL"}))
    assert f"do not allow {LOW}" in str(refused(trader, spread()))
    set_limits(account, denied_symbols=frozenset({"OPT:AAPL.USD:2026-06-18:C:260"}))
    assert f"do not allow {HIGH}" in str(refused(trader, spread()))
    set_limits(account, symbols=frozenset({LOW, HIGH}))
    assert preparing.prepare(trader, spread()).order.symbol == CALLS


@pytest.mark.parametrize("name", ["position_value", "equity_share"])
def test_a_limit_on_positions_is_not_passed_unproved(trader: Principal, account: Connection, name: str) -> None:
    set_limits(account, **{name: Decimal(50)})
    assert refused(trader, spread()).code is Code.LIMIT_UNPROVABLE


def test_a_spread_on_its_way_counts_against_the_position_in_its_legs(trader: Principal, exchange: Exchange) -> None:
    exchange.held[LOW] = 3
    check_close_is_short_by_the_spread(trader, spread(Side.SELL, "1.4"), LOW)
    free = preparing.prepare_close(trader, LOW, quantity=Decimal(1), order_type=OrderType.LIMIT, limit_price=Decimal(9))
    assert order_actions.confirm(trader, free.confirmation.public_id).state is Status.WORKING


# -- what stands in a leg --------------------------------------------------------------------------------------


def test_closing_everything_takes_a_spread_back_with_its_leg(trader: Principal, exchange: Exchange) -> None:
    exchange.held[LOW] = 3
    order = confirmed(trader, spread())  # it would buy more of what is closed
    plan, _ = preparing.prepare_flatten(trader)
    assert "1 working order will be cancelled first" in plan.confirmation.terms["summary"]
    closing = order_actions.confirm(trader, plan.confirmation.public_id)
    order.refresh_from_db()
    assert (order.state, closing.symbol) == (Status.CANCELLED, LOW)


def test_a_leg_is_not_closed_while_its_spread_may_still_fill(
    trader: Principal, exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange.held[LOW] = 3
    monkeypatch.setattr(cancelling, "_PATIENCE_SECONDS", 0)
    monkeypatch.setattr(cancelling, "cancel_at_broker", lambda order: None)  # taken, and not confirmed yet
    order = confirmed(trader, spread())
    plan, _ = preparing.prepare_flatten(trader)
    with pytest.raises(Refusal) as found:
        order_actions.confirm(trader, plan.confirmation.public_id)
    assert (found.value.code, order.public_id in str(found.value)) == (Code.OUTCOME_UNKNOWN, True)
    assert [each.get("symbol") for each in exchange.sent] == [None]


def test_a_leg_with_another_app_s_spread_is_not_closed_by_an_app(
    owner: User, account: Connection, trader: Principal, exchange: Exchange
) -> None:
    exchange.held[LOW] = 3
    _, key = minting.mint(owner, account, frozenset({Scope.TRADE}), name="another")
    theirs = confirmed(bearer.authenticate(key), spread())
    with pytest.raises(Refusal) as found:
        preparing.prepare_flatten(trader)
    assert (found.value.code, theirs.public_id in str(found.value)) == (Code.ANOTHER_APPS_ORDER, True)


def test_a_spread_that_closes_a_leg_is_cancelled_by_its_owner_where_orders_are_the_owner_s(
    trader: Principal, exchange: Exchange
) -> None:
    order, opens = confirmed(trader, spread(Side.SELL, "1.4")), confirmed(trader, spread())
    exchange.held[LOW] = 3
    Connection.objects.update(policy=Policy.OWNER_APPROVAL)
    for each, waits in ((order, True), (opens, False)):
        each.refresh_from_db()
        each.connection.refresh_from_db()
        assert order_access.cancel_needs_owner(each) is waits


def test_the_orders_in_an_option_are_also_those_of_its_spreads(trader: Principal) -> None:
    order = confirmed(trader, spread())
    assert order_actions.cancel_all(trader, symbol="AAPL")[1] == []
    assert [each.order.pk for each in order_actions.cancel_all(trader, symbol=HIGH)[1]] == [order.pk]


# -- terms ----------------------------------------------------------------------------------------------------


def leg(symbol: str, side: Side, ratio: int = 1) -> LegAsked:
    return LegAsked(symbol, side, ratio)


def test_legs_say_what_is_done_whichever_side_pays() -> None:
    as_bought = [leg(LOW, Side.BUY), leg(HIGH, Side.SELL)]
    as_sold = [leg(LOW, Side.SELL), leg("OPT:AAPL.USD:2026-06-18:C:260", Side.BUY)]
    assert spread_symbol("AAPL", Side.BUY, as_bought) == CALLS
    assert spread_symbol("STK:AAPL.USD@XNAS", Side.SELL, as_sold) == CALLS


@pytest.mark.parametrize(
    ("symbol", "legs", "field"),
    [
        ("AAPL", [leg(LOW, Side.BUY)], "legs"),
        ("MSFT", [leg(LOW, Side.BUY), leg(HIGH, Side.SELL)], "symbol"),
        ("AAPL", [leg(LOW, Side.BUY), leg("AAPL", Side.SELL)], "legs[1].symbol"),
        ("AAPL", [leg(LOW, Side.BUY), leg("OPT:nonsense", Side.SELL)], "legs[1].symbol"),
        ("AAPL", [leg(LOW, Side.BUY, 2), leg(HIGH, Side.SELL, 2)], "legs"),
    ],
)
def test_legs_that_make_no_spread_are_refused_where_they_are_wrong(
    symbol: str, legs: list[LegAsked], field: str
) -> None:
    with pytest.raises(Refusal) as found:
        spread_symbol(symbol, Side.BUY, legs)
    assert (found.value.code, found.value.field) == (Code.INVALID_ARGUMENT, field)


def test_a_preview_says_what_placing_it_would(trader: Principal) -> None:
    seen = previewing.preview(trader, spread(Side.SELL, "1.3"))
    assert [each.name for each in seen.checks if each.refusal is not None] == []
    assert "net credit at least 1.30 USD" in seen.shown["summary"]
    assert Order.objects.count() == 0
