"""RFC 8707: the one resource tokens are for, under every spelling that hosts send.

An instance of one computer has several names there; whichever a host uses, the resource is the same.
"""

import functools
from collections.abc import Iterable
from urllib.parse import urlsplit

from django.conf import settings

from console import base_path
from console.oauth.toolkit import errors

_DEFAULT_PORTS = {"http": 80, "https": 443}
_WELL_KNOWN = "/.well-known/oauth-protected-resource"


@functools.lru_cache(maxsize=256)
def origin_for(host: str) -> str:
    """This instance's origin by the name in a Host header, where that is one of its own; else its public one.

    A host compares what the metadata names with the address it was given (RFC 9728 section 3.3).
    """
    ours = urlsplit(settings.PUBLIC_URL)
    try:
        parts = urlsplit(f"//{host}")
        known = parts.hostname in settings.LOCAL_NAMES and parts.port == ours.port and "@" not in host
    except ValueError:
        known = False
    return f"{ours.scheme}://{host.lower()}" if known else base_path.absolute("")


def resource_for(host: str) -> str:
    """The address of ``/mcp`` by that name."""
    return f"{origin_for(host)}{settings.BASE_PATH}/mcp"


def metadata_url(host: str) -> str:
    """Where its metadata is: the path comes behind the well-known part (RFC 9728 section 3.1)."""
    return f"{origin_for(host)}{_WELL_KNOWN}{settings.BASE_PATH}/mcp"


def check(sent: Iterable[str], request: object = None) -> None:
    """Raise ``invalid_target`` when a ``resource`` is not ours; none at all means ours.

    Accepted: the exact URL of ``/mcp``, the same with a trailing slash, the bare origin, the host in any case, and
    on this computer each of its names.
    """
    if not all(_is_ours(uri) for uri in sent if uri):
        raise errors.CustomOAuth2Error(
            error="invalid_target",
            description=f"Tokens are issued for {settings.MCP_URL} only.",
            request=request,
        )


def _is_ours(uri: str) -> bool:
    ours = urlsplit(settings.MCP_URL)
    try:
        parts = urlsplit(uri)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return False
    named = parts.hostname == ours.hostname or parts.hostname in settings.LOCAL_NAMES
    return (
        (parts.scheme, named, port) == (ours.scheme, True, ours.port or _DEFAULT_PORTS[ours.scheme])
        and "@" not in parts.netloc
        and parts.path in ("", "/", settings.BASE_PATH, f"{settings.BASE_PATH}/", ours.path, f"{ours.path}/")
        and "?" not in uri
        and "#" not in uri
    )
