"""The figures of the System page: sweeps, brokers, queue, database, the record."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as instance
from django.db import connection
from django.test import Client as Browser
from django.utils import timezone
from kombu import Connection as Queue
from pytest_django import Settings

from brokers.errors import BrokerUnavailable
from console.accounts.models import User
from console.audit.models import Verification
from console.audit.seals import triggers
from console.connected_apps.models import ConnectedApp
from console.connections import broker_access, health
from console.connections.models import Connection
from console.notifications import news
from console.notifications.models import ChannelKind, NewsKind, NotificationChannel
from console.notifications.news import Message
from console.operator import broker_checks, sweeps, system, tasks
from console.operator.models import BrokerChecks, SweepRun
from console.operator.system import QueueState
from console.outbox import mailer
from console.outbox.models import OutgoingMail
from tests.console.pages import words_of
from tests.console.steps import prepared_order
from tests.redis import running

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nothing_written_yet() -> None:
    sweeps._written.clear()


def test_every_periodic_task_has_words() -> None:
    assert {entry["task"] for entry in instance.CELERY_BEAT_SCHEDULE.values()} == set(sweeps.WORDS)


def test_a_sweep_is_late_once_it_missed_two_turns_and_a_minute(operators_browser: Browser) -> None:
    sweeps.record("console.audit.tasks.drop_old_rows", 0.02)
    assert "Late" not in words_of(operators_browser.get("/operator/system/"))
    SweepRun.objects.update(at=timezone.now() - timedelta(hours=2, minutes=2))
    assert "Delete old rows of the record Late every 1 h" in words_of(operators_browser.get("/operator/system/"))


def test_a_sweep_that_would_find_nothing_is_not_late_and_one_that_would_is(
    operators_browser: Browser, paper: Connection
) -> None:
    SweepRun.objects.create(task="console.orders.tasks.sweep", at=timezone.now() - timedelta(hours=1), seconds=0.01)
    words = words_of(operators_browser.get("/operator/system/"))
    assert "Follow orders every 2 s nothing to do, 1 h ago" in words
    prepared_order(ConnectedApp.objects.filter(connection=paper).earliest("pk"))
    assert "Follow orders Late every 2 s" in words_of(operators_browser.get("/operator/system/"))


def test_a_sweep_that_runs_every_two_seconds_is_written_down_twice_a_minute_and_failures_at_once() -> None:
    sweeps.record("console.orders.tasks.sweep", 0.01)
    sweeps.record("console.orders.tasks.sweep", 5)
    assert SweepRun.objects.get().seconds == 0.01
    sweeps.record("console.orders.tasks.sweep", 5, "KeyError")
    run = SweepRun.objects.get()
    assert (run.seconds, run.error, run.failed_at is not None) == (5, "KeyError", True)


def test_what_the_worker_runs_is_written_down() -> None:
    class Task:
        name = "console.outbox.tasks.forget"

    tasks._begins(task_id="1")
    tasks._fails(task_id="1", exception=ValueError("secret"))
    tasks._ended(task_id="1", task=Task)
    run = SweepRun.objects.get()
    assert (run.task, run.error) == (Task.name, "ValueError")
    tasks._ended(task_id="never begun", task=Task)


def test_how_fast_a_broker_answers_is_known_to_a_tenth(paper: Connection) -> None:
    paper.broker = "kraken"
    for seconds in (*[0.1] * 90, *[2.0] * 10):
        broker_checks.record(connection=paper, seconds=seconds, error=None)
    broker_checks.record(connection=paper, seconds=9, error=BrokerUnavailable("U7654321 is away"))
    (found,) = broker_checks.speeds(timezone.now())
    assert (found.broker, found.answers, found.failures, found.last_error) == ("kraken", 100, 1, "BrokerUnavailable")
    assert found.p50 is not None and 0.1 <= found.p50 <= 0.11
    assert found.p95 is not None and 2.0 <= found.p95 <= 2.2
    BrokerChecks.objects.update(hour=timezone.now() - timedelta(hours=25))
    assert broker_checks.speeds(timezone.now()) == []


def test_a_check_of_a_linked_account_is_measured_and_one_of_paper_is_not(
    paper: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    health.check(paper)
    assert not BrokerChecks.objects.exists()
    monkeypatch.setattr(broker_access, "is_remote", lambda broker: True)
    health.check(paper)
    (found,) = broker_checks.speeds(timezone.now())
    assert (found.answers, found.failures) == (1, 0)


def test_a_queue_whose_oldest_message_waits_for_a_minute_is_said_to_be_stuck(
    operators_browser: Browser, settings: Any, tmp_path: Path
) -> None:
    settings.HOME, settings.EMBEDDED_QUEUE = tmp_path, True
    (tmp_path / "queue" / "messages").mkdir(parents=True)
    assert system.queue().waiting == 0
    message = tmp_path / "queue" / "messages" / "1.celery.msg"
    message.touch()
    assert (system.queue().waiting, system.queue().is_stuck) == (1, False)
    os.utime(message, (0, 0))
    assert "is the worker running?" in words_of(operators_browser.get("/operator/system/"))


def test_messages_by_other_channels_are_not_counted_as_emails(operators_browser: Browser, owner: User) -> None:
    phone = NotificationChannel.objects.create(user=owner, kind=ChannelKind.TELEGRAM, name="Phone", digest="1")
    message = Message(NewsKind.TEST, "A test", "", "/notifications/")
    news.enqueue(phone, message, good_for=timedelta(minutes=5))
    mailer.give_up(news.enqueue(phone, message, good_for=timedelta(minutes=5)), "Blocked by the user")
    assert system.letters() == (0, 0)
    mailer.enqueue(owner, OutgoingMail.Kind.GRANT)
    mailer.give_up(mailer.enqueue(owner, OutgoingMail.Kind.GRANT), "No such mailbox")
    assert "1 waiting, 1 failed in 24 hours" in words_of(operators_browser.get("/operator/system/"))


def test_the_last_backup_is_known_by_its_mark(operators_browser: Browser, settings: Any, tmp_path: Path) -> None:
    settings.HOME = tmp_path
    assert "Last backup Not known" in words_of(operators_browser.get("/operator/system/"))
    (tmp_path / system.BACKUP_MARK).touch()
    assert "Last backup just now" in words_of(operators_browser.get("/operator/system/"))


def test_a_broken_record_is_the_first_thing_said(operators_browser: Browser) -> None:
    said = "Row 812 of the calls is not …"
    problem = {"what": "changed", "seal": 3, "record": "calls", "row": 812, "words": said}
    Verification.objects.create(at=timezone.now(), whole_chain=True, seals=3, rows=900, problem=problem, seconds=1)
    words = words_of(operators_browser.get("/operator/system/"))
    assert "Broken at row 812" in words and said in words


def test_a_database_that_lost_its_triggers_is_told(operators_browser: Browser, guarded: None) -> None:
    assert "Refuses changes and deletions" in words_of(operators_browser.get("/operator/system/"))
    triggers.remove()
    assert "It does not refuse changes" in words_of(operators_browser.get("/operator/system/"))


def test_what_waits_in_redis_is_counted_and_one_that_is_away_is_named(settings: Settings) -> None:
    with running() as server:
        settings.EMBEDDED_QUEUE, settings.CELERY_BROKER_URL = False, server.url
        assert system.queue() == QueueState(kind="Redis", waiting=0)
        with Queue(server.url) as sender:
            sender.SimpleQueue("celery").put({"a": "message"})
        assert system.queue() == QueueState(kind="Redis", waiting=1)
    away = system.queue()
    assert (away.waiting, away.problem.startswith("It does not answer")) == (None, True)


def test_the_database_tells_its_kind_and_that_all_migrations_are_applied() -> None:
    found = system.database()
    kind = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[connection.vendor]
    assert (found.kind, found.pending) == (kind, []) and found.size > 0
