"""HTTP for the adapters we write ourselves: one call, one deadline, and what a failure says about a write.

=====================================================  ===============
what happened                                          outcome of a write
=====================================================  ===============
no connection: refused, no such host, TLS, connect     NotSent
timeout, no free connection
anything after that: no answer in time, closed, reset,  UnknownOutcome
cut, garbled, too long
=====================================================  ===============

What an answer says is its adapter's to judge; ``UNDECIDED`` is what no adapter may take for a refusal unless its
broker's documents say so. Nothing is sent twice and no redirect is followed: a write that failed may stand.
"""

import atexit
import hashlib
import json
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import httpcore2
import httpx2

from brokers import upstream_request
from brokers.allowed_hosts import AllowedHosts
from brokers.decimals import plain, refuse_constant
from brokers.errors import BrokerUnavailable, NotSent, OtherCertificate, UnknownOutcome

_MEBIBYTE = 1024 * 1024
_NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds."""

    connect: float = 5.0
    read: float = 10.0
    """Between two pieces of an answer."""
    total: float = 20.0
    """Of one call from its first byte sent, however slowly the answer drips."""


class Garbled(Exception):
    """The answer is not what the broker's documents promise. Says nothing of a write: it may stand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    status: int
    body: bytes
    retry_after: str = ""

    @property
    def undecided(self) -> bool:
        """Whether this status leaves a write open: 408, 429, every 1xx, 3xx and 5xx."""
        return self.status in (408, 429) or not (200 <= self.status < 300 or 400 <= self.status < 500)

    def json(self) -> Any:
        """The body, with every number that has a point or an exponent as an exact Decimal. Raises Garbled."""
        try:
            return json.loads(self.body, parse_float=Decimal, parse_constant=refuse_constant)
        except (ValueError, RecursionError) as error:
            raise Garbled("The answer was not JSON.") from error


def exact_json(value: Any) -> str:
    """JSON in which a Decimal is a number with every digit it has. No float may come in."""
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{json.dumps(name)}:{exact_json(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(exact_json, value)) + "]"
    if isinstance(value, float):
        raise TypeError("A float cannot be an exact number.")
    return json.dumps(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostAccess:
    """How a host is reached whose address a person typed."""

    reach: AllowedHosts
    fingerprint: str = ""
    """SHA-256 of the one certificate that is taken, in hexadecimal; empty: one that the system's authorities sign."""


class HttpClient:
    """One broker's host. Safe to share between threads; holds no credential: each call brings its headers."""

    def __init__(self, base_url: str, broker: str, access: HostAccess | None = None) -> None:
        """``broker`` is its name in what a person reads."""
        self._broker = broker
        self._client = httpx2.Client(
            base_url=base_url,
            transport=_Transport(access),
            trust_env=False,
            follow_redirects=False,
            headers={"User-Agent": "Tradelatch", "Accept": "application/json"},
        )
        # One client serves the keys of many people: what one was told to remember must not go out with another's.
        self._client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def read(
        self,
        path: str,
        *,
        headers: Mapping[str, str],
        params: Mapping[str, str] | None = None,
        timeouts: Timeouts,
        most: int = 8 * _MEBIBYTE,
    ) -> HttpAnswer:
        """GET, once; the caller may ask again. Raises BrokerUnavailable: whatever failed, nothing was changed."""
        try:
            return self._call("GET", path, headers, params, None, timeouts, most)
        except (httpx2.HTTPError, Garbled) as error:
            raise BrokerUnavailable(f"{self._broker} could not be reached: {_why(error)}.") from error

    def write(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        timeouts: Timeouts,
        most: int = _MEBIBYTE,
    ) -> HttpAnswer:
        """Sent once, never again. Raises NotSent, or UnknownOutcome where it may have arrived."""
        try:
            return self._call(method, path, headers, params, body, timeouts, most)
        except _NEVER_SENT as error:
            raise NotSent(f"{self._broker} could not be reached: {_why(error)}. Nothing was sent.") from error
        except (httpx2.HTTPError, Garbled) as error:
            raise UnknownOutcome(
                f"{self._broker} gave no clear answer: {_why(error)}. The order may be open there."
            ) from error

    def _call(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        params: Mapping[str, str] | None,
        body: Mapping[str, Any] | None,
        timeouts: Timeouts,
        most: int,
    ) -> HttpAnswer:
        waits = httpx2.Timeout(timeouts.read, connect=timeouts.connect, pool=timeouts.connect)
        content = None if body is None else exact_json(body).encode()
        kind = {} if body is None else {"Content-Type": "application/json"}
        _deadline.at = time.monotonic() + timeouts.total
        try:
            with self._client.stream(
                method, path, params=params, headers={**kind, **headers}, content=content, timeout=waits
            ) as response:
                upstream_request.note(response.headers.get("X-Request-ID", ""), is_write=method != "GET")
                held = bytearray()
                for piece in response.iter_bytes():
                    held += piece
                    if len(held) > most:
                        raise Garbled("its answer was too long")
                return HttpAnswer(
                    status=response.status_code,
                    body=bytes(held),
                    retry_after=response.headers.get("Retry-After", ""),
                )
        finally:
            _deadline.at = None

    def close(self) -> None:
        self._client.close()


_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (httpx2.ConnectTimeout, "no connection in time"),
    (httpx2.PoolTimeout, "too many calls are waiting for it"),
    (httpx2.TimeoutException, "no answer in time"),
    (httpx2.ConnectError, "no connection"),
    (httpx2.RemoteProtocolError, "the connection was cut"),
    (httpx2.NetworkError, "the connection was cut"),
)


def _why(error: Exception) -> str:
    """Never ``str(error)`` of the library: it may hold the address or what was sent."""
    if isinstance(error, Garbled):
        return str(error)
    return next((words for kind, words in _WORDS if isinstance(error, kind)), "the call failed")


# -- one deadline for all of a call ----------------------------------------------------------------------------


class _Deadline(threading.local):
    at: float | None = None

    def clamp(self, timeout: float | None) -> float | None:
        """What is left, at most ``timeout``. Zero or less when the time is up."""
        if self.at is None:
            return timeout
        left = self.at - time.monotonic()
        return left if timeout is None else min(left, timeout)


_deadline = _Deadline()


class _Stream(httpcore2.NetworkStream):
    def __init__(self, stream: httpcore2.NetworkStream, fingerprint: str = "") -> None:
        self._stream, self._fingerprint = stream, fingerprint

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        left = _deadline.clamp(timeout)
        if left is not None and left <= 0:
            raise httpcore2.ReadTimeout("The call's time was up.")
        return self._stream.read(max_bytes, left)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        left = _deadline.clamp(timeout)
        if left is not None and left <= 0:
            raise httpcore2.WriteTimeout("The call's time was up.")
        self._stream.write(buffer, left)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> "_Stream":
        secured = self._stream.start_tls(ssl_context, server_hostname, timeout)
        if self._fingerprint and _digest(secured.get_extra_info("ssl_object")) != self._fingerprint:
            secured.close()
            raise OtherCertificate(
                "The gateway shows a different certificate from the one you confirmed. Nothing was sent."
            )
        return _Stream(secured)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _digest(secured: ssl.SSLSocket | ssl.SSLObject) -> str:
    return hashlib.sha256(secured.getpeercert(True) or b"").hexdigest()


class _Backend(httpcore2.SyncBackend):
    def __init__(self, access: HostAccess | None) -> None:
        self._access = access

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        access, options = self._access, list(socket_options or ())
        if access is None:
            return _Stream(super().connect_tcp(host, port, timeout, local_address, options))
        *others, last = access.reach.addresses(host, port)
        for address in others:
            with suppress(httpcore2.ConnectError):
                return _Stream(super().connect_tcp(address, port, timeout, local_address, options), access.fingerprint)
        return _Stream(super().connect_tcp(last, port, timeout, local_address, options), access.fingerprint)


class _Transport(httpx2.HTTPTransport):
    """The library's own, its connections held to the deadline."""

    def __init__(self, access: HostAccess | None) -> None:
        pinned = access is not None and access.fingerprint
        tls = _takes_any() if pinned else httpx2.create_ssl_context(trust_env=False)
        super().__init__(verify=tls, trust_env=False, retries=0)
        self._pool = httpcore2.ConnectionPool(
            ssl_context=tls,
            max_connections=50,
            max_keepalive_connections=20,
            keepalive_expiry=15.0,
            retries=0,
            network_backend=_Backend(access),
        )


def _takes_any() -> ssl.SSLContext:
    """For a certificate that is judged by its fingerprint, before anything is said."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    return tls


@dataclass(frozen=True, slots=True)
class Certificate:
    fingerprint: str
    """SHA-256, in hexadecimal."""
    vouched: bool
    """The system's authorities sign it for this name."""


def certificate(base_url: str, reach: AllowedHosts, broker: str, seconds: float = 5.0) -> Certificate:
    """What a host shows before anything is said to it. Raises OutOfReach, BrokerUnavailable."""
    parts = urlsplit(base_url)
    host, port = parts.hostname or "", parts.port or 443
    addresses = reach.addresses(host, port)
    for tls, vouched in ((httpx2.create_ssl_context(trust_env=False), True), (_takes_any(), False)):
        try:
            with (
                _first(addresses, port, seconds) as plain_socket,
                tls.wrap_socket(plain_socket, server_hostname=host) as secured,
            ):
                return Certificate(_digest(secured), vouched)
        except ssl.SSLCertVerificationError:
            continue
        except (OSError, ValueError) as error:
            raise BrokerUnavailable(f"{broker} could not be reached: no connection. Nothing was sent.") from error
    raise BrokerUnavailable(f"{broker} shows no certificate. Nothing was sent.")


def _first(addresses: list[str], port: int, seconds: float) -> socket.socket:
    *others, last = addresses
    for address in others:
        with suppress(OSError):
            return socket.create_connection((address, port), timeout=seconds)
    return socket.create_connection((last, port), timeout=seconds)


# -- one client per host and process -----------------------------------------------------------------------------

_clients: dict[tuple[str, HostAccess | None], HttpClient] = {}
_making = threading.Lock()


def shared(base_url: str, broker: str, access: HostAccess | None = None) -> HttpClient:
    """The process's client for a host: connections and TLS are set up once, not for each call."""
    with _making:
        if (base_url, access) not in _clients:
            _clients[base_url, access] = HttpClient(base_url, broker, access)
        return _clients[base_url, access]


@atexit.register
def close_shared() -> None:
    """End the connections that are kept open."""
    with _making:
        while _clients:
            _clients.popitem()[1].close()


def _after_fork() -> None:
    """A child must not speak on its parent's connections."""
    global _making
    _making = threading.Lock()
    _clients.clear()


os.register_at_fork(after_in_child=_after_fork)
