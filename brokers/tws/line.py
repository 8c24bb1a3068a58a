"""One connection to TWS or IB Gateway per process: ib_async on an event loop of its own, in a thread of its own."""

import asyncio
import concurrent.futures
import logging
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

import ib_async
from ib_async.ib import StartupFetchNONE
from ib_async.wrapper import RequestError

from brokers.errors import BrokerError, BrokerUnavailable, InvalidSymbol, UnknownOutcome
from brokers.reach import Reach

T = TypeVar("T")

BROKER = "TWS or IB Gateway"
logging.getLogger("ib_async").setLevel(logging.WARNING)  # below it stands every order with its account number

_NO_SUCH_CONTRACT = 200
_CLIENT_ID_IN_USE = 326
_LOST, _BACK = 1100, (1101, 1102)


class Line:
    """Safe to share between threads. Connects by itself before a call, never in the middle of one."""

    def __init__(self, host: str, port: int, client_id: int, timeout: float, reach: Reach) -> None:
        """``timeout`` in seconds, for one request and for signing on."""
        self._where = (host, port, client_id)
        self._reach = reach
        self.timeout = timeout
        self._ib: Any = None
        self._last_code = 0
        self._lost = False
        self._loop = asyncio.new_event_loop()
        self._connecting = asyncio.Lock()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tws", daemon=True)
        self._thread.start()

    def read(self, work: Callable[[Any], Awaitable[T]]) -> T:
        """Raises BrokerUnavailable, or InvalidSymbol where TWS knows no such contract."""
        try:
            return self._run(self._within(work))
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
            raise UnknownOutcome(f"{BROKER} did not answer. The order may stand.") from error

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(self.timeout * 4)
        except concurrent.futures.TimeoutError:
            future.cancel()
            raise

    async def _within(self, work: Callable[[Any], Awaitable[T]]) -> T:
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
        self._last_code, self._lost = 0, False
        await ib.connectAsync(address, port, client_id, timeout=self.timeout, fetchFields=StartupFetchNONE)
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

        self._run(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(self.timeout)
        self._loop.close()


_lines: dict[tuple[str, int, int, Reach], Line] = {}
_making = threading.Lock()


def shared(host: str, port: int, client_id: int, timeout: float, reach: Reach) -> Line:
    with _making:
        key = (host, port, client_id, reach)
        if key not in _lines:
            _lines[key] = Line(host, port, client_id, timeout, reach)
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
