"""Reading a Client ID Metadata Document from an address that a stranger chose, without being led anywhere by it.

draft-ietf-oauth-client-id-metadata-document, section 6.5 (server-side request forgery). The toolkit's fetcher
bounds each read of the socket, so that a server which sends a byte now and then would hold a thread for hours;
here one deadline covers looking up the name, the handshake, the headers and the body.
"""

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as LookedUpTooLong
from typing import Any

from oauth2_provider import cimd

CIMDError = cimd.CIMDError

SECONDS = 5.0
_HEADERS = {"Accept": "application/json, application/*+json", "User-Agent": "Tradelatch", "Connection": "close"}


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


class Fetcher(cimd.SafeMetadataFetcher):
    """The name is looked up once, every address it has must be public, and only such an address is connected to."""

    seconds = SECONDS

    def look_up(self, host: str, port: int) -> list[str]:
        return [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]

    def may_reach(self, address: str) -> bool:
        return is_public(address)

    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context()

    def fetch(self, client_id: str) -> tuple[dict[str, Any], int]:
        """The document and how many seconds it stays fresh. Raises CIMDError."""
        deadline = time.monotonic() + self.seconds
        parsed = _validate(client_id)
        host, port = parsed.hostname, parsed.port or 443
        addresses = self._addresses(host, port)
        connection = _Pinned(host, port, addresses, self.tls(), deadline)
        watch = threading.Timer(max(deadline - time.monotonic(), 0), connection.cut)
        watch.daemon = True
        watch.start()
        try:
            path = parsed.path + (f"?{parsed.query}" if parsed.query else "")
            connection.request("GET", path, headers=_HEADERS)
            with connection.getresponse() as response:
                document: tuple[dict[str, Any], int] = self._read_document(response)  # type: ignore[no-untyped-call]
        except CIMDError as error:
            if time.monotonic() < deadline:
                raise
            raise CIMDError(_TOO_SLOW) from error
        except (OSError, http.client.HTTPException, UnicodeError, ValueError, RecursionError) as error:
            late = time.monotonic() >= deadline
            raise CIMDError(_TOO_SLOW if late else f"it could not be fetched ({type(error).__name__})") from error
        finally:
            watch.cancel()
            connection.end()
        return document

    def _addresses(self, host: str, port: int) -> list[str]:
        pool = ThreadPoolExecutor(1)
        try:
            addresses = pool.submit(self.look_up, host, port).result(self.seconds)
        except LookedUpTooLong as error:
            raise CIMDError(_TOO_SLOW) from error
        except (OSError, UnicodeError) as error:
            raise CIMDError("its host name cannot be resolved") from error
        finally:
            pool.shutdown(wait=False)
        if not addresses or not all(self.may_reach(address) for address in addresses):
            raise CIMDError("its host is not on the public internet")
        return addresses


_TOO_SLOW = "its host took too long to answer"


def _validate(client_id: str) -> Any:
    if not client_id.isascii() or any(char <= " " or char in '\\"<>^`{|}\x7f' for char in client_id):
        raise CIMDError("its address contains invalid characters")
    try:
        return cimd._validate_client_id_url(client_id)  # type: ignore[no-untyped-call]  # untyped
    except ValueError as error:
        raise CIMDError("its address is not a valid URL") from error


class _Pinned(http.client.HTTPSConnection):
    """Connects to the address that was checked; certificate and Host header are still those of the name."""

    def __init__(self, host: str, port: int, addresses: list[str], context: ssl.SSLContext, deadline: float) -> None:
        super().__init__(host, port, context=context)
        self._addresses, self._tls, self._deadline = addresses, context, deadline
        self._cut = False
        self._wire: ssl.SSLSocket | None = None

    def connect(self) -> None:
        sock = self._tls.wrap_socket(self._reach(), server_hostname=self.host, do_handshake_on_connect=False)
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
