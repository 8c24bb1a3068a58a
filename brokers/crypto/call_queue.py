"""One call at a time per key, cancels first, within the venue's budget; nonces that only rise, across processes."""

import fcntl
import heapq
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from itertools import count
from pathlib import Path

from brokers.errors import BrokerUnavailable


class Priority(IntEnum):
    """Who goes first when several wait."""

    CANCEL = 0
    CREATE = 1
    READ = 2


class Gate:
    """One holder at a time. Calls are spaced so that a second has at most ``per_second``, after ``burst`` at once.

    A cancel waits for the call that is under way and for no budget.
    """

    def __init__(self, per_second: float, burst: int, patience: float) -> None:
        self._every = 1 / per_second
        self._burst = burst
        self._patience = patience
        self._changed = threading.Condition()
        self._waiting: list[tuple[int, int]] = []
        self._places = count()
        self._held = False
        self._next_free = 0.0

    @contextmanager
    def turn(self, turn: Priority) -> Iterator[None]:
        """Raises BrokerUnavailable after ``patience`` seconds in the queue: nothing was sent."""
        self._enter(turn)
        try:
            yield
        finally:
            with self._changed:
                self._held = False
                self._changed.notify_all()

    def _enter(self, turn: Priority) -> None:
        until = time.monotonic() + self._patience
        with self._changed:
            place = (int(turn), next(self._places))
            heapq.heappush(self._waiting, place)
            while True:
                now = time.monotonic()
                budget = self._next_free - self._every * self._burst - now
                first = self._waiting[0] == place
                if first and not self._held and (budget <= 0 or turn is Priority.CANCEL):
                    heapq.heappop(self._waiting)
                    self._held = True
                    self._next_free = max(self._next_free, now) + self._every
                    return
                if now >= until:
                    self._waiting.remove(place)
                    heapq.heapify(self._waiting)
                    self._changed.notify_all()
                    raise BrokerUnavailable("Too many calls to this broker are waiting already. Nothing was sent.")
                left = until - now
                self._changed.wait(min(left, budget) if first and not self._held and budget > 0 else left)


class Nonces:
    """Rising numbers for one key, kept in a file that also locks the key against other processes."""

    def __init__(self, file: Path, patience: float) -> None:
        self._file = file
        self._patience = patience
        self._descriptor: int | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Raises BrokerUnavailable when another process keeps the key longer than ``patience`` seconds."""
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._lock(descriptor)
            self._descriptor = descriptor
            yield
        finally:
            self._descriptor = None
            os.close(descriptor)

    def next(self, at_least: int) -> int:
        """Above every number given before, by any process, even where a clock went back."""
        if self._descriptor is None:
            raise RuntimeError("A nonce is only given while the key is held.")
        last = os.pread(self._descriptor, 32, 0).strip()
        number = max(at_least, int(last) + 1 if last.isdigit() else 0)
        os.pwrite(self._descriptor, b"%-31d\n" % number, 0)
        return number

    def _lock(self, descriptor: int) -> None:
        until = time.monotonic() + self._patience
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise BrokerUnavailable("Another process is using this key. Nothing was sent.") from None
                time.sleep(0.005)
