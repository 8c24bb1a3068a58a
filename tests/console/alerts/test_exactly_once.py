"""One event and one notification for each time an alert fires, with two workers at once and whatever fails between."""

from decimal import Decimal
from typing import Any

import pytest

from console.alerts import evaluation, services
from console.alerts.models import Alert, AlertEvent, AlertStatus, WatchedValue
from console.connections.models import Connection
from console.notifications import news
from console.notifications.models import NewsItem, NewsKind
from tests.clock import Clock
from tests.console.alerts.conftest import Look, SetPrices, ask

pytestmark = pytest.mark.django_db


def counts() -> tuple[int, int]:
    return AlertEvent.objects.count(), NewsItem.objects.filter(kind=NewsKind.ALERT).count()


@pytest.mark.parametrize("repeats", [False, True])
def test_of_two_passes_that_both_saw_it_one_fires(
    repeats: bool, look: Look, market: SetPrices, paper: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(paper, repeats=repeats)
    fire, came = evaluation._fire, list[bool]()

    def after_another(*args: Any) -> bool:
        came.append(fire(*args))  # the other worker's, which read the same rows a moment before
        came.append(fire(*args))
        return came[-1]

    monkeypatch.setattr(evaluation, "_fire", after_another)
    assert look("201", market) == 0
    assert came == [True, False]
    assert counts() == (1, 1)


def test_what_is_due_is_looked_at_by_one_pass(look: Look, market: SetPrices, paper: Connection, clock: Clock) -> None:
    ask(paper)
    clock.advance(minutes=1)
    assert len(evaluation._claim(paper, clock())) == 1
    assert evaluation._claim(paper, clock()) == []


def test_without_the_notification_there_is_no_event_and_it_fires_at_the_next_pass(
    look: Look, market: SetPrices, paper: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(paper)

    def fail(*args: Any, **kwargs: Any) -> bool:
        raise RuntimeError("The notification cannot be written.")

    with monkeypatch.context() as broken:
        broken.setattr(news, "tell", fail)
        assert look("201", market) == 0
    assert counts() == (0, 0)
    assert Alert.objects.get().status == AlertStatus.ACTIVE
    assert look() == 1
    assert counts() == (1, 1)


@pytest.mark.parametrize("what", ["ended", "changed"])
def test_what_its_owner_did_while_it_was_compared_holds(
    what: str, look: Look, market: SetPrices, paper: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(paper)
    fire = evaluation._fire

    def after_its_owner(*args: Any) -> bool:
        if what == "ended":
            services.cancel(Alert.objects.get(), app=None)
        else:
            services.change(Alert.objects.get(), app=None, value=Decimal(500))
        return fire(*args)

    monkeypatch.setattr(evaluation, "_fire", after_its_owner)
    assert look("201", market) == 0
    assert counts() == (0, 0)


def test_one_connections_fault_is_not_the_others(
    look: Look, market: SetPrices, paper: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = Connection.objects.create(
        owner=paper.owner, name="Second", broker="paper", environment="paper", settings=paper.settings
    )
    ask(paper)
    ask(second)
    compare = evaluation._compare

    def fail(watched: list[WatchedValue], *args: Any) -> int:
        if watched[0].connection_id == paper.pk:
            raise RuntimeError("A row that cannot be read.")
        return compare(watched, *args)

    monkeypatch.setattr(evaluation, "_compare", fail)
    assert look("201", market) == 1


def test_what_a_new_alert_made_due_while_a_pass_ran_stays_due(
    look: Look, market: SetPrices, paper: Connection, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(paper, kind="indicator", indicator="RSI(14)", bar="1h")
    compare = evaluation._compare

    def after_one_more(*args: Any) -> int:
        clock.advance(seconds=1)
        ask(paper, kind="indicator", indicator="RSI(14)", bar="1h", value=Decimal(10))
        return compare(*args)

    monkeypatch.setattr(evaluation, "_compare", after_one_more)
    look()
    assert evaluation.has_work() is True
