"""One deadline for all of a call of ccxt: its own ``timeout`` is that of one read of a socket, and each byte begins it
anew. Imported with ccxt, at the first crypto connection: requests and urllib3 come with that."""

import http.client
import io
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool


class _ReadDeadline(threading.local):
    at: float | None = None


_deadline = _ReadDeadline()


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """What this thread reads through an ``Adapter`` meanwhile ends by then, with the error of a read timeout."""
    _deadline.at = time.monotonic() + seconds
    try:
        yield
    finally:
        _deadline.at = None


class _Timed(io.RawIOBase):
    """A socket's bytes, as long as there is time."""

    def __init__(self, raw: Any, connection: socket.socket) -> None:
        self._raw = raw
        self._connection = connection
        self._usual = connection.gettimeout()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if _deadline.at is None:
            return self._read(buffer)
        left = _deadline.at - time.monotonic()
        if left <= 0:
            raise TimeoutError("The call's time was up.")
        self._connection.settimeout(left if self._usual is None else min(left, self._usual))
        try:
            return self._read(buffer)
        finally:
            self._connection.settimeout(self._usual)  # the connection is kept for the next call

    def _read(self, buffer: Any) -> int | None:
        read: int | None = self._raw.readinto(buffer)
        return read

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **named: Any) -> None:
        super().__init__(sock, *args, **named)
        self.fp = io.BufferedReader(_Timed(self.fp.detach(), sock))


class _Connection(HTTPConnection):
    response_class = _Response


class _TlsConnection(HTTPSConnection):
    response_class = _Response


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class Adapter(HTTPAdapter):
    """The library's own, which sends nothing twice, its connections held to the deadline."""

    def init_poolmanager(self, *args: Any, **named: Any) -> None:
        super().init_poolmanager(*args, **named)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
