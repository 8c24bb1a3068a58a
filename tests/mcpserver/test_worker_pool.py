"""Quick calls share a thread; one that waits for a slow broker keeps nobody else waiting."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from brokers.compiled_queries import Statement
from console.keys.models import ApiKey
from mcpserver.worker_pool import WorkerPool
from tests.patience import at_most


def run(jobs: list[Callable[[], None]], until: Callable[[], bool]) -> None:
    async def submit() -> None:
        threads = WorkerPool()
        for job in jobs:
            threads.submit(job)
        async with asyncio.timeout(at_most(20)):
            while not until():
                await asyncio.sleep(0.001)

    asyncio.run(submit())


def test_quick_jobs_run_in_turn_in_one_thread() -> None:
    seen: list[tuple[int, int]] = []

    def job(number: int) -> Callable[[], None]:
        return lambda: seen.append((number, threading.get_ident()))

    run([job(number) for number in range(50)], lambda: len(seen) == 50)
    assert [number for number, _ in seen] == list(range(50))


def test_jobs_that_waited_together_share_a_read_and_one_that_came_later_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reads = iter(range(100))
    monkeypatch.setattr(Statement, "rows", lambda self, *values: [(next(reads),)])
    statement = Statement(ApiKey.objects.values_list)
    seen: list[Any] = []
    has_read, may_go_on = threading.Event(), threading.Event()

    def look() -> None:
        seen.append(statement.shared("a")[0])

    def look_and_wait() -> None:
        look()
        has_read.set()
        assert may_go_on.wait(at_most(20))

    async def submit() -> None:
        threads = WorkerPool(most=1)
        for job in (look, look, look_and_wait, look):
            threads.submit(job)
        assert await asyncio.to_thread(has_read.wait, 20)
        threads.submit(look)
        may_go_on.set()
        async with asyncio.timeout(at_most(20)):
            while len(seen) < 5:
                await asyncio.sleep(0.001)

    asyncio.run(submit())
    *together, later = seen
    assert set(together[:3]) == {(0,)}
    assert later != (0,)
    assert statement.shared("a") != statement.shared("a"), "elsewhere nothing is shared"


def test_slow_jobs_do_not_hold_up_a_quick_one() -> None:
    release, done = threading.Event(), threading.Event()
    slow = [lambda: assert_(release.wait(at_most(20))) for _ in range(10)]
    try:
        run([*slow, done.set], done.is_set)
    finally:
        release.set()


def test_a_job_that_raises_costs_no_thread() -> None:
    done = threading.Event()

    def broken() -> None:
        raise ZeroDivisionError

    run([broken] * 3 + [done.set], done.is_set)


def assert_(value: bool) -> None:
    assert value
