"""Quick calls share a thread; one that waits for a slow broker keeps nobody else waiting."""

import asyncio
import threading
from collections.abc import Callable

from mcpserver.threads import Threads


def run(jobs: list[Callable[[], None]], until: Callable[[], bool]) -> None:
    async def submit() -> None:
        threads = Threads()
        for job in jobs:
            threads.submit(job)
        async with asyncio.timeout(20):
            while not until():
                await asyncio.sleep(0.001)

    asyncio.run(submit())


def test_quick_jobs_run_in_turn_in_one_thread() -> None:
    seen: list[tuple[int, int]] = []

    def job(number: int) -> Callable[[], None]:
        return lambda: seen.append((number, threading.get_ident()))

    run([job(number) for number in range(50)], lambda: len(seen) == 50)
    assert [number for number, _ in seen] == list(range(50))


def test_slow_jobs_do_not_hold_up_a_quick_one() -> None:
    release, done = threading.Event(), threading.Event()
    slow = [lambda: assert_(release.wait(20)) for _ in range(10)]
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
