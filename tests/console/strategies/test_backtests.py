"""Backtests as jobs: asked for, run, cancelled, taken over; by whom, and how many."""

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.utils import timezone

from brokers.errors import NotSent
from console.accounts.models import User
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.orders.models import Order
from console.strategies import running, services, tasks
from console.strategies.models import Backtest
from tests.console.strategies.conftest import FROM, SHORT, UNTIL, Prices, asked


def refused(connection: Connection, **more: Any) -> Refusal:
    with pytest.raises(Refusal) as found:
        services.create(connection, asked(**more), app=None)
    assert not Backtest.objects.exists()
    return found.value


def test_one_is_run_by_the_worker_and_its_report_is_kept(waiting: Backtest, prices: Prices) -> None:
    assert running.has_work()
    tasks.run()
    waiting.refresh_from_db()
    assert (waiting.status, waiting.progress, waiting.trouble) == ("done", 100, "")
    assert waiting.report is not None
    assert waiting.report["figures"]["bars"] == (UNTIL - FROM) // timedelta(hours=1)
    assert waiting.report["figures"]["trades"] > 10
    assert not running.has_work()
    assert not Order.objects.exists()


def test_the_prices_are_read_page_by_page_each_once_and_within_its_time(waiting: Backtest, prices: Prices) -> None:
    running.run_next()
    spans = [(start, end) for _, start, end in prices.asked]
    assert spans[0][0] == FROM
    assert spans[-1][1] == UNTIL
    assert all(end - start <= timedelta(days=28) for start, end in spans)
    assert all(one[1] == two[0] for one, two in pairwise(spans))


def test_the_oldest_comes_first_and_one_after_the_other(paper: Connection, waiting: Backtest) -> None:
    second = services.create(paper, asked(), app=None)
    assert running.run_next()
    second.refresh_from_db()
    assert second.status == "waiting"
    assert running.run_next()
    assert not running.run_next()


def test_a_cancelled_one_stops_while_it_runs(
    waiting: Backtest, prices: Prices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "_SAY_EVERY_SECONDS", 0.0)
    prices.at_call = lambda: (
        services.cancel(waiting) if Backtest.objects.get().status == "running" and len(prices.asked) == 2 else None
    )
    running.run_next()
    waiting.refresh_from_db()
    assert (waiting.status, waiting.report) == ("cancelled", None)
    assert len(prices.asked) == 2
    with pytest.raises(Refusal) as again:
        services.cancel(waiting)
    assert "it is cancelled" in str(again.value)


def test_a_cancelled_one_that_waits_never_runs(waiting: Backtest, prices: Prices) -> None:
    services.cancel(waiting)
    assert not running.run_next()
    assert prices.asked == []


def test_the_progress_is_told_while_it_runs(waiting: Backtest, prices: Prices, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_SAY_EVERY_SECONDS", 0.0)
    seen: list[int] = []
    prices.at_call = lambda: seen.append(Backtest.objects.get().progress)
    running.run_next()
    assert seen == sorted(seen)
    assert 0 == seen[0] < seen[-1] < 100


def test_what_a_worker_left_is_run_again_and_after_three_times_failed(waiting: Backtest, prices: Prices) -> None:
    Backtest.objects.update(status="running", attempts=1, heard_at=timezone.now() - timedelta(seconds=60))
    assert not running.run_next(), "its worker may still be there"
    Backtest.objects.update(heard_at=timezone.now() - timedelta(seconds=91))
    assert running.run_next()
    assert Backtest.objects.get().status == "done"
    Backtest.objects.update(status="running", attempts=3, heard_at=timezone.now() - timedelta(seconds=91))
    assert not running.run_next()
    waiting.refresh_from_db()
    assert (waiting.status, waiting.trouble) == ("failed", "Its worker stopped 3 times.")


def test_a_worker_that_was_believed_gone_changes_nothing_any_more(
    waiting: Backtest, prices: Prices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "_SAY_EVERY_SECONDS", 0.0)
    prices.at_call = lambda: Backtest.objects.filter(attempts=1).update(attempts=2)
    running.run_next()
    waiting.refresh_from_db()
    assert (waiting.status, waiting.attempts, waiting.report) == ("running", 2, None)


def test_a_broker_that_does_not_answer_fails_it_in_words(waiting: Backtest, prices: Prices) -> None:
    prices.error = NotSent("The broker did not answer.")
    running.run_next()
    waiting.refresh_from_db()
    assert (waiting.status, waiting.trouble) == ("failed", "The broker did not answer.")


def test_a_time_without_bars_is_said_to_have_none(
    waiting: Backtest, prices: Prices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prices, "bars", lambda *_: [])
    running.run_next()
    waiting.refresh_from_db()
    assert waiting.status == "done"
    assert waiting.report is not None
    assert waiting.report["warnings"] == ["There were no bars in this time."]
    assert waiting.report["figures"]["return_percent"] == "0"


def test_one_that_takes_too_long_ends(waiting: Backtest, prices: Prices, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "LONGEST_SECONDS", -1.0)
    running.run_next()
    waiting.refresh_from_db()
    assert waiting.trouble.startswith("It took longer than ten minutes.")


@pytest.mark.parametrize("ends", ["revoke", "pause", "close", "pause connection"])
def test_it_stops_when_its_app_or_connection_may_no_longer_read(
    ends: str, app: ConnectedApp, paper: Connection, prices: Prices, owner: User
) -> None:
    made = services.create(paper, asked(), app=app)
    if ends == "revoke":
        grants.revoke(app, by=owner, reason="Enough")
    elif ends == "pause":
        grants.pause(app, by=owner)
    else:
        Connection.objects.update(**{"close": {"closed_at": FROM}, "pause connection": {"paused_at": FROM}}[ends])
    running.run_next()
    made.refresh_from_db()
    assert (made.status, made.trouble) == ("failed", running._GONE)
    assert prices.asked == []


def test_what_cannot_be_tested_is_refused_before_anything_is_kept(paper: Connection, prices: Prices) -> None:
    wrong = refused(paper, rules=SHORT.replace("above", "over"))
    assert (wrong.code, wrong.field) == (Code.INVALID_ARGUMENT, "rules")
    assert "The rules have 1 problem. Line 1, column" in str(wrong)
    assert refused(paper, rules=SHORT.replace("BTC/USD", "NOPE")).code is Code.UNKNOWN_SYMBOL
    assert "the same instrument" in str(refused(paper, rules=SHORT.replace('["BTC/USD"]', '["BTC/USD", "BTCUSD"]')))
    assert "must be before end" in str(refused(paper, starts_at=UNTIL, ends_at=FROM))
    assert "must be before end" in str(refused(paper, starts_at=timezone.now() + timedelta(days=1), ends_at=None))
    assert "At most 200,000 bars" in str(refused(paper, starts_at=FROM - timedelta(days=9000)))
    assert "cash must be from 100" in str(refused(paper, cash=services.LEAST_CASH - 1))


def test_one_person_has_five_at_a_time_and_keeps_fifty(paper: Connection, prices: Prices) -> None:
    for _ in range(5):
        services.create(paper, asked(), app=None)
    with pytest.raises(Refusal) as more:
        services.create(paper, asked(), app=None)
    assert more.value.code is Code.RATE_LIMITED
    Backtest.objects.update(status="done")
    first = Backtest.objects.earliest("pk")
    Backtest.objects.bulk_create(
        [
            Backtest(
                public_id=f"btt_{place}",
                owner_id=paper.owner_id,
                connection=paper,
                name="Old",
                rules=SHORT,
                starts_at=FROM,
                ends_at=UNTIL,
                cash=1,
                preset="standard",
                created_at=FROM,
                status="done",
            )
            for place in range(60)
        ]
    )
    services.create(paper, asked(), app=None)
    assert Backtest.objects.count() == 50
    assert not Backtest.objects.filter(pk=first.pk).exists()


def test_without_a_start_it_is_a_thousand_bars(paper: Connection, prices: Prices) -> None:
    made = services.create(paper, asked(starts_at=None), app=None)
    assert made.ends_at - made.starts_at == timedelta(hours=1000)
