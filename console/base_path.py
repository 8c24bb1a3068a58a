"""Serving under a path: ``TRADELATCH_PUBLIC_URL=https://host/some/path``.

The proxy in front may take the path off or leave it on; both arrive here. Well-known addresses are at the root of the
host, with the path behind them (RFC 8414 section 3.1, RFC 9728 section 3.1), and stay there.
"""

from django.conf import settings

_WELL_KNOWN = "/.well-known/"


def within(path: str) -> str:
    """The address below the path this instance is served under."""
    base: str = settings.BASE_PATH
    if not base or not (path == base or path.startswith(f"{base}/")):
        return path
    return path[len(base) :] or "/"


def absolute(path: str) -> str:
    """The public address of a path that ``reverse`` or a request gave, which has the base in it."""
    origin: str = settings.PUBLIC_URL.removesuffix(settings.BASE_PATH)
    return origin + path


def whole(path: str) -> str:
    """The address as browsers know it, whether or not the proxy has taken the path off."""
    base: str = settings.BASE_PATH
    if not base or path == base or path.startswith((f"{base}/", _WELL_KNOWN)):
        return path
    return base + path
