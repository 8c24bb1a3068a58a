"""What hangs on an order counts for what it can add: once for a pair, and for as long as it may still fill."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from brokers.errors import BrokerUnavailable, UnknownOutcome
from brokers.types import LegRequest, OrderChanges, OrderClass, OrderRequest, OrderType, Side, TimeInForce
from console import limits
from console.accounts.models import User
from console.connections import broker_access
from console.connections import services as connections
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.orders import actions as order_actions
from console.orders import prepare as preparing
from console.orders.checks import daily_usage
from console.orders.checks import facts as check_facts
from console.orders.checks import limits as order_limits
from console.orders.execution import reconcile
from console.orders.models import Order
from console.orders.owner import manual_settlement
from console.orders.owner.manual_settlement import Observation
from console.orders.states import Status
from console.orders.terms import Terms
from console.principal import Principal
from tests.clock import Clock
from tests.console.orders.conftest import bitcoin
from tests.watched_broker import Watch

pytestmark = pytest.mark.django_db


@pytest.fixture
def limit(paper: Connection, owner: User) -> Callable[..., None]:
    def set_(**given: Any) -> None:
        connection = Connection.objects.get(pk=paper.pk)
        connections.set_limits(connection, limits.parse(given), by=owner, may_widen=True)

    return set_


@pytest.fixture
def price(paper: Connection) -> Decimal:
    return broker_access.broker_of(paper).quotes(["BTC/USD"])[0].last


def together(order_class: OrderClass, side: Side, *, target: str, stop: str, quantity: str = "1") -> Terms:
    """Far from the market: both halves or exits rest."""
    return Terms(
        symbol="BTC/USD",
        side=side,
        quantity=Decimal(quantity),
        order_class=order_class,
        take_profit=Decimal(target),
        stop_loss=Decimal(stop),
    )


def go(trader: Principal, terms: Terms) -> Order:
    return order_actions.confirm(trader, preparing.prepare(trader, terms).confirmation.public_id)


def refused(act: Callable[[], object]) -> Refusal:
    with pytest.raises(Refusal) as caught:
        act()
    return caught.value


@pytest.fixture
def pair(trader: Principal, paper: Connection, price: Decimal, limit: Callable[..., None]) -> Order:
    """Buys 0.1, far below the price or above it."""
    return go(trader, together(OrderClass.OCO, Side.BUY, target="100", stop=f"{price * 4:.0f}", quantity="0.1"))


def used(refusal: Refusal) -> Decimal:
    return Decimal((refusal.limit or {})["used"])


# -- the position ----------------------------------------------------------------------------------------------


def test_a_pair_counts_once(trader: Principal, pair: Order, limit: Callable[..., None]) -> None:
    limit(position_value="20")
    # 0.1 of the pair and 0.1 more at 100; both halves would be 0.3.
    assert preparing.prepare(trader, bitcoin("0.1", limit="100")).order.state is Status.AWAITING
    assert used(refused(lambda: preparing.prepare(trader, bitcoin("0.2", limit="100")))) == 10


def test_the_half_that_works_after_its_order_ended_still_counts(
    trader: Principal, paper: Connection, pair: Order, limit: Callable[..., None]
) -> None:
    broker_access.broker_of(paper).cancel(paper.default_account, pair.wire_id)
    reconcile.sweep()
    pair.refresh_from_db()
    assert (pair.state, pair.legs.get().state) == (Status.CANCELLED, Status.WORKING)
    limit(position_value="15")
    assert used(refused(lambda: preparing.prepare(trader, bitcoin("0.1", limit="100")))) == 10
    order_actions.cancel(trader, pair.legs.get().public_id)
    assert preparing.prepare(trader, bitcoin("0.1", limit="100")).order.state is Status.AWAITING


def test_what_one_half_filled_is_no_longer_to_come_from_the_other(
    trader: Principal, paper: Connection, pair: Order, limit: Callable[..., None]
) -> None:
    leg = pair.legs.get()
    Order.objects.filter(pk=pair.pk).update(status=Status.CANCELLED, filled_quantity=Decimal("0.04"))
    limit(position_value="10")
    assert preparing.prepare(trader, bitcoin("0.04", limit="100")).order.state is Status.AWAITING
    assert used(refused(lambda: preparing.prepare(trader, bitcoin("0.05", limit="100")))) == 6
    assert leg.state is Status.WORKING


def test_exits_without_the_position_they_guarded_count_for_the_other_side(
    trader: Principal, paper: Connection, price: Decimal, limit: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As at brokers that do not end them with it."""
    entry = go(trader, together(OrderClass.BRACKET, Side.BUY, target=f"{price * 2:.0f}", stop="100", quantity="0.1"))
    assert entry.state is Status.FILLED
    assert {leg.state for leg in entry.legs.all()} == {Status.WORKING}
    monkeypatch.setattr(check_facts, "total_position", lambda *_: Decimal(0))
    sell = bitcoin("0.1", Side.SELL, limit="1000000")
    limit(position_value="150000")  # 0.1 at a million, and 0.1 once for the two exits
    assert used(refused(lambda: _weigh(paper, trader, sell))) == 100_000
    limit(position_value="200000")
    _weigh(paper, trader, sell)


def test_exits_keep_nobody_from_closing_what_they_guard(
    trader: Principal, paper: Connection, price: Decimal, limit: Callable[..., None]
) -> None:
    go(trader, together(OrderClass.BRACKET, Side.BUY, target=f"{price * 2:.0f}", stop="100", quantity="0.1"))
    limit(position_value="1")
    _weigh(paper, trader, bitcoin("0.1", Side.SELL))
    assert refused(lambda: _weigh(paper, trader, bitcoin("0.11", Side.SELL))).code is Code.LIMIT_EXCEEDED


def test_a_half_that_is_changed_is_not_counted_beside_itself(
    trader: Principal, pair: Order, price: Decimal, limit: Callable[..., None]
) -> None:
    leg = pair.legs.get()
    room = price * 5 / 10 * Decimal("1.03")  # for 0.1 at five times the price, not for 0.2
    limit(position_value=f"{room:.0f}")
    change = preparing.prepare_change(trader, leg.public_id, OrderChanges(stop_price=Decimal(f"{price * 5:.0f}")))
    order_actions.confirm(trader, change.confirmation.public_id)
    leg.refresh_from_db()
    assert leg.stop_price == Decimal(f"{price * 5:.0f}")


def _weigh(paper: Connection, trader: Principal, terms: Terms) -> Decimal | None:
    """As a preview does, at a broker that would take the order."""
    connection = Connection.objects.get(pk=paper.pk)
    broker = broker_access.broker_of(connection)
    app = connection.connected_apps.get(pk=trader.app_id)
    instrument, quote = broker.instrument(terms.symbol), broker.quotes([terms.symbol])[0]
    facts = check_facts.load(broker, connection, app, instrument, quote)
    return order_limits.check_limits(replace(terms, tif=TimeInForce.DAY).request("f" * 32), facts, connection, app)


# -- what waits for an order and goes beyond it ----------------------------------------------------------------


def waits(monkeypatch: pytest.MonkeyPatch, side: Side, quantity: str | None) -> Terms:
    """Buys 0.1 at 100, and once that fills buys or sells at 100."""

    def legs(self: Terms, name: Callable[[int], str]) -> tuple[LegRequest, ...]:
        if self.order_class is OrderClass.SIMPLE:
            return ()
        size = None if quantity is None else Decimal(quantity)
        leg = LegRequest(
            client_order_id=name(0),
            side=side,
            order_type=OrderType.LIMIT,
            quantity=size,
            limit_price=Decimal(100 if side is Side.BUY else 1_000_000),
        )
        return (leg,)

    monkeypatch.setattr(Terms, "legs", legs)
    return Terms(
        symbol="BTC/USD",
        side=Side.BUY,
        quantity=Decimal("0.1"),
        order_type=OrderType.LIMIT,
        limit_price=Decimal(100),
        order_class=OrderClass.OTO,
        take_profit=Decimal(1_000_000),
    )


@pytest.mark.parametrize("name", ["daily_notional", "position_value"])
def test_a_leg_that_adds_to_its_order_needs_the_room_for_both(
    trader: Principal, paper: Connection, monkeypatch: pytest.MonkeyPatch, limit: Callable[..., None], name: str
) -> None:
    terms = waits(monkeypatch, Side.BUY, None)
    prepared = preparing.prepare(trader, terms)
    limit(**{name: "19.99"})
    assert refused(lambda: preparing.prepare(trader, terms)).code is Code.LIMIT_EXCEEDED
    assert refused(lambda: order_actions.confirm(trader, prepared.confirmation.public_id)).code is Code.LIMIT_EXCEEDED
    limit(**{name: "20"})
    order = go(trader, terms)
    assert order.worst_notional == 20
    assert used(refused(lambda: preparing.prepare(trader, bitcoin("0.1", limit="100")))) == 20


def test_each_of_them_is_held_against_what_one_order_may_be(
    trader: Principal, monkeypatch: pytest.MonkeyPatch, limit: Callable[..., None]
) -> None:
    limit(order_notional="10")
    assert go(trader, waits(monkeypatch, Side.BUY, None)).state is Status.WORKING


def test_a_leg_that_adds_keeps_the_room_of_the_day_after_its_order_has_filled(
    trader: Principal, paper: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = go(trader, waits(monkeypatch, Side.BUY, None))
    Order.objects.filter(pk=order.pk).update(
        status=Status.FILLED, filled_quantity=Decimal("0.1"), average_price=Decimal(90)
    )
    assert daily_usage.connection_usage(paper, order.moved_at).today == 20
    order.legs.update(status=Status.CANCELLED)
    assert daily_usage.connection_usage(paper, order.moved_at).today == 9


def test_a_leg_that_turns_the_position_counts_for_what_is_beyond_its_order(
    trader: Principal, paper: Connection, monkeypatch: pytest.MonkeyPatch, limit: Callable[..., None]
) -> None:
    limit(position_value="200000")
    preparing.prepare(trader, waits(monkeypatch, Side.SELL, "0.3"))
    refusal = refused(lambda: preparing.prepare(trader, waits(monkeypatch, Side.SELL, "0.31")))
    assert (refusal.limit or {})["name"] == "position_value"
    limit(position_value="200000", daily_notional="200010")
    preparing.prepare(trader, waits(monkeypatch, Side.SELL, "0.3"))
    limit(position_value="200000", daily_notional="200009")
    assert refused(lambda: preparing.prepare(trader, waits(monkeypatch, Side.SELL, "0.3"))).code is Code.LIMIT_EXCEEDED


# -- settled by hand -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seen", [Observation.NOT_THERE, Observation.CANCELLED])
@pytest.mark.parametrize("status", [Status.UNKNOWN, Status.NOT_FOUND])
@pytest.mark.parametrize("which", ["order", "leg"])
def test_a_pair_that_its_owner_settled_no_longer_counts(
    trader: Principal,
    paper: Connection,
    owner: User,
    watch: Watch,
    clock: Clock,
    limit: Callable[..., None],
    seen: Observation,
    status: Status,
    which: str,
) -> None:
    def lose(_: OrderRequest) -> None:
        raise UnknownOutcome("The answer was lost.")

    def away(_: str) -> None:
        raise BrokerUnavailable("away")

    watch.before_submit, watch.on_lookup = lose, away
    order = go(trader, together(OrderClass.OCO, Side.BUY, target="100", stop="900000", quantity="0.01"))
    clock.advance(seconds=600)
    Order.objects.update(status=status)
    assert daily_usage.connection_usage(paper, order.moved_at).today not in (None, 0)
    settled = order if which == "order" else order.legs.get()
    manual_settlement.settle(settled, seen, by=owner)
    clock.advance(seconds=1)
    assert daily_usage.connection_usage(paper, order.moved_at).today == 0
    assert not any(manual_settlement.needs_owner(each) for each in Order.objects.all())
    limit(position_value="1")
    assert preparing.prepare(trader, bitcoin("0.01", limit="100")).order.state is Status.AWAITING


# -- changes of legs -------------------------------------------------------------------------------------------


def test_moving_an_exit_takes_nothing_of_the_day(
    trader: Principal, paper: Connection, price: Decimal, limit: Callable[..., None]
) -> None:
    entry = go(trader, together(OrderClass.BRACKET, Side.BUY, target=f"{price * 2:.0f}", stop="100", quantity="0.1"))
    limit(daily_notional="1")
    stop = entry.legs.get(order_type=OrderType.STOP)
    change = preparing.prepare_change(trader, stop.public_id, OrderChanges(stop_price=Decimal(200)))
    order_actions.confirm(trader, change.confirmation.public_id)
    stop.refresh_from_db()
    assert stop.stop_price == 200


def test_a_half_made_larger_takes_of_the_day_only_what_the_pair_did_not(
    trader: Principal, paper: Connection, price: Decimal, pair: Order, limit: Callable[..., None], clock: Clock
) -> None:
    leg = pair.legs.get()
    at = clock.now.replace(hour=12)
    clock.now = at
    Order.objects.filter(pk=pair.pk).update(released_at=at)
    asked = OrderChanges(stop_price=Decimal(f"{price * 5:.0f}"))
    assert asked.stop_price is not None
    now_at, before = asked.stop_price * Decimal("0.102"), pair.worst_notional
    limit(daily_notional=f"{now_at - 1:.2f}")
    assert used(refused(lambda: preparing.prepare_change(trader, leg.public_id, asked))) == before
    limit(daily_notional=f"{now_at + 1:.2f}")
    order_actions.confirm(trader, preparing.prepare_change(trader, leg.public_id, asked).confirmation.public_id)
    assert daily_usage.connection_usage(paper, clock.now).today == now_at

    # On the next day all of it is of that day, once it is made larger there.
    clock.advance(days=1)
    assert daily_usage.connection_usage(paper, clock.now).today == 0
    larger = OrderChanges(stop_price=asked.stop_price + 1000)
    refused(lambda: preparing.prepare_change(trader, leg.public_id, larger))
    limit(daily_notional="200000")
    order_actions.confirm(trader, preparing.prepare_change(trader, leg.public_id, larger).confirmation.public_id)
    assert daily_usage.connection_usage(paper, clock.now).today == now_at + 102
