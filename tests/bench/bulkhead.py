"""How much a broker that takes 10 s per call slows another one: calls of both go through the threads that serve /mcp.

    python -m tests.bench.bulkhead [--seconds 30]

The fast broker answers in 10 ms, to 8 callers one call after the other. The slow one has 10 connections with 4 callers
each, who come back when they were told to. Both are behind the bulkhead as ``broker_access.broker_for`` opens it; the
time of a fast call runs from its submission to its answer. Ends with 1 when p99 together is over 1.3 of p99 alone.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import django

FAST_CALLERS, SLOW_CONNECTIONS, SLOW_CALLERS = 8, 10, 4
FAST_SECONDS, SLOW_SECONDS = 0.01, 10.0
MOST = 1.3


class Stand:
    """A broker whose every read takes so long."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def accounts(self) -> list[Any]:
        time.sleep(self._seconds)
        return []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each of the two runs")
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as home:
        os.environ["TRADELATCH_HOME"] = home
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
        django.setup()
        alone, _ = asyncio.run(measure(seconds, with_slow=False))
        together, slow = asyncio.run(measure(seconds, with_slow=True))
    for title, times in (("alone", alone), ("together", together)):
        half, most = _at(times, 0.5), _at(times, 0.99)
        print(f"fast broker {title:<9} {len(times):>7,} calls   p50 {half:6.2f} ms   p99 {most:6.2f} ms")  # noqa: T201
    ratio = _at(together, 0.99) / _at(alone, 0.99)
    print(f"slow broker together  {slow['answered']:>7,} answered, {slow['refused']:,} refused at once")  # noqa: T201
    print(f"p99 together / alone  {ratio:.2f} (at most {MOST})")  # noqa: T201
    sys.stdout.flush()
    os._exit(ratio > MOST)  # calls of the slow broker are still under way


def _at(times: list[float], share: float) -> float:
    return 1000 * sorted(times)[int(len(times) * share)]


async def measure(seconds: float, *, with_slow: bool) -> tuple[list[float], Counter[str]]:
    """Seconds of each fast call, and what became of the slow ones."""
    # Imported here, because Django must have been set up.
    from brokers import registry
    from mcpserver.worker_pool import WorkerPool

    opened: Mapping[str, float] = {"kraken": FAST_SECONDS, "okx": SLOW_SECONDS}
    for name, taking in opened.items():
        registry._ADAPTERS[name] = lambda settings, taking=taking: Stand(taking)  # type: ignore[misc,assignment]
    threads, until = WorkerPool(), time.monotonic() + seconds
    times: list[float] = []
    slow: Counter[str] = Counter()

    async def fast() -> None:
        while time.monotonic() < until:
            began = time.perf_counter()
            await _call(threads, "kraken", 1)
            times.append(time.perf_counter() - began)

    async def slowly(connection: int) -> None:
        while time.monotonic() < until:
            wait = await _call(threads, "okx", connection)
            slow["refused" if wait else "answered"] += 1
            await asyncio.sleep(wait)

    callers = [asyncio.create_task(fast()) for _ in range(FAST_CALLERS)]
    rest = []
    if with_slow:
        rest = [asyncio.create_task(slowly(10 + n // SLOW_CALLERS)) for n in range(SLOW_CONNECTIONS * SLOW_CALLERS)]
    await asyncio.gather(*callers)
    for each in rest:
        each.cancel()
    return times, slow


async def _call(threads: Any, broker: str, connection: int) -> float:
    """Zero when it was answered; else the seconds to wait, as the caller was told."""
    from brokers.types import Environment
    from console.connections import broker_access
    from console.errors import Refusal
    from console.principal import Principal
    from console.scopes import Scope, Source

    loop = asyncio.get_running_loop()
    done: asyncio.Future[float] = loop.create_future()
    principal = Principal(
        user_id=1,
        user_label="",
        source=Source.API_KEY,
        credential_id="k",
        app_id=1,
        app_label="",
        paused=False,
        scopes=frozenset({Scope.READ}),
        connection_id=connection,
        connection_label="",
        connection_paused=False,
        broker=broker,
        broker_settings={},
        environment=Environment.PAPER,
        account_id="",
    )

    def tell(told: float) -> None:
        if not done.done():
            done.set_result(told)

    def job() -> None:
        told = 0.0
        try:
            with broker_access.broker_for(principal) as opened:
                opened.accounts()
        except Refusal as refusal:
            told = refusal.retry_after or 1.0
        loop.call_soon_threadsafe(tell, told)

    threads.submit(job)
    return await done


if __name__ == "__main__":
    main()
