"""A stream's word that something moved: all orders of the account are compared with one list, however many rest."""

from datetime import timedelta

import pytest
from django.utils import timezone

from brokers.errors import BrokerUnavailable
from brokers.paper.models import PaperOrder
from brokers.types import BrokerOrder, BrokerStatus
from console import ids
from console.connections import order_streams
from console.orders import actions as order_actions
from console.orders import prepare as preparing
from console.orders.execution import reconcile
from console.orders.execution.wake import wake
from console.orders.models import Order
from console.orders.states import Status
from console.principal import Principal
from tests import watched_broker
from tests.console.orders.conftest import bitcoin
from tests.watched_broker import Watch

pytestmark = pytest.mark.django_db

MANY = 520
"""More than a page of orders made elsewhere shows, and than a caller of a tool waits for."""


@pytest.fixture
def looked_up(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids that the broker was asked for one by one."""
    watched_broker.without_telling(monkeypatch)
    found: list[str] = []
    watch.on_lookup = found.append
    return found


@pytest.fixture
def lists(watch: Watch) -> list[int]:
    """How many orders each list had."""
    found: list[int] = []

    def listed(told: list[BrokerOrder]) -> list[BrokerOrder]:
        found.append(len(told))
        return told

    watch.on_list = listed
    return found


@pytest.fixture
def resting(trader: Principal, looked_up: list[str]) -> list[Order]:
    """Three of them, oldest first, not looked at for a while."""
    for _ in "123":
        order_actions.confirm(trader, preparing.prepare(trader, bitcoin(limit="1000")).confirmation.public_id)
    Order.objects.update(looked_up_at=timezone.now() - timedelta(minutes=1))
    looked_up.clear()
    return list(Order.objects.order_by("pk"))


def copies_of(order: Order, count: int) -> None:
    """As many orders more, here and at paper, that rest as it does."""
    row = PaperOrder.objects.get(client_order_id=order.wire_id)
    ours, theirs = [], []
    for place in range(count):
        copy, there = Order.objects.get(pk=order.pk), PaperOrder.objects.get(pk=row.pk)
        copy.pk, copy.public_id, copy.wire_id = None, ids.new("ord"), f"copy-{place}"
        copy.client_order_id, copy.broker_order_id = f"copy-{place}", f"P-{place}"
        there.pk, there.client_order_id, there.broker_order_id = None, copy.wire_id, copy.broker_order_id
        ours.append(copy)
        theirs.append(there)
    Order.objects.bulk_create(ours)
    PaperOrder.objects.bulk_create(theirs)


def test_many_orders_are_compared_with_one_list_and_none_of_them_is_asked_for_by_itself(
    resting: list[Order], looked_up: list[str], lists: list[int]
) -> None:
    copies_of(resting[0], MANY - len(resting))
    before = timezone.now()
    wake(resting[0].connection_id)
    assert looked_up == []
    assert lists == [MANY]
    assert not Order.objects.filter(looked_up_at__lt=before).exists()


def test_of_many_orders_that_a_stream_names_at_once_some_are_asked_for_and_the_others_are_left_to_the_next_look(
    resting: list[Order], looked_up: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "MOST_ALONE", 2)
    PaperOrder.objects.update(status=BrokerStatus.CANCELLED)
    copies_of(resting[0], 3)
    named = list(Order.objects.values_list("wire_id", flat=True))
    wake(resting[0].connection_id, named)
    assert len(looked_up) == 4
    wake(resting[0].connection_id)
    assert not Order.objects.exclude(status=Status.CANCELLED).exists()


def test_a_look_that_the_broker_does_not_answer_says_so(
    resting: list[Order], looked_up: list[str], watch: Watch
) -> None:
    def away(name: str) -> None:
        raise BrokerUnavailable("Not now.")

    watch.on_lookup = away
    PaperOrder.objects.filter(client_order_id=resting[1].wire_id).update(status=BrokerStatus.CANCELLED)
    assert not wake(resting[1].connection_id, [resting[1].wire_id])
    assert not wake(resting[1].connection_id)
    watch.on_lookup = looked_up.append
    assert wake(resting[1].connection_id)
    assert looked_up == [resting[1].wire_id]


def test_a_sweep_that_compares_a_streamed_account_leaves_none_of_its_orders_for_a_list_of_its_own(
    resting: list[Order], looked_up: list[str], lists: list[int]
) -> None:
    order_streams.record(resting[0].connection_id, is_up=True)
    for seconds, order in zip((31, 25, 3), resting, strict=True):
        Order.objects.filter(pk=order.pk).update(looked_up_at=timezone.now() - timedelta(seconds=seconds))
    before = timezone.now()
    reconcile.sweep()
    assert (lists, looked_up) == ([3], [])
    assert not Order.objects.filter(looked_up_at__lt=before).exists()
    reconcile.sweep()
    assert lists == [3]
