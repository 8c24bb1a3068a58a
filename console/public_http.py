"""Calls to an address that a person chose, which must lead nowhere but to where anybody on the internet could go.

Only a checked address of the name is connected to: a name that answers otherwise the second time (DNS rebinding) leads
nowhere. No redirect is followed. One deadline covers looking up the name, the handshake, the request, the headers and
the body.
"""

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as LookedUpTooLong
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from oauth2_provider import cimd

from brokers import allowed_hosts
from brokers.errors import BrokerUnavailable

LONGEST_ADDRESS = 1000
_TOO_SLOW = "it took too long to answer"
_PRIVATE = "The address is not on the public internet."


class Unreachable(Exception):
    """Nothing is known to have been received there. The message says why, in words for a page."""


class Forbidden(Unreachable):
    """The address is none that this instance calls. Nothing was sent, and nothing will be."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""
    body: bytes = b""
    """Its beginning."""


def is_public(address: str) -> bool:
    """Whether anybody on the internet could reach it, also when an IPv4 address is wrapped in an IPv6 one."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    translated = isinstance(ip, ipaddress.IPv6Address) and ip in cimd.NAT64_PREFIX
    site_local = isinstance(ip, ipaddress.IPv6Address) and ip.is_site_local
    if ip.is_multicast or site_local or (ip.is_reserved and not translated):
        return False
    return bool(cimd._ip_is_public(address))  # type: ignore[no-untyped-call]  # untyped


def check_address(url: str, *, listed: Collection[str] = ()) -> SplitResult:
    """Raises Forbidden, saying what is wrong with it as text. Without encryption only to what is ``listed``."""
    if not url.isascii() or len(url) > LONGEST_ADDRESS or any(char <= " " or char in '\\"<>^`{|}\x7f' for char in url):
        raise Forbidden("The address contains characters that no address has, or is too long.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Forbidden("The address is not a valid URL.") from error
    if parts.username is not None or parts.password is not None:
        raise Forbidden("The address must not hold a user name or password.")
    if parts.scheme not in ("https", "http") or not parts.hostname or port == 0:
        raise Forbidden("The address must begin with https://.")
    if parts.scheme == "http" and not listed:
        raise Forbidden("The address must begin with https://.")
    if not listed and _is_number(parts.hostname) and not is_public(parts.hostname):
        raise Forbidden(_PRIVATE)
    return parts


def _is_number(host: str) -> bool:
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(host)
        return True
    return False


def post(
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes,
    seconds: float,
    listed: Collection[str] = (),
    most_read: int = 4096,
    tls: Callable[[], ssl.SSLContext] = ssl.create_default_context,
) -> Answer:
    """POST it, once. ``listed``: private computers that this instance's operator allows, as ``allowed_hosts`` has them.

    ``most_read``: bytes of its body. Raises Forbidden, Unreachable. After Unreachable it may have been received.
    """
    deadline = time.monotonic() + seconds
    parts = check_address(url, listed=listed)
    secure = parts.scheme == "https"
    host, port = parts.hostname or "", parts.port or (443 if secure else 80)
    addresses = addresses_of(host, port, seconds, listed=listed, secure=secure)
    connection = PinnedConnection(host, port, addresses, tls() if secure else None, deadline)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    with cut_off(connection, deadline):
        try:
            connection.request("POST", path, body=body, headers={"User-Agent": "Tradelatch", **headers})
            with connection.getresponse() as response:
                told = {name.lower(): value for name, value in response.getheaders()}
                return Answer(response.status, told, response.read(most_read))
        except (OSError, http.client.HTTPException, ValueError) as error:
            late = time.monotonic() >= deadline
            raise Unreachable(_TOO_SLOW if late else f"it could not be reached ({type(error).__name__})") from error


def addresses_of(host: str, port: int, seconds: float, *, listed: Collection[str], secure: bool) -> list[str]:
    """Where to connect for this name: all public, or all listed. Raises Forbidden, Unreachable."""
    pool = ThreadPoolExecutor(1)
    try:
        asked = pool.submit(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = list(dict.fromkeys(str(each[4][0]) for each in asked.result(seconds)))
    except LookedUpTooLong as error:
        raise Unreachable(_TOO_SLOW) from error
    except (OSError, UnicodeError) as error:
        raise Unreachable("its host name cannot be resolved") from error
    finally:
        pool.shutdown(wait=False)
    if secure and found and all(is_public(address) for address in found):
        return found
    if listed:
        with contextlib.suppress(BrokerUnavailable):
            return allowed_hosts.parse(listed).addresses(host, port)
    raise Forbidden(_PRIVATE)


class PinnedConnection(http.client.HTTPConnection):
    """Connects to the address that was checked; certificate and Host header are still those of the name."""

    def __init__(
        self, host: str, port: int, addresses: list[str], context: ssl.SSLContext | None, deadline: float
    ) -> None:
        super().__init__(host, port)
        self._addresses, self._tls, self._deadline = addresses, context, deadline
        self.default_port = 443 if context is not None else 80
        self._cut = False
        self._wire: socket.socket | None = None

    def connect(self) -> None:
        reached = self._reach()
        if self._tls is None:
            self.sock = self._wire = reached
            if self._cut:
                raise TimeoutError
            return
        sock = self._tls.wrap_socket(reached, server_hostname=self.host, do_handshake_on_connect=False)
        # http.client forgets its own once the headers are read, and the body is still to come.
        self.sock = self._wire = sock
        if self._cut:
            raise TimeoutError
        sock.do_handshake()

    def _reach(self) -> socket.socket:
        for number, address in enumerate(self._addresses, start=1):
            left = max(self._deadline - time.monotonic(), 0.001)
            try:
                return socket.create_connection((address, self.port), timeout=left)
            except OSError:
                if number == len(self._addresses):
                    raise
        raise ConnectionError

    def end(self) -> None:
        self.close()
        if self._wire is not None:
            self._wire.close()

    def cut(self) -> None:
        """End whatever is being read or written, from another thread."""
        self._cut = True
        if self._wire is not None:
            with contextlib.suppress(OSError):
                # Not SSLSocket's own: it would let a read that is under way go on in the clear.
                socket.socket.shutdown(self._wire, socket.SHUT_RDWR)


@contextlib.contextmanager
def cut_off(connection: PinnedConnection, deadline: float) -> Iterator[None]:
    """Ends it at the deadline, whatever it does, and closes it."""
    watch = threading.Timer(max(deadline - time.monotonic(), 0), connection.cut)
    watch.daemon = True
    watch.start()
    try:
        yield
    finally:
        watch.cancel()
        connection.end()
