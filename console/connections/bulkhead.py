"""A broker that hangs holds a few threads of its own connection, and nobody else's.

Each connection may have so many reads, writes and cancels under way; each kind has slots of its own, so a cancel
never waits behind reads. A read over the bound is refused at once; a write or a cancel waits a moment for its turn.
A read that takes too long is given up by its caller, and keeps its slot until it ends. Writes and cancels are never
given up here: who sends an order stays to learn what became of it, within the adapter's own timeouts.
"""

import os
import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from typing import Any, TypeVar, cast

from django.db import close_old_connections, connection

from brokers import registry, upstream_request
from brokers.base import Broker
from brokers.errors import BrokerUnavailable, Busy
from console import telemetry

T = TypeVar("T")

READS = 8
"""Of one connection at a time."""
READS_OF_A_BROKER = 12
"""Of all connections to one broker, which hangs for all of them at once: well under the threads that serve calls."""
WRITES = 2
CANCELS = 2
DEADLINE = 15.0
"""Seconds a caller waits for a read."""
_WRITE_PATIENCE = 5.0
_CANCEL_PATIENCE = 10.0
_RETRY_AFTER = 2.0
_KEPT_FROM_READS = 0.25
"""Share of the budget that reads leave to writes and cancels."""

_WRITES = frozenset({"submit", "firm_quote", "commit", "replace", "answer"})
_CANCELS = frozenset({"cancel"})


class Budget:
    """Calls a minute of one key. Reads leave a share untouched; cancels pass in any case, and are counted."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = self._left = per_minute / 6
        self._per_second = per_minute / 60
        self._clock = clock
        self._at = clock()
        self._lock = threading.Lock()

    def take(self, *, keep: float = 0.0, always: bool = False) -> float:
        """Zero when the call may go; else seconds until it might."""
        with self._lock:
            now = self._clock()
            self._left = min(self._most, self._left + (now - self._at) * self._per_second)
            self._at = now
            short = 1 + keep * self._most - self._left
            if short > 0 and not always:
                return short / self._per_second
            self._left = max(self._left - 1, -self._most)
            return 0.0


class Compartment:
    """What one connection has under way."""

    def __init__(self, title: str, of_broker: threading.Semaphore, per_minute: int | None) -> None:
        self._title = title
        self._span = f"broker {title}"
        self._of_broker = of_broker
        self._reads = threading.Semaphore(READS)
        self._writes = threading.Semaphore(WRITES)
        self._cancels = threading.Semaphore(CANCELS)
        self._budget = Budget(per_minute) if per_minute else None

    def call(self, method: str, act: Callable[..., T], *args: Any, **named: Any) -> T:
        """Raises Busy when it is not its turn, BrokerUnavailable when a read took too long, and what ``act`` does."""
        with telemetry.span(self._span, **{"broker.method": method}):
            return self._call(method, act, *args, **named)

    def _call(self, method: str, act: Callable[..., T], *args: Any, **named: Any) -> T:
        # A pooled database connection kept through the wait for a broker that hangs would be one that others lack.
        if not connection.in_atomic_block:
            close_old_connections()
        if method in _CANCELS:
            self._spend(always=True)
            return self._in_turn(self._cancels, _CANCEL_PATIENCE, act, *args, **named)
        if method in _WRITES:
            self._spend()
            return self._in_turn(self._writes, _WRITE_PATIENCE, act, *args, **named)
        self._spend(keep=_KEPT_FROM_READS)
        return self._read(act, *args, **named)

    def _spend(self, *, keep: float = 0.0, always: bool = False) -> None:
        wait = self._budget.take(keep=keep, always=always) if self._budget else 0.0
        if wait:
            raise Busy(f"{self._title} has too many calls in progress from this connection. Nothing was sent.", wait)

    def _in_turn(
        self, slots: threading.Semaphore, patience: float, act: Callable[..., T], *args: Any, **named: Any
    ) -> T:
        if not slots.acquire(timeout=patience):
            raise Busy(f"Earlier orders to {self._title} have not been answered yet. Nothing was sent.", _RETRY_AFTER)
        try:
            return act(*args, **named)
        finally:
            slots.release()

    def _read(self, act: Callable[..., T], *args: Any, **named: Any) -> T:
        taken: list[threading.Semaphore] = []
        for slots in (self._reads, self._of_broker):
            if not slots.acquire(blocking=False):
                _give_back(taken)
                raise Busy(
                    f"{self._title} has not answered earlier requests yet, so it was not asked again.", _RETRY_AFTER
                )
            taken.append(slots)

        # The broker's ids of its answers are known to the thread that asked: on a failure too.
        seen: list[str] = []

        def run() -> T:
            upstream_request.forget()
            try:
                return act(*args, **named)
            finally:
                seen.append(upstream_request.last() or "")
                _give_back(taken)

        try:
            asked = _threads.submit(run)
        except RuntimeError:  # the process is ending
            _give_back(taken)
            raise BrokerUnavailable("Tradelatch is stopping.") from None
        try:
            return asked.result(DEADLINE)
        except TookTooLong:
            if asked.done():
                raise
            if asked.cancel():
                _give_back(taken)
            raise BrokerUnavailable(f"{self._title} did not answer within {DEADLINE:.0f} s.") from None
        finally:
            for request_id in seen:
                upstream_request.note(request_id, is_write=False)


def _give_back(taken: list[threading.Semaphore]) -> None:
    for slots in taken:
        slots.release()


class Guarded:
    """A ``Broker`` whose every call goes through its compartment."""

    def __init__(self, broker: Broker, compartment: Compartment) -> None:
        self._broker, self._compartment = broker, compartment

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._broker, name)
        if not callable(found):
            return found

        def call(*args: Any, **named: Any) -> Any:
            return self._compartment.call(name, found, *args, **named)

        return call


def guarded(broker: Broker, key: Hashable, name: str) -> Broker:
    """``broker`` behind the compartment of ``key`` in this process; ``name`` is the kind of broker."""
    with _making:
        compartment = _compartments.get((name, key))
        if compartment is None:
            of_broker = _of_brokers.setdefault(name, threading.Semaphore(READS_OF_A_BROKER))
            compartment = Compartment(registry.NAMES.get(name, name), of_broker, registry.CALLS_PER_MINUTE.get(name))
            _compartments[name, key] = compartment
    return cast(Broker, Guarded(broker, compartment))


_making = threading.Lock()
_compartments: dict[tuple[str, Hashable], Compartment] = {}
_of_brokers: dict[str, threading.Semaphore] = {}
# As many as can be under way at once, so that nothing waits in its queue.
_threads = ThreadPoolExecutor(READS_OF_A_BROKER * 16, thread_name_prefix="broker")


def _start_anew() -> None:
    """Threads do not survive a fork, and what the parent has under way is not the child's to wait for."""
    global _making, _threads
    _making = threading.Lock()
    _compartments.clear()
    _of_brokers.clear()
    _threads = ThreadPoolExecutor(READS_OF_A_BROKER * 16, thread_name_prefix="broker")


os.register_at_fork(after_in_child=_start_anew)
