"""RFC 8707: the one resource tokens are for, under every spelling that hosts send."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from django.conf import settings

from console.oauth.toolkit import errors

_DEFAULT_PORTS = {"http": 80, "https": 443}


def check(sent: Iterable[str], request: object = None) -> None:
    """Raise ``invalid_target`` when a ``resource`` is not ours; none at all means ours.

    Accepted: the exact URL of ``/mcp``, the same with a trailing slash, the bare origin, the host in any case.
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
    return (
        (parts.scheme, parts.hostname, port) == (ours.scheme, ours.hostname, ours.port or _DEFAULT_PORTS[ours.scheme])
        and "@" not in parts.netloc
        and parts.path in ("", "/", ours.path, ours.path + "/")
        and "?" not in uri
        and "#" not in uri
    )
