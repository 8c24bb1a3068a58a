"""Who is behind the proxies that the operator named: X-Forwarded-For and -Proto are believed from them alone."""

import logging
from collections.abc import Callable, Sequence

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from console import ip_addresses

log = logging.getLogger(__name__)

_SEEN = "tradelatch.address"
"""Key in the ASGI scope: who is in front was looked at."""


def with_proxies(proxies: Sequence[str], app: ASGIApp) -> ASGIApp:
    """``app``, told who is behind these proxies.

    uvicorn started by hand believes every program on the same machine, unless told ``--no-proxy-headers``. What it
    made of such a header is taken for no address at all, so that a key bound to addresses is refused.
    """
    believing = ProxyHeadersMiddleware(app, list(proxies))  # type: ignore[arg-type]  # two spellings of ASGI
    forwarded: ASGIApp = believing if proxies else app  # type: ignore[assignment]

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _SEEN in scope:
            await app(scope, receive, send)
            return
        scope[_SEEN] = True
        if _is_from_a_header(scope, believing.trusted_hosts.__contains__):
            log.warning("The web server believes X-Forwarded-For: start uvicorn with --no-proxy-headers.")
            await app({**scope, "client": None}, receive, send)
        else:
            await forwarded(scope, receive, send)

    return serve


def _is_from_a_header(scope: Scope, is_proxy: Callable[[str], bool]) -> bool:
    """Whether the peer is one that the request itself names: somebody before us has put it there."""
    names = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
    if not names or not scope.get("client"):
        return False
    peer, port = scope["client"][0].strip(), scope["client"][1]
    entries = [entry.strip() for entry in ",".join(names).split(",")]
    ports = {entry.rpartition(":")[2] for entry in entries if ":" in entry}
    if port and str(port) not in ports and is_proxy(peer):
        return False  # A real peer, for a header gives port 0 or its own: a proxy whose visitor is on its computer.
    hosts = {entry.rpartition(":")[0].strip("[]") for entry in entries} | {entry.strip("[]") for entry in entries}
    return peer in hosts or (
        ip_addresses.parse_address(peer) != ""
        and ip_addresses.parse_address(peer) in {ip_addresses.parse_address(host) for host in hosts}
    )
