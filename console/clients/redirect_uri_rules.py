"""Which redirect URIs a client may register and be sent back to: the same rules however it registered."""

import re
from urllib.parse import urlsplit

from console import display_name_rules
from console.errors import Code, Refusal

MAX_REDIRECT_URIS = 10
MAX_URI_LENGTH = 2000
MAX_NAME_LENGTH = 100
# Cursor registers three redirect URIs at once and gives up when one of them is refused.
CUSTOM_SCHEMES = frozenset({"cursor://anysphere.cursor-mcp/oauth/callback"})
SCHEMES = ("https", "http", "cursor")

_URI = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
_LOOPBACK = re.compile(r"http://(localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?((?:[/?].*)?)")


def check_redirect_uri(uri: str) -> None:
    """Raise Refusal, in words its reader can act on, when ``uri`` may not be registered (OAuth 2.1, 2.3)."""
    shown = uri[:200]
    if len(uri) > MAX_URI_LENGTH:
        raise _refusal(f"A redirect URI can have at most {MAX_URI_LENGTH:,} characters.")
    if uri in CUSTOM_SCHEMES:
        return
    if not _URI.fullmatch(uri):
        raise _refusal(f"{shown!r} contains a space or another character that is not allowed in a URI.")
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError as error:
        raise _refusal(f"{shown} is not a valid URI.") from error
    if parts.scheme not in ("https", "http"):
        raise _refusal(f"{shown} must start with https://, or with http://localhost for a local program.")
    if not parts.hostname or port == 0:
        raise _refusal(f"{shown} has no host. Write the whole address.")
    if "@" in parts.netloc:
        raise _refusal(f"{shown} must not contain a user name or password.")
    if "#" in uri:
        raise _refusal(f"{shown} must not contain a fragment. Remove the # and everything after it.")
    if "*" in uri:
        raise _refusal(f"{shown} contains a wildcard. List each address in full.")
    if parts.scheme == "http" and not _LOOPBACK.fullmatch(uri):
        raise _refusal(
            f"{shown} is not encrypted. Use https://, or http:// with localhost, 127.0.0.1 or [::1] "
            "for a program on the same computer."
        )


def check_redirect_uris(uris: list[str]) -> list[str]:
    """The URIs without repetition, each of them checked."""
    unique = list(dict.fromkeys(uris))
    if not unique:
        raise _refusal("Give at least one redirect URI.")
    if len(unique) > MAX_REDIRECT_URIS:
        raise _refusal(f"Give at most {MAX_REDIRECT_URIS} redirect URIs.")
    for uri in unique:
        check_redirect_uri(uri)
    return unique


def redirect_allowed(sent: str, registered: list[str]) -> bool:
    """Simple string comparison (RFC 9700 section 2.1), with any port on loopback (RFC 8252 section 7.3)."""
    if sent in registered:
        return True
    native = _LOOPBACK.fullmatch(sent)
    if native is None:
        return False
    matches = (_LOOPBACK.fullmatch(uri) for uri in registered)
    return any(match is not None and match.groups() == native.groups() for match in matches)


def clean_name(name: str) -> str:
    """The name with single blanks. Raises Refusal for one that is hidden, looks like another or speaks for us."""
    return display_name_rules.clean_display_name(name, longest=MAX_NAME_LENGTH)


def _refusal(message: str) -> Refusal:
    return Refusal(Code.INVALID_ARGUMENT, message, field="redirect_uris")
