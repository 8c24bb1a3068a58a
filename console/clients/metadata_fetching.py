"""Reading a Client ID Metadata Document from an address that a stranger chose, without being led anywhere by it.

draft-ietf-oauth-client-id-metadata-document, section 6.5 (server-side request forgery). The toolkit's fetcher
bounds each read of the socket, so that a server which sends a byte now and then would hold a thread for hours;
here one deadline covers looking up the name, the handshake, the headers and the body.
"""

import http.client
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as LookedUpTooLong
from typing import Any

from oauth2_provider import cimd

from console.public_http import PinnedConnection, cut_off, is_public

__all__ = ["CIMDError", "Fetcher", "is_public"]

CIMDError = cimd.CIMDError

SECONDS = 5.0
_HEADERS = {"Accept": "application/json, application/*+json", "User-Agent": "Tradelatch", "Connection": "close"}


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
        connection = PinnedConnection(host, port, addresses, self.tls(), deadline)
        try:
            path = parsed.path + (f"?{parsed.query}" if parsed.query else "")
            with cut_off(connection, deadline):
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
