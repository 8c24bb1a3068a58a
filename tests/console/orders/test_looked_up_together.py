"""Orders that rest are looked up by one list of their broker's open orders, and one by one where that says more."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from brokers.errors import BrokerUnavailable
from brokers.paper.adapter import PaperBroker
from brokers.paper.models import PaperOrder
from brokers.types import BrokerOrder, BrokerStatus
from console.connections import broker_access
from console.connections.models import Connection
from console.orders import actions as order_actions
from console.orders import prepare as preparing
from console.orders import queries as order_queries
from console.orders.execution import reconcile
from console.orders.execution.external_orders import AtBroker
from console.orders.models import Order, OrderEvent
from console.orders.states import Status
from console.principal import Principal
from tests import watched_broker
from tests.console.orders.conftest import bitcoin
from tests.watched_broker import Watch

pytestmark = pytest.mark.django_db

LONG_AGO = timedelta(minutes=5)


@pytest.fixture
def looked_up(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids that the broker was asked for one by one."""
    watched_broker.without_telling(monkeypatch)
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


@pytest.fixture
def lists(watch: Watch) -> list[list[BrokerOrder]]:
    """Those that the broker gave."""
    found: list[list[BrokerOrder]] = []

    def listed(told: list[BrokerOrder]) -> list[BrokerOrder]:
        found.append(told)
        return told

    watch.on_list = listed
    return found


def test_a_sweep_asks_for_one_list_of_an_account_and_for_no_order_that_stands_in_it(
    resting: list[Order], looked_up: list[str], lists: list[list[BrokerOrder]]
) -> None:
    before = timezone.now()
    reconcile.sweep()
    assert (len(lists), looked_up) == (1, [])
    assert all((order.looked_up_at or before) > before for order in Order.objects.all())


def test_an_order_missing_from_the_list_is_asked_for_by_itself_and_ends_by_its_own_answer_alone(
    resting: list[Order], looked_up: list[str], watch: Watch
) -> None:
    watch.on_list = lambda told: told[:1]  # cut
    PaperOrder.objects.filter(client_order_id=resting[0].wire_id).update(status=BrokerStatus.CANCELLED)
    reconcile.sweep()
    assert sorted(looked_up) == sorted(order.wire_id for order in resting[:2])
    assert [Order.objects.get(pk=order.pk).state for order in resting] == [
        Status.CANCELLED,
        Status.WORKING,
        Status.WORKING,
    ]


def test_of_many_missing_orders_a_sweep_asks_for_some_and_the_next_for_the_others(
    resting: list[Order], looked_up: list[str], watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch.on_list = lambda told: []
    monkeypatch.setattr(reconcile, "MOST_ALONE", 2)
    reconcile.sweep()
    assert looked_up == [order.wire_id for order in resting[:2]]
    looked_up.clear()
    reconcile.sweep()
    assert looked_up[0] == resting[2].wire_id


@pytest.mark.parametrize("older", [Status.PARTIALLY_FILLED, Status.WORKING])
def test_an_order_of_which_the_broker_says_less_than_before_keeps_no_other_waiting(
    resting: list[Order], looked_up: list[str], watch: Watch, monkeypatch: pytest.MonkeyPatch, older: Status
) -> None:
    some = resting[0]
    _fill_in_part(some)
    if older is Status.WORKING:
        PaperOrder.objects.filter(client_order_id=some.wire_id).update(status=BrokerStatus.WORKING, filled_quantity=0)
    Order.objects.filter(pk=some.pk).update(status=Status.PARTIALLY_FILLED, filled_quantity=Decimal("0.08"))
    watch.on_list = lambda told: []
    monkeypatch.setattr(reconcile, "MOST_ALONE", 1)
    for _ in resting:
        reconcile.sweep()
    assert looked_up == [order.wire_id for order in resting]
    assert Order.objects.get(pk=some.pk).filled_quantity == Decimal("0.08")


def test_a_sweep_asks_for_few_orders_of_a_broker_that_gives_no_list(
    resting: list[Order], looked_up: list[str], watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(told: list[BrokerOrder]) -> list[BrokerOrder]:
        raise BrokerUnavailable("It lists none now.")

    watch.on_list = silent
    monkeypatch.setattr(reconcile, "_WITHOUT_LIST", 1)
    reconcile.sweep()
    assert looked_up == [resting[0].wire_id]


def test_a_list_that_cannot_be_read_keeps_no_order_from_being_looked_up(
    resting: list[Order], looked_up: list[str], watch: Watch
) -> None:
    def broken(told: list[BrokerOrder]) -> list[BrokerOrder]:
        raise KeyError("a field that is not there")

    watch.on_list = broken
    reconcile.sweep()
    assert sorted(looked_up) == sorted(order.wire_id for order in resting)


def test_a_sweep_takes_over_what_has_filled_in_part_as_a_look_at_that_order_does(
    resting: list[Order], looked_up: list[str]
) -> None:
    some = resting[0]
    _fill_in_part(some)
    reconcile.sweep()
    assert looked_up == [some.wire_id]
    some.refresh_from_db()
    assert (some.state, some.filled_quantity) == (Status.PARTIALLY_FILLED, Decimal("0.05"))


def test_what_has_filled_in_part_is_asked_for_by_itself_while_its_fees_may_follow_and_then_listed(
    resting: list[Order], looked_up: list[str]
) -> None:
    some = resting[0]
    _fill_in_part(some)
    for _ in "12":
        reconcile.sweep()
    assert looked_up == [some.wire_id] * 2
    OrderEvent.objects.update(at=timezone.now() - LONG_AGO)
    reconcile.sweep()
    assert looked_up == [some.wire_id] * 2


def test_an_account_in_trouble_keeps_no_other_from_being_looked_at(
    trader: Principal, others_trader: Principal, resting: list[Order], looked_up: list[str], watch: Watch
) -> None:
    theirs = Order.objects.get(pk=resting[0].pk)
    _move_to(theirs, others_trader)
    PaperOrder.objects.filter(client_order_id=resting[1].wire_id).update(status=BrokerStatus.CANCELLED)
    reconcile.sweep()
    resting[1].refresh_from_db()
    assert resting[1].state is Status.CANCELLED


def _fill_in_part(order: Order) -> None:
    PaperOrder.objects.filter(client_order_id=order.wire_id).update(
        status=BrokerStatus.PARTIALLY_FILLED, filled_quantity=Decimal("0.05")
    )


def _move_to(order: Order, trader: Principal) -> None:
    """To a connection whose settings name an account that is not there."""
    Connection.objects.filter(pk=trader.connection_id).update(settings={"account": "GONE"})
    Order.objects.filter(pk=order.pk).update(connection=trader.connection_id, account_id="GONE")
