"""What the schedule does while nothing happens costs the same however many orders rest at paper."""

import copy
import sys
import uuid
from collections.abc import Callable
from functools import partial
from types import FrameType

import pytest
from django.conf import settings
from django.db import connection
from django.utils.module_loading import import_string

from brokers.paper.models import PaperOrder
from console.orders import actions as order_actions
from console.orders import prepare as preparing
from console.orders.models import Order
from console.principal import Principal
from tests.console.orders.conftest import bitcoin

pytestmark = pytest.mark.django_db

FEWER, MORE = 150, 1_150
_INDEX_ENTRY = 10
"""Steps of the database to count one. To read an order takes eighty and more, here and there."""
_LISTENS = "console.operations.tasks.listen_to_orders"  # in a thread of its own, to brokers over a network
_SAMPLES = "console.operations.tasks.refresh_statistics"  # once a day, of each index 1,000 rows at most


def rest(trader: Principal, count: int) -> None:
    """So many in all, by rows like those of an order that was placed."""
    if not Order.objects.exists():
        order_actions.confirm(trader, preparing.prepare(trader, bitcoin(limit="1000")).confirmation.public_id)
    order, paper = Order.objects.earliest("pk"), PaperOrder.objects.earliest("pk")
    ours, papers = [], []
    for _ in range(count - Order.objects.count()):
        name = uuid.uuid4().hex
        mine, its = copy.copy(order), copy.copy(paper)
        mine.pk = its.pk = None
        mine.broker_order_id = its.broker_order_id = f"P-{name[:20]}"
        mine.public_id, mine.client_order_id, mine.wire_id = f"ord_{name[:26]}", name, name
        its.client_order_id = name
        ours.append(mine)
        papers.append(its)
    Order.objects.bulk_create(ours)
    PaperOrder.objects.bulk_create(papers)


def work(do: Callable[[], object]) -> int:
    """Calls of functions, and steps of the database where it counts them in this process, as SQLite does."""
    count = 0

    def called(frame: FrameType, event: str, arg: object) -> None:
        nonlocal count
        count += event == "call"

    def stepped() -> int:
        nonlocal count
        count += 10
        return 0

    client = connection.connection
    if connection.vendor == "sqlite":
        client.set_progress_handler(stepped, 10)
    sys.setprofile(called)
    try:
        do()
    finally:
        sys.setprofile(None)
        if connection.vendor == "sqlite":
            client.set_progress_handler(None, 10)
    return count


def send(name: str, task: str) -> None:
    """As the scheduler does: behind its gate, where it has one."""
    gate = settings.SCHEDULE_GATES.get(name)
    if gate is None or import_string(gate)() is True:
        import_string(task)()


def measured() -> dict[str, int]:
    """By entry of the schedule, the least of three: a minute may begin, and a bar with it, in one of them."""
    found: dict[str, int] = {}
    for turn in range(4):
        for name, entry in settings.CELERY_BEAT_SCHEDULE.items():
            if entry["task"] in (_LISTENS, _SAMPLES):
                continue
            used = work(partial(send, name, str(entry["task"])))
            if turn:  # what is read once has been
                found[name] = min(used, found.get(name, used))
    return found


def test_no_job_does_more_for_ten_times_as_many_orders(trader: Principal) -> None:
    rest(trader, FEWER)
    few = measured()
    rest(trader, MORE)
    many = measured()
    more = {name: round((many[name] - few[name]) / (MORE - FEWER), 2) for name in few}
    assert {name: each for name, each in more.items() if each >= _INDEX_ENTRY} == {}
