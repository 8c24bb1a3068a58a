"""Quick calls share a thread; one that waits for a slow broker keeps nobody else waiting."""

import asyncio
import threading
from collections.abc import Callable, Collection
from typing import Any

import pytest

from brokers.compiled_queries import Statement
from console.keys.models import ApiKey
from mcpserver import worker_pool
from mcpserver.worker_pool import Batch, WorkerPool
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
    has_begun, all_wait, has_read, may_go_on = (threading.Event() for _ in range(4))

    def begin_and_wait() -> None:
        has_begun.set()
        assert all_wait.wait(at_most(20))

    def look() -> None:
        seen.append(statement.shared("a")[0])

    def look_and_wait() -> None:
        look()
        has_read.set()
        assert may_go_on.wait(at_most(20))

    async def submit() -> None:
        threads = WorkerPool(most=1)
        threads.submit(begin_and_wait)  # alone: the others wait together behind it
        assert await asyncio.to_thread(has_begun.wait, at_most(20))
        for job in (look, look, look_and_wait):
            threads.submit(job)
        all_wait.set()
        assert await asyncio.to_thread(has_read.wait, at_most(20))
        threads.submit(look)
        may_go_on.set()
        async with asyncio.timeout(at_most(20)):
            while len(seen) < 4:
                await asyncio.sleep(0.001)

    monkeypatch.setattr(worker_pool, "_SHARED_SECONDS", 60.0)
    asyncio.run(submit())
    *together, later = seen
    assert set(together) == {(0,)}
    assert later != (0,)
    assert statement.shared("a") != statement.shared("a"), "elsewhere nothing is shared"


def test_slow_jobs_do_not_hold_up_a_quick_one() -> None:
    release, done = threading.Event(), threading.Event()
    slow = [lambda: assert_(release.wait(at_most(20))) for _ in range(10)]
    try:
        run([*slow, done.set], done.is_set)
    finally:
        release.set()


class Told(Batch):
    """Writes down what a thread is told of the jobs it does together."""

    def __init__(self, said: list[object]) -> None:
        self.said = said

    def begin(self, wanted: Collection[str]) -> None:
        self.said.append(("begin", *sorted(wanted)))

    def end(self) -> None:
        if self.said and self.said[-1] != "end":
            self.said.append("end")

    def hand_on(self) -> None:
        self.said.append("hand on")


def test_what_jobs_that_waited_together_want_is_told_before_the_first_and_their_end_after_the_last() -> None:
    said: list[object] = []
    has_begun, may_go_on = threading.Event(), threading.Event()

    def wait() -> None:
        has_begun.set()
        assert may_go_on.wait(at_most(20))
        said.append("job")

    async def submit() -> None:
        threads = WorkerPool(most=1, batch=lambda: Told(said))
        threads.submit(wait, "a")
        assert await asyncio.to_thread(has_begun.wait, 20)
        for wanted in ("b", "c", "b"):
            threads.submit(lambda: said.append("job"), wanted)
        may_go_on.set()
        async with asyncio.timeout(at_most(20)):
            while said.count("job") < 4 or said[-1] != "end":
                await asyncio.sleep(0.001)

    asyncio.run(submit())
    told = [each for each in said if each != "hand on"]
    assert told == [("begin", "a"), "job", "end", ("begin", "b", "c"), "job", "job", "job", "end"]


def test_what_quick_jobs_left_for_the_end_does_not_wait_for_a_slow_one() -> None:
    said: list[object] = []
    release = threading.Event()

    async def submit() -> None:
        threads = WorkerPool(most=1, batch=lambda: Told(said))
        threads.submit(lambda: said.append("job"))
        threads.submit(lambda: assert_(release.wait(at_most(20))))
        async with asyncio.timeout(at_most(20)):
            while "hand on" not in said:
                await asyncio.sleep(0.001)
        release.set()

    try:
        asyncio.run(submit())
    finally:
        release.set()
    assert said.index("job") < said.index("hand on")


def test_a_job_that_raises_costs_no_thread() -> None:
    done = threading.Event()

    def broken() -> None:
        raise ZeroDivisionError

    run([broken] * 3 + [done.set], done.is_set)


def assert_(value: bool) -> None:
    assert value


def test_a_thread_whose_connection_cannot_be_given_back_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    tried, done = threading.Event(), threading.Event()

    def broken() -> None:
        tried.set()
        raise RuntimeError("no way")

    monkeypatch.setattr(worker_pool, "close_old_connections", broken)

    async def submit() -> None:
        threads = WorkerPool()
        threads.submit(lambda: None)
        assert await asyncio.to_thread(tried.wait, at_most(10))
        threads.submit(done.set)
        assert await asyncio.to_thread(done.wait, at_most(10))

    asyncio.run(submit())
