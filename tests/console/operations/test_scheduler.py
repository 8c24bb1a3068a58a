"""Any number of schedulers may run: one sends, and only what finds something to do."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from console.celery import app as celery
from console.connections.models import Connection
from console.operations import lease
from console.operations.models import Lease, ScheduledJob
from console.operations.scheduler import LEASE, Scheduler
from tests.mcpserver.steps import call

pytestmark = pytest.mark.django_db

HOURLY = "thin-equity"


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Callable[[], tuple[Scheduler, list[str]]]:
    def made() -> tuple[Scheduler, list[str]]:
        sent: list[str] = []
        scheduler = Scheduler(app=celery)
        monkeypatch.setattr(scheduler, "apply_async", lambda entry, **kwargs: sent.append(entry.name))
        for entry in scheduler.schedule.values():
            entry.last_run_at = timezone.now() - timedelta(days=1)
        return scheduler, sent

    return made


def run(scheduler: Scheduler) -> None:
    """Until nothing is due."""
    while scheduler.tick() == 0:
        pass


def test_two_schedulers_send_once_and_the_second_takes_over_when_the_first_ends(make: Any) -> None:
    (first, sent), (second, sent_by_second) = make(), make()
    run(first)
    run(second)
    assert "worker-seen" in sent and len(sent) == len(set(sent))
    assert sent_by_second == []
    first.close()
    run(second)
    assert "worker-seen" in sent_by_second


def test_a_scheduler_that_is_killed_loses_its_lease_after_half_a_minute(make: Any) -> None:
    first, _ = make()
    run(first)
    second, sent = make()
    Lease.objects.filter(name=LEASE).update(until=timezone.now() - timedelta(seconds=1))
    run(second)
    assert "worker-seen" in sent
    assert not lease.Holder(LEASE).hold()


def test_a_clock_that_was_set_back_keeps_no_lease_and_puts_off_no_job(make: Any) -> None:
    first, _ = make()
    run(first)
    ahead = timezone.now() + timedelta(hours=5)
    Lease.objects.filter(name=LEASE).update(until=ahead)
    ScheduledJob.objects.update(sent_at=ahead)
    second, sent = make()
    run(second)
    assert {"worker-seen", HOURLY} <= set(sent)


@pytest.mark.django_db(transaction=True)
def test_nothing_is_sent_every_two_seconds_where_nothing_rests(make: Any, paper: Connection, trade_key: str) -> None:
    quick = {"sweep-orders", "send-mail", "tell-owners", "match-paper-orders", "follow-live-prices"}
    scheduler, sent = make()
    run(scheduler)
    assert not quick & set(sent)
    placed = call(trade_key, "place_order", symbol="BTC/USD", side="BUY", quantity="0.1")
    assert "confirmation_id" in placed, placed
    scheduler, sent = make()
    Lease.objects.all().delete()
    run(scheduler)
    assert "sweep-orders" in sent and "send-mail" not in sent


@pytest.mark.parametrize(("minutes", "is_due"), [(30, False), (61, True)])
def test_a_restart_does_not_put_off_what_is_due_once_an_hour(make: Any, minutes: int, is_due: bool) -> None:
    first, sent = make()
    run(first)
    assert HOURLY in sent  # never asked for before: now
    first.close()
    ScheduledJob.objects.filter(name=HOURLY).update(sent_at=timezone.now() - timedelta(minutes=minutes))
    after_the_restart, sent = make()
    run(after_the_restart)
    assert (HOURLY in sent) is is_due


def test_a_database_that_is_away_is_waited_for_with_one_line(
    make: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    scheduler, sent = make()

    def away(self: object) -> bool:
        raise OperationalError("the connection is lost\nand more of it")

    with monkeypatch.context() as patched, caplog.at_level(logging.WARNING, "console.operations.scheduler"):
        patched.setattr(lease.Holder, "hold", away)
        assert scheduler.tick() > 0
        assert scheduler.tick() > 0
    assert [record.message for record in caplog.records] == [
        "The schedule waits for the database: the connection is lost"
    ]
    run(scheduler)
    assert "worker-seen" in sent


def test_after_the_clock_was_set_back_the_schedule_goes_on(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler, _ = make()
    run(scheduler)
    for entry in scheduler.schedule.values():
        entry.last_run_at = timezone.now() + timedelta(hours=1)
    monkeypatch.setattr(scheduler, "_ahead", scheduler._ahead + 3600)
    scheduler._heap = None
    pause = scheduler.tick()
    assert pause <= 2.0
