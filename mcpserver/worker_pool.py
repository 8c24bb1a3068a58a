"""Threads for short calls: as few as keep up, as many as slow ones need.

A pool that wakes a thread for every call spreads quick calls over all its threads, and each pays for cold caches, its
own database connection and a turn of the interpreter's lock. Here one thread takes one call after the other; only
when calls have waited a moment, because it is busy with a slow broker, are others woken.
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from typing import NamedTuple

from django.db import DEFAULT_DB_ALIAS, close_old_connections, connections

from console.connections import broker_access

log = logging.getLogger(__name__)

Job = Callable[[], None]

_FEW = 1
_MOST = 40
_PATIENCE_SECONDS = 0.01
_MOST_LATE = 5
_TURNS = 1
"""Of the event loop, before a thread is called: what arrives in them is done together."""
_SHARED_SECONDS = 0.01
"""How long what was read for one job may serve those that waited with it."""
_KEPT_SECONDS = 0.1
"""How long a thread without work keeps its database connection: where calls follow one another, it is never given back
to the pool and taken again between two of them."""


class Batch:
    """What jobs that waited together do once. Each thread has one; nothing of it may raise."""

    def begin(self, wanted: Collection[str]) -> None:
        """In the thread, before the first of them. ``wanted`` is what ``submit`` was told of them and of later ones."""

    def end(self) -> None:
        """In the thread, after the last."""

    def hand_on(self) -> None:
        """In the event loop, when a job takes long: what others left for the end must not wait for it."""


class _Queued(NamedTuple):
    number: int
    job: Job
    wanted: str


class _Worker:
    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.bell = threading.Lock()
        self.bell.acquire()
        self.together = 0
        """Up to which number the jobs are of its batch."""
        self.until = 0.0
        self.since = 0.0
        """When its job began; 0 without one."""


class WorkerPool:
    """For one event loop. A job must not raise; its database connection is looked after here.

    Jobs that waited together share their reads (``Statement.shared``): never a read from before a job was submitted.
    """

    def __init__(self, few: int = _FEW, most: int = _MOST, *, batch: Callable[[], Batch] = Batch) -> None:
        self._make_batch = batch
        self._few, self._most = few, most
        self._lock = threading.Lock()
        self._waiting: deque[_Queued] = deque()
        self._submitted = 0
        self._workers: list[_Worker] = []
        self._idle: list[_Worker] = []
        self._awake = 0
        self._watched: asyncio.AbstractEventLoop | None = None
        self._is_calling = False
        self._are_many = False
        """Whether the last jobs came together."""

    def submit(self, job: Job, wanted: str = "") -> None:
        """Call it in the event loop."""
        with self._lock:
            self._submitted += 1
            self._waiting.append(_Queued(self._submitted, job, wanted))
        if not self._is_calling:
            self._is_calling = True
            # Who came alone last is served at once: a turn of the loop costs, and nobody is likely to come in it.
            if self._are_many:
                asyncio.get_running_loop().call_soon(self._call, _TURNS)
            else:
                self._call(0)

    def _call(self, turns: int) -> None:
        """Wake a thread for all that came in these turns of the loop."""
        loop = asyncio.get_running_loop()
        if turns:
            loop.call_soon(self._call, turns - 1)
            return
        self._is_calling = False
        with self._lock:
            if not self._waiting:
                return
            first = self._waiting[0].number
            if self._awake < self._few:
                self._wake()
        if self._watched is not loop:
            self._watched = loop
            self._watch_again(loop, first, 0)

    def _watch_again(self, loop: asyncio.AbstractEventLoop, first: int, late: int) -> None:
        loop.call_later(_PATIENCE_SECONDS, self._watch, first, loop.time() + _PATIENCE_SECONDS, late)

    def _watch(self, first: int, due: float, late: int) -> None:
        """As many threads again, when what came first a moment ago still waits.

        Where this is called late itself, the processor is what everybody waits for, and more threads make it worse: so
        not at once. ``late``: how often that was so in turn.
        """
        loop = asyncio.get_running_loop()
        late = late + 1 if loop.time() - due > _PATIENCE_SECONDS / 2 and late < _MOST_LATE else 0
        stuck_since = time.monotonic() - _PATIENCE_SECONDS
        with self._lock:
            if not self._awake:
                self._watched = None
                return
            stuck = [worker.batch for worker in self._workers if 0 < worker.since < stuck_since]
            if not late and self._waiting and self._waiting[0].number == first:
                for _ in range(min(self._awake, len(self._waiting), self._most - self._awake)):
                    self._wake()
            first = self._waiting[0].number if self._waiting else 0
        for batch in stuck:
            batch.hand_on()
        self._watch_again(loop, first, late)

    def _wake(self) -> None:
        self._awake += 1
        if self._idle:
            self._idle.pop().bell.release()
        else:
            threading.Thread(target=self._run, name="mcp", daemon=True).start()

    def _run(self) -> None:
        worker, database = _Worker(self._make_batch()), connections[DEFAULT_DB_ALIAS]
        with self._lock:
            self._workers.append(worker)
        while True:
            while (found := self._next(worker)) is not None:
                if found.number > worker.together or time.monotonic() > worker.until:
                    self._begin(worker, found)
                worker.since = time.monotonic()
                try:
                    found.job()
                except Exception:
                    log.exception("A job raised")
                if database.errors_occurred:
                    _give_connection_back()
            if not worker.bell.acquire(timeout=_KEPT_SECONDS):
                _give_connection_back()
                worker.bell.acquire()

    def _begin(self, worker: _Worker, first: _Queued) -> None:
        worker.batch.end()
        with self._lock:
            worker.together = self._submitted
            wanted = {each.wanted for each in (first, *self._waiting)}
            self._are_many = bool(self._waiting)
        worker.until = time.monotonic() + _SHARED_SECONDS
        broker_access.share_reads()
        worker.batch.begin(wanted)

    def _next(self, worker: _Worker) -> _Queued | None:
        """The next job, or None: then the thread has to wait for its bell."""
        with self._lock:
            if self._waiting and self._waiting[0].number <= worker.together:
                return self._waiting.popleft()
        worker.batch.end()
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
        broker_access.stop_sharing()
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            worker.since = 0.0
            self._awake -= 1
            self._idle.append(worker)
            return None


def _give_connection_back() -> None:
    try:
        close_old_connections()
    except Exception:  # a thread that ended here would leave calls without an answer
        log.exception("A database connection could not be given back")
