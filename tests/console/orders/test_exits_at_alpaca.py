"""An order with exits at a broker that names exits itself: each is a row of ours, looked up and ended as any other."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from brokers import registry
from brokers.types import OrderClass, OrderType, Side, TimeInForce
from console.accounts.models import User
from console.authority import bearer
from console.errors import Refusal
from console.keys import minting
from console.orders import actions as order_actions
from console.orders import prepare as preparing
from console.orders.execution import external_orders, reconcile
from console.orders.models import Order
from console.orders.states import Status
from console.orders.terms import Terms
from console.principal import Principal
from console.scopes import Scope
from tests.chaos.exchange import Exchange
from tests.chaos.venues import Alpaca

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    with Exchange() as running:
        yield running


@pytest.fixture
def trader(owner: User, exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> Principal:
    monkeypatch.setattr(registry, "CALLS_PER_MINUTE", {})
    account = Alpaca(owner, exchange.url).connection
    account.settings.pop("timeouts")
    account.save()
    _, key = minting.mint(owner, account, frozenset({Scope.TRADE}), name="trades")
    return bearer.authenticate(key)


def bracket(tif: TimeInForce | None = TimeInForce.GTC) -> Terms:
    return Terms(
        symbol="AAPL",
        side=Side.BUY,
        quantity=Decimal(1),
        order_type=OrderType.LIMIT,
        limit_price=Decimal(100),
        tif=tif,
        order_class=OrderClass.BRACKET,
        take_profit=Decimal(300),
        stop_loss=Decimal(90),
    )


def confirmed(trader: Principal) -> tuple[Order, list[Order]]:
    order = order_actions.confirm(trader, preparing.prepare(trader, bracket()).confirmation.public_id)
    return order, list(order.legs.order_by("pk"))


def statuses(*orders: Order) -> list[Status]:
    reconcile.sweep()
    for each in orders:
        each.refresh_from_db()
    return [each.state for each in orders]


def test_the_order_and_its_exits_are_open_and_none_counts_as_made_elsewhere(trader: Principal) -> None:
    order, legs = confirmed(trader)
    assert (order.state, [each.state for each in legs]) == (Status.WORKING, [Status.WORKING] * 2)
    assert len({each.broker_order_id for each in (order, *legs)}) == 3
    assert statuses(order, *legs) == [Status.WORKING] * 3
    external_orders.store(order.connection)
    assert list(external_orders.seen_by(order.connection.owner)) == []


def test_one_exit_fills_and_the_other_ends(trader: Principal, exchange: Exchange) -> None:
    order, legs = confirmed(trader)
    for price in ("99", "301"):
        exchange.control("price", {"symbol": "AAPL", "price": price})
    assert statuses(order, *legs) == [Status.FILLED, Status.FILLED, Status.CANCELLED]


def test_cancelling_the_order_ends_its_exits(trader: Principal) -> None:
    order, legs = confirmed(trader)
    order_actions.cancel(trader, order.public_id)
    assert statuses(order, *legs) == [Status.CANCELLED] * 3


def test_exits_that_would_outlive_their_order_are_refused_before_anything_is_sent(
    trader: Principal, exchange: Exchange
) -> None:
    with pytest.raises(Refusal, match="exits stand as long as their order"):
        preparing.prepare(trader, bracket(TimeInForce.DAY))
    assert exchange.orders == {}
