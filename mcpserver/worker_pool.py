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
from collections.abc import Callable

from django.db import DEFAULT_DB_ALIAS, close_old_connections, connections

from console.connections import broker_access

log = logging.getLogger(__name__)

Job = Callable[[], None]

_FEW = 1
_MOST = 40
_PATIENCE_SECONDS = 0.01
_TURNS = 1
"""Of the event loop, before a thread is called: what arrives in them is done together."""
_SHARED_SECONDS = 0.01
"""How long what was read for one job may serve those that waited with it."""


class WorkerPool:
    """For one event loop. A job must not raise; its database connection is looked after here.

    Jobs that waited together share their reads (``Statement.shared``): never a read from before a job was submitted.
    """

    def __init__(self, few: int = _FEW, most: int = _MOST, *, before: Callable[[], None] | None = None) -> None:
        """``before`` is called before jobs that waited together: what comes until it returns is one of them."""
        self._before = before
        self._few, self._most = few, most
        self._lock = threading.Lock()
        self._waiting: deque[tuple[int, Job]] = deque()
        self._submitted = 0
        self._idle: list[threading.Semaphore] = []
        self._awake = 0
        self._is_watched = False
        self._is_calling = False

    def submit(self, job: Job) -> None:
        """Call it in the event loop."""
        with self._lock:
            self._submitted += 1
            self._waiting.append((self._submitted, job))
        if not self._is_calling:
            self._is_calling = True
            asyncio.get_running_loop().call_soon(self._call, _TURNS)

    def _call(self, turns: int) -> None:
        """Wake a thread for all that came in these turns of the loop."""
        if turns:
            asyncio.get_running_loop().call_soon(self._call, turns - 1)
            return
        self._is_calling = False
        with self._lock:
            if not self._waiting:
                return
            first = self._waiting[0][0]
            if self._awake < self._few:
                self._wake()
        if not self._is_watched:
            self._is_watched = True
            asyncio.get_running_loop().call_later(_PATIENCE_SECONDS, self._watch, first)

    def _watch(self, first: int) -> None:
        """As many threads again, when what came first a moment ago still waits."""
        with self._lock:
            if not self._waiting:
                self._is_watched = False
                return
            if self._waiting[0][0] == first:
                for _ in range(min(self._awake, len(self._waiting), self._most - self._awake)):
                    self._wake()
            first = self._waiting[0][0]
        asyncio.get_running_loop().call_later(_PATIENCE_SECONDS, self._watch, first)

    def _wake(self) -> None:
        self._awake += 1
        if self._idle:
            self._idle.pop().release()
        else:
            threading.Thread(target=self._run, name="mcp", daemon=True).start()

    def _run(self) -> None:
        bell, database = threading.Semaphore(0), connections[DEFAULT_DB_ALIAS]
        shared, until = 0, 0.0
        while True:
            while (found := self._next(bell)) is not None:
                number, job = found
                if number > shared or time.monotonic() > until:
                    if self._before is not None:
                        self._before()
                    shared, until = self._submitted, time.monotonic() + _SHARED_SECONDS
                    broker_access.share_reads()
                try:
                    job()
                except Exception:
                    log.exception("A job raised")
                if database.errors_occurred:
                    close_old_connections()
            bell.acquire()

    def _next(self, bell: threading.Semaphore) -> tuple[int, Job] | None:
        """The next job, or None: then the thread has to wait for its bell."""
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
        # Given back before it sleeps: between jobs that follow one another it is kept.
        close_old_connections()
        broker_access.stop_sharing()
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._awake -= 1
            self._idle.append(bell)
            return None
