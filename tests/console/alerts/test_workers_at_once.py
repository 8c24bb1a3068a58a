"""Workers that saw the same at the same moment, each with a connection of its own to the database."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Barrier
from typing import Any, TypeVar

import pytest
from django.db import connections

from console.alerts import evaluation, services
from console.alerts.models import Alert, AlertEvent
from console.alerts.observing import Observed
from console.connections.models import Connection
from console.errors import Refusal
from console.notifications.models import NewsItem, NewsKind
from tests.clock import Clock
from tests.console.alerts.conftest import SetPrices, ask
from tests.patience import at_most

pytestmark = pytest.mark.django_db(transaction=True)
T = TypeVar("T")
WORKERS = 4


def at_once(act: Callable[[], T]) -> list[T]:
    together = Barrier(WORKERS)

    def run(_: int) -> T:
        try:
            together.wait(at_most(30))
            return act()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(WORKERS) as workers:
        return list(workers.map(run, range(WORKERS)))


@pytest.mark.parametrize("repeats", [False, True])
def test_one_of_them_fires_it(repeats: bool, clock: Clock, market: SetPrices, paper: Connection) -> None:
    ask(paper, repeats=repeats)
    [watching] = evaluation._watching([Alert.objects.get().watched_id])
    seen: Any = Observed(Decimal(201), clock())
    fired = at_once(lambda: evaluation._fire(watching, "above", seen, clock()))
    assert sorted(fired) == [False] * (WORKERS - 1) + [True]
    assert (AlertEvent.objects.count(), NewsItem.objects.filter(kind=NewsKind.ALERT).count()) == (1, 1)
    assert Alert.objects.get().fired_count == 1


def test_one_of_them_looks_at_what_is_due(clock: Clock, market: SetPrices, paper: Connection) -> None:
    for symbol in ("AAPL", "MSFT"):
        ask(paper, symbol=symbol)
    clock.advance(minutes=1)
    claimed = at_once(lambda: len(evaluation._claim(paper, clock())))
    assert sorted(claimed) == [0] * (WORKERS - 1) + [2]


def test_the_last_place_is_taken_once(
    clock: Clock, market: SetPrices, paper: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "MOST_ACTIVE", 1)

    def one() -> bool:
        try:
            ask(paper, kind="equity", symbol=None)
        except Refusal:
            return False
        return True

    assert sorted(at_once(one)) == [False] * (WORKERS - 1) + [True]
    assert Alert.objects.count() == 1
