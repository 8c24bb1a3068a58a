"""Who listens to brokers' streams of order updates: one thread of a worker, while orders rest where there are any.

Any number of workers may run it: a lease per connection says who listens. A stream writes no order. What it says is
that something moved, and then ``console.orders.execution.wake`` asks the broker, as a sweep does.

The sockets live in a thread of their own with one event loop, which never touches the database. What they say comes
through a queue to the thread that keeps the leases.
"""

import asyncio
import contextlib
import logging
import os
import queue
import threading
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from importlib import import_module

from celery.signals import worker_process_shutdown, worker_shutdown
from django.conf import settings
from django.db import Error, close_old_connections
from django.db.models import Exists, OuterRef, QuerySet

from brokers.errors import BrokerError
from brokers.order_streams import StreamEvent, StreamEventKind
from console.connections import broker_access, order_streams
from console.connections.models import Connection
from console.operations import lease
from console.operations.lease import Holder
from console.operations.models import Lease
from console.orders import states
from console.orders.execution.wake import wake
from console.orders.models import Order
from console.orders.states import Status

log = logging.getLogger(__name__)

_LEASE = "order-stream-"
_LOOK_EVERY = 1.0
"""Seconds after which a connection that was unlinked, or got another key, has lost its stream."""
_RENEW_EVERY = 10.0
_KEPT_IDLE = 60.0
"""Seconds that a stream stays, and the thread too, after the last order: the next one often comes soon."""
_LOOKS_APART = 1.0
"""However much a stream says, its broker is asked no more often."""
_AGAIN_AFTER = 2.0
"""A broker's answers can lag behind its stream: one more look; and so often where it does not answer."""
_MOST_NAMED = 500
"""Orders that one look takes by their names, however many a stream names: a list finds the others."""
_MOST = 500
"""Streams of one process."""
_AT_ONCE = 8
_OPENING = 32
_STOPS_WITHIN = 3.0
_WAITS_SECONDS = 5.0


def resting() -> QuerySet[Connection]:
    """Those with orders at a broker that has a stream."""
    at_broker = Order.objects.filter(connection=OuterRef("pk"), status__in=(*states.AT_BROKER, Status.UNKNOWN))
    return Connection.objects.filter(Exists(at_broker), closed_at=None, broker__in=order_streams.brokers())


def has_work() -> bool:
    """Whether there is a stream that nobody listens to: one short look, for the scheduler."""
    found = set(resting().values_list("pk", flat=True))
    return bool(found) and bool(found - _leased())


def _leased() -> set[int]:
    names = Lease.objects.filter(name__startswith=_LEASE).exclude(lease.is_over()).values_list("name", flat=True)
    return {int(name.removeprefix(_LEASE)) for name in names}


@dataclass(slots=True, kw_only=True)
class _Held:
    """A stream of ours."""

    holder: Holder
    opens_with: tuple[str, str]
    """What the connection was opened with: another key means another stream."""
    task: Future[None]
    is_up: bool = False
    trouble: str = ""
    is_on_record: bool = True
    """False where the database was away when the stream came up or went down."""
    needed_at: float = field(default_factory=time.monotonic)
    """When an order last rested there."""
    named: set[str] = field(default_factory=set)
    """Our ids of orders to be looked at by themselves."""
    look_at: float | None = None
    """When the next look is due."""
    looks_again: bool = False
    looked: float = -_LOOKS_APART
    looking: Future[bool] | None = None

    def notice(self, now: float, named: tuple[str, ...] = ()) -> None:
        self.named.update(named[: max(0, _MOST_NAMED - len(self.named))])
        self.look_at = max(now, self.looked + _LOOKS_APART)
        self.looks_again = True

    def take_result(self, now: float) -> None:
        """An order that a look did not reach counts as looked at for the sweep: so there is another look. While the
        stream is down there is none, for then the sweep looks all the time."""
        if (done := self.looking) is None or not done.done():
            return
        self.looking = None
        is_whole = done.cancelled() or (done.exception() is None and done.result())
        if not is_whole and self.is_up and self.look_at is None:
            self.look_at = now + _AGAIN_AFTER

    @property
    def due_at(self) -> float | None:
        """None while nothing is due, or a look is under way."""
        return self.look_at if self.looking is None or self.looking.done() else None


class Listener:
    """``start`` and ``stop`` it; tests call ``step`` in its stead, and ``close``."""

    def __init__(self) -> None:
        self._held: dict[int, _Held] = {}
        self._events: queue.SimpleQueue[tuple[int, StreamEvent] | None] = queue.SimpleQueue()
        """None: something else is to be done."""
        self._stopping = threading.Event()
        self._followed = self._renewed = -_RENEW_EVERY
        self._idle_since = time.monotonic()
        self._thread: threading.Thread | None = None
        self._looks = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="order-look")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sockets: threading.Thread | None = None

    # -- running --------------------------------------------------------------------------------------------------

    @property
    def is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="order-streams", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends every stream and gives the leases back."""
        self._stopping.set()
        self._events.put(None)
        if self._thread is not None:
            self._thread.join(timeout=_STOPS_WITHIN)

    def _run(self) -> None:
        said = False
        try:
            while not self._stopping.is_set() and not self._is_idle():
                try:
                    self.step(self._pause())
                    said = False
                except Error as error:
                    if not said:
                        said = True
                        log.warning("Order streams wait for the database: %s", str(error).strip().splitlines()[0])
                    self._stopping.wait(_WAITS_SECONDS)
                finally:
                    _give_back()
        except Exception:  # the schedule starts another one
            log.exception("Listening to order streams failed")
        finally:
            self.close()
            _give_back()

    @property
    def is_looking(self) -> bool:
        """Whether a look is due at once or under way; the second one, a little later, does not count."""
        now = time.monotonic()
        return any(
            (held.looking is not None and not held.looking.done()) or (held.look_at is not None and held.look_at <= now)
            for held in self._held.values()
        )

    def _is_idle(self) -> bool:
        if self._held:
            self._idle_since = time.monotonic()
        return time.monotonic() - self._idle_since > _KEPT_IDLE

    def _pause(self) -> float:
        now = time.monotonic()
        due = [held.due_at for held in self._held.values() if held.due_at is not None]
        return max(0.0, min([self._followed + _LOOK_EVERY, *due]) - now)

    def close(self) -> None:
        """Also what ``stop`` comes to; a second time it does nothing."""
        looking = [held.looking for held in self._held.values() if held.looking is not None]
        with contextlib.suppress(Error):
            for pk in list(self._held):
                self._end(pk)
        self._looks.shutdown(wait=False, cancel_futures=True)
        wait(looking, timeout=_STOPS_WITHIN)
        if self._loop is not None and self._sockets is not None:
            asyncio.run_coroutine_threadsafe(_finish(), self._loop)
            self._sockets.join(timeout=_STOPS_WITHIN)
            self._loop = self._sockets = None

    # -- one step --------------------------------------------------------------------------------------------------

    def step(self, seconds: float = 0.0) -> None:
        """Take what the streams say within so many seconds, see who has to be listened to, and look where it is due.

        Raises django.db.Error.
        """
        self._take_events(seconds)
        now = time.monotonic()
        if now - self._followed >= _LOOK_EVERY:
            self._followed = now
            self._follow(now)
        for pk, held in self._held.items():
            held.take_result(time.monotonic())
            if held.due_at is not None and held.due_at <= time.monotonic():
                self._look(pk, held)

    def _follow(self, now: float) -> None:
        wanted = {row.pk: row for row in resting()}
        linked = {row.pk: row for row in Connection.objects.filter(pk__in=list(self._held), closed_at=None)}
        for pk, held in list(self._held.items()):
            if pk in wanted:
                held.needed_at = now
            row = linked.get(pk)
            if not held.holder.hold():
                self._drop(pk)  # another worker's by now, and what is on record of it too
            elif row is None or _opens_with(row) != held.opens_with or now - held.needed_at > _KEPT_IDLE:
                self._end(pk)
            else:
                self._record(pk, held)
        if self._held and now - self._renewed >= _RENEW_EVERY:
            self._renewed = now
            if order_streams.renew(list(self._held)) < len(self._held):
                for pk, held in self._held.items():
                    order_streams.record(pk, is_up=held.is_up)
        if missing := wanted.keys() - self._held.keys():
            for pk in sorted(missing - _leased())[: _MOST - len(self._held)]:
                self._begin(wanted[pk])

    def _begin(self, connection: Connection) -> None:
        holder = Holder(f"{_LEASE}{connection.pk}")
        if not holder.hold():
            return
        order_streams.record(connection.pk, is_up=False)
        task = asyncio.run_coroutine_threadsafe(self._listen(connection), self._event_loop())
        self._held[connection.pk] = _Held(holder=holder, opens_with=_opens_with(connection), task=task)

    def _end(self, pk: int) -> None:
        held = self._drop(pk)
        order_streams.forget([pk])
        held.holder.release()

    def _drop(self, pk: int) -> _Held:
        held = self._held.pop(pk)
        held.task.cancel()
        return held

    # -- what they say ---------------------------------------------------------------------------------------------

    def _take_events(self, seconds: float) -> None:
        with contextlib.suppress(queue.Empty):
            told = self._events.get(timeout=seconds) if seconds else self._events.get_nowait()
            while True:
                if told is not None:
                    self._hear(*told)
                told = self._events.get_nowait()

    def _hear(self, pk: int, event: StreamEvent) -> None:
        held = self._held.get(pk)
        if held is None:  # it has ended meanwhile
            return
        if event.kind is not StreamEventKind.MOVED:
            held.is_up, held.trouble, held.is_on_record = event.kind is StreamEventKind.UP, event.reason, False
        if event.kind is not StreamEventKind.DOWN:
            held.notice(time.monotonic(), event.client_order_ids)
        self._record(pk, held)

    def _record(self, pk: int, held: _Held) -> None:
        if not held.is_on_record:
            order_streams.record(pk, is_up=held.is_up, trouble=held.trouble)
            held.is_on_record = True

    def _look(self, pk: int, held: _Held) -> None:
        named, held.named = frozenset(held.named), set()
        held.looked = time.monotonic()
        held.look_at, held.looks_again = (held.looked + _AGAIN_AFTER if held.looks_again else None), False
        held.looking = self._looks.submit(_look_at, pk, named)
        held.looking.add_done_callback(lambda done: self._events.put(None))

    # -- the sockets -----------------------------------------------------------------------------------------------

    async def _listen(self, connection: Connection) -> None:
        follow: Callable[..., AsyncGenerator[StreamEvent, None]] = import_module("brokers.stream_connection").follow
        events = follow(lambda: broker_access.broker_of(connection).order_stream())
        async with contextlib.aclosing(events):
            async for each in events:
                self._events.put((connection.pk, each))

    def _event_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._loop.set_default_executor(ThreadPoolExecutor(_OPENING, thread_name_prefix="order-stream"))
            self._sockets = threading.Thread(target=_serve, args=[self._loop], name="order-sockets", daemon=True)
            self._sockets.start()
        return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.close()


async def _finish() -> None:
    """Ends what runs in this loop, and the loop."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for each in others:
        each.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.sleep(0.05)  # a connection that was cut off is closed in the loop's next rounds
    asyncio.get_running_loop().stop()


def _opens_with(connection: Connection) -> tuple[str, str]:
    return connection.sealed, repr(connection.settings)


def _look_at(pk: int, named: frozenset[str]) -> bool:
    """Whether all of it was looked at."""
    try:
        return wake(pk, named)
    except (BrokerError, Error) as error:
        log.warning("Connection %s was not looked at though its stream said so: %s", pk, error)
        return False
    except Exception:  # the sweep looks too
        log.exception("Looking at connection %s because its stream said so failed", pk)
        return False
    finally:
        _give_back()


def _give_back() -> None:
    if not settings.EMBEDDED_DATABASE:  # a file is opened once, a server's connection goes back to its pool
        close_old_connections()


# -- the one of this process --------------------------------------------------------------------------------------

_listener: Listener | None = None
_starting = threading.Lock()


def ensure_listening() -> None:
    """Begin to listen in this process, unless it does."""
    global _listener
    with _starting:
        if _listener is None or not _listener.is_running:
            _listener = Listener()
            _listener.start()


@worker_shutdown.connect
@worker_process_shutdown.connect
def _stop(**kwargs: object) -> None:
    if _listener is not None:
        _listener.stop()


def _after_fork() -> None:
    """Threads do not survive a fork."""
    global _listener, _starting
    _listener, _starting = None, threading.Lock()


os.register_at_fork(after_in_child=_after_fork)
