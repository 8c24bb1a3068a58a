"""The same signal delivered twice at the same moment is taken once, and two workers prepare it once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

import pytest
from django.db import connections

from console.accounts.models import User
from console.connections.models import Connection
from console.orders.models import Order
from console.signals import preparing
from console.signals.models import Signal, SignalOutcome
from tests.console.signals import steps
from tests.console.signals.conftest import Clock

pytestmark = pytest.mark.django_db(transaction=True)

_T = TypeVar("_T")


def together(act: Callable[[], _T]) -> list[_T]:
    barrier = Barrier(4)

    def one(_: int) -> _T:
        barrier.wait()
        try:
            return act()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as threads:
        return list(threads.map(one, range(4)))


def test_the_same_signal_four_times_at_once_makes_one_order(owner: User, paper: Connection, clock: Clock) -> None:
    made = steps.address(owner, paper)
    body = steps.text(made, id="1", time=clock.now.isoformat())
    answers = together(lambda: steps.post(made, body).status_code)
    assert sorted(answers) == [202, 409, 409, 409]
    assert sum(together(preparing.prepare_due)) == 1
    taken = Signal.objects.get(is_taken=True)
    assert (taken.outcome, Order.objects.count()) == (SignalOutcome.PREPARED, 1)
