"""One connection to TWS or IB Gateway: ib_async on an event loop of its own, in a thread of its own.

TWS takes one program per client id, and an order is only cancelled by the id it was sent with. So our processes take
turns: who holds the file of a client id is connected, and hangs up and hands it on after a moment without a call.
"""

import asyncio
import concurrent.futures
import fcntl
import hashlib
import logging
import os
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import ib_async
from ib_async.ib import StartupFetchNONE
from ib_async.wrapper import RequestError

from brokers.allowed_hosts import AllowedHosts
from brokers.errors import BrokerError, BrokerUnavailable, InvalidSymbol, UnknownOutcome

T = TypeVar("T")

BROKER = "TWS or IB Gateway"
logging.getLogger("ib_async").setLevel(logging.WARNING)  # below it stands every order with its account number

_TERMS = ("tif", "outsideRth", "parentId", "ocaGroup", "ocaType", "trailStopPrice", "trailingPercent")
_NO_SUCH_CONTRACT = 200
_CLIENT_ID_IN_USE = 326
_LOST, _BACK = 1100, (1101, 1102)
LINGER = 0.5
"""Seconds a connection is kept after a call, while no other process of ours gets its turn."""
_LONGEST = 5.0
"""Seconds of one turn, after which it ends between two calls."""
_LOOK_EVERY = 0.05
_FREED_WITHIN = 2.0
"""Seconds after which TWS must have seen that a client id is free again."""


class TwsConnection:
    """Safe to share between threads. Connects by itself before a call, never in the middle of one."""

    def __init__(
        self, host: str, port: int, client_id: int, timeout: float, reach: AllowedHosts, turns: Path | None = None
    ) -> None:
        """``timeout`` in seconds, for one request, for signing on, and for one's turn.

        ``turns`` is a folder that all our processes share; None: no other process uses this client id.
        """
        self._where = (host, port, client_id)
        self.client_id = client_id
        self._turn = None if turns is None else _FileLock(turns / f"tws-{_digest(host, port, client_id)}")
        self._calls = 0
        self._ending: asyncio.TimerHandle | None = None
        self._reach = reach
        self.timeout = timeout
        self.contracts: dict[str, tuple[Any, datetime]] = {}
        """What was told of each contract, by its number, and when."""
        self._ib: Any = None
        self._last_code = 0
        self._lost = False
        self._loop = asyncio.new_event_loop()
        self._connecting = asyncio.Lock()
        self.asking = asyncio.Lock()
        """Held for a question: TWS answers some without saying which, so that two alike must not overlap."""
        self._thread = threading.Thread(target=self._loop.run_forever, name="tws", daemon=True)
        self._thread.start()

    def read(self, work: Callable[[Any], Awaitable[T]]) -> T:
        """Raises BrokerUnavailable, or InvalidSymbol where TWS knows no such contract."""

        async def alone(ib: Any) -> T:
            async with self.asking:
                return await work(ib)

        try:
            return self._run(self._within(alone))
        except RequestError as error:
            if error.code == _NO_SUCH_CONTRACT:
                raise InvalidSymbol(f"{BROKER} knows no such contract.") from error
            raise BrokerUnavailable(f"{BROKER} refused the request with code {error.code}.") from error
        except (TimeoutError, concurrent.futures.TimeoutError, OSError, concurrent.futures.CancelledError) as error:
            raise BrokerUnavailable(f"{BROKER} did not answer.") from error

    def write(self, work: Callable[[Any], Awaitable[T]]) -> T:
        """``work`` tells itself what its failure means; what fails before it began is BrokerUnavailable.

        Raises UnknownOutcome where it did not come to its end in time, or the connection ended under it.
        """
        try:
            return self._run(self._within(work))
        except (TimeoutError, OSError, concurrent.futures.CancelledError) as error:
            raise UnknownOutcome(f"{BROKER} did not answer. The order may be open.") from error

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(self.timeout * 4)
        except concurrent.futures.TimeoutError:
            future.cancel()
            raise

    async def _within(self, work: Callable[[Any], Awaitable[T]]) -> T:
        self._calls += 1
        try:
            return await self._call(work)
        finally:
            self._calls -= 1
            if self._turn is not None and not self._calls:
                if self._ending is not None:
                    self._ending.cancel()
                self._ending = self._loop.call_later(0.0 if self._turn.is_long else LINGER, self._hang_up)

    def _hang_up(self) -> None:
        """Let another process have its turn, unless a call is under way."""
        if self._turn is not None and not self._calls:
            if self._ib is not None:
                self._ib.disconnect()
                self._ib = None
            self._turn.pass_on()

    async def _call(self, work: Callable[[Any], Awaitable[T]]) -> T:
        try:
            ib = await self._connected()
        except BrokerError:
            raise
        except Exception as error:
            in_use = self._last_code == _CLIENT_ID_IN_USE
            why = "another program uses this client id there" if in_use else "it does not answer at its address"
            raise BrokerUnavailable(f"{BROKER} could not be reached: {why}. Nothing was sent.") from error
        if self._lost:
            raise BrokerUnavailable(f"{BROKER} has lost its own connection to Interactive Brokers. Nothing was sent.")
        return await work(ib)

    async def _connected(self) -> Any:
        async with self._connecting:
            if self._ib is None or not self._ib.isConnected():
                host, port, _ = self._where
                if self._turn is not None:
                    await self._turn.take(self.timeout)
                *others, last = await asyncio.to_thread(self._reach.addresses, host, port)
                for address in others:
                    with suppress(OSError):
                        return await self._connect(address)
                await self._connect(last)
            return self._ib

    async def _connect(self, address: str) -> Any:
        _, port, client_id = self._where
        ib = ib_async.IB()
        ib.RequestTimeout = self.timeout  # the default waits for ever
        ib.RaiseRequestErrors = True  # by default an error comes back as an empty list
        ib.errorEvent += self._on_error
        _follow_terms(ib)
        self._last_code, self._lost = 0, False
        until = self._loop.time() + _FREED_WITHIN
        while True:
            try:
                await ib.connectAsync(address, port, client_id, timeout=self.timeout, fetchFields=StartupFetchNONE)
            except Exception:
                # Our own process that had its turn before may have hung up this very moment.
                if self._turn is None or self._last_code != _CLIENT_ID_IN_USE or self._loop.time() > until:
                    raise
                self._last_code = 0
                await asyncio.sleep(_LOOK_EVERY)
            else:
                self._ib = ib
                return ib

    def _on_error(self, request: int, code: int, words: str, contract: Any) -> None:
        self._last_code = code
        if code == _LOST:
            self._lost = True
        elif code in _BACK:
            self._lost = False

    def close(self) -> None:
        async def end() -> None:
            if self._ib is not None:
                self._ib.disconnect()
            await asyncio.sleep(0)  # the transport closes in the next round
            if self._turn is not None:
                self._turn.pass_on()

        self._run(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(self.timeout)
        self._loop.close()


class _FileLock:
    """A file that one process holds at a time."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._descriptor: int | None = None
        self._since = 0.0
        self._free_from = 0.0

    @property
    def is_long(self) -> bool:
        return time.monotonic() > self._since + _LONGEST

    async def take(self, seconds: float) -> None:
        """Raises BrokerUnavailable when another process keeps it longer than that."""
        if self._descriptor is not None:
            return
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        await asyncio.sleep(max(0.0, self._free_from - time.monotonic()))
        descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        until = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= until:
                    os.close(descriptor)
                    raise BrokerUnavailable(
                        f"Another process of this instance is connected to {BROKER}. Nothing was sent."
                    ) from None
                await asyncio.sleep(_LOOK_EVERY)
            else:
                self._descriptor, self._since = descriptor, time.monotonic()
                return

    def pass_on(self) -> None:
        if self._descriptor is not None:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)  # closing is not enough where a fork has a copy
            os.close(self._descriptor)
            self._descriptor = None
            self._free_from = time.monotonic() + 3 * _LOOK_EVERY  # who waits looks in between


def _follow_terms(ib: Any) -> None:
    """Of an order that is told again ib_async takes over only some of the terms that we read and send."""
    told = ib.wrapper.openOrder

    def open_order(number: int, contract: Any, order: Any, state: Any) -> None:
        told(number, contract, order, state)
        trade = ib.wrapper.trades.get(ib.wrapper.orderKey(order.clientId, order.orderId, order.permId))
        if trade is not None:
            for name in _TERMS:
                setattr(trade.order, name, getattr(order, name))

    ib.wrapper.openOrder = open_order


def _digest(*where: object) -> str:
    return hashlib.sha256(repr(where).encode()).hexdigest()[:32]


_lines: dict[tuple[str, int, int, AllowedHosts, Path | None], TwsConnection] = {}
_making = threading.Lock()


def shared(
    host: str, port: int, client_id: int, timeout: float, reach: AllowedHosts, turns: Path | None = None
) -> TwsConnection:
    with _making:
        key = (host, port, client_id, reach, turns)
        if key not in _lines:
            _lines[key] = TwsConnection(host, port, client_id, timeout, reach, turns)
        return _lines[key]


def close_shared() -> None:
    with _making:
        while _lines:
            _lines.popitem()[1].close()


def _after_fork() -> None:
    """A child has neither its parent's thread nor its connection."""
    global _making
    _making = threading.Lock()
    _lines.clear()


os.register_at_fork(after_in_child=_after_fork)
