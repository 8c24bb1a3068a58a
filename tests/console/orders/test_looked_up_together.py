"""Orders that rest are looked up by one list of their broker's open orders, and one by one where that says more."""

from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from brokers.errors import BrokerUnavailable
from brokers.paper.adapter import PaperBroker
from brokers.paper.models import PaperOrder
from brokers.types import BrokerStatus
from console.connections import broker_access
from console.connections.models import Connection
from console.orders import actions as order_actions
from console.orders import prepare as preparing
from console.orders import queries as order_queries
from console.orders.execution.external_orders import AtBroker
from console.orders.models import Order
from console.orders.states import Status
from console.principal import Principal
from tests.console.orders.conftest import bitcoin
from tests.watched_broker import Watch

pytestmark = pytest.mark.django_db


@pytest.fixture
def looked_up(watch: Watch) -> list[str]:
    """The ids that the broker was asked for one by one."""
    found: list[str] = []
    watch.on_lookup = found.append
    return found


@pytest.fixture
def resting(trader: Principal, looked_up: list[str]) -> list[Order]:
    """Three of them, oldest first."""
    orders = [
        order_actions.confirm(trader, preparing.prepare(trader, bitcoin(limit="1000")).confirmation.public_id)
        for _ in "123"
    ]
    Order.objects.update(looked_up_at=None)
    looked_up.clear()
    return orders


def listed(trader: Principal) -> list[Order]:
    broker = broker_access.broker_of(Connection.objects.get(pk=trader.connection_id))
    return order_queries.list_orders(trader, AtBroker(broker, trader.account_id), order_queries.OrderQuery())[0]


def test_one_list_settles_all_that_rest_unchanged(
    trader: Principal, resting: list[Order], looked_up: list[str]
) -> None:
    before = timezone.now()
    assert listed(trader) == resting[::-1]
    assert looked_up == []
    assert all((order.looked_up_at or before) > before for order in Order.objects.all())


def test_ten_orders_take_no_more_statements_than_three(trader: Principal, resting: list[Order]) -> None:
    counts = []
    for _ in range(2):
        listed(trader)  # whatever is read once has been
        with CaptureQueriesContext(connection) as asked:
            assert len(listed(trader)) == Order.objects.count()
        counts.append(len(asked))
        for _ in range(7):
            order_actions.confirm(trader, preparing.prepare(trader, bitcoin(limit="1000")).confirmation.public_id)
    assert counts[0] == counts[1] <= 14, [each["sql"][:90] for each in asked]


def test_an_order_that_filled_meanwhile_is_looked_up_by_itself(
    trader: Principal, resting: list[Order], looked_up: list[str]
) -> None:
    filled = resting[1]
    PaperOrder.objects.filter(client_order_id=filled.wire_id).update(
        status=BrokerStatus.FILLED, filled_quantity=Decimal("0.1")
    )
    assert listed(trader) == [resting[2], resting[0]]
    assert looked_up == [filled.wire_id]
    filled.refresh_from_db()
    assert filled.state is Status.FILLED


def test_an_order_that_filled_in_part_is_looked_up_by_itself(
    trader: Principal, resting: list[Order], looked_up: list[str]
) -> None:
    some = resting[0]
    PaperOrder.objects.filter(client_order_id=some.wire_id).update(
        status=BrokerStatus.PARTIALLY_FILLED, filled_quantity=Decimal("0.05")
    )
    assert len(listed(trader)) == 3
    assert looked_up == [some.wire_id]
    some.refresh_from_db()
    assert (some.state, some.filled_quantity) == (Status.PARTIALLY_FILLED, Decimal("0.05"))


def test_another_order_under_the_same_id_does_not_stand_for_it(
    trader: Principal, resting: list[Order], looked_up: list[str]
) -> None:
    Order.objects.filter(pk=resting[2].pk).update(broker_order_id="another")
    listed(trader)
    assert looked_up == [resting[2].wire_id]


def test_where_the_broker_does_not_list_them_each_is_looked_up(
    trader: Principal, resting: list[Order], looked_up: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unlisted(*args: object, **kwargs: object) -> list[object]:
        raise BrokerUnavailable("It lists none now.")

    monkeypatch.setattr(PaperBroker, "orders", unlisted)
    assert listed(trader) == resting[::-1]
    assert sorted(looked_up) == sorted(order.wire_id for order in resting)
