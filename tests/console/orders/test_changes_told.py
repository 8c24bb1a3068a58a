"""Paper tells of each change of an order: a sweep looks at those that changed, and at no other."""

from collections.abc import Callable, Collection
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from brokers.errors import BrokerUnavailable
from brokers.paper import ledger
from brokers.paper.adapter import PaperBroker
from brokers.paper.models import ChangedOrder, PaperOrder
from brokers.types import BrokerOrder, BrokerStatus
from console.connections import broker_access
from console.connections.models import Connection
from console.orders import actions as order_actions
from console.orders import prepare as preparing
from console.orders import queries as order_queries
from console.orders.execution import reconcile
from console.orders.execution.external_orders import AtBroker
from console.orders.models import Order
from console.orders.states import Status
from console.principal import Principal
from tests.console.orders.conftest import bitcoin
from tests.watched_broker import Watch

pytestmark = pytest.mark.django_db

GONE = "Somebody cancelled it there."


@pytest.fixture
def looked_up(watch: Watch) -> list[str]:
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
    looked_up.clear()
    return orders


@pytest.fixture
def listing() -> Callable[[Principal], list[Order]]:
    def listed(trader: Principal) -> list[Order]:
        broker = broker_access.broker_of(Connection.objects.get(pk=trader.connection_id))
        at_broker = AtBroker(broker, trader.account_id)
        return order_queries.list_orders(trader, at_broker, order_queries.OrderQuery())[0]

    return listed


def cancel_at_paper(order: Order) -> None:
    row = PaperOrder.objects.get(client_order_id=order.wire_id)
    ledger.end(row, BrokerStatus.CANCELLED, at=timezone.now(), reason=GONE)


def fill_at_paper(order: Order, filled: str) -> None:
    row = PaperOrder.objects.get(client_order_id=order.wire_id)
    row.filled_quantity, row.status = Decimal(filled), BrokerStatus.PARTIALLY_FILLED
    ledger.save(row)


def state(order: Order) -> Status:
    return Order.objects.get(pk=order.pk).state


def test_where_nothing_changed_a_sweep_asks_about_no_order_and_has_no_work(
    resting: list[Order], looked_up: list[str]
) -> None:
    assert not ChangedOrder.objects.exists()
    assert reconcile.has_work() is False
    reconcile.sweep()
    assert looked_up == []


def test_a_sweep_takes_no_more_statements_for_many_orders_that_rest(trader: Principal, resting: list[Order]) -> None:
    counts = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as asked:
            reconcile.sweep()
        counts.append(len(asked))
        order_actions.confirm(trader, preparing.prepare(trader, bitcoin(limit="1000")).confirmation.public_id)
    assert counts[0] == counts[1]


def test_an_order_that_changed_is_looked_at_and_taken_over_with_its_reason(
    resting: list[Order], looked_up: list[str]
) -> None:
    cancel_at_paper(resting[1])
    assert reconcile.has_work() is True
    reconcile.sweep()
    assert looked_up == [resting[1].wire_id]
    ended = Order.objects.get(pk=resting[1].pk)
    assert (ended.state, ended.reason) == (Status.CANCELLED, GONE)
    assert state(resting[0]) is state(resting[2]) is Status.WORKING
    assert not ChangedOrder.objects.exists()
    assert reconcile.has_work() is False


def test_a_change_of_an_order_that_is_still_being_sent_waits_for_its_sender(resting: list[Order]) -> None:
    order = resting[0]
    Order.objects.filter(pk=order.pk).update(status=Status.SENDING, moved_at=timezone.now())
    cancel_at_paper(order)
    reconcile.sweep()
    assert state(order) is Status.SENDING
    # Its sender records what it was answered before the change.
    Order.objects.filter(pk=order.pk).update(status=Status.WORKING)
    reconcile.sweep()
    assert state(order) is Status.CANCELLED
    assert not ChangedOrder.objects.exists()


def test_a_change_that_cannot_be_followed_now_is_kept_and_stops_no_other(resting: list[Order], watch: Watch) -> None:
    for order in resting[:2]:
        cancel_at_paper(order)

    def away(*names: str) -> None:
        raise BrokerUnavailable("Not now.")

    watch.on_lookup = away
    reconcile.sweep()
    assert state(resting[0]) is state(resting[1]) is Status.WORKING
    assert ChangedOrder.objects.count() == 2
    watch.on_lookup = lambda name: None
    reconcile.sweep()
    assert state(resting[0]) is state(resting[1]) is Status.CANCELLED
    assert not ChangedOrder.objects.exists()


def test_changes_that_cannot_be_followed_are_kept_once_for_each_order(resting: list[Order], watch: Watch) -> None:
    for order in resting[:2]:
        for filled in ("0.01", "0.02"):
            fill_at_paper(order, filled)
    # As two workers leave them that put the same rows off at one time.
    rows = ChangedOrder.objects.values_list("account_id", "client_order_id")
    ChangedOrder.objects.bulk_create([ChangedOrder(account_id=row[0], client_order_id=row[1]) for row in rows])

    def away(*names: str) -> None:
        raise BrokerUnavailable("Not now.")

    watch.on_lookup = away
    reconcile.sweep()
    assert sorted(ChangedOrder.objects.values_list("client_order_id", flat=True)) == sorted(
        order.wire_id for order in resting[:2]
    )
    watch.on_lookup = lambda name: None
    reconcile.sweep()
    assert not ChangedOrder.objects.exists()
    assert state(resting[0]) is state(resting[1]) is Status.PARTIALLY_FILLED


def test_a_change_made_while_its_order_is_looked_at_is_followed_by_the_next_sweep(
    resting: list[Order], watch: Watch
) -> None:
    order = resting[0]
    row = PaperOrder.objects.get(client_order_id=order.wire_id)
    row.filled_quantity, row.status = Decimal("0.05"), BrokerStatus.PARTIALLY_FILLED
    ledger.save(row)

    def changes_again(name: str) -> None:
        watch.on_lookup = lambda name: None
        ledger.save(row)

    watch.on_lookup = changes_again
    reconcile.sweep()
    assert ChangedOrder.objects.count() == 1
    reconcile.sweep()
    assert not ChangedOrder.objects.exists()
    assert state(order) is Status.PARTIALLY_FILLED


def test_an_answer_that_comes_later_than_a_newer_one_takes_no_fill_back_and_tells_none_twice(
    resting: list[Order], monkeypatch: pytest.MonkeyPatch
) -> None:
    order = resting[0]
    fill_at_paper(order, "0.02")
    reconcile.sweep()
    ask = PaperBroker.named_orders

    def slow(broker: PaperBroker, account_id: str, names: Collection[str]) -> list[BrokerOrder]:
        told = ask(broker, account_id, names)
        monkeypatch.setattr(PaperBroker, "named_orders", ask)
        fill_at_paper(order, "0.08")
        reconcile.sweep()  # of another worker
        return told

    monkeypatch.setattr(PaperBroker, "named_orders", slow)
    fill_at_paper(order, "0.05")
    reconcile.sweep()
    assert not ChangedOrder.objects.exists()
    assert Order.objects.get(pk=order.pk).filled_quantity == Decimal("0.08")
    assert order.events.filter(after=Status.PARTIALLY_FILLED).count() == 2


def test_changes_of_orders_that_are_not_ours_are_forgotten(resting: list[Order], looked_up: list[str]) -> None:
    row = PaperOrder.objects.get(client_order_id=resting[0].wire_id)
    row.pk, row.client_order_id, row.broker_order_id = None, "made elsewhere", "P-ELSEWHERE"
    row._state.adding = True
    ledger.save(row)
    ledger.end(row, BrokerStatus.CANCELLED, at=timezone.now())
    reconcile.sweep()
    assert looked_up == []
    assert not ChangedOrder.objects.exists()


def test_a_list_of_orders_is_up_to_date_with_what_changed_a_moment_ago(
    trader: Principal, resting: list[Order], listing: Callable[[Principal], list[Order]]
) -> None:
    cancel_at_paper(resting[1])
    assert listing(trader) == [resting[2], resting[0]]
    assert state(resting[1]) is Status.CANCELLED


def test_somebody_elses_list_follows_none_of_it(
    others_trader: Principal, resting: list[Order], listing: Callable[[Principal], list[Order]]
) -> None:
    cancel_at_paper(resting[1])
    assert listing(others_trader) == []
    assert state(resting[1]) is Status.WORKING
    assert ChangedOrder.objects.count() == 1


def test_an_unknown_order_keeps_its_own_look_up(resting: list[Order], looked_up: list[str]) -> None:
    Order.objects.filter(pk=resting[0].pk).update(
        status=Status.UNKNOWN, moved_at=timezone.now() - timedelta(minutes=10)
    )
    reconcile.sweep()
    assert looked_up == [resting[0].wire_id]
    assert state(resting[0]) is Status.WORKING
