"""Which instance is meant, and the key for it. The key comes from the environment or a file, never from an argument."""

import ipaddress
import os
import ssl
import stat
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

import httpx2

_LONGEST_KEY = 8192
# The server closes a connection that was idle for 5 s; one that it is just closing would lose a request.
_KEEP_ALIVE_SECONDS = 2.0
_TIMEOUT = httpx2.Timeout(30.0, connect=5.0, read=300.0)


class Misused(Exception):
    """The command line, the address or the key cannot be used; the message says what to do. Never has the key."""


@dataclass(frozen=True, slots=True)
class Target:
    url: str
    """The address of ``/mcp``."""
    key: str = field(repr=False)


def find(url: str | None, key_file: str | None, *, allow_http: bool) -> Target:
    """The instance of the command line or of this environment. Raises Misused."""
    address = _address(url or _own_address())
    parts = urlsplit(address)
    if parts.scheme == "http" and not is_loopback(address) and not allow_http:
        raise Misused(
            f"{address} is plain http to another computer, so anyone on the network path could read the key: "
            "use https, or add --allow-http on a network you trust."
        )
    return Target(address, _key(key_file))


def client(target: Target) -> httpx2.AsyncClient:
    """HTTP to that instance alone: no redirect is followed, and a proxy never sees calls to this computer."""
    plain = target.url.startswith("http://")
    return httpx2.AsyncClient(
        headers={
            "Authorization": f"Bearer {target.key}",
            "Accept": "application/json, text/event-stream",
            "Content-Type": "application/json",
            "User-Agent": "tradelatch-cli",
        },
        # Loading the certificate authorities takes longer than a call; without TLS none are needed.
        verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if plain else True,
        trust_env=not is_loopback(target.url),
        timeout=_TIMEOUT,
        follow_redirects=False,
        limits=httpx2.Limits(max_connections=None, max_keepalive_connections=8, keepalive_expiry=_KEEP_ALIVE_SECONDS),
    )


def is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host in ("localhost", "tradelatch.localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _own_address() -> str:
    """The instance that the same environment would run."""
    port = os.environ.get("PORT", "8000")
    return os.environ.get("TRADELATCH_PUBLIC_URL", f"http://localhost:{port}")


def _address(url: str) -> str:
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        fits = False
    if not fits or parts.username or parts.password or parts.query or parts.fragment:
        raise Misused("The address must look like http://localhost:8000 or https://desk.example.com/mcp.")
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/") or "/mcp", "", ""))


def _key(key_file: str | None) -> str:
    if key_file is not None:
        key, source = _read(key_file), f"The file {key_file}"
    else:
        key, source = os.environ.get("TRADELATCH_API_KEY", "").strip(), "TRADELATCH_API_KEY"
        if not key:
            raise Misused(
                "No API key: create one in the console under API keys, and put it in TRADELATCH_API_KEY or in a file "
                "given with --key-file. A key is never an argument, because others on this computer could see it."
            )
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise Misused(f"{source} must contain one API key and nothing else.")
    return key


def _read(path: str) -> str:
    try:
        with open(path, "rb") as file:  # one open file, so that what is checked is what is read
            mode = os.fstat(file.fileno()).st_mode
            if stat.S_ISREG(mode) and mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise Misused(f"Others on this computer can open {path}: run chmod 600 on it, then try again.")
            return file.read(_LONGEST_KEY).decode("ascii", "replace").strip()
    except OSError as error:
        if path.startswith("tl_"):
            raise Misused("--key-file expects the name of a file that contains the key, not the key itself.") from None
        raise Misused(f"The key file {path} cannot be read: {error.strerror}.") from error
