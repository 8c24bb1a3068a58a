"""The two standard streams as lines, read and written by threads: a host may give files, pipes or a terminal."""

import asyncio
import contextlib
import os
import queue
import threading
from collections.abc import AsyncIterator

_CHUNK = 64 * 1024
LONGEST_LINE = 1024 * 1024


class TooLong(Exception):
    """A line had more bytes than any request may have; it was thrown away."""


class Lines:
    """Lines of a file descriptor, without their ends. A line that is too long comes as TooLong, and reading goes on."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._chunks: asyncio.Queue[bytes] = asyncio.Queue()
        self._room = threading.Semaphore(4)
        # os.read and a daemon thread: whatever blocks on a stream must not hold the process up when it is to end.
        threading.Thread(target=self._read, daemon=True).start()

    async def __aiter__(self) -> AsyncIterator[bytes | TooLong]:
        rest, skipping = b"", False
        while chunk := await self._chunks.get():
            self._room.release()
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                if skipping or len(line) > LONGEST_LINE:
                    skipping = False
                    yield TooLong()
                else:
                    yield line
            if len(rest) > LONGEST_LINE:
                rest, skipping = b"", True
        if rest and not skipping:
            yield rest

    def _read(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            while True:
                try:
                    chunk = os.read(self._descriptor, _CHUNK)
                except OSError:
                    chunk = b""
                self._room.acquire()
                self._loop.call_soon_threadsafe(self._chunks.put_nowait, chunk)
                if not chunk:
                    return


class Output:
    """Whole lines to a file descriptor, one after the other."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._lines: queue.SimpleQueue[tuple[bytes, asyncio.Future[None]]] = queue.SimpleQueue()
        self.closed = asyncio.Event()
        """Nobody reads any more."""
        threading.Thread(target=self._write, daemon=True).start()

    async def send(self, line: bytes) -> None:
        """Return when the line was taken. A caller that is cancelled meanwhile does not cut it."""
        written = self._loop.create_future()
        self._lines.put((line + b"\n", written))
        await written

    def _write(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            while True:
                line, written = self._lines.get()
                try:
                    while line:
                        line = line[os.write(self._descriptor, line) :]
                except OSError:
                    self._loop.call_soon_threadsafe(self.closed.set)
                    return
                self._loop.call_soon_threadsafe(_done, written)


def _done(written: asyncio.Future[None]) -> None:
    if not written.done():
        written.set_result(None)
